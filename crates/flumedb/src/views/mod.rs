//! Views that most programs need.

mod index;
mod reduce;
mod snapshot;
mod store;

pub use index::{AsKey, Follow, Found, Index, IndexReader, Key, Match, Matches, Prefix};
pub use reduce::{Reduce, Reduced};
