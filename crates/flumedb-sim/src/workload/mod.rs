//! Work for a log, and what the log must hold after it, whatever happened to the machine.

mod damage;
mod model;
mod script;
mod storm;

pub use damage::{Original, Outcome};
pub use model::{Contents, Model, now};
pub use script::{DIR, Observer, Op, Script};
pub use storm::{Storm, storm};
