//! What a classic Scuttlebutt message is: its fields in whatever document it is kept in, the one text that its key and its
//! signature are made from, and the check of both. Nothing here stores or orders messages.

mod canonical;
mod fields;
mod id;
pub mod multi;
mod payload;
mod printer;
mod verify;

pub use canonical::Canonical;
pub use fields::Message;
pub use payload::document;
pub use verify::{Fault, verify};
