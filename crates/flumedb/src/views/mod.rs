//! Views that most programs need. What is called by name often is here; what a view's readers give is in the view's module.

pub mod aggregate;
pub mod bitmaps;
pub mod bloom;
pub mod groups;
pub mod hash_index;
pub mod index;
pub mod links;
pub mod query;
pub mod reduce;

mod snapshot;
pub(crate) mod store;

pub use bitmaps::{Bitmaps, Op};
pub use bloom::Bloom;
pub use groups::{Groups, Windows};
pub use hash_index::HashIndex;
pub use index::{AnyKey, AsKey, Index, Key, Prefix};
pub use links::{Link, Links};
pub use query::{IndexOn, Query};
pub use reduce::Reduce;
