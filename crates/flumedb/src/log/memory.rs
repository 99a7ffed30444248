//! [`MemoryLog`], a log that is only in memory.

use std::{collections::HashMap, sync::PoisonError};

use bytes::Bytes;

use super::{
    Batch, BoxFuture, Chunk, Compacted, Condition, Log, LogIdentity, LogSettings, LogStat, Note, Proof, ReadRequest,
    Slot, SlotKind, chunk::encode_targets,
};
use crate::{
    Env, Error, ErrorKind, Result, Seq, Span,
    env::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch},
};

/// A log in memory: the same promises as the one on disk, except that it is gone with its last handle. "Durable" means
/// appended.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Env, Seq, log::{Batch, Log, MemoryLog}};
/// let log = MemoryLog::new(&Env::memory())?;
/// let mut batch = Batch::new();
/// batch.push(b"hello");
/// assert_eq!(log.append(batch).await?, [Seq::new(0)]);
/// assert_eq!(log.get(Seq::new(0)).await?, "hello");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct MemoryLog {
    identity: LogIdentity,
    settings: LogSettings,
    state: RwLock<State>,
    head: watch::Sender<Option<Seq>>,
}

/// Bytes in one chunk at most, unless one entry alone is larger.
const MAX_CHUNK: usize = 64 << 20;

#[derive(Default)]
struct State {
    slots: Vec<Stored>,
    notes: HashMap<String, Note>,
    deleted: u64,
    tombstones: u64,
    bytes: u64,
    closed: bool,
}

struct Stored {
    kind: SlotKind,
    payload: Bytes,
}

impl MemoryLog {
    /// An empty log.
    ///
    /// # Errors
    /// `Io` if the machine gives no randomness for its identity.
    pub fn new(env: &Env) -> Result<Self> {
        Self::with_settings(env, LogSettings::default())
    }

    /// The same, with these settings, of which those count that limit what may be appended.
    ///
    /// # Errors
    /// As [`new`](MemoryLog::new).
    pub fn with_settings(env: &Env, settings: LogSettings) -> Result<Self> {
        let mut id = vec![0; 16];
        env.random
            .fill(&mut id)
            .map_err(|error| Error::with_source(ErrorKind::Io, format!("cannot get randomness: {error}"), error))?;
        Ok(Self { identity: LogIdentity(id), settings, state: RwLock::default(), head: watch::Sender::new(None) })
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_state(&self) -> Result<RwLockReadGuard<'_, State>> {
        let state = self.state();
        if state.closed { Err(Error::closed()) } else { Ok(state) }
    }

    fn state_mut(&self) -> Result<RwLockWriteGuard<'_, State>> {
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err(Error::closed()) } else { Ok(state) }
    }

    fn append_now(&self, batch: Batch) -> Result<Vec<Seq>> {
        self.settings.check(&batch)?;
        let mut state = self.state_mut()?;
        if let Some(note) = &batch.note {
            let known = state.notes.contains_key(&note.name);
            self.settings.check_notes(state.notes.len() + usize::from(!known))?;
        }
        if let Some(condition) = &batch.condition {
            state.test(condition)?;
        }
        let first = state.slots.len() as u64;
        for payload in batch.payloads() {
            state.push(SlotKind::Entry, Bytes::copy_from_slice(payload));
        }
        if let Some(note) = batch.note {
            state.notes.insert(note.name.clone(), note);
        }
        let seqs = (first..state.slots.len() as u64).map(Seq::new).collect();
        self.announce(&state);
        Ok(seqs)
    }

    fn delete_now(&self, seqs: &[Seq]) -> Result<()> {
        self.settings.check_targets(seqs.len())?;
        let mut state = self.state_mut()?;
        let mut targets = Vec::new();
        for &seq in seqs {
            match state.stored(seq).map(|stored| stored.kind) {
                Some(SlotKind::Entry) => targets.push(seq),
                Some(SlotKind::Deleted) => {}
                Some(SlotKind::Tombstone) | None => return Err(not_found(seq)),
            }
        }
        targets.sort_unstable();
        targets.dedup();
        self.settings.check_deletions(state.deleted + targets.len() as u64)?;
        if targets.is_empty() {
            return Ok(());
        }
        for &target in &targets {
            if let Some(stored) = state.slots.get_mut(target.get() as usize) {
                stored.kind = SlotKind::Deleted;
                let len = std::mem::take(&mut stored.payload).len() as u64;
                state.bytes -= len;
            }
        }
        state.deleted += targets.len() as u64;
        let mut payload = Vec::new();
        encode_targets(&targets, &mut payload);
        state.push(SlotKind::Tombstone, payload.into());
        self.announce(&state);
        Ok(())
    }

    fn announce(&self, state: &State) {
        let head = state.slots.len().checked_sub(1).map(|last| Seq::new(last as u64));
        self.head.send_if_modified(|seen| std::mem::replace(seen, head) != head);
    }

    fn read_now(&self, request: ReadRequest) -> Result<Chunk> {
        let state = self.open_state()?;
        let end = state.slots.len() as u64;
        let span = Span { from: request.span.from, to: request.span.to.min(end) };
        let (mut bytes, mut slots) = (Vec::new(), Vec::new());
        let mut numbers = span.from..span.to;
        let mut covered = request.span;
        while let Some(number) = if request.reverse { numbers.next_back() } else { numbers.next() } {
            let Some(stored) = state.stored(Seq::new(number)) else { break };
            // Slots count too, so that a run of empty entries has an end.
            let taken = bytes.len() + slots.len() * size_of::<Slot>();
            if !slots.is_empty() && taken + stored.payload.len() > request.max_bytes.min(MAX_CHUNK) {
                covered = if request.reverse {
                    Span { from: number + 1, ..request.span }
                } else {
                    Span { to: number, ..request.span }
                };
                break;
            }
            let start = bytes.len() as u32;
            bytes.extend_from_slice(&stored.payload);
            slots.push(Slot { seq: Seq::new(number), kind: stored.kind, start, len: stored.payload.len() as u32 });
        }
        if !request.reverse {
            // What is past the end is not accounted for: it may come.
            covered.to = covered.to.min(end.max(covered.from));
        }
        Ok(Chunk { bytes: bytes.into(), slots, covered, horizon: end, forgotten: Vec::new() })
    }
}

