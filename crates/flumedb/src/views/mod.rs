//! Views that most programs need.

pub mod aggregate;
mod groups;
mod hash_index;
mod index;
mod reduce;
mod snapshot;
mod store;

pub use groups::{Group, GroupRows, Groups, GroupsReader, Windows};
pub use hash_index::{Candidates, HashIndex, HashReader};
pub use index::{AnyKey, AsKey, Follow, Found, Index, IndexReader, Key, Match, Matches, Prefix};
pub use reduce::{Feed, Fold, Invertible, MapFn, Mapped, Reduce, Reduced, Replica, Told, Undo};
