//! [`Records`], which records a log has: where each lies, which were deleted, which cannot be looked into. jitdb names a
//! record by its number from 0, deleted ones counted; a log names it by its position.

use flumedb::Seq;

use super::finding::{Difference, Place};

/// A flag for some of the records.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<u64>);

impl Flags {
    pub(super) fn set(&mut self, record: u32) {
        let at = record as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        if let Some(word) = self.0.get_mut(at) {
            *word |= 1 << (record % 64);
        }
    }

    pub(super) fn get(&self, record: u32) -> bool {
        self.word(record as usize / 64) >> (record % 64) & 1 == 1
    }

    /// The flags of 64 records.
    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or_default()
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// The records of a log, in order.
#[derive(Debug, Default)]
pub(super) struct Records {
    positions: Vec<u64>,
    deleted: Flags,
    /// Deleted, or of no encoding that is known here.
    closed: Flags,
    /// Messages whose content is encrypted.
    encrypted: Flags,
}

/// What a record is known as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// A message whose content is encrypted: indexes may be over what is inside.
    Encrypted,
    Unreadable,
    Deleted,
}

/// How many records an index covers that says where the last of them lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// This many.
    First(u32),
    /// More than the log has.
    Ahead,
    /// No record lies there.
    Nowhere,
}

impl Records {
    /// Adds a record. `false`: there are as many as have numbers.
    pub(super) fn push(&mut self, position: Seq, state: State) -> bool {
        let Ok(record) = u32::try_from(self.positions.len()) else { return false };
        self.positions.push(position.get());
        self.mark(record, state);
        true
    }

    /// Notes what a record turned out to be.
    pub(super) fn mark(&mut self, record: u32, state: State) {
        match state {
            State::Open => {}
            State::Encrypted => self.encrypted.set(record),
            State::Unreadable => self.closed.set(record),
            State::Deleted => {
                self.closed.set(record);
                self.deleted.set(record);
            }
        }
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.positions.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn deleted(&self) -> u64 {
        self.deleted.count()
    }

    pub(super) fn is_deleted(&self, record: u32) -> bool {
        self.deleted.get(record)
    }

    /// Whether nothing can be said of a record's fields; `content`: of those that encryption hides.
    pub(super) fn is_closed(&self, record: u32, content: bool) -> bool {
        self.closed.get(record) || content && self.encrypted.get(record)
    }

    pub(super) fn is_encrypted(&self, record: u32) -> bool {
        self.encrypted.get(record)
    }

    /// How many of the first records nothing can be said of.
    pub(super) fn untold(&self, covered: u32, content: bool) -> u64 {
        let covered = covered.min(self.len());
        let closed = |at: usize| self.closed.word(at) | if content { self.encrypted.word(at) } else { 0 };
        let whole: u64 = (0..covered as usize / 64).map(|at| u64::from(closed(at).count_ones())).sum();
        let rest = closed(covered as usize / 64) & !(u64::MAX << (covered % 64));
        whole + u64::from(rest.count_ones())
    }

    pub(super) fn position(&self, record: u32) -> Option<Seq> {
        self.positions.get(record as usize).copied().map(Seq::new)
    }

    pub(super) fn record(&self, position: u64) -> Option<u32> {
        self.positions.binary_search(&position).ok().and_then(|at| u32::try_from(at).ok())
    }

    /// How many records an index covers that ends with the one at `position`; `None`: that has none.
    pub(super) fn covered(&self, position: Option<u64>) -> Coverage {
        let Some(position) = position else { return Coverage::First(0) };
        match self.positions.binary_search(&position) {
            Ok(at) => Coverage::First(u32::try_from(at + 1).unwrap_or(u32::MAX)),
            Err(at) if at == self.positions.len() => Coverage::Ahead,
            Err(_) => Coverage::Nowhere,
        }
    }

    /// Whether the log has records that 32 bits cannot name.
    pub(super) fn pass_4_gib(&self) -> bool {
        self.positions.last().is_some_and(|last| *last > u64::from(u32::MAX))
    }

    pub(super) fn difference(&self, tally: &Tally) -> Difference {
        let place = |&record: &u32| Place { record, seq: self.position(record) };
        Difference { count: tally.count, first: tally.first.iter().map(place).collect() }
    }
}

/// Counts records and keeps the first few.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) first: Vec<u32>,
    pub(super) last: u32,
}

impl Tally {
    const KEPT: usize = 5;

    /// Counts one; they come in ascending order.
    pub(super) fn add(&mut self, record: u32) {
        self.count += 1;
        self.last = record;
        if self.first.len() < Self::KEPT {
            self.first.push(record);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}
