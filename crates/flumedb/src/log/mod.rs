//! What a view, a subscription and a query see of any log: the trait [`Log`] and what passes through it.

mod batch;
mod chunk;
mod limits;
mod memory;
mod scrub;
mod segmented;

use std::{future::Future, path::Path, pin::Pin, sync::Weak, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use batch::{Batch, Condition, Note};
pub use chunk::{Chunk, Forgotten, ReadRequest, Slot, SlotKind};
pub(crate) use chunk::{decode_targets, encode_targets};
pub(crate) use limits::MAX_ENTRY;
pub use memory::MemoryLog;
pub(crate) use memory::not_found;
pub use scrub::{OnDamage, Scrub};
pub use segmented::{
    BackedUp, Compacted, Compaction, Compression, Durability, Keyed, LogSettings, Restored, Retention, SegmentedLog,
    Sharing, Verified,
};

use crate::{
    Error, ErrorKind, Result, Seq,
    env::{block_on, sync::watch},
};

/// A future in a box, so that [`Log`] can be a trait object. One is made per call, never per entry.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which log this is: equal for every opening of one log, different for every other log. A copy of the files is the
/// same log until one of the two is appended to; [`Proof`] tells those apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogIdentity(pub Vec<u8>);

/// Evidence that a log still holds a certain entry, and everything before it, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof(pub Vec<u8>);

/// Up to where the beginning of a log is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// What was appended before this entry.
    Seq(Seq),
    /// What is older than this.
    Age(Duration),
}

/// Says below which number deletions have been taken note of, for good, by whoever takes back what is deleted.
pub type Passed = dyn Fn() -> u64 + Send + Sync;

/// What an open after an unclean stop dropped: bytes above everything that was ever vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The newest entry that was kept.
    pub kept_to: Option<Seq>,
    /// The file whose tail was cut.
    pub file: std::path::PathBuf,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes that were not zero were cut there (to the end of the file).
    pub dropped_bytes: u64,
    /// Where the cut bytes are kept, unless there were too many.
    pub kept_in: Option<std::path::PathBuf>,
}

impl Recovery {
    /// What was dropped from `file`, from `offset` on.
    pub fn new(kept_to: Option<Seq>, file: impl Into<std::path::PathBuf>, offset: u64, dropped_bytes: u64) -> Self {
        Self { kept_to, file: file.into(), offset, dropped_bytes, kept_in: None }
    }
}

/// A few numbers about a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStat {
    /// The name of its format, as `flume` prints it: `flume`, `memory`, `offset32` …
    pub format: &'static str,
    /// Entries that can be read (deleted ones and tombstones left out).
    pub entries: u64,
    /// Entries that were deleted.
    pub deleted: u64,
    /// Bytes on the disk (in memory for a log in memory).
    pub bytes: u64,
    /// Files that the entries are in; 0 where that is not told.
    pub segments: u64,
    /// The newest entry that is known to be on the disk, where the log tells.
    pub durable: Option<Seq>,
    /// Tails that were cut after a crash, and are kept for people to look at.
    pub torn: Kept,
    /// Damaged files that a repair moved out of the way. Nothing ever removes them.
    pub damaged: Kept,
}

/// Files that are kept beside a log. They may hold what was deleted since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Kept {
    /// How many there are.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was kept, in seconds since 1970, as far as their names tell.
    pub oldest: Option<i64>,
}

impl LogStat {
    /// Numbers about a log of the format called `format`.
    pub fn new(format: &'static str, entries: u64, deleted: u64, bytes: u64) -> Self {
        let (torn, damaged) = (Kept::default(), Kept::default());
        Self { format, entries, deleted, bytes, segments: 0, durable: None, torn, damaged }
    }
}

