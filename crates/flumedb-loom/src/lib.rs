//! What the models of `tests` run on: a machine whose threads are loom's, whose time stands still, whose ids are known,
//! and whose disk fails when it is told to. Nothing is here without `--cfg loom`; `cargo xtask loom` builds with it.
//!
//! The models run the real database. Its locks, atomics and channels are `flumedb::env::sync`, which in such a build are
//! loom's; everything between two calls to them happens at once.
#![cfg(loom)]

mod disk;
mod machine;

pub use disk::Disk;
pub use machine::{env, model};
