//! What to say of a bitvector, given what the log has for each [`Candidate`].

use super::{
    finding::{Fault, Finding},
    gap::{Gap, merge},
    judged::Judged,
    paths::Paths,
    records::Records,
    values::{Asks, Bitvector, Candidate},
};
use crate::indexes::Bits;

/// One way to read the file, held against its bits.
struct Reading {
    text: String,
    gap: Gap,
    /// jitdb passes over the last item of a list, if it is short; without that, this would be right.
    only_last: bool,
    /// With the numbering begun again where `seq.index` has it, this would be right.
    is_shifted: bool,
    /// Whether any record that can be judged answers it.
    has_answers: bool,
    untold: u64,
}

/// Judges a bitvector that covers the first `covered` records.
pub(super) fn judge(
    judged: Judged,
    bits: &Bits,
    about: &Bitvector,
    shift: Option<u32>,
    paths: &Paths,
    records: &Records,
) -> Finding {
    let covered = judged.covered;
    let beyond = bits.iter().filter(|record| *record >= covered).count();
    if beyond > 0 {
        let reason = format!("it names {beyond} records behind those that it covers");
        let gap = Gap::between(std::iter::empty(), bits.iter(), |record| record >= covered);
        return judged.wrong(&gap, records).because(reason);
    }
    let readings: Vec<Reading> = about
        .candidates
        .iter()
        .filter(|candidate| paths.is_seen(candidate.path) || !candidate.joined)
        .flat_map(|candidate| candidate.readings(bits, covered, shift, paths, records))
        .collect();
    let fits: Vec<&Reading> = readings.iter().filter(|reading| reading.gap.is_none()).collect();
    let Some(fit) = fits.iter().find(|reading| reading.has_answers).or(fits.first()).copied() else {
        return differs(judged, about, &readings, records);
    };
    if !fit.has_answers && bits.iter().next().is_some() {
        return judged.unknown("no record that it names can be judged: they are deleted, encrypted or unreadable");
    }
    let mut finding = judged.covers(fit.untold);
    finding.holds = Some(fit.text.clone());
    finding.serves = readings
        .iter()
        .filter(|other| !other.gap.is_none() && other.has_answers)
        .map(|other| other.text.clone())
        .collect();
    if !finding.serves.is_empty() {
        finding.faults.push(Fault::SharedName);
    }
    // It may as well have been made for the lists, and have passed over them all.
    if readings.iter().any(|other| other.only_last) {
        finding.faults.push(Fault::LastItem);
    }
    finding
}

/// No reading fits.
fn differs(judged: Judged, about: &Bitvector, readings: &[Reading], records: &Records) -> Finding {
    if let Some(name) = &about.function {
        return judged.unknown(format!("the function {name:?} is not known here"));
    }
    if about.overflow {
        return judged.unknown("too many values have this name");
    }
    let explained = readings.iter().find(|reading| reading.is_shifted || reading.only_last);
    let Some(best) = explained.or(readings.iter().min_by_key(|reading| reading.gap.size())) else {
        return judged
            .unknown("no entry has a value of this name: the index is over something else, or over what was deleted");
    };
    let raised = judged.finding.file.version.is_some_and(|version| version > 1);
    let mut finding = judged.wrong(&best.gap, records);
    finding.holds = Some(best.text.clone());
    finding.untold = best.untold;
    if best.is_shifted {
        finding.faults.push(Fault::Shifted);
    } else if best.only_last {
        finding.faults.push(Fault::LastItem);
    } else if let Some((one, two)) = mixture(readings) {
        finding.faults.push(Fault::MixedQueries);
        finding.serves = vec![one.text.clone(), two.text.clone()];
        finding.reason = two
            .gap
            .last()
            .and_then(|last| last.checked_add(1))
            .map(|from| format!("up to some record before {from} it holds {}, behind it {}", one.text, two.text));
    } else if raised && best.gap.missing.is_empty() {
        finding.faults.push(Fault::OldVersion);
    }
    finding
}

/// Two readings of which one holds up to a record and the other behind it.
fn mixture(readings: &[Reading]) -> Option<(&Reading, &Reading)> {
    let answered = || readings.iter().filter(|reading| reading.has_answers);
    let pairs = answered().flat_map(|one| answered().map(move |two| (one, two)));
    let mut mixed = pairs.filter(|(one, two)| two.gap.last() < one.gap.first());
    mixed.next()
}

impl Candidate {
    /// The queries that it stands for: an equal field, and a list with the value in it.
    fn readings(
        &self,
        bits: &Bits,
        covered: u32,
        shift: Option<u32>,
        paths: &Paths,
        records: &Records,
    ) -> Vec<Reading> {
        let path = paths.text(self.path);
        let content = paths.is_content(self.path);
        let judged = |record: u32| record < covered && !records.is_closed(record, content);
        let untold = records.untold(covered, content);
        let reading = |text: String, within: &[u32]| {
            let expected = || merge(&self.equal, within);
            let gap = Gap::between(expected(), bits.iter(), judged);
            let left_out =
                self.last.iter().filter(|record| judged(**record) && !bits.contains(**record)).count() as u64;
            let is_shifted = shift.is_some_and(|shift| {
                let before: Vec<u32> = expected().take_while(|record| *record < shift).collect();
                let behind: Vec<u32> = expected().filter_map(|record| record.checked_sub(shift)).collect();
                !gap.is_none() && Gap::between(merge(&before, &behind), bits.iter(), judged).is_none()
            });
            Reading {
                is_shifted,
                text,
                only_last: !within.is_empty() && gap.extra.is_empty() && gap.missing.count == left_out && left_out > 0,
                has_answers: expected().any(judged),
                gap,
                untold,
            }
        };
        match &self.asks {
            Asks::Absent => vec![reading(format!("{path} is absent"), &[])],
            Asks::Function(name) => vec![reading(format!("{name}({path})"), &[])],
            Asks::Value(value) if self.within.is_empty() => vec![reading(format!("{path} = {value}"), &[])],
            Asks::Value(value) if !self.pluck.is_empty() => {
                vec![reading(format!("{value} in {path}.{}", self.pluck), &self.within)]
            }
            Asks::Value(value) => {
                vec![reading(format!("{path} = {value}"), &[]), reading(format!("{value} in {path}"), &self.within)]
            }
        }
    }
}
