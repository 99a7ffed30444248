//! [`Min`] and [`Max`].

use super::{
    Aggregate, Values,
    best::{Best, Rule},
    values,
};
use crate::{Seq, views::Key};

/// So many distinct values are kept, so that the one in front can go a few times.
const KEPT: usize = 4;

macro_rules! extreme {
    ($name:ident, $form:literal, $greatest:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// `None` of none. Values are [keys](Key): integers, `f64` (in total order), texts, tuples …
        pub struct $name<T, V> {
            of: Values<T, V>,
        }

        impl<T, V: Key> $name<T, V> {
            const RULE: Rule = Rule { greatest: $greatest, kept: KEPT };

            /// Of what `of` gives: an `Option`, an array, or anything else to iterate over.
            pub fn new<I: IntoIterator<Item = V>>(of: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
                Self { of: values(of) }
            }
        }

        impl<T: 'static, V: Key> Aggregate<T> for $name<T, V> {
            type State = Best;
            type Value = Option<V>;

            fn form(&self) -> String {
                format!(concat!($form, " {}"), V::form())
            }

            fn add(&self, state: &mut Best, _: Seq, item: &T) {
                (self.of)(item, &mut |value| {
                    let mut row = Vec::new();
                    value.encode(&mut row);
                    state.add(Self::RULE, row, 1);
                });
            }

            fn merge(&self, state: &mut Best, part: &Best) {
                state.merge(Self::RULE, part);
            }

            fn subtract(&self, state: &mut Best, part: &Best) -> bool {
                state.subtract(Self::RULE, part, 1)
            }

            fn value(&self, state: &Best) -> Option<V> {
                state.rows().next().and_then(|mut row| V::decode(&mut row))
            }
        }
    };
}

extreme!(Min, "min", false, "The least value.");
extreme!(Max, "max", true, "The greatest value.");
