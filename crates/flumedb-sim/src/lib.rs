//! A machine that is not there, for tests: a disk that loses, tears, reorders, fills up and lies; a clock that jumps;
//! randomness and a schedule that come from one seed.
//!
//! [`Sim`] is the whole machine. Its [`Env`](flumedb::Env) is handed to the code under test, and everything that
//! happens follows from the seed, which is printed when a test fails. [`Image`] is what is on a disk at one moment: a
//! value that can be copied, crashed in every way, and booted again.
//!
//! ```
//! use flumedb::env::{OpenMode, Storage};
//! use flumedb_sim::{Choices, Sim};
//!
//! let sim = Sim::new(1);
//! let file = sim.disk.open("a".as_ref(), OpenMode::CreateNew)?;
//! sim.disk.sync_dir("".as_ref())?;
//! file.write_all(0, b"kept")?;
//! file.sync()?;
//! file.write_all(4, b" or not")?;
//! // The power goes, and of what was not synced nothing had reached the disk.
//! let sim = sim.crash(&mut Choices::none());
//! assert_eq!(sim.disk.image().read("a".as_ref()).unwrap(), b"kept");
//! # Ok::<(), std::io::Error>(())
//! ```
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "this crate is part of the tests: what cannot be simulated ends the test"
)]

pub mod conformance;
pub mod views;

mod choices;
mod clock;
mod cores;
mod disk;
mod fault;
mod handle;
mod image;
mod machine;
mod random;
mod threads;
mod workload;

pub use choices::{Choices, crashes};
pub use clock::SimClock;
pub use cores::{figure, on_all_cores, soak_minutes, soak_or, soak_or_count};
pub use disk::SimDisk;
pub use fault::{Call, Fault, FaultKind};
pub use image::{Image, SECTOR};
pub use machine::Sim;
pub use random::SimRandom;
pub use threads::SimThreads;
pub use workload::{Contents, DIR, Model, Observer, Op, Original, Outcome, Script, Storm, now, storm};
