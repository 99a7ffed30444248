//! async-append-only-log files (`log.bipf`): [`AaolLog`] reads, follows, appends to and compacts one. Records lie in blocks
//! of one size, which nothing in the file names. The format is written down in `docs/format-aaol.md`.

mod compact;
mod detect;
mod layout;
mod stats;

use flumedb::{Result, Seq, log::Batch};

pub use compact::Compaction;
pub use layout::Aaol;
pub use stats::AaolStats;

use crate::file::{FileLog, FileLogBuilder, One};

/// An async-append-only-log file as a log. The [`Seq`] of an entry is the byte position of its record.
///
/// ```
/// use flumedb::{Env, Seq, log::{Batch, Log}};
/// use flumedb_ssb::AaolLog;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let log = AaolLog::builder().env(Env::memory()).block_size(32).create().open("log.bipf")?;
/// let mut batch = Batch::new();
/// ["hello", "world!", "abcdefghij", "tail"].map(|payload| batch.push(payload.as_bytes()));
/// // What does not fit into a block begins the next one.
/// assert_eq!(log.append(batch).await?, [0, 7, 15, 32].map(Seq::new));
/// assert_eq!(log.get(Seq::new(32)).await?, "tail");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub type AaolLog = FileLog<One<Aaol>>;

impl FileLog<One<Aaol>> {
    /// The size of a block of a new file, unless another one is named: what ssb-db2 uses.
    pub const BLOCK_SIZE: u32 = 65_536;

    /// The size of its blocks; `None` if no size fits the bytes of the file.
    pub fn block_size(&self) -> Option<u32> {
        (!self.is_unknown()).then(|| self.records().layout().block_size())
    }

    /// Appends a batch as a whole: all of it lies in one block, and after a power cut all of it is there or none.
    ///
    /// It takes one sync more than [`append`](flumedb::log::Log::append), and may leave the rest of a block empty.
    ///
    /// # Errors
    /// As `append`; `Invalid` if no block holds so much.
    ///
    /// # Cancel safety
    /// As `append`: once it has been polled, the batch may be appended though nobody waits for the answer.
    pub async fn append_whole(&self, batch: Batch) -> Result<Vec<Seq>> {
        self.append_batch(batch, true).await
    }

    /// How many bytes the records take, and those of deleted ones among them.
    pub fn stats(&self) -> AaolStats {
        stats::of(self.records())
    }
}

impl FileLogBuilder<One<Aaol>> {
    /// Takes the file for one of blocks of this size. A new file gets [`AaolLog::BLOCK_SIZE`] if none is named.
    pub fn block_size(self, bytes: u32) -> Self {
        self.options(Some(bytes))
    }
}
