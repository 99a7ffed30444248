//! [`Model`], what a log may hold after what was asked of it, and [`Contents`], what it does hold.

use std::{
    fmt,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use flumedb::{
    ErrorKind, Result, Seq, Span,
    log::{Log, Note, ReadRequest, SlotKind},
};

/// The one note that workloads write.
pub(super) const NOTE: &str = "note";

/// What a log holds, read in every way there is.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents {
    /// Each number: what it stands for, and its payload (none for what was deleted).
    pub slots: Vec<(SlotKind, Bytes)>,
    /// The note of the workloads.
    pub note: Option<Note>,
}

impl Contents {
    /// Reads everything.
    ///
    /// # Errors
    /// As reading says.
    ///
    /// # Panics
    /// If two ways of reading do not agree.
    pub fn of(log: &dyn Log) -> Result<Self> {
        assert!(log.first().is_none_or(|first| first.get() == 0), "its beginning was dropped");
        Self::of_rest(log)
    }

    /// The same of a log whose beginning may have been dropped: from its first number on.
    ///
    /// # Errors
    /// As reading says.
    ///
    /// # Panics
    /// If two ways of reading do not agree.
    pub fn of_rest(log: &dyn Log) -> Result<Self> {
        let first = log.first().map_or(0, Seq::get);
        let mut slots = read_all(log, false)?;
        let mut backwards = read_all(log, true)?;
        backwards.reverse();
        assert!(slots == backwards, "backwards the log is another than forwards");
        for (number, (seq, kind, payload)) in slots.iter().enumerate() {
            assert_eq!(seq.get(), first + number as u64, "a gap in the numbers");
            match (kind, now(log.get(*seq))) {
                (SlotKind::Entry, Ok(got)) => assert!(got == payload, "get({seq}) is not what a read gives"),
                (SlotKind::Deleted, Err(error)) => assert_eq!(error.kind(), ErrorKind::Deleted),
                (SlotKind::Tombstone, Err(error)) => assert_eq!(error.kind(), ErrorKind::NotFound),
                (kind, got) => panic!("get({seq}) of a {kind:?} gives {got:?}"),
            }
        }
        let head = slots.last().map(|(seq, ..)| *seq);
        assert_eq!(now(log.barrier())?, head, "the barrier is not the newest entry");
        assert_eq!(*log.head().borrow(), head, "the head is not the newest entry");
        let entries = slots.iter().filter(|(_, kind, _)| *kind == SlotKind::Entry).count();
        assert_eq!(log.stat()?.entries, entries as u64, "the number of entries is wrong");
        let slots = slots.drain(..).map(|(_, kind, payload)| (kind, payload)).collect();
        Ok(Self { slots, note: log.note(NOTE)? })
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (kind, payload)) in self.slots.iter().enumerate() {
            let start = String::from_utf8_lossy(&payload[..payload.len().min(12)]);
            write!(f, "{number}: {kind:?} {start:?}… {} bytes; ", payload.len())?;
        }
        write!(f, "note {:?}", self.note.as_ref().map(|note| note.position))
    }
}

fn read_all(log: &dyn Log, reverse: bool) -> Result<Vec<(Seq, SlotKind, Bytes)>> {
    let mut slots = Vec::new();
    let mut span = Span::ALL;
    loop {
        let chunk = now(log.read(ReadRequest { span, reverse, max_bytes: 2000 }))?;
        if chunk.slots.is_empty() {
            return Ok(slots);
        }
        slots.extend(chunk.slots.iter().map(|slot| {
            let payload = if slot.kind == SlotKind::Deleted { Bytes::new() } else { chunk.payload_bytes(slot) };
            (slot.seq, slot.kind, payload)
        }));
        if reverse {
            span.to = chunk.covered.from;
        } else {
            span.from = chunk.covered.to;
        }
    }
}

/// The answer of a future that must not wait.
///
/// # Panics
/// If it waits.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a read waits"),
    }
}

/// What was asked of a log, one thing after the other, and which of it must still be there.
#[derive(Clone, Default)]
pub struct Model {
    units: Vec<Unit>,
    durable: usize,
}

/// What gets into the log together or not at all.
#[derive(Clone, Default)]
struct Unit {
    entries: Vec<Bytes>,
    deleted: Vec<Seq>,
    note: Option<Note>,
}

impl Model {
    /// Entries and a note are about to be appended.
    pub fn ask_append(&mut self, entries: Vec<Bytes>, note: Option<Note>) {
        self.units.push(Unit { entries, note, ..Unit::default() });
    }

    /// Entries are about to be deleted.
    pub fn ask_delete(&mut self, deleted: Vec<Seq>) {
        self.units.push(Unit { deleted, ..Unit::default() });
    }

    /// All that was asked for must be there from now on, whatever happens.
    pub fn acknowledge(&mut self) {
        self.durable = self.units.len();
    }

    /// What was asked for last was refused, and must never be there.
    pub fn refuse(&mut self) {
        self.units.truncate(self.durable.max(self.units.len().saturating_sub(1)));
    }

    /// The number that the next entry gets if all that was asked for is there.
    pub fn next(&self) -> u64 {
        self.expected(self.units.len()).slots.len() as u64
    }

    /// The newest entry that can be read if all that was asked for is there.
    pub fn newest_entry(&self) -> Option<Seq> {
        let slots = self.expected(self.units.len()).slots;
        slots.iter().rposition(|(kind, _)| *kind == SlotKind::Entry).map(|number| Seq::new(number as u64))
    }

    /// Compares the log, as it was just opened, with what it may hold: everything that was acknowledged, then a prefix
    /// of what was asked for, each unit whole. From now on that, and nothing else, must be there.
    ///
    /// # Errors
    /// If the log cannot be read.
    ///
    /// # Panics
    /// If it holds something else.
    pub fn verify(&mut self, log: &dyn Log) -> Result<()> {
        let found = Contents::of(log)?;
        let fits = (self.durable..=self.units.len()).rev().find(|&units| self.expected(units) == found);
        let Some(units) = fits else {
            let (least, most) = (self.expected(self.durable), self.expected(self.units.len()));
            panic!("the log holds\n  {found:?}\nbut must hold at least\n  {least:?}\nand at most\n  {most:?}");
        };
        self.units.truncate(units);
        self.durable = units;
        Ok(())
    }

    /// Compares what a log that failed still lets readers see with what it may hold.
    ///
    /// # Errors
    /// If the log cannot be read.
    ///
    /// # Panics
    /// If it holds something else.
    pub fn verify_failed(&self, log: &dyn Log) -> Result<()> {
        let slots: Vec<_> = read_all(log, false)?.into_iter().map(|(_, kind, payload)| (kind, payload)).collect();
        let fits = (self.durable..=self.units.len()).any(|units| self.expected(units).slots == slots);
        assert!(fits, "a failed log shows\n  {:?}", Contents { slots, note: None });
        Ok(())
    }

    /// What the log holds after the first `units` units.
    fn expected(&self, units: usize) -> Contents {
        let mut slots = Vec::new();
        let mut note = None;
        for unit in &self.units[..units] {
            slots.extend(unit.entries.iter().map(|entry| (SlotKind::Entry, entry.clone())));
            if !unit.deleted.is_empty() {
                for seq in &unit.deleted {
                    slots[seq.get() as usize] = (SlotKind::Deleted, Bytes::new());
                }
                let targets: Vec<u8> = unit.deleted.iter().flat_map(|seq| seq.get().to_le_bytes()).collect();
                slots.push((SlotKind::Tombstone, targets.into()));
            }
            note = unit.note.clone().or(note);
        }
        Contents { slots, note }
    }
}
