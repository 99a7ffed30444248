//! [`Judged`], a finding on its way: a file whose coverage is known.

use super::{
    finding::{Fault, Finding, Verdict},
    gap::Gap,
    records::{Coverage, Records, Tally},
};
use crate::indexes::{IndexFile, IndexKind};

/// A file that covers the first so many records of the log.
pub(super) struct Judged {
    pub(super) finding: Finding,
    pub(super) covered: u32,
    all: u32,
}

impl Judged {
    /// What of the log a file covers; the finding itself if that already decides.
    pub(super) fn new(file: IndexFile, records: &Records) -> Result<Self, Box<Finding>> {
        if let Some(damage) = file.damage.clone() {
            return Err(Box::new(Finding::new(file, Verdict::Damaged).because(damage)));
        }
        let mut finding = Finding::new(file, Verdict::Unknown);
        let small = !matches!(finding.file.kind, IndexKind::Snapshot);
        if small && records.pass_4_gib() {
            finding.faults.push(Fault::Past4GiB);
        }
        let covered = match records.covered(finding.file.offset) {
            Coverage::First(covered) => covered,
            Coverage::Ahead => {
                finding.verdict = Verdict::Ahead;
                return Err(Box::new(finding.because("the log ends before the position that it covers")));
            }
            Coverage::Nowhere => {
                finding.verdict = Verdict::Wrong;
                if !finding.file.kind.is_jitdb() {
                    return Err(Box::new(finding.because("no record lies at its position")));
                }
                finding.faults.push(Fault::Shifted);
                return Err(Box::new(finding.because("no record lies at its position; jitdb goes on from record 0")));
            }
        };
        finding.covered = Some(covered.into());
        Ok(Self { finding, covered, all: records.len() })
    }

    /// It holds what it should of the records that it covers, of which `untold` cannot be judged.
    pub(super) fn covers(self, untold: u64) -> Finding {
        let verdict = if self.covered < self.all { Verdict::Behind } else { Verdict::Right };
        if untold > 0 && untold == u64::from(self.covered) {
            return Finding { untold, ..self.unknown("no record that it covers can be judged") };
        }
        Finding { verdict, untold, ..self.finding }
    }

    /// It names other records than it should.
    pub(super) fn wrong(self, gap: &Gap, records: &Records) -> Finding {
        self.wrong_in(&gap.missing, &gap.extra, records)
    }

    pub(super) fn wrong_in(self, missing: &Tally, extra: &Tally, records: &Records) -> Finding {
        let (missing, extra) = (records.difference(missing), records.difference(extra));
        Finding { verdict: Verdict::Wrong, missing, extra, ..self.finding }
    }

    /// What it should hold cannot be worked out.
    pub(super) fn unknown(self, reason: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Unknown, ..self.finding }.because(reason)
    }

    /// Checks the count of an index that has a number for each record, deleted ones among them.
    pub(super) fn counted(mut self, records: &Records) -> Result<Self, Box<Finding>> {
        let count = self.finding.file.count.unwrap_or_default();
        let covered = u64::from(self.covered);
        if count == covered {
            return Ok(self);
        }
        let tail = u32::try_from(count).ok().map(|count| self.covered..count);
        if count > covered && tail.is_some_and(|mut tail| tail.all(|record| records.is_deleted(record))) {
            self.finding.faults.push(Fault::CountsDeleted);
            return Ok(self);
        }
        if count + 1 == covered {
            self.finding.faults.push(Fault::CountTooSmall);
        }
        let reason = format!("it counts {count} records, and {covered} end at its position");
        Err(Box::new(Finding { verdict: Verdict::Wrong, ..self.finding }.because(reason)))
    }
}
