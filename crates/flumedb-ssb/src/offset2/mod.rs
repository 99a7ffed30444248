//! margaret's offset2, the log of go-ssb: [`Offset2Log`] reads, follows and appends to a directory of three files, `data`
//! with the entries, `ofst` with the place of each, `jrnl` with the number of the last. The format is written down in
//! `docs/format-offset2.md`.

mod chain;
mod check;
mod files;
mod head;
mod mend;
mod open;
mod read;
mod survey;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use flumedb::{
    Env, Result, Seq,
    check::{Repair, Report},
    log::{Batch, Chunk, LogIdentity, LogStat, Proof, ReadRequest},
};

use crate::file::{Access, FileLog, Opening, Records, Staged};
use chain::Chain;
use files::Files;

pub(crate) use check::evidence;

const NAME: &str = "offset2";

/// A directory of margaret's offset2 as a log. The [`Seq`] of an entry is its number, from 0.
///
/// ```
/// use flumedb::{Env, Seq, log::{Batch, Log}};
/// use flumedb_ssb::Offset2Log;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let log = Offset2Log::builder().env(Env::memory()).create().open("log")?;
/// let mut batch = Batch::new();
/// batch.push(b"ab");
/// batch.push(b"xyz");
/// assert_eq!(log.append(batch).await?, [Seq::new(0), Seq::new(1)]);
/// log.replace(Seq::new(1), b"z").await?;
/// assert_eq!(log.get(Seq::new(1)).await?, &b"z\0\0"[..]);
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub type Offset2Log = FileLog<Offset2>;

/// The entries of such a directory.
pub struct Offset2 {
    files: Files,
    chain: RwLock<Chain>,
    known: bool,
    /// Entries that were deleted through this handle.
    deleted: AtomicU64,
    /// Entries that were written, shown or not.
    written: AtomicU64,
    /// Something was written to `data` that no sync has covered.
    unsynced: AtomicBool,
}

impl FileLog<Offset2> {
    /// Puts other bytes in the place of an entry's. They may not be longer than it is; where they are shorter, zeros
    /// follow, because the format keeps the length: go-ssb, whose messages say themselves where they end, does without it.
    ///
    /// Views are not told, and a crash in the middle leaves some of the old bytes and some of the new.
    ///
    /// # Errors
    /// `NotFound`, `Deleted`; `Invalid` if the bytes are longer; `Unsupported` if the entry is damaged, or the log open
    /// for reading only. Nothing was done then. `Io`.
    ///
    /// # Cancel safety
    /// Dropping the future before it is polled does nothing. Later the entry may or may not be replaced.
    pub async fn replace(&self, seq: Seq, payload: &[u8]) -> Result<()> {
        let payload = payload.to_vec();
        self.in_turn(move |records| records.overwrite(seq, &payload)).await
    }
}

impl Offset2 {
    fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Chain) -> T) -> T {
        change(&mut self.chain.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Records for Offset2 {
    type Options = ();

    fn open(env: &Env, path: PathBuf, (): &(), access: Access) -> Result<Opening<Self>> {
        open::open(env, path, access)
    }

    fn check(env: &Env, path: &Path, (): &()) -> Result<Report> {
        check::check(env, path)
    }

    fn repair(env: &Env, path: &Path, (): &(), skip_damage: bool) -> Result<Repair> {
        mend::repair(env, path, skip_damage)
    }

    fn unknown(&self) -> bool {
        !self.known
    }

    fn first(&self) -> Option<Seq> {
        (self.chain().count() > 0).then(|| Seq::new(0))
    }

    fn head(&self) -> Option<Seq> {
        self.chain().count().checked_sub(1).map(Seq::new)
    }

    fn refresh(&self) -> Result<()> {
        if self.files.words()? > self.chain().count() { self.change(|chain| chain.extend(&self.files)) } else { Ok(()) }
    }

    fn read(&self, request: ReadRequest) -> Result<Chunk> {
        if request.reverse { self.backwards(request) } else { self.forwards(request) }
    }

    fn get(&self, seq: Seq) -> Result<Bytes> {
        self.payload(seq)
    }

    fn identity(&self) -> Result<LogIdentity> {
        let mut identity = format!("{NAME}/").into_bytes();
        identity.extend_from_slice(&self.digest(0)?.unwrap_or_default());
        Ok(LogIdentity(identity))
    }

    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        let Some(digest) = self.digest(seq.get())? else { return Ok(None) };
        let mut proof = self.identity()?.0;
        proof.extend_from_slice(&digest);
        proof.extend_from_slice(&self.chain().deleted_up_to(seq.get()).to_be_bytes());
        Ok(Some(Proof(proof)))
    }

    fn stat(&self) -> Result<LogStat> {
        let chain = self.chain();
        let deleted = chain.deleted() + self.deleted.load(Ordering::Acquire);
        let entries = chain.count().saturating_sub(chain.in_gaps()).saturating_sub(deleted);
        Ok(LogStat::new(NAME, entries, deleted, self.files.bytes()?))
    }

    fn report(&self) -> Result<Report> {
        // Walked anew: what was deleted since it was opened is not in the chain.
        check::report(&self.files, &Chain::walk(&self.files)?)
    }

    fn stage(&self, batch: &Batch, staged: &mut Staged) -> Result<Vec<Seq>> {
        self.frame(batch, staged)
    }

    fn write(&self, staged: &Staged) -> Result<()> {
        self.append(staged)
    }

    fn show(&self, staged: &Staged) {
        self.change(|chain| {
            staged.records.iter().for_each(|&(_, size)| chain.push(head::Head { size, deleted: false }))
        });
    }

    fn delete(&self, seqs: &[Seq]) -> Result<u64> {
        self.erase(seqs)
    }

    fn sync(&self) -> Result<()> {
        if self.unsynced.swap(false, Ordering::AcqRel) {
            self.files.data.sync()?;
        }
        self.files.ofst.sync()?;
        // It vouches for what it counts, so it comes last.
        self.files.set_journal(self.written.load(Ordering::Acquire))
    }
}
