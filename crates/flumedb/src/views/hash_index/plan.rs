//! [`plan`], which runs are to be merged next.
//!
//! Each of the 16 parts has a list of runs: first those that cover all parts and are in all lists, the newest first; then, while
//! they are being sorted into the parts one by one, older ones that some parts have done with; then the one run of the part, its
//! base. All that is not in a base is at most about a sixteenth of the whole, so a merge needs little room and a lookup looks
//! into few runs.

use std::sync::Arc;

use super::{PARTS, run::Run};

/// The runs of each part.
pub(super) type Lists = [Vec<Arc<Run>>; PARTS];

/// Runs to become one.
pub(super) struct Plan {
    /// They lie side by side in the lists.
    pub(super) runs: Vec<Arc<Run>>,
    /// Of this part only what they have there.
    pub(super) part: Option<usize>,
}

impl Plan {
    /// How many pairs there will be, at most.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(|run| self.part.map_or(run.len as usize, |part| run.len_of(part))).sum()
    }

    pub(super) fn max_seq(&self) -> u64 {
        self.runs.iter().map(|run| run.max_seq).max().unwrap_or(0)
    }

    /// What is as large as the file that will be made, or larger.
    pub(super) fn bytes(&self) -> u64 {
        // A record has 14 bytes at most, and a block 8 besides; a filter is for runs over all parts.
        let filter = if self.part.is_none() { 1 } else { 0 };
        self.len() as u64 * (14 + filter) + self.len() as u64 / 6 + 4096
    }
}

/// A newer run is merged with an older one that is no longer than so many of it.
const RATIO: u64 = 2;
/// What is not in a base is at most this part of the whole …
const SHARE: u64 = 16;
/// … or so many times what is gathered in memory.
const LEAST: u64 = 4;

/// What to merge next, if anything. `recent` pairs are gathered in memory.
pub(super) fn plan(lists: &Lists, recent: usize) -> Option<Plan> {
    let [first, others @ ..] = lists;
    let in_all = |run: &&Arc<Run>| others.iter().all(|list| list.iter().any(|other| other.number == run.number));
    let common: Vec<Arc<Run>> = first.iter().filter(in_all).cloned().collect();
    let is_common = |run: &Arc<Run>| common.iter().any(|other| other.number == run.number);
    for (part, list) in lists.iter().enumerate() {
        let older: Vec<Arc<Run>> = list.iter().filter(|run| !is_common(run)).cloned().collect();
        if older.iter().any(|run| run.is_whole()) {
            return Some(Plan { runs: older, part: Some(part) });
        }
    }
    let above: u64 = common.iter().map(|run| run.len).sum();
    let bases: u64 = lists.iter().flatten().filter(|run| !run.is_whole()).map(|run| run.len).sum();
    if above > ((above + bases) / SHARE).max(LEAST * recent as u64) {
        return Some(Plan { runs: first.clone(), part: Some(0) });
    }
    let (mut newer, mut take) = (0_u64, 0);
    for (at, run) in common.iter().enumerate() {
        if at > 0 && newer * RATIO >= run.len {
            take = at + 1;
        }
        newer += run.len;
    }
    (take > 0).then(|| Plan { runs: common.into_iter().take(take).collect(), part: None })
}
