//! [`Places`], where the records of a segment's entries begin: in memory, and as the payload of its index record.

use std::ops::Range;

use super::format::{ALIGN, u32_at};

/// Where the records of a segment's entries and tombstones begin. What was taken out costs one [`Run`], however long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// Of each that is there, in units of [`ALIGN`] bytes.
    units: Vec<u32>,
    runs: Vec<Run>,
    /// So many more are known to have been there, and the file ends before them.
    pub(crate) lost: u64,
    /// Where that damage is.
    pub(crate) lost_at: u64,
}

/// Numbers that share a gap record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The first and the one behind the last, counted from the segment's first.
    from: u64,
    to: u64,
    /// Where the gap record begins, in units.
    unit: u32,
    /// How many were taken out up to here.
    gone: u64,
}

impl Places {
    /// Bytes of a run in an index record.
    const RUN_LEN: usize = 12;

    /// How many entries and tombstones, whether there or gone or lost.
    pub(crate) fn count(&self) -> u64 {
        self.there() + self.gone() + self.lost
    }

    /// How many are there.
    pub(crate) fn there(&self) -> u64 {
        self.units.len() as u64
    }

    /// How many were taken out.
    pub(crate) fn gone(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.gone)
    }

    /// The next one begins at `offset`.
    pub(crate) fn push(&mut self, offset: u64) {
        self.units.push((offset / ALIGN as u64) as u32);
    }

    /// The next `count` were taken out; the gap record begins at `offset`.
    pub(crate) fn push_gap(&mut self, count: u64, offset: u64) {
        if count > 0 {
            let (from, gone) = (self.there() + self.gone(), self.gone() + count);
            self.runs.push(Run { from, to: from + count, unit: (offset / ALIGN as u64) as u32, gone });
        }
    }

    /// Where the very first begins that is there.
    pub(crate) fn first(&self) -> Option<u64> {
        self.units.first().map(|&unit| u64::from(unit) * ALIGN as u64)
    }

    /// Those of `other` behind the first `from` that are there.
    pub(crate) fn extend_from(&mut self, other: &Self, from: u64) {
        self.units.extend_from_slice(other.units.get(from as usize..).unwrap_or_default());
        (self.lost, self.lost_at) = (other.lost, other.lost_at);
    }

    /// Where the record of a number begins, counted from the segment's first; `end` behind the last.
    #[inline]
    pub(crate) fn at(&self, index: u64, end: u64) -> u64 {
        let (run, gone) = self.before(index);
        let unit = match run {
            Some(run) if index < run.to => Some(&run.unit),
            _ => self.units.get((index - gone) as usize),
        };
        match unit {
            Some(&unit) => u64::from(unit) * ALIGN as u64,
            None if index < self.count() => self.lost_at,
            None => end,
        }
    }

    /// The run that a number is in, if it was taken out: its first number, and the one behind its last.
    #[inline]
    pub(crate) fn gap(&self, index: u64) -> Option<(u64, u64)> {
        self.before(index).0.filter(|run| index < run.to).map(|run| (run.from, run.to))
    }

    /// The seqs that were taken out, ascending, where the segment's first is `first`.
    pub(crate) fn gaps(&self, first: u64) -> impl Iterator<Item = Range<u64>> + '_ {
        self.runs.iter().map(move |run| first.saturating_add(run.from)..first.saturating_add(run.to))
    }

    /// The last run that begins at or before a number, and how many were taken out before that number (if it is there).
    #[inline]
    fn before(&self, index: u64) -> (Option<&Run>, u64) {
        if self.runs.is_empty() {
            return (None, 0);
        }
        let behind = self.runs.partition_point(|run| run.from <= index);
        let run = behind.checked_sub(1).and_then(|at| self.runs.get(at));
        (run, run.map_or(0, |run| run.gone.min(index)))
    }

    /// The payload of an index record; `by_runs` as a compacted segment has it.
    pub(crate) fn encode(&self, by_runs: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.runs.len() * Self::RUN_LEN + self.units.len() * 4);
        if by_runs {
            out.extend_from_slice(&(self.runs.len() as u32).to_le_bytes());
            for run in &self.runs {
                for field in [run.from as u32, (run.to - run.from) as u32, run.unit] {
                    out.extend_from_slice(&field.to_le_bytes());
                }
            }
        }
        out.extend(self.units.iter().flat_map(|unit| unit.to_le_bytes()));
        out
    }

    /// Reads the payload of a compacted segment's index record, for `count` numbers; `None` if it is not for so many.
    pub(crate) fn decode(payload: &[u8], count: u64) -> Option<Self> {
        let (runs, units) =
            payload.get(4..)?.split_at_checked((u32_at(payload, 0) as usize).checked_mul(Self::RUN_LEN)?)?;
        let mut places = Self::default();
        for run in runs.as_chunks::<{ Self::RUN_LEN }>().0 {
            let (from, len) = (u64::from(u32_at(run, 0)), u64::from(u32_at(run, 4)));
            let (before, gone) = places.runs.last().map_or((0, 0), |run| (run.to, run.gone));
            if from < before || len == 0 {
                return None;
            }
            places.runs.push(Run { from, to: from + len, unit: u32_at(run, 8), gone: gone + len });
        }
        let (units, rest) = units.as_chunks::<4>();
        places.units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        let ends = places.runs.last().is_none_or(|run| run.to <= count);
        (ends && rest.is_empty() && places.count() == count).then_some(places)
    }
}
