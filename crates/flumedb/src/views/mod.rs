//! Views that most programs need.

mod hash_index;
mod index;
mod reduce;
mod snapshot;
pub(crate) mod store;

pub use hash_index::{Candidates, HashIndex, HashReader};
pub use index::{AnyKey, AsKey, Follow, Found, Index, IndexReader, Key, Match, Matches, Prefix};
pub use reduce::{Reduce, Reduced};
