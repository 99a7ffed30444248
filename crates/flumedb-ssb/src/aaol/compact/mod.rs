//! Compaction: the entries that are left move together, in place, and the file becomes shorter. What is needed to go on
//! after a power cut is in the state file before a block is overwritten that it could be needed for.

mod fill;
mod lineage;
mod resume;
mod state;
mod survivors;

use std::path::Path;

use flumedb::{Damage, Env, Error, ErrorKind, Result, env::OpenMode};

use super::Aaol;
use crate::file::{Access, FileLog, One, Records, Source, is_erased};
use survivors::Survivors;

pub(super) use lineage::lineage;

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// Deleted entries that were taken out.
    pub removed: u64,
    /// Length of the file before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
}

impl FileLog<One<Aaol>> {
    /// Takes the deleted entries out of the log at `path`, in place. A compaction that was stopped is finished first; a
    /// torn tail is cut. `block_size`: what the bytes may not tell.
    ///
    /// Every entry behind the first deleted one gets another number, so no handle may be open, and views are built anew.
    ///
    /// ```
    /// use flumedb::{Env, Seq, log::{Batch, Log}};
    /// use flumedb_ssb::AaolLog;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let env = Env::memory();
    /// let log = AaolLog::builder().env(env.clone()).block_size(32).create().open("log.bipf")?;
    /// let mut batch = Batch::new();
    /// ["hello", "world!", "abcdefghij", "tail"].map(|payload| batch.push(payload.as_bytes()));
    /// log.append(batch).await?;
    /// log.delete(&[Seq::new(7)]).await?;
    /// log.close().await?;
    /// let done = AaolLog::compact(&env, "log.bipf", &None)?;
    /// assert_eq!((done.removed, done.bytes_before, done.bytes_after), (1, 64, 32));
    /// let log = AaolLog::builder().env(env).open("log.bipf")?;
    /// assert_eq!(log.get(Seq::new(19)).await?, "tail");
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Locked` while a writer has the log; `Corrupt` if it is damaged; `Invalid` if its block size cannot be told for
    /// certain; `Unsupported` if it is larger than the format's state file can say, 4 GiB; `StorageFull`, `Io`: the
    /// compaction goes on where it was when the log is opened to append, or compacted, the next time.
    pub fn compact(env: &Env, path: impl AsRef<Path>, block_size: &Option<u32>) -> Result<Compaction> {
        let path = path.as_ref();
        let bytes_before = Source::open(env, path.to_owned(), OpenMode::Read)?.len()?;
        let opening = One::<Aaol>::open(env, path.to_owned(), block_size, Access::Append)?;
        let (source, layout) = (&opening.records.source, opening.records.layout());
        let removed = opening.records.stat()?.deleted;
        let len = source.len()?;
        if let Some(start) = first_hole(layout, source, len)?.map(|hole| layout.block_start(hole)) {
            within_reach(source, opening.records.head().map_or(0, flumedb::Seq::get))?;
            lineage::renew(env, source)?;
            let survivors = Survivors::new(layout, source, len, start, None)?;
            fill::fill(env, source, layout, start, start, survivors)?;
        }
        Ok(Compaction { removed, bytes_before, bytes_after: source.len()? })
    }
}

/// What is there to finish beside the log.
pub(super) fn unfinished(env: &Env, source: &Source) -> Result<Option<Damage>> {
    if !state::exists(env, source)? {
        return Ok(None);
    }
    Ok(Some(Damage::new(&source.path, 0, source.len()?, "its compaction was stopped")))
}

pub(super) use resume::finish;

/// Where the first deleted record starts.
fn first_hole(layout: Aaol, source: &Source, len: u64) -> Result<Option<u64>> {
    let mut records = Survivors::new(layout, source, len, 0, None)?;
    while let Some(record) = records.record()? {
        if is_erased(record.payload()) {
            return Ok(Some(record.start));
        }
        records.pass(&record);
    }
    Ok(None)
}

/// The state file has 32 bits for a position.
fn within_reach(source: &Source, last: u64) -> Result<u32> {
    u32::try_from(last).map_err(|_| {
        let message = format!(
            "{} has entries past 4 GiB, which the state file of a compaction cannot name; convert it instead",
            source.path.display()
        );
        Error::new(ErrorKind::Unsupported, message)
    })
}
