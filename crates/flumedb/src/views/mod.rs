//! Views that most programs need.

pub mod bitmaps;
mod bloom;
mod hash_index;
mod index;
mod links;
mod query;
mod reduce;
mod snapshot;
mod store;

pub use bitmaps::{Bitmaps, Op};
pub use bloom::{Bloom, BloomReader};
pub use hash_index::{Candidates, HashIndex, HashReader};
pub use index::{AnyKey, AsKey, Follow, Found, Index, IndexReader, Key, Match, Matches, Prefix};
pub use links::{
    Column, Distance, Edge, Find, FollowLinks, FoundLink, Graph, Link, LinkPlan, LinkQuery, LinkRow, LinkRows, Links,
    LinksReader, Reached, Stance, Way,
};
pub use query::{Ask, Bounds, Explain, Followed, IndexOn, Query, QueryIndex, QueryReader, Rows, Told};
pub use reduce::{Reduce, Reduced};
