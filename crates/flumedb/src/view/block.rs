//! [`Block`], a piece of the log read and decoded once for all views that come past it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::{Entries, Run};
use crate::{
    Entry, Error, ErrorKind, Result, Seq,
    log::{Chunk, Forgotten, SlotKind},
};

/// A block counts for at least this much, so that many tiny ones are not worth keeping either.
pub(super) const LEAST_COST: usize = 16 << 10;

/// What the log has at the numbers from `from` to `to`.
pub(crate) struct Block<T> {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// See [`Chunk::horizon`].
    pub(crate) horizon: u64,
    /// As of which change of how payloads read; see `Ring::reading`.
    pub(crate) reading: u64,
    /// About how much memory it takes.
    pub(crate) cost: usize,
    run: Run<T>,
    marks: Vec<Mark>,
    /// The log has nothing before this number.
    first: u64,
    forgotten: Vec<Forgotten>,
}

/// A number that is no entry to apply.
struct Mark {
    seq: Seq,
    what: What,
}

enum What {
    Deleted,
    Undecodable(Error),
    Tombstone(Vec<Seq>),
}

/// What a view takes in at one go: entries, and after them a tombstone if one ended it.
pub(crate) struct Piece<'a, T> {
    pub(crate) run: Run<T>,
    /// The position after it.
    pub(crate) to: u64,
    /// The last number in it, if there is any.
    pub(crate) last: Option<Seq>,
    pub(crate) has_deleted: bool,
    /// The entries in it that do not decode.
    pub(crate) undecodable: Vec<(Seq, &'a Error)>,
    pub(crate) tombstone: Option<(Seq, &'a [Seq])>,
    /// Deletions in it that are not told any more.
    pub(crate) forgotten: Vec<Forgotten>,
}

impl<T> Block<T> {
    /// Decodes what a read that began at `from` gave.
    pub(crate) fn decode(from: u64, reading: u64, chunk: &Chunk, entries: &Entries<T>) -> Self {
        let mut run = Vec::with_capacity(chunk.slots.len());
        let mut marks = Vec::new();
        for slot in &chunk.slots {
            let what = match slot.kind {
                SlotKind::Deleted => What::Deleted,
                SlotKind::Tombstone => What::Tombstone(chunk.targets(slot).collect()),
                SlotKind::Entry => match decode(entries, slot.seq, &chunk.payload_bytes(slot)) {
                    Ok(value) => {
                        run.push(Entry { seq: slot.seq, value });
                        continue;
                    }
                    Err(error) => What::Undecodable(error),
                },
            };
            marks.push(Mark { seq: slot.seq, what });
        }
        let cost = chunk.bytes.len() + run.len() * size_of::<Entry<T>>() + marks.len() * size_of::<Mark>();
        Self {
            from,
            to: chunk.covered.to,
            horizon: chunk.horizon,
            reading,
            cost: cost.max(LEAST_COST),
            run: Run::new(run).with_memory(cost),
            marks,
            // One that has nothing at all began where it ends.
            first: entries.log().first().map_or(chunk.covered.to, Seq::get),
            forgotten: chunk.forgotten.clone(),
        }
    }

    /// What a view at `position` takes in next, going no farther than `stop`.
    pub(crate) fn piece(&self, position: u64, stop: u64) -> Piece<'_, T> {
        let first_mark = self.marks.partition_point(|mark| mark.seq.get() < position);
        let marks = self.marks.get(first_mark..).unwrap_or_default();
        let mut to = stop.min(self.to);
        let mut tombstone = None;
        for mark in marks.iter().take_while(|mark| mark.seq.get() < to) {
            if let What::Tombstone(targets) = &mark.what {
                tombstone = Some((mark.seq, targets.as_slice()));
                to = mark.seq.get().saturating_add(1);
                break;
            }
        }
        let marks = || marks.iter().take_while(|mark| mark.seq.get() < to);
        let at = |number: u64| self.run.partition_point(|entry| entry.seq.get() < number);
        let run = self.run.cut(at(position), at(to));
        let last_entry = run.last().map(|entry| entry.seq);
        Piece {
            to,
            last: last_entry.max(marks().last().map(|mark| mark.seq)),
            // What the log has no more was deleted too.
            has_deleted: position < self.first || marks().any(|mark| matches!(mark.what, What::Deleted)),
            forgotten: self.forgotten.iter().filter(|gone| (position..to).contains(&gone.at.get())).copied().collect(),
            undecodable: marks()
                .filter_map(|mark| match &mark.what {
                    What::Undecodable(error) => Some((mark.seq, error)),
                    _ => None,
                })
                .collect(),
            tombstone,
            run,
        }
    }

    /// The position after the first entry that a view at `position` would apply.
    pub(crate) fn after_one(&self, position: u64) -> u64 {
        let first = self.run.partition_point(|entry| entry.seq.get() < position);
        self.run.get(first).map_or(self.to, |entry| entry.seq.get().saturating_add(1))
    }
}

/// A codec that panics on some bytes cannot read them; that is no reason for more to stop.
pub(crate) fn decode<T>(entries: &Entries<T>, seq: Seq, payload: &Bytes) -> Result<T> {
    catch_unwind(AssertUnwindSafe(|| entries.decode(payload)))
        .unwrap_or_else(|panic| Err(panicked("the codec", panic.as_ref())))
        .map_err(|error| error.at(seq))
}

/// What a panic said, as an error.
pub(crate) fn panicked(who: &str, panic: &(dyn std::any::Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::new(ErrorKind::Faulted, format!("{who} panicked: {said}"))
}
