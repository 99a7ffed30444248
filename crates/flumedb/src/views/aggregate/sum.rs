//! [`Sum`] and [`Mean`].

use serde::{Serialize, de::DeserializeOwned};

use super::{Aggregate, ExactSum, Values, values};
use crate::Seq;

/// What can be summed: the integers of up to 64 bits, exactly; `f64` and `f32`, as if added without any rounding, and
/// rounded once at the end.
pub trait Addend: Copy + Send + Sync + 'static {
    /// What sums are kept as.
    type Total: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What sums are given as.
    type Sum;

    /// Names the type.
    const FORM: &str;

    /// Adds this.
    fn add_to(self, total: &mut Self::Total);

    /// Adds or takes away a sum.
    fn combine(total: &mut Self::Total, part: &Self::Total, add: bool);

    /// The sum.
    fn sum(total: &Self::Total) -> Self::Sum;

    /// The sum, to be divided.
    fn sum_f64(total: &Self::Total) -> f64;
}

macro_rules! integer_addend {
    ($($type:ty)*) => {$(
        impl Addend for $type {
            type Total = i128;
            type Sum = i128;

            const FORM: &str = stringify!($type);

            fn add_to(self, total: &mut i128) {
                // There are fewer than 2^64 entries.
                *total = total.wrapping_add(i128::from(self));
            }

            fn combine(total: &mut i128, part: &i128, add: bool) {
                *total = if add { total.wrapping_add(*part) } else { total.wrapping_sub(*part) };
            }

            fn sum(total: &i128) -> i128 {
                *total
            }

            fn sum_f64(total: &i128) -> f64 {
                *total as f64
            }
        }
    )*};
}

integer_addend! { u8 u16 u32 u64 i8 i16 i32 i64 }

macro_rules! float_addend {
    ($($type:ty)*) => {$(
        impl Addend for $type {
            type Total = ExactSum;
            type Sum = f64;

            const FORM: &str = stringify!($type);

            fn add_to(self, total: &mut ExactSum) {
                total.add(f64::from(self));
            }

            fn combine(total: &mut ExactSum, part: &ExactSum, add: bool) {
                total.combine(part, add);
            }

            fn sum(total: &ExactSum) -> f64 {
                total.value()
            }

            fn sum_f64(total: &ExactSum) -> f64 {
                total.value()
            }
        }
    )*};
}

float_addend! { f32 f64 }

/// The sum of numbers: `i128` for integers, `f64` for floats.
///
/// ```
/// use flumedb::views::aggregate::Sum;
/// struct Post { likes: u32, tip: Option<f64> }
/// let likes = Sum::new(|post: &Post| [post.likes]);
/// let tips = Sum::new(|post: &Post| post.tip);
/// # let _ = (likes, tips);
/// ```
pub struct Sum<T, V> {
    of: Values<T, V>,
}

impl<T, V: Addend> Sum<T, V> {
    /// The sum of what `of` gives: an `Option`, an array, or anything else to iterate over.
    pub fn new<I: IntoIterator<Item = V>>(of: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
        Self { of: values(of) }
    }
}

impl<T: 'static, V: Addend> Aggregate<T> for Sum<T, V> {
    type State = V::Total;
    type Value = V::Sum;

    fn form(&self) -> String {
        format!("sum {}", V::FORM)
    }

    fn add(&self, state: &mut V::Total, _: Seq, item: &T) {
        (self.of)(item, &mut |value| value.add_to(state));
    }

    fn merge(&self, state: &mut V::Total, part: &V::Total) {
        V::combine(state, part, true);
    }

    fn subtract(&self, state: &mut V::Total, part: &V::Total) -> bool {
        V::combine(state, part, false);
        true
    }

    fn value(&self, state: &V::Total) -> V::Sum {
        V::sum(state)
    }
}

/// The mean of numbers, `None` of none: their exact sum, rounded, divided by how many there are.
pub struct Mean<T, V> {
    of: Values<T, V>,
}

impl<T, V: Addend> Mean<T, V> {
    /// The mean of what `of` gives: an `Option`, an array, or anything else to iterate over.
    pub fn new<I: IntoIterator<Item = V>>(of: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
        Self { of: values(of) }
    }
}

impl<T: 'static, V: Addend> Aggregate<T> for Mean<T, V> {
    type State = (u64, V::Total);
    type Value = Option<f64>;

    fn form(&self) -> String {
        format!("mean {}", V::FORM)
    }

    fn add(&self, (count, total): &mut Self::State, _: Seq, item: &T) {
        (self.of)(item, &mut |value| {
            *count += 1;
            value.add_to(total);
        });
    }

    fn merge(&self, (count, total): &mut Self::State, part: &Self::State) {
        *count += part.0;
        V::combine(total, &part.1, true);
    }

    fn subtract(&self, (count, total): &mut Self::State, part: &Self::State) -> bool {
        V::combine(total, &part.1, false);
        let rest = count.checked_sub(part.0);
        *count = rest.unwrap_or_default();
        rest.is_some()
    }

    fn value(&self, (count, total): &Self::State) -> Option<f64> {
        (*count > 0).then(|| V::sum_f64(total) / *count as f64)
    }
}
