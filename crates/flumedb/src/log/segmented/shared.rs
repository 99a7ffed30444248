//! [`Shared`], what the writer and all readers of one log have in common.

use std::{collections::BTreeMap, path::PathBuf, sync::PoisonError};

use bytes::{Buf, Bytes};

use super::{
    format::{LogId, RECORD_LEN, head_of, kind},
    note::Deletions,
    segment::Segment,
    table::Table,
};
use crate::{
    Env, Error, ErrorKind, Result, Seq, Span,
    env::sync::{
        OnceLock, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
        watch,
    },
    log::{Chunk, Note, Proof, ReadRequest, SlotKind},
};

/// What the writer and all readers of one log have in common.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) id: LogId,
    pub(crate) table: Table,
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
    /// Why nothing can be written any more.
    failure: OnceLock<Error>,
}

impl Shared {
    pub(crate) fn new(env: Env, dir: PathBuf, id: LogId) -> Self {
        Self {
            table: Table::new(env.storage.clone(), &dir, id),
            env,
            dir,
            id,
            visible: AtomicU64::new(0),
            deletions: RwLock::default(),
            any_deleted: AtomicU64::new(0),
            notes: RwLock::default(),
            durable: AtomicU64::new(0),
            head: watch::Sender::new(None),
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

    pub(crate) fn set_durable(&self, next: u64) {
        self.durable.fetch_max(next, Ordering::AcqRel);
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

    pub(crate) fn notes(&self) -> RwLockReadGuard<'_, BTreeMap<String, Note>> {
        self.notes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all writing; the first reason counts. Returns what callers are told.
    pub(crate) fn poison(&self, reason: &Error) -> Error {
        let message =
            format!("{reason}; what reached the disk since is unknown: close this handle and open the log again");
        let _ = self.failure.set(Error::with_source(ErrorKind::Poisoned, message, reason.clone()));
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
                if record.is_erased() {
                    Err(deleted(seq))
                } else if record.kind == kind::TOMBSTONE {
                    Err(not_found(seq))
                } else {
                    Ok(record.payload.len())
                }
            })
        };
        let (len, mut bytes) = self.table.with(seq.get(), read)?.ok_or_else(|| not_found(seq))??;
        // Narrowed in place: another reference to the memory would cost more than the checks.
        bytes.truncate(RECORD_LEN + len?);
        bytes.advance(RECORD_LEN);
        Ok(bytes)
    }

    /// The chain value of `seq`: it depends on that entry and on all before it.
    pub(crate) fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        if seq.get() >= self.visible() {
            return Ok(None);
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
        let span = Span { from: request.span.from, to: request.span.to.min(visible) };
        if span.is_empty() {
            return Ok(Chunk::nothing(covered, visible));
        }
        let nearest = if request.reverse { span.to - 1 } else { span.from };
        let segment = self.table.find(nearest)?.ok_or_else(|| not_found(Seq::new(nearest)))?;
        let from = span.from.max(segment.name.first);
        let to = span.to.min(segment.name.first + segment.count());
        if from >= to {
            return Err(Error::new(ErrorKind::Corrupt, format!("the segment of entry {nearest} ends before it")));
        }
        let part = segment.read(from, to, request.max_bytes, request.reverse)?;
        let mut chunk = Chunk { bytes: part.bytes, slots: part.slots, covered, horizon: visible };
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
        Ok(chunk)
    }
}

pub(crate) use crate::log::memory::{deleted, not_found};
