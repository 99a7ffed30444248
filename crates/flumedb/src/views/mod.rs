//! Views that most programs need.

mod reduce;
mod snapshot;

pub use reduce::{Reduce, Reduced};
