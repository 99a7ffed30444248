//! flumelog-offset files: [`OffsetLog`] reads, follows and appends to one. A record is framed by its lengths and by the
//! position where it ends. The format is written down in `docs/format-offset.md`.

mod detect;
mod framing;
mod layout;

pub use framing::Framing;

use crate::file::{FileLog, FileLogBuilder, One};

/// A flumelog-offset file as a log. The [`Seq`](flumedb::Seq) of an entry is the byte position of its record.
///
/// ```
/// use flumedb::{Env, Seq, log::{Batch, Log}};
/// use flumedb_ssb::{Framing, OffsetLog};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let log = OffsetLog::builder().env(Env::memory()).framing(Framing::Bits32).create().open("log.offset")?;
/// let mut batch = Batch::new();
/// batch.push(b"hi");
/// batch.push(b"flume");
/// assert_eq!(log.append(batch).await?, [Seq::new(0), Seq::new(14)]);
/// assert_eq!(log.get(Seq::new(14)).await?, "flume");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub type OffsetLog = FileLog<One<Framing>>;

impl FileLog<One<Framing>> {
    /// The framing of its records; `None` if no framing fits the bytes of the file.
    pub fn framing(&self) -> Option<Framing> {
        (!self.is_unknown()).then(|| self.records().layout())
    }
}

impl FileLogBuilder<One<Framing>> {
    /// Takes the file for one of this framing. A new file gets [`Framing::Bits32`] if none is named.
    pub fn framing(self, framing: Framing) -> Self {
        self.options(Some(framing))
    }
}
