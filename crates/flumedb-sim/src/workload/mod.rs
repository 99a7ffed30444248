//! Work for a log, and what the log must hold after it, whatever happened to the machine.

mod model;
mod script;

pub use model::{Contents, Model, now};
pub use script::{DIR, Observer, Op, Script};
