//! What arbitrary bytes are put through: one function per format takes them for the content of a file or a directory,
//! opens it, reads it both ways, checks, repairs and appends, and panics where a promise is broken.
//!
//! The functions are called by the targets of `cargo fuzz` in `fuzz/` and by this crate's own test, which replays the
//! corpus, changes it with a [`Mutator`], and measures memory and time.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "this crate is part of the tests: a broken promise ends the run"
)]

mod bundle;
mod machine;
mod mutate;
mod seal;
mod targets;
mod torture;

pub use mutate::Mutator;
pub use targets::{
    TARGETS, Target, aaol, aligned, bipf, bipf_json, hashtable, jitdb, level, lines, message, multimsg, offset,
    offset2, open_any, segmented, segmented_sealed, snapshot,
};
