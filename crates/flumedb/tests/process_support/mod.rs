//! What the tests on the real kernel share: a program that uses a database as programs do and says what it does, in a
//! process that can be killed, and what must be true of the database whenever it ended.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a module of several tests, each of which uses a part, on the real machine"
)]

mod child;
mod item;
#[cfg(target_os = "linux")]
mod machine;
mod model;
mod program;
mod steps;
mod views;

pub use child::{Child, job, say};
pub use item::Item;
#[cfg(target_os = "linux")]
pub use machine::{Image, Mounted, in_own_namespace, is_there, run, skipped, try_run};
pub use model::Model;
pub use program::{Load, open, work};
pub use steps::{Steps, by_id, open_small, steps};
pub use views::Views;
