//! What the test against the original libraries needs: those libraries, and random logs.

mod node;
mod random;

pub(crate) use node::Originals;
pub(crate) use random::{Plan, json};
