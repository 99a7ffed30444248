//! Views that most programs need.

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
pub use bloom::{Bloom, BloomReader};
pub use groups::{Group, GroupRows, Groups, GroupsReader, Windows};
pub use hash_index::{Candidates, HashIndex, HashReader};
pub use index::{AnyKey, AsKey, Follow, Found, Index, IndexReader, Key, Match, Matches, Prefix};
pub use links::{
    Column, Distance, Edge, Find, FollowLinks, FoundLink, Graph, Link, LinkPlan, LinkQuery, LinkRow, LinkRows, Links,
    LinksReader, Reached, Stance, Way,
};
pub use query::{Ask, Bounds, Explain, Followed, IndexOn, Query, QueryIndex, QueryReader, Rows};
pub use reduce::{Feed, Fold, Invertible, MapFn, Mapped, Reduce, Reduced, Replica, Undo};
