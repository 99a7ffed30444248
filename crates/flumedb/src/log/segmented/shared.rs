//! [`Shared`], what the writer and all readers of one log have in common.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use bytes::{Buf, Bytes};

use super::{
    format::{LogId, RECORD_LEN, Record, head_of, kind},
    note::Deletions,
    segment::Segment,
    table::Table,
};
use crate::{
    Env, Error, ErrorKind, Result, Seq, Span,
    env::sync::{
        Mutex, OnceLock, RwLock, RwLockReadGuard,
        atomic::{AtomicU16, AtomicU64, Ordering},
        watch,
    },
    keys::{Keys, missing},
    log::{Chunk, Forgotten, Note, Passed, Proof, ReadRequest, SlotKind},
    telemetry::{LogMeters, events},
};

/// What the writer and all readers of one log have in common.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    /// What events and metrics call it.
    pub(crate) label: String,
    pub(crate) meters: LogMeters,
    pub(crate) id: LogId,
    pub(crate) table: Table,
    pub(crate) keys: Option<Keys>,
    /// The key that a note was encrypted with which cannot be read without it; 0: none.
    notes_key: AtomicU16,
    /// Grows only, and only while `deletions` is locked for writing if the new entries include tombstones, so that
    /// both can be read as of one moment.
    visible: AtomicU64,
    deletions: RwLock<Deletions>,
    /// Whether there are any deletions: the common case needs no lock.
    any_deleted: AtomicU64,
    notes: RwLock<BTreeMap<String, Note>>,
    /// Entries below this are on the disk.
    durable: AtomicU64,
    head: watch::Sender<Option<Seq>>,
    /// The segment that the head page names: readers elsewhere look no further.
    told: AtomicU64,
    /// Those who take back what is deleted, and how far each has got.
    followers: Mutex<Vec<Weak<Passed>>>,
    /// Why nothing can be written any more.
    failure: OnceLock<Error>,
}

impl Shared {
    /// Of a log that is only read.
    pub(crate) fn new(env: Env, dir: PathBuf, id: LogId, keys: Option<Keys>) -> Self {
        Self::measured(env, dir, id, keys, |_| LogMeters::none())
    }

    /// Of a log that is written to.
    pub(crate) fn of_writer(env: Env, dir: PathBuf, id: LogId, keys: Option<Keys>) -> Self {
        Self::measured(env, dir, id, keys, LogMeters::new)
    }

    fn measured(env: Env, dir: PathBuf, id: LogId, keys: Option<Keys>, meters: impl FnOnce(&str) -> LogMeters) -> Self {
        let label = dir.display().to_string();
        Self {
            meters: meters(&label),
            label,
            table: Table::new(env.storage.clone(), &dir, id, keys.clone()),
            keys,
            env,
            dir,
            id,
            visible: AtomicU64::new(0),
            deletions: RwLock::default(),
            any_deleted: AtomicU64::new(0),
            notes: RwLock::default(),
            notes_key: AtomicU16::new(0),
            durable: AtomicU64::new(0),
            head: watch::Sender::new(None),
            told: AtomicU64::new(0),
            followers: Mutex::default(),
            failure: OnceLock::new(),
        }
    }

