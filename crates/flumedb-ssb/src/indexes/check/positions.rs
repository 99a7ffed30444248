//! What to say of files that hold positions of the log or only their own: ssb-db2's lists, snapshots, markers.

use super::{
    finding::{Fault, Finding},
    gap::Gap,
    judged::Judged,
    records::Records,
};
use crate::indexes::Numbers;

/// Judges a list of positions: each must be a record's, and the message there encrypted.
pub(super) fn numbers(judged: Judged, numbers: &Numbers, records: &Records) -> Finding {
    let (mut gap, mut strangers) = (Gap::default(), 0_u64);
    for position in numbers.iter() {
        match records.record(position) {
            Some(record) if record >= judged.covered => gap.extra.add(record),
            Some(record) if !records.is_encrypted(record) && !records.is_closed(record, false) => gap.extra.add(record),
            Some(_) => {}
            None => strangers += 1,
        }
    }
    if strangers > 0 {
        let reason = format!("{strangers} of its positions are no record's");
        return judged.wrong(&gap, records).because(reason);
    }
    if !gap.is_none() {
        return judged
            .wrong(&gap, records)
            .because("it lists records whose content is not encrypted, or that it does not cover");
    }
    judged.unknown("each record that it lists is encrypted; whether it lists all that it should, only the keys tell")
}

/// Judges a snapshot. The fold is a function of the program that wrote it.
pub(super) fn snapshot(mut judged: Judged, records: &Records) -> Finding {
    if (0..judged.covered).any(|record| records.is_deleted(record)) {
        judged.finding.faults.push(Fault::FoldedDeleted);
    }
    judged.unknown("its position is an entry's; the value is folded by a function that is not known here")
}
