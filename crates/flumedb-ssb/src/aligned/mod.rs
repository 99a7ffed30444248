//! flumelog-aligned-offset files: [`AlignedLog`] reads, follows and appends to one. Records lie in blocks, none across the
//! end of one. The format is written down in `docs/format-aligned.md`.

mod block;
mod detect;
mod layout;

pub use block::Aligned;

use crate::file::{FileLog, FileLogBuilder, One};

/// A flumelog-aligned-offset file as a log. The [`Seq`](flumedb::Seq) of an entry is the byte position of its record.
///
/// ```
/// use flumedb::{Env, Seq, log::{Batch, Log}};
/// use flumedb_ssb::AlignedLog;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let log = AlignedLog::builder().env(Env::memory()).block_size(32).create().open("log.aligned")?;
/// let mut batch = Batch::new();
/// ["hi", "flume", "0123456789", "z"].iter().for_each(|text| batch.push(text.as_bytes()));
/// // The third one does not fit the first block.
/// assert_eq!(log.append(batch).await?, [0, 6, 32, 46].map(Seq::new));
/// assert_eq!(log.get(Seq::new(6)).await?, "flume");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub type AlignedLog = FileLog<One<Aligned>>;

impl FileLog<One<Aligned>> {
    /// The size of its blocks; `None` if no size fits the bytes of the file. Where the file has not filled its first
    /// block yet and none was named, it is a guess: [`Aligned::DEFAULT`].
    pub fn block_size(&self) -> Option<u32> {
        (!self.is_unknown()).then(|| self.records().layout().block_size())
    }
}

impl FileLogBuilder<One<Aligned>> {
    /// Takes the file for one with blocks of this size. A new file gets [`Aligned::DEFAULT`] if none is named.
    pub fn block_size(self, bytes: u32) -> Self {
        self.options(Some(bytes))
    }
}
