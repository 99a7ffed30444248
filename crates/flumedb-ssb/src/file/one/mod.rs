//! [`One`], a log in one file: records one after another, as a [`Layout`] has them. What is there is what a walk from the
//! first byte proves; no payload byte is ever taken for framing.

mod chain;
mod check;
mod layout;
mod open;
mod read;
mod settle;
mod survey;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use flumedb::{
    Env, Error, ErrorKind, Result, Seq,
    check::{Repair, Report},
    log::{Batch, Chunk, LogIdentity, LogStat, Proof, ReadRequest},
};

pub use chain::Chain;
pub(crate) use chain::is_erased;
use layout::CUT_OFF;
pub use layout::{Detected, Finish, Layout, Verdict};
pub(crate) use settle::detect;
pub(crate) use write::zero;

use super::{
    FileLog,
    records::{Access, Opening, Records, Staged},
    source::Source,
};

/// A log in one file.
pub struct One<L: Layout> {
    pub(crate) env: Env,
    pub(crate) source: Source,
    /// What the bytes may not tell.
    options: L::Options,
    /// Locked behind the chain, whose records lie like this.
    layout: RwLock<L>,
    chain: RwLock<Chain>,
    /// Entries that were deleted through this handle.
    deleted: AtomicU64,
    /// The bytes of those.
    deleted_bytes: AtomicU64,
    known: AtomicBool,
    /// Whether what was there did not tell the layout for certain, so that what comes may show that it is another one.
    guessed: AtomicBool,
    refreshing: Mutex<()>,
    /// What changes when entries get other positions.
    lineage: Vec<u8>,
    /// Entries got other positions while this handle was open.
    moved: AtomicBool,
}

impl<L: Layout> One<L> {
    pub(crate) fn layout(&self) -> L {
        self.layout.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.source.path
    }

    /// Looks whether another program has begun to move entries, or has moved them.
    fn see_whether_moved(&self) -> Result<()> {
        let moving = L::unfinished(&self.env, &self.source)?.is_some();
        if moving || L::lineage(&self.env, &self.source)? != self.lineage {
            self.moved.store(true, Ordering::Release);
        }
        self.refuse_if_moved()
    }

    fn refuse_if_moved(&self) -> Result<()> {
        if !self.moved.load(Ordering::Acquire) {
            return Ok(());
        }
        let message =
            format!("another program compacts {}, so that entries move; open it again", self.path().display());
        Err(Error::new(ErrorKind::Closed, message))
    }

    /// Tells the layout once more from a file of `len` bytes, whose first ones did not. Says whether it can now.
    fn tell_again(&self, len: u64) -> Result<bool> {
        /// What a longer file does not tell, it will not.
        const YOUNG: u64 = 1 << 20;
        if len == 0 || self.chain().end() > YOUNG || !self.guessed.load(Ordering::Acquire) {
            return Ok(false);
        }
        let Detected { layout, chain, known, certain, .. } = detect::<L>(&self.env, &self.source, &self.options)?;
        let last = self.chain().last();
        let told = known && certain.is_ok() && chain.count() > 0;
        // What was read until now must be there, as it was.
        if !told || last.is_some_and(|last| !chain.find(&layout, &self.source, last).is_ok_and(|found| found.is_some()))
        {
            return Ok(false);
        }
        self.change(|records| {
            *self.layout.write().unwrap_or_else(PoisonError::into_inner) = layout;
            *records = chain;
        });
        self.known.store(true, Ordering::Release);
        self.guessed.store(false, Ordering::Release);
        Ok(true)
    }

    /// Where the last record ends.
    pub(crate) fn end(&self) -> u64 {
        self.chain().end()
    }

    /// The bytes of deleted records.
    pub(crate) fn deleted_bytes(&self) -> u64 {
        self.chain().erased_bytes() + self.deleted_bytes.load(Ordering::Acquire)
    }

    /// Whether the records that are known are all that a file of `len` bytes holds.
    fn is_all(&self, len: u64) -> Result<bool> {
        self.layout().is_closed(self.end(), &self.source, len)
    }

    fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Chain) -> T) -> T {
        change(&mut self.chain.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<L: Layout> FileLog<One<L>> {
    /// The log in the file behind `source`, whose layout has been told, to be read.
    pub(crate) fn found(env: &Env, source: Source, detected: Detected<L>) -> Result<Self> {
        Self::start(env, open::found(env, source, &L::Options::default(), |_| Ok(detected))?)
    }
}

impl<L: Layout> Records for One<L> {
    type Options = L::Options;

    fn open(env: &Env, path: PathBuf, options: &L::Options, access: Access) -> Result<Opening<Self>> {
        open::open(env, path, options, access)
    }

    fn check(env: &Env, path: &Path, options: &L::Options) -> Result<Report> {
        check::check::<L>(env, path, options)
    }

    fn repair(env: &Env, path: &Path, options: &L::Options, skip_damage: bool) -> Result<Repair> {
        check::repair::<L>(env, path, options, skip_damage)
    }

    fn unknown(&self) -> bool {
        !self.known.load(Ordering::Acquire)
    }

    fn first(&self) -> Option<Seq> {
        self.first_start().map(Seq::new)
    }

    fn head(&self) -> Option<Seq> {
        self.chain().last().map(Seq::new)
    }

    fn refresh(&self) -> Result<()> {
        self.see_whether_moved()?;
        // One at a time, so that a second look comes a while after the first.
        let _one = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let len = self.source.len()?;
        if self.tell_again(len)? {
            return Ok(());
        }
        let layout = &self.layout();
        // What no layout fits is none because of what a block far behind looks like.
        let unknown = self.unknown() && !layout.may_be(&self.source, len)?;
        // Why it stops does not matter: a record that is being written looks like a torn one.
        // Nor is a hole of any size gone through over and over.
        let hopeless = self.chain().gave_up_at(len);
        if len > self.chain().end() && !unknown && !hopeless {
            self.change(|chain| chain.extend(layout, &self.source, len))?;
            if self.chain().doubts() {
                settle::pause(&self.env, self.path())?;
                let len = self.source.len()?;
                self.change(|chain| chain.look_again(layout, &self.source, len))?;
            }
        }
        Ok(())
    }

    fn read(&self, request: ReadRequest) -> Result<Chunk> {
        self.refuse_if_moved()?;
        if request.reverse { self.backwards(request) } else { self.forwards(request) }
    }

    fn get(&self, seq: Seq) -> Result<Bytes> {
        self.refuse_if_moved()?;
        self.payload(seq)
    }

    fn identity(&self) -> Result<LogIdentity> {
        let mut identity = format!("{}/", self.layout().name()).into_bytes();
        identity.extend_from_slice(&self.lineage);
        if let Some(first) = self.first_start() {
            identity.extend_from_slice(&self.digest(first)?.unwrap_or_default());
        }
        Ok(LogIdentity(identity))
    }

    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        self.see_whether_moved()?;
        let Some(digest) = self.digest(seq.get())? else { return Ok(None) };
        let mut proof = self.identity()?.0;
        proof.extend_from_slice(&digest);
        let chain = self.chain();
        let erased = chain.erased_up_to(&self.layout(), &self.source, seq.get())?;
        proof.extend_from_slice(&erased.to_be_bytes());
        Ok(Some(Proof(proof)))
    }

    fn stat(&self) -> Result<LogStat> {
        let (chain, layout) = (self.chain(), self.layout());
        let deleted = chain.erased() + self.deleted.load(Ordering::Acquire);
        Ok(LogStat::new(layout.name(), chain.count().saturating_sub(deleted), deleted, self.source.len()?))
    }

    fn report(&self) -> Result<Report> {
        let len = self.source.len()?;
        let layout = self.layout();
        if !self.unknown() && self.is_all(len)? {
            let deleted = self.deleted.load(Ordering::Acquire);
            let mut report = check::report(&self.source, Some((&layout, &self.chain())), len)?;
            report.entries = report.entries.saturating_sub(deleted);
            report.deleted = report.deleted.saturating_add(deleted);
            return Ok(report);
        }
        // What another program is writing now may look like a torn tail.
        let mut chain = Chain::walk(&layout, &self.source, len)?;
        settle::settle(&self.env, &self.source, &layout, &mut chain)?;
        check::report(&self.source, (!self.unknown()).then_some((&layout, &chain)), len)
    }

    fn stage(&self, batch: &Batch, staged: &mut Staged) -> Result<Vec<Seq>> {
        self.frame(batch, staged)
    }

    fn write(&self, staged: &Staged) -> Result<()> {
        self.append(staged)
    }

    fn show(&self, staged: &Staged) {
        let layout = self.layout();
        self.change(|chain| {
            staged.records.iter().for_each(|&(start, size)| chain.push(&layout, start, size, false));
        });
    }

    fn delete(&self, seqs: &[Seq]) -> Result<u64> {
        self.erase(seqs)
    }

    fn sync(&self) -> Result<()> {
        self.source.sync()
    }
}
