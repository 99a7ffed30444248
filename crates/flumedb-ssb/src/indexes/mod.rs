//! Index files that the originals leave on the disk: the views of flumedb, jitdb's indexes, the private index of ssb-db2.
//! [`read_dir`] reads them, [`check`] holds them against their log by working out what they should hold. Nothing here is
//! changed, and a damaged file is a row of the report, never a failure.
//!
//! The formats are in `docs/format-indexes.md`, the faults that right-looking files carry in `docs/compatibility.md`.

mod check;
mod file;
mod hashtable;
mod jitdb;
mod numbers;
mod snapshot;

pub use check::{Checker, Difference, Fault, Finding, IndexReport, Place, Verdict, check};
pub use file::{Checksum, Content, IndexFile, IndexKind, read_dir};
pub use hashtable::{Hashtable, Table};
pub use jitdb::{Bits, Doubles, PrefixMap, Words, escape};
pub use numbers::Numbers;
pub use snapshot::Snapshot;
