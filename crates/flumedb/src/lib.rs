//! One append-only log is the truth; any number of materialized views follow it; a query waits until its view has
//! caught up, so that a program reads its own writes without knowing that views are asynchronous.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use flumedb::{Flume, From, codec::Json, views::Reduce};
//! use futures_util::StreamExt;
//!
//! let db = Flume::memory(Json::<u64>::new())?;
//! let sum = db.view("sum", Reduce::new(1, 0, |sum, value: &u64| *sum += value)).await?;
//!
//! let seq = db.append(&40).await?;
//! db.append(&2).await?;
//! assert_eq!(db.get(seq).await?, 40);
//! assert_eq!(*sum.read().await?, 42, "both appends are in it");
//!
//! let listener = db
//!     .subscribe(From::Start)
//!     .take(2)
//!     .for_each(async |entry| match entry {
//!         Ok(entry) => println!("db had an element {:?} added at seq {}", entry.value, entry.seq),
//!         Err(error) => eprintln!("{error}"),
//!     });
//! listener.await;
//! # Ok::<(), flumedb::Error>(()) }).unwrap();
//! ```
//!
//! # What is where
//! * [`Flume`] is the database: [`open`](Flume::open) it on a disk, in [`memory`](Flume::memory), or over
//!   [any log](Flume::with_log); [`append`](Flume::append), [`get`](Flume::get), [`scan`](Flume::scan),
//!   [`subscribe`](Flume::subscribe), [`view`](Flume::view).
//! * [`codec`]: what an entry is, and when bytes become values.
//! * [`views`] that most programs need, and in [`view`] what it takes to write one.
//! * [`log`]: where entries are kept, for those who bring a log of their own.
//! * [`env`](mod@env): the machine below it all, which tests replace.
//!
//! # What to expect
//! * **One await is durable.** Once `append(..).await` returns, the entry is on the disk. What is weaker is a visible
//!   word: [`buffered`](Append::buffered) for one append, [`Durability`](log::Durability) for a database.
//! * **No runtime is needed.** Threads are the database's own, and whatever is awaited can be blocked on instead:
//!   `db.append(&40).blocking()?`.
//! * **Nothing grows without bound.** Appends wait when the disk is slow; a subscription holds a place in the log and not
//!   a queue, so that a slow reader costs the writer nothing.
//! * **Errors say what to do.** There is one [`Error`], with a small [`kind`](Error::kind) to decide by.

pub mod check;
pub mod codec;
pub mod collection;
pub mod env;
pub mod log;
pub mod mfr;
pub mod view;
pub mod views;

mod entry;
mod error;
mod flume;
mod keys;
mod read;
mod seq;
mod subscribe;
mod telemetry;

// The derive writes `::flumedb`, in this crate's own tests and examples too.
extern crate self as flumedb;

pub use bytes::Bytes;
pub use collection::{Collection, Database, Record};
pub use entry::{Entry, Event};
pub use env::Env;
pub use error::{Damage, Error, ErrorKind, Result};
pub use flume::{AddView, Answer, Append, Builder, Flume, Settings};
pub use flumedb_derive::Record;
pub use keys::Keys;
pub use read::{Blocking, Call, Get, Scan, ScanEvents};
pub use seq::{Seq, Span};
pub use subscribe::{Events, From, Subscription};
