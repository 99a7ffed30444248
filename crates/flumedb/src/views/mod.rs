//! Views that most programs need.

pub mod bitmaps;
mod hash_index;
mod index;
pub mod query;
mod reduce;
mod snapshot;
mod store;

pub use bitmaps::{Bitmaps, Op};
pub use hash_index::{Candidates, HashIndex, HashReader};
pub use index::{AnyKey, AsKey, Follow, Found, Index, IndexReader, Key, Match, Matches, Prefix};
pub use query::{IndexOn, Query};
pub use reduce::{Reduce, Reduced};
