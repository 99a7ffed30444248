//! [`Horizons`], by which the host knows whether a view has ever applied an entry that a tombstone names. Exact, also
//! across restarts, because it is part of the checkpoint.

use crate::Seq;

/// Under which horizon entries were read.
///
/// A log does not give a deleted entry any more, so a view that comes past its number after the deletion never applied
/// it. Later it meets the tombstone, and must not take back what it never took in. Each chunk of the log says up to
/// which number deletions were known when it was read, its horizon: an entry in it was passed over just if its
/// tombstone's number is below that.
///
/// A pair `(from, horizon)` holds for the numbers from `from` to the next pair. Where there is none, every entry was
/// applied. That is so for all numbers once the view is past the horizon, so the list is empty for a view that follows
/// the head; in a catch-up it grows only by chunks that have deleted entries and a horizon of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Horizons(Vec<(u64, u64)>);

impl Horizons {
    pub(crate) fn from_pairs(pairs: Vec<(u64, u64)>) -> Self {
        Self(pairs)
    }

    pub(crate) fn to_pairs(&self) -> Vec<(u64, u64)> {
        self.0.clone()
    }

    /// The view takes in what a chunk read under `horizon` has from `from` on. `has_deleted`: some of it was deleted
    /// already.
    pub(crate) fn read(&mut self, from: u64, horizon: u64, has_deleted: bool) {
        let current = self.0.last().map_or(0, |&(_, horizon)| horizon);
        // Without deleted entries every horizon up to this chunk's says the same of them: all were applied.
        if horizon < current || (has_deleted && horizon > current) {
            match self.0.last_mut() {
                Some(last) if last.0 == from => last.1 = horizon,
                _ => self.0.push((from, horizon)),
            }
        }
    }

    /// The view has got to `position`: tombstones below it will not come any more.
    pub(crate) fn passed(&mut self, position: u64) {
        // Only from the front: one in the middle still says that an older, farther horizon ends there.
        let over = self.0.iter().take_while(|&&(_, horizon)| horizon <= position).count();
        self.0.drain(..over);
    }

    /// The state rests on deletions recorded below this number.
    pub(crate) fn reach(&self) -> u64 {
        self.0.iter().map(|&(_, horizon)| horizon).max().unwrap_or(0)
    }

    /// Whether the view may have applied a number from `from` up to `to` that tombstones at `tombstone` and before it named.
    pub(crate) fn applied_any(&self, from: u64, to: u64, tombstone: Seq) -> bool {
        let first = self.0.partition_point(|&(start, _)| start <= from).checked_sub(1);
        // Before the first pair everything was applied.
        let ever = first.is_none() && from < to && self.0.first().is_none_or(|&(start, _)| from < start);
        let mut pairs = self.0.iter().skip(first.unwrap_or(0)).take_while(|&&(start, _)| start < to);
        ever || (from < to && pairs.any(|&(_, horizon)| tombstone.get() >= horizon))
    }

    /// Whether the view applied `target`, which the tombstone at `tombstone` names.
    pub(crate) fn applied(&self, target: Seq, tombstone: Seq) -> bool {
        let before = self.0.partition_point(|&(from, _)| from <= target.get());
        let pair = before.checked_sub(1).and_then(|index| self.0.get(index));
        pair.is_none_or(|&(_, horizon)| tombstone.get() >= horizon)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens to a log and to a view that reads it.
    #[derive(Clone, Debug)]
    enum Op {
        Append(u8),
        /// Deletes the n-th live entry, and with it the next ones.
        Delete(usize, u8),
        /// Reads so many numbers, knowing the deletions up to so many numbers below the head only.
        Read(u8, u8),
        Reopen,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (1u8..6).prop_map(Op::Append),
            (any::<usize>(), 1u8..4).prop_map(|(nth, n)| Op::Delete(nth, n)),
            (1u8..12, 0u8..8).prop_map(|(n, stale)| Op::Read(n, stale)),
            Just(Op::Reopen),
        ]
    }

    /// A number of the log: an entry with the tombstone that deleted it, or a tombstone.
    #[derive(Clone)]
    enum Number {
        Entry { deleted_by: Option<u64> },
        Tombstone(Vec<u64>),
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Guards against a view being told of a deletion twice, or not at all, however reads and deletions interleave.
        #[test]
        fn knows_just_what_was_applied(ops in proptest::collection::vec(op(), 1..80)) {
            let mut log: Vec<Number> = Vec::new();
            let mut applied = std::collections::BTreeSet::new();
            let (mut horizons, mut position) = (Horizons::default(), 0u64);
            for op in ops {
                match op {
                    Op::Append(n) => log.extend((0..n).map(|_| Number::Entry { deleted_by: None })),
                    Op::Delete(nth, n) => {
                        let live: Vec<u64> = (0..log.len() as u64)
                            .filter(|&at| matches!(log[at as usize], Number::Entry { deleted_by: None }))
                            .collect();
                        if live.is_empty() { continue }
                        let start = nth % live.len();
                        let targets: Vec<u64> = live[start..].iter().take(n as usize).copied().collect();
                        let tombstone = log.len() as u64;
                        for &target in &targets {
                            log[target as usize] = Number::Entry { deleted_by: Some(tombstone) };
                        }
                        log.push(Number::Tombstone(targets));
                    }
                    Op::Read(n, stale) => {
                        let from = position;
                        let to = (from + u64::from(n)).min(log.len() as u64);
                        let horizon = (log.len() as u64).saturating_sub(u64::from(stale)).max(to);
                        let gone = |number: &Number| matches!(number, Number::Entry { deleted_by: Some(by) } if *by < horizon);
                        let chunk = &log[from as usize..to as usize];
                        horizons.read(from, horizon, chunk.iter().any(gone));
                        for (number, at) in chunk.iter().zip(from..) {
                            match number {
                                Number::Entry { .. } if gone(number) => {}
                                Number::Entry { .. } => { applied.insert(at); }
                                Number::Tombstone(targets) => for &target in targets {
                                    let says = horizons.applied(Seq::new(target), Seq::new(at));
                                    prop_assert_eq!(says, applied.remove(&target), "entry {} by {}", target, at);
                                },
                            }
                        }
                        position = to;
                        horizons.passed(position);
                        if position == log.len() as u64 && stale == 0 {
                            prop_assert_eq!(&horizons, &Horizons::default());
                        }
                    }
                    Op::Reopen => horizons = Horizons::from_pairs(horizons.to_pairs()),
                }
            }
        }
    }
}
