//! [`Aggregate`], what [`Groups`](super::Groups) keeps for each group: a count, a sum, the least, the greatest, a mean, how
//! many distinct, quantiles, the top ones, or several of these as a tuple.
//!
//! The state of an aggregate does not depend on the order in which it took things in: what grew in any order, was merged
//! from parts, or had parts taken away, says the same as what is built anew.
//!
//! | aggregate | says | a deletion |
//! |---|---|---|
//! | [`Count`], [`Sum`], [`Mean`] | exactly; sums of `f64` as if added without rounding and rounded once | directly |
//! | [`Quantiles`] | within 0.8 % of a value | directly |
//! | [`Min`], [`Max`] | exactly | directly while one of the four least (greatest) values is left |
//! | [`TopK`] | exactly | directly while `k` of the `2 k` it keeps are left |
//! | [`Distinct`] | exactly up to 256, within 1.6 % (one standard deviation) beyond | directly up to 256 |

mod best;
mod count;
mod distinct;
mod exact_sum;
mod extremes;
mod quantiles;
mod raw;
mod registers;
mod sum;
mod top;
mod tuples;

use std::sync::Arc;

pub use count::Count;
pub use distinct::{Distinct, DistinctState};
pub use exact_sum::ExactSum;
pub use extremes::{Max, Min};
pub use quantiles::{Distribution, Quantiles};
use serde::{Serialize, de::DeserializeOwned};
pub use sum::{Addend, Mean, Sum};
pub use top::TopK;

pub use self::best::Best;
use crate::Seq;

/// What is made of the entries of a group.
///
/// Implement it for an aggregate of your own. You promise that the order does not matter: adding items one by one, or
/// merging states that each took in some of them, gives states that say the same, and so does taking away again what was
/// added or merged.
pub trait Aggregate<T>: Send + Sync + 'static {
    /// What is kept; the default is the state of no items. serde writes it to the store, as MessagePack.
    type State: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What readers get.
    type Value;

    /// Names the aggregate and whatever decides its state but the functions in it: part of the identity of the view.
    fn form(&self) -> String;

    /// Takes an item in.
    fn add(&self, state: &mut Self::State, seq: Seq, item: &T);

    /// Takes in what `part` has taken in.
    fn merge(&self, state: &mut Self::State, part: &Self::State);

    /// Takes away what `part` has taken in, of items that `state` has taken in, too. `false` if it cannot tell what the
    /// state is without them: then `state` is thrown away and made anew.
    fn subtract(&self, state: &mut Self::State, part: &Self::State) -> bool;

    /// What the state says.
    fn value(&self, state: &Self::State) -> Self::Value;
}

/// Shows the values that an item has for an aggregate.
type Values<T, V> = Arc<dyn Fn(&T, &mut dyn FnMut(V)) + Send + Sync>;

fn values<T, V, I: IntoIterator<Item = V>>(of: impl Fn(&T) -> I + Send + Sync + 'static) -> Values<T, V> {
    Arc::new(move |item, visit| of(item).into_iter().for_each(visit))
}
