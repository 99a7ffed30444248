//! jitdb's index files: the header that all share, and the four bodies. Nothing here knows the log.

mod arrays;
mod bits;
mod header;
mod name;
mod prefix_map;

pub use arrays::{Doubles, Words};
pub use bits::Bits;
pub(super) use header::Header;
pub use name::escape;
pub use prefix_map::PrefixMap;
