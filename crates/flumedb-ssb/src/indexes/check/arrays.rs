//! What to say of jitdb's core arrays: positions, times and sequences.

use flumedb::codec::Field;

use super::{
    finding::{Fault, Finding},
    gap::Gap,
    judged::Judged,
    paths::Paths,
    records::Records,
};
use crate::indexes::{Content, IndexKind, Words};

/// Judges `seq.index`.
pub(super) fn positions(judged: Judged, words: &Words, records: &Records) -> Finding {
    let judged = match judged.counted(records) {
        Ok(judged) => judged,
        Err(finding) => return *finding,
    };
    let mut gap = Gap::default();
    let mut shift = None;
    for (record, word) in (0..judged.covered).zip(words.iter()) {
        if records.position(record).map(|seq| seq.get()) != Some(word.into()) {
            gap.extra.add(record);
            // The position of a later record.
            let other = records.record(word.into()).and_then(|other| other.checked_sub(record));
            shift = if gap.extra.count == 1 { other } else { shift.filter(|_| shift == other) };
        }
    }
    if gap.is_none() {
        return judged.covers(0);
    }
    let mut finding = judged.wrong(&gap, records).because("the positions of some records are not theirs");
    if let Some(shift) = shift {
        finding.faults.push(Fault::Shifted);
        finding.reason = Some(format!("positions of records {shift} further on stand for some records"));
    }
    finding
}

/// What `timestamp.index` or `sequence.index` has wrong so far.
pub(super) struct Fields {
    covered: u32,
    gap: Gap,
    untold: u64,
    /// The fields that it is over.
    paths: Vec<usize>,
}

impl Fields {
    /// An array of this kind that covers the first `covered` records.
    pub(super) fn new(kind: IndexKind, covered: u32, paths: &mut Paths) -> Self {
        let names: &[&[&str]] = match kind {
            IndexKind::Times => &[&["timestamp"], &["value", "timestamp"]],
            _ => &[&["value", "sequence"]],
        };
        let paths = names.iter().map(|names| paths.intern(names)).collect();
        Self { covered, gap: Gap::default(), untold: 0, paths }
    }

    /// Takes in a record that can be looked into. It is not judged where a field is no number.
    pub(super) fn take(&mut self, record: u32, content: &Content, fields: &[Option<Field<'_>>]) {
        if record >= self.covered {
            return;
        }
        let number = |path: &usize| match fields.get(*path)?.as_ref()? {
            Field::Integer(number) => Some(*number as f64),
            Field::Float(number) => Some(*number),
            _ => None,
        };
        let expected = self.paths.iter().map(number).collect::<Option<Vec<f64>>>();
        let expected = expected.and_then(|numbers| numbers.into_iter().reduce(f64::min));
        let held = match content {
            Content::Doubles(doubles) => doubles.get(record),
            Content::Words(words) => words.get(record).map(f64::from),
            _ => None,
        };
        match expected {
            None => self.untold += 1,
            Some(_) if expected == held => {}
            Some(_) => self.gap.extra.add(record),
        }
    }

    /// What to say of it.
    pub(super) fn judge(&self, judged: Judged, records: &Records) -> Finding {
        let judged = match judged.counted(records) {
            Ok(judged) => judged,
            Err(finding) => return *finding,
        };
        let untold = self.untold + records.untold(self.covered, false);
        if self.gap.is_none() {
            return judged.covers(untold);
        }
        Finding { untold, ..judged.wrong(&self.gap, records).because("the numbers of some records are not theirs") }
    }
}