/// Any append-only log. Object-safe; reads come in chunks of entries, so that async costs nothing per entry.
///
/// What a reader may see grows with [`head`](Log::head) and never shrinks. Futures from a local log are ready at the
/// first poll, except those of `append`, `delete`, `sync` and `close`.
pub trait Log: Send + Sync + 'static {
    /// Which log this is.
    fn identity(&self) -> LogIdentity;

    /// What it is called in events and metrics: of a log on a disk its path.
    fn label(&self) -> String {
        "log".to_owned()
    }

    /// The newest entry that readers may see, and its changes. A cache: [`barrier`](Log::barrier) is the truth.
    fn head(&self) -> watch::Receiver<Option<Seq>>;

    /// The head as it stands now, wherever it is kept.
    fn barrier(&self) -> BoxFuture<'_, Result<Option<Seq>>>;

    /// The oldest number that the log still holds.
    fn first(&self) -> Option<Seq>;

    /// Some of the entries in a span, in order: at least one unless there is none, at most as many as fit the bytes
    /// asked for (one may be larger).
    ///
    /// # Errors
    /// `Corrupt` with the place where bytes are damaged; what lies before the damage was given by earlier reads, and a
    /// read behind it works.
    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>>;

    /// One entry's payload, if it can be had without waiting. `None`: use [`get`](Log::get).
    ///
    /// # Errors
    /// `NotFound` for a number that no entry has (a tombstone's among them), `Deleted`, `Corrupt`.
    fn get_now(&self, seq: Seq) -> Option<Result<Bytes>>;

    /// One entry's payload.
    ///
    /// # Errors
    /// As [`get_now`](Log::get_now).
    fn get(&self, seq: Seq) -> BoxFuture<'_, Result<Bytes>> {
        let answer = self.get_now(seq);
        Box::pin(async move { answer.unwrap_or_else(|| Err(unsupported("reading single entries"))) })
    }

    /// The payload of an entry that was deleted, while its bytes still are. For retracting it from views only.
    fn deleted_payload(&self, seq: Seq) -> Option<Bytes> {
        let _ = seq;
        None
    }

    /// Appends a batch: all of it or nothing. Answers with the name of each entry, in order.
    ///
    /// # Errors
    /// `Conflict` if the batch's condition does not hold, `StorageFull`, `Poisoned`, `Closed`; `LimitExceeded` for a batch
    /// that is larger than is allowed; `Unsupported` where the log is read-only.
    ///
    /// # Cancel safety
    /// Dropping the future before it is polled appends nothing. Later the batch may or may not be appended, whole.
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Seq>>>;

    /// Deletes entries: once it returns they cannot be read any more. Those already deleted are passed over.
    ///
    /// # Errors
    /// As [`append`](Log::append), and `NotFound` if a number is no entry's; then nothing is deleted.
    fn delete(&self, seqs: &[Seq]) -> BoxFuture<'_, Result<()>>;

    /// Erases what was deleted: its bytes leave the disk, the names of all entries stay. Waits for those who
    /// [follow](Log::followed_by), but not for long.
    ///
    /// # Errors
    /// `Unsupported` where the log does not do that while it is open, or is read-only; `Corrupt` if a segment is damaged (it
    /// is left as it is, the others are not), `StorageFull`, `Io`: nothing is lost, and what was done stays done.
    ///
    /// # Cancel safety
    /// Dropping the future does not call it off once it was polled.
    fn compact(&self) -> BoxFuture<'_, Result<Compacted>> {
        Box::pin(std::future::ready(Err(unsupported("compaction while it is open"))))
    }

    /// Deletes whole stretches of the log at its beginning, and erases them: see [`Flume::drop_before`](crate::Flume::drop_before).
    ///
    /// # Errors
    /// As [`delete`](Log::delete) and [`compact`](Log::compact).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it half done: the oldest entries are deleted, others not yet.
    fn drop_before(&self, before: Before) -> BoxFuture<'_, Result<Compacted>> {
        let _ = before;
        Box::pin(std::future::ready(Err(unsupported("dropping its beginning"))))
    }

    /// Somebody takes back what is deleted: payloads that it has not taken back yet are kept for a while, and it is told of
    /// each deletion. Ends with the last strong reference.
    fn followed_by(&self, passed: Weak<Passed>) {
        let _ = passed;
    }

    /// Waits until everything up to `to` (the head, for `None`) is on the disk.
    fn sync(&self, to: Option<Seq>) -> BoxFuture<'_, Result<()>>;

    /// Evidence for the entry `seq`; `None` where the log cannot give any (then no view of it is stored).
    ///
    /// # Errors
    /// `Deleted` if the entry was erased, and the evidence with it; `Corrupt`, `Io`.
    fn proof(&self, seq: Seq) -> Result<Option<Proof>>;

    /// The note that was appended last under `name`.
    fn note(&self, name: &str) -> Result<Option<Note>> {
        let _ = name;
        Ok(None)
    }

    /// Whether what is appended to it is encrypted on the disk, so that views must not keep it there in the clear.
    fn is_encrypted(&self) -> bool {
        false
    }

    /// What opening the log dropped, if it had to.
    fn recovery(&self) -> Option<Recovery> {
        None
    }

    /// A few numbers.
    fn stat(&self) -> Result<LogStat>;

    /// Copies what is in it, all that was appended before the call and maybe more, to the directory `to`, while it goes on.
    ///
    /// # Errors
    /// `Unsupported` where the log cannot; otherwise as [`SegmentedLog::backup_at`].
    fn backup(&self, to: &Path, sharing: Sharing) -> BoxFuture<'_, Result<BackedUp>> {
        let _ = (to, sharing);
        Box::pin(std::future::ready(Err(unsupported("backups"))))
    }

    /// Checks its files in the background, so many bytes a second.
    ///
    /// # Errors
    /// `Unsupported` where the log cannot, `Io`.
    fn scrub(&self, bytes_per_second: u64, on_damage: OnDamage) -> Result<Scrub> {
        let _ = (bytes_per_second, on_damage);
        Err(unsupported("checks while it is open"))
    }

    /// Ends it: waits for what was appended, makes it durable, frees the lock. Later calls fail with `Closed`.
    fn close(&self) -> BoxFuture<'_, Result<()>>;

    /// What dropping the last handle does, for when somebody still holds one: ends it without waiting for the disk,
    /// stops its threads and frees the lock before it returns. Later calls fail with `Closed`.
    fn stop(&self) {
        // A log that cannot stop at once closes; who wants to know what failed calls `close`.
        drop(block_on(self.close()));
    }
}

pub(crate) fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("this log does not offer {what}"))
}
