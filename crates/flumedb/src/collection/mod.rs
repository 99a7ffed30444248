//! Collections: records with a key and indexes, and no place in a log anywhere. What most programs want.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use flumedb::{Database, Record};
//!
//! #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, Record)]
//! #[record(name = "posts")]
//! struct Post {
//!     #[key]
//!     id: String,
//!     #[index]
//!     author: String,
//!     #[unique]
//!     slug: String,
//!     likes: u32,
//! }
//!
//! let db = Database::memory().await?; // or `Database::open("data")`
//! let posts = db.collection::<Post>().await?;
//!
//! posts.put(&Post { id: "1".into(), author: "alice".into(), slug: "hello".into(), likes: 0 }).await?;
//! posts.update("1", |post| post.likes += 1).await?;
//! assert_eq!(posts.get("1").await?.unwrap().likes, 1);
//! assert_eq!(posts.by_author("alice").await?.len(), 1);
//! assert_eq!(posts.by_slug("hello").await?.unwrap().id, "1");
//! # Ok::<(), flumedb::Error>(()) }).unwrap();
//! ```
//!
//! # What holds
//! * Once a call that changes something returns, the change is on the disk, and every later read shows it.
//! * Every change is an entry of one log; a view keeps where the records are. Which of two writers was first, whether a
//!   key of a unique index was free, whether a transaction read what was still so: the order of the log decides, and a
//!   database that is read anew from its log comes to the same.
//! * [`Database::write`] changes records of several collections, all or none, as if nobody else had written meanwhile.
//! * What is superseded is deleted from the log, unless [`Record::HISTORY`] keeps it.

mod database;
mod declare;
mod envelope;
mod find;
mod handle;
mod history;
mod message;
mod pins;
mod prune;
mod record;
mod records;
mod snapshot;
mod transaction;
mod value;
mod watch;

pub use database::Database;
pub use envelope::{ChangeKind, Envelope, KeyEnd, KeyRange, RecordChange, Write};
pub use find::Find;
pub use handle::Collection;
pub use history::Version;
pub use record::{History, IndexDefinition, IndexRow, IndexRows, Old, Record};
pub use records::{Records, RecordsReader};
pub use snapshot::Snapshot;
pub use transaction::Transaction;
pub use watch::{Change, Watch};

use crate::Seq;

/// The position behind an entry.
fn after(seq: Option<Seq>) -> u64 {
    seq.map_or(0, |seq| seq.get().saturating_add(1))
}
