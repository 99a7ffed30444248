//! One append-only log is the truth; any number of materialized views follow it; a query waits until its view has
//! caught up.

pub mod check;
pub mod codec;
pub mod env;
pub mod log;
pub mod view;
pub mod views;

mod entry;
mod error;
mod flume;
mod read;
mod seq;
mod subscribe;

pub use bytes::Bytes;
pub use entry::{Entry, Event};
pub use env::Env;
pub use error::{Damage, Error, ErrorKind, Result};
pub use flume::{AddView, Answer, Append, Builder, Flume, Settings};
pub use read::{Blocking, Call, Get, Scan, ScanEvents};
pub use seq::{Seq, Span};
pub use subscribe::{Events, From, Subscription};