    /// Entries below this could be read at some time.
    pub(crate) fn written(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Entries below this may be read.
    pub(crate) fn visible(&self) -> u64 {
        let visible = self.written();
        match self.failure.get() {
            // What was written but not synced before the failure may never reach the disk.
            Some(_) => visible.min(self.durable.load(Ordering::Acquire)),
            None => visible,
        }
    }

    pub(crate) fn head(&self) -> watch::Receiver<Option<Seq>> {
        self.head.subscribe()
    }

    /// The segment that the head page names.
    pub(crate) fn told(&self) -> u64 {
        self.told.load(Ordering::Acquire)
    }

    pub(crate) fn set_told(&self, ordinal: u64) {
        self.told.fetch_max(ordinal, Ordering::AcqRel);
    }

    pub(crate) fn follow(&self, passed: Weak<Passed>) {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push(passed);
    }

    /// Everybody who takes back what is deleted has come past deletions below this.
    pub(crate) fn passed(&self) -> u64 {
        let followers: Vec<Arc<Passed>> = {
            let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
            followers.retain(|passed| passed.strong_count() > 0);
            followers.iter().filter_map(Weak::upgrade).collect()
        };
        followers.iter().map(|passed| passed()).min().unwrap_or(u64::MAX)
    }

    pub(crate) fn set_durable(&self, next: u64) {
        self.durable.fetch_max(next, Ordering::AcqRel);
    }

    /// The disk has everything below `next`; the sync took so long.
    pub(crate) fn synced(&self, next: u64, took: Duration) {
        self.set_durable(next);
        self.meters.synced(took);
        events::synced(&self.label, next, took);
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Lets readers see entries below `next`, and what came with them.
    pub(crate) fn publish(&self, next: u64, tombstones: Vec<(u64, Vec<Seq>)>, notes: Vec<Note>) {
        if !notes.is_empty() {
            let mut held = self.notes.write().unwrap_or_else(PoisonError::into_inner);
            held.extend(notes.into_iter().map(|note| (note.name.clone(), note)));
        }
        if tombstones.is_empty() {
            self.visible.fetch_max(next, Ordering::AcqRel);
        } else {
            let mut deletions = self.deletions.write().unwrap_or_else(PoisonError::into_inner);
            for (tombstone, targets) in tombstones {
                deletions.insert(tombstone, targets.into_iter());
            }
            self.any_deleted.store(deletions.len(), Ordering::Release);
            self.visible.fetch_max(next, Ordering::AcqRel);
        }
        self.announce();
    }

    /// What earlier segments said that still counts.
    pub(crate) fn carry(&self, deletions: Deletions) {
        let mut held = self.deletions.write().unwrap_or_else(PoisonError::into_inner);
        self.any_deleted.store(deletions.len(), Ordering::Release);
        *held = deletions;
    }

    /// Lets readers see entries below `next`, with these deletions and notes instead of those known before.
    pub(crate) fn replace(&self, next: u64, deletions: &Deletions, notes: &BTreeMap<String, Note>) {
        self.notes.write().unwrap_or_else(PoisonError::into_inner).clone_from(notes);
        let mut held = self.deletions.write().unwrap_or_else(PoisonError::into_inner);
        if *held != *deletions {
            held.clone_from(deletions);
        }
        self.any_deleted.store(deletions.len(), Ordering::Release);
        self.visible.fetch_max(next, Ordering::AcqRel);
        drop(held);
        self.announce();
    }

    fn announce(&self) {
        let head = head_of(self.visible());
        self.head.send_if_modified(|seen| *seen < head && std::mem::replace(seen, head) != head);
    }

    pub(crate) fn deletions(&self) -> RwLockReadGuard<'_, Deletions> {
        self.deletions.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether entries of the segment that is appended to are deleted.
    pub(crate) fn is_deleted_in_last(&self) -> bool {
        let first = self.table.names().last().map_or(0, |last| last.first);
        self.deletions().within(first, u64::MAX).next().is_some()
    }

    /// Forgets the deletions that have been carried out since they were noted: what was written anew knows them itself.
    pub(crate) fn forget_erased(&self) -> Result<()> {
        let mut erased: Vec<u64> = self.deletions().within(0, self.table.first()).collect();
        for (name, count) in self.table.settled().into_iter().filter(|(name, count)| name.generation > 0 && *count > 0)
        {
            let targets: Vec<u64> = self.deletions().within(name.first, name.first + count).collect();
            if targets.is_empty() {
                continue;
            }
            match self.table.find(name.first) {
                Ok(Some(segment)) => erased.extend(targets.into_iter().filter(|&target| segment.is_gone(target))),
                // Reading it will tell; to know of more deletions than need be does no harm.
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(error),
            }
        }
        self.erased(&erased);
        Ok(())
    }

    /// The payloads of these entries are gone: that they are deleted, the log itself says now.
    pub(crate) fn erased(&self, targets: &[u64]) {
        let mut deletions = self.deletions.write().unwrap_or_else(PoisonError::into_inner);
        deletions.forget(targets);
        self.any_deleted.store(deletions.len(), Ordering::Release);
    }

    pub(crate) fn notes(&self) -> RwLockReadGuard<'_, BTreeMap<String, Note>> {
        self.notes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all writing; the first reason counts. Returns what callers are told.
    pub(crate) fn poison(&self, reason: &Error) -> Error {
        let message =
            format!("{reason}; what reached the disk since is unknown: close this handle and open the log again");
        if self.failure.set(Error::with_source(ErrorKind::Poisoned, message, reason.clone())).is_ok() {
            self.meters.poisoned();
            events::poisoned(&self.label, reason);
        }
        self.failure.get().cloned().unwrap_or_else(Error::closed)
    }

    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    /// The entry `seq`, if it can be read.
    #[inline]
    pub(crate) fn get(&self, seq: Seq) -> Result<Bytes> {
        let number = seq.get();
        if number >= self.visible() {
            return Err(self.failure.get().cloned().unwrap_or_else(|| not_found(seq)));
        }
        if self.any_deleted.load(Ordering::Acquire) > 0 && self.deletions().contains(number) {
            return Err(deleted(seq));
        }
        self.payload(seq)
    }

    /// The payload of `seq` whether it is deleted or not, while its bytes still are.
    pub(crate) fn payload(&self, seq: Seq) -> Result<Bytes> {
        let read = |segment: &Segment| {
            segment.record(seq.get(), |record| {
                check_entry(record, seq)?;
                let packed = !record.form.is_plain();
                let unpacked = if packed { Some(segment.unpack(record, seq.get())?) } else { None };
                Ok((record.payload.len(), unpacked))
            })
        };
        let (found, mut bytes) = self.table.with(seq.get(), read)?.ok_or_else(|| not_found(seq))??;
        let (len, unpacked) = found?;
        if let Some(unpacked) = unpacked {
            return Ok(unpacked);
        }
        // Narrowed in place: another reference to the memory would cost more than the checks.
        bytes.truncate(RECORD_LEN + len);
        bytes.advance(RECORD_LEN);
        Ok(bytes)
    }

    /// Whether `seq` is an entry that can be read, without looking into it: no key is needed for that.
    pub(crate) fn check(&self, seq: Seq) -> Result<()> {
        if seq.get() >= self.visible() {
            return Err(not_found(seq));
        }
        if self.deletions().contains(seq.get()) {
            return Err(deleted(seq));
        }
        let look = |segment: &Segment| segment.record(seq.get(), |record| check_entry(record, seq));
        self.table.with(seq.get(), look)?.ok_or_else(|| not_found(seq))??.0
    }

    /// The note that was appended last under `name`.
    pub(crate) fn note(&self, name: &str) -> Result<Option<Note>> {
        let found = self.notes().get(name).cloned();
        match self.notes_key.load(Ordering::Acquire) {
            key if key != 0 && found.is_none() => Err(missing(key).context(format_args!("the note {name}"))),
            _ => Ok(found),
        }
    }

    /// Notes are there that cannot be read without this key.
    pub(crate) fn lack(&self, key: u16) {
        self.notes_key.fetch_max(key, Ordering::AcqRel);
    }

    /// The chain value of `seq`: it depends on that entry and on all before it.
    pub(crate) fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        if seq.get() >= self.visible() {
            return Ok(None);
        }
        if seq.get() < self.table.first() {
            return Err(deleted(seq));
        }
        let read = |segment: &Segment| segment.record(seq.get(), |record| record.crc);
        let (crc, _) = self.table.with(seq.get(), read)?.ok_or_else(|| not_found(seq))??;
        Ok(Some(Proof(crc.to_le_bytes().to_vec())))
    }

    pub(crate) fn read(&self, request: ReadRequest) -> Result<Chunk> {
        // Both as of one moment, or a deletion in between could be missed.
        let (visible, deletions) = {
            let deletions = self.deletions();
            let visible = self.visible();
            (visible, (deletions.len() > 0).then_some(deletions))
        };
        let mut covered = request.span;
        if !request.reverse {
            covered.to = covered.to.min(visible.max(covered.from));
        }
        let (span, segment) = loop {
            let first = self.table.first();
            let span = Span { from: request.span.from.max(first), to: request.span.to.min(visible) };
            if span.is_empty() {
                let chunk = Chunk::nothing(covered, visible);
                return Ok(Chunk { forgotten: self.forgotten_before(covered), ..chunk });
            }
            let nearest = if request.reverse { span.to - 1 } else { span.from };
            match self.table.find(nearest)? {
                Some(segment) => break (span, segment),
                // It was dropped just now.
                None if self.table.first() > first => {}
                None => return Err(not_found(Seq::new(nearest))),
            }
        };
        let nearest = if request.reverse { span.to - 1 } else { span.from };
        let from = span.from.max(segment.name.first);
        let to = span.to.min(segment.name.first + segment.count());
        if from >= to {
            return Err(Error::new(ErrorKind::Corrupt, format!("the segment of entry {nearest} ends before it")));
        }
        let is_deleted = |seq| deletions.as_ref().is_some_and(|deletions| deletions.contains(seq));
        let part = segment.read((from, to), request.max_bytes, request.reverse, is_deleted)?;
        let mut forgotten = part.forgotten;
        let mut chunk =
            Chunk { bytes: part.bytes, slots: part.slots, covered, horizon: visible, forgotten: Vec::new() };
        let (first, last) = (chunk.slots.first(), chunk.slots.last());
        if let (Some(first), Some(last)) = (first, last) {
            let (first, last) = (first.seq.get(), last.seq.get());
            if let Some(deletions) = deletions {
                for target in deletions.within(first, last + 1) {
                    if let Some(slot) = chunk.slots.get_mut((target - first) as usize)
                        && slot.kind == SlotKind::Entry
                    {
                        *slot = crate::log::Slot { kind: SlotKind::Deleted, len: 0, ..*slot };
                    }
                }
            }
            if request.reverse {
                chunk.covered.from = if first == span.from { covered.from } else { first };
                chunk.slots.reverse();
            } else {
                chunk.covered.to = if last + 1 == span.to { covered.to } else { last + 1 };
            }
        }
        forgotten.extend(self.forgotten_before(chunk.covered));
        chunk.forgotten = forgotten;
        Ok(chunk)
    }

    /// What is not told any more of deletions before the beginning of the log, if a read comes past that.
    fn forgotten_before(&self, covered: Span) -> Vec<Forgotten> {
        let (first, gone) = (self.table.first(), self.table.gone());
        let past = gone.tombstones > 0 && covered.from < first && first <= covered.to;
        let at = first.checked_sub(1).filter(|_| past).map(Seq::new);
        at.map(|at| Forgotten { at, least: Seq::new(gone.least) }).into_iter().collect()
    }

    /// So many entries there are, and so many were deleted.
    pub(crate) fn count(&self) -> Result<(u64, u64)> {
        // Held, so that nothing is erased meanwhile and counted twice, or not at all.
        let deletions = self.deletions();
        let (first, visible) = (self.table.first(), self.visible());
        let mut deleted = deletions.within(first, u64::MAX).count() as u64;
        // Only what was written anew has numbers that are gone.
        for (name, count) in self.table.settled().into_iter().filter(|(name, count)| name.generation > 0 && *count > 0)
        {
            let Some(segment) = self.table.find(name.first)? else { continue };
            let told_twice = deletions.within(name.first, name.first + count).filter(|&target| segment.is_gone(target));
            deleted -= told_twice.count() as u64;
            deleted += segment.gone().saturating_sub(segment.tombstones_gone);
        }
        let tombstones = deletions.tombstones().saturating_sub(self.table.gone().tombstones);
        let numbers = visible.saturating_sub(first);
        Ok((numbers.saturating_sub(deleted.saturating_add(tombstones)), deleted))
    }
}

/// Whether a record is an entry whose payload is there.
fn check_entry(record: &Record<'_>, seq: Seq) -> Result<()> {
    if record.is_erased() {
        Err(deleted(seq))
    } else if record.kind == kind::TOMBSTONE {
        Err(not_found(seq))
    } else {
        Ok(())
    }
}

pub(crate) use crate::log::memory::{deleted, not_found};
