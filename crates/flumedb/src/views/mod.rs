//! Views that most programs need.

mod bloom;
mod hash_index;
mod index;
mod links;
mod reduce;
mod snapshot;
mod store;

pub use bloom::{Bloom, BloomReader};
pub use hash_index::{Candidates, HashIndex, HashReader};
pub use index::{AsKey, Follow, Found, Index, IndexReader, Key, Match, Matches, Prefix};
pub use links::{
    Column, Distance, Edge, Find, FollowLinks, FoundLink, Graph, Link, LinkPlan, LinkRow, LinkRows, Links, LinksReader,
    Reached, Stance, Way,
};
pub use reduce::{Reduce, Reduced};