impl State {
    fn stored(&self, seq: Seq) -> Option<&Stored> {
        self.slots.get(usize::try_from(seq.get()).ok()?)
    }

    fn push(&mut self, kind: SlotKind, payload: Bytes) {
        self.bytes += payload.len() as u64;
        self.tombstones += u64::from(kind == SlotKind::Tombstone);
        self.slots.push(Stored { kind, payload });
    }

    fn test(&self, condition: &Condition) -> Result<()> {
        match condition {
            Condition::Head(expected) => {
                let head = self.slots.len().checked_sub(1).map(|last| Seq::new(last as u64));
                check_head(*expected, head)
            }
            Condition::NoneAfter { after, matches, limit } => {
                let from = after.map_or(0, |seq| seq.get().saturating_add(1));
                for (tested, number) in (from..self.slots.len() as u64).enumerate() {
                    if tested as u64 >= *limit {
                        return Err(past_limit(*limit));
                    }
                    if let Some(stored) = self.stored(Seq::new(number))
                        && stored.kind == SlotKind::Entry
                        && matches(&stored.payload).map_err(|error| error.at(Seq::new(number)))?
                    {
                        return Err(conflicting(Seq::new(number)));
                    }
                }
                Ok(())
            }
        }
    }
}

pub(crate) fn check_head(expected: Option<Seq>, head: Option<Seq>) -> Result<()> {
    if expected == head {
        return Ok(());
    }
    let say = |seq: Option<Seq>| seq.map_or("empty".to_owned(), |seq| seq.to_string());
    let message = format!("the head is {}, not {}; read again and decide again", say(head), say(expected));
    Err(Error::new(ErrorKind::Conflict, message))
}

pub(crate) fn conflicting(seq: Seq) -> Error {
    Error::new(ErrorKind::Conflict, format!("entry {seq} matches; read again and decide again"))
}

pub(crate) fn past_limit(limit: u64) -> Error {
    let message = format!("more than {limit} entries to test; read up to the head and give a later `after`");
    Error::new(ErrorKind::Conflict, message)
}

pub(crate) fn not_found(seq: Seq) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no entry {seq}"))
}

pub(crate) fn deleted(seq: Seq) -> Error {
    Error::new(ErrorKind::Deleted, format!("entry {seq} was deleted"))
}

impl Log for MemoryLog {
    fn identity(&self) -> LogIdentity {
        self.identity.clone()
    }

    fn label(&self) -> String {
        "memory".to_owned()
    }

    fn head(&self) -> watch::Receiver<Option<Seq>> {
        self.head.subscribe()
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Option<Seq>>> {
        Box::pin(std::future::ready(Ok(*self.head.borrow())))
    }

    fn first(&self) -> Option<Seq> {
        self.head.borrow().map(|_| Seq::new(0))
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>> {
        Box::pin(std::future::ready(self.read_now(request)))
    }

    fn get_now(&self, seq: Seq) -> Option<Result<Bytes>> {
        Some(self.open_state().and_then(|state| match state.stored(seq) {
            Some(stored) if stored.kind == SlotKind::Entry => Ok(stored.payload.clone()),
            Some(stored) if stored.kind == SlotKind::Deleted => Err(deleted(seq)),
            _ => Err(not_found(seq)),
        }))
    }

    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Seq>>> {
        Box::pin(async move { self.append_now(batch) })
    }

    fn delete(&self, seqs: &[Seq]) -> BoxFuture<'_, Result<()>> {
        let seqs = seqs.to_vec();
        Box::pin(async move { self.delete_now(&seqs) })
    }

    /// What is deleted leaves the memory at once.
    fn compact(&self) -> BoxFuture<'_, Result<Compacted>> {
        Box::pin(std::future::ready(self.open_state().map(|_| Compacted::default())))
    }

    fn sync(&self, _to: Option<Seq>) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        Ok(self.state().stored(seq).map(|_| Proof(seq.get().to_le_bytes().to_vec())))
    }

    fn note(&self, name: &str) -> Result<Option<Note>> {
        Ok(self.state().notes.get(name).cloned())
    }

    fn stat(&self) -> Result<LogStat> {
        let state = self.state();
        let entries = state.slots.len() as u64 - state.deleted - state.tombstones;
        Ok(LogStat::new("memory", entries, state.deleted, state.bytes))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.state.write().unwrap_or_else(PoisonError::into_inner).closed = true;
            Ok(())
        })
    }
}
