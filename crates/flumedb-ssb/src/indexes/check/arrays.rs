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

/// How far on the records lie whose positions `seq.index` has for others, if that is one distance: jitdb began again at
/// record 0 after so many.
pub(super) fn shift(words: &Words, records: &Records) -> Option<u32> {
    let mut shift = None;
    for (record, word) in (0..records.len()).zip(words.iter()) {
        let other = records.record(word.into())?.checked_sub(record)?;
        match shift {
            _ if other == 0 => {}
            None => shift = Some(other),
            Some(shift) if shift == other => {}
            Some(_) => return None,
        }
    }
    shift
}

/// Judges `seq.index`.
pub(super) fn positions(judged: Judged, words: &Words, shift: Option<u32>, records: &Records) -> Finding {
    let mut gap = Gap::default();
    for (record, word) in (0..judged.covered).zip(words.iter()) {
        if records.position(record).map(|seq| seq.get()) != Some(word.into()) {
            gap.extra.add(record);
        }
    }
    if let Some(shift) = shift {
        let mut finding = judged.wrong(&gap, records);
        finding.faults.push(Fault::Shifted);
        return finding.because(format!("positions of records {shift} further on stand for some records"));
    }
    match judged.counted(records) {
        Err(finding) => *finding,
        Ok(judged) if gap.is_none() => judged.covers(0),
        Ok(judged) => judged.wrong(&gap, records).because("the positions of some records are not theirs"),
    }
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
