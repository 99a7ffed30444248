//! [`Questions`], everything that the index files of a directory ask of the log, put to each record once.

use flumedb::{Bytes, codec::Document};

use super::{
    Predicates,
    arrays::{self, Fields},
    bitvectors,
    finding::{Finding, Verdict},
    judged::Judged,
    paths::Paths,
    positions,
    prefixes::Prefixes,
    records::{Records, State},
    tables::{self, Hashes, Keys},
    values::{Entry, Values},
};
use crate::{
    Doc,
    indexes::{Content, IndexFile, IndexKind},
};

const NOTHING: &str = "there is nothing in it to judge";

/// What the index files of a directory ask.
pub(super) struct Questions<'q> {
    predicates: &'q Predicates,
    paths: Paths,
    values: Values,
    keys: Option<Keys>,
    files: Vec<Question>,
}

enum Question {
    /// Nothing: the finding is there.
    Answered(Finding),
    /// Nothing that is in the records.
    Places(Judged),
    Bitvector(Judged, usize),
    Fields(Judged, Fields),
    Prefixes(Judged, Prefixes),
    /// The same, and the prefix of each record.
    PrefixMap(Judged, Prefixes, Vec<u32>),
}

impl<'q> Questions<'q> {
    pub(super) fn new(files: Vec<IndexFile>, records: &Records, predicates: &'q Predicates, hashes: &Hashes) -> Self {
        let has_tables = files.iter().any(|file| file.kind == IndexKind::Hashtable);
        let keys = has_tables.then(|| Keys::new(hashes, records));
        let mut questions =
            Self { predicates, paths: Paths::default(), values: Values::default(), keys, files: Vec::new() };
        for file in files {
            let question = questions.question(file, records).unwrap_or_else(|finding| Question::Answered(*finding));
            questions.files.push(question);
        }
        questions
    }

    fn question(&mut self, file: IndexFile, records: &Records) -> Result<Question, Box<Finding>> {
        if file.kind == IndexKind::Marker {
            let reason = "a compaction has not ended; indexes are to be cut back, or built anew, when it has";
            return Err(Box::new(Finding::new(file, Verdict::Unknown).because(reason)));
        }
        if file.kind == IndexKind::Snapshot && file.damage.is_none() && matches!(file.content(), Content::Nothing) {
            let reason = "it holds no position: the view was destroyed, or this is no snapshot of one";
            return Err(Box::new(Finding::new(file, Verdict::Unknown).because(reason)));
        }
        let judged = Judged::new(file, records)?;
        let file = &judged.finding.file;
        let stem = file.stem();
        Ok(match file.kind {
            IndexKind::Bitvector => {
                let number = self.values.add(stem, &mut self.paths, self.predicates);
                Question::Bitvector(judged, number)
            }
            IndexKind::Times | IndexKind::Sequences => {
                let fields = Fields::new(file.kind, judged.covered, &mut self.paths);
                Question::Fields(judged, fields)
            }
            IndexKind::Prefixes => {
                let prefixes = Prefixes::new(stem, judged.covered, &mut self.paths);
                Question::Prefixes(judged.counted(records)?, prefixes)
            }
            IndexKind::PrefixMap => {
                let stem = stem.strip_suffix("__map").unwrap_or(stem);
                let prefixes = Prefixes::new(stem, judged.covered, &mut self.paths);
                Self::prefix_map(judged.counted(records)?, prefixes, records)?
            }
            _ => Question::Places(judged),
        })
    }

    /// Spreads a prefix map over the records.
    fn prefix_map(judged: Judged, prefixes: Prefixes, records: &Records) -> Result<Question, Box<Finding>> {
        let mut held = vec![0; judged.covered as usize];
        let mut strangers = 0_u64;
        if let Content::PrefixMap(map) = judged.finding.file.content() {
            map.visit(&mut |prefix, record| match held.get_mut(record as usize) {
                Some(slot @ 0) => *slot = prefix,
                // A deleted record may be counted behind the position.
                None if records.is_deleted(record) => {}
                _ => strangers += 1,
            });
        }
        if strangers > 0 {
            let reason = format!("it names {strangers} records twice, or that it does not cover");
            return Err(Box::new(Finding { verdict: Verdict::Wrong, ..judged.finding }.because(reason)));
        }
        Ok(Question::PrefixMap(judged, prefixes, held))
    }

    /// Takes in a record; `None`: a deleted one.
    pub(super) fn take(&mut self, record: u32, payload: Option<Bytes>, records: &mut Records) {
        let Some(payload) = payload else { return records.mark(record, State::Deleted) };
        let Ok(document) = Doc::parse(payload) else { return records.mark(record, State::Unreadable) };
        let fields = self.paths.fields(&document);
        let encrypted = document.text(&["value", "content"]).is_some_and(|text| text.contains(".box"));
        if encrypted {
            records.mark(record, State::Encrypted);
        }
        if let Some(keys) = &mut self.keys {
            keys.take(record, &document);
        }
        let entry = Entry { record, document: &document, fields: &fields };
        self.values.take(&entry, &self.paths, self.predicates);
        for question in &mut self.files {
            match question {
                Question::Fields(judged, array) => array.take(record, judged.finding.file.content(), &fields),
                Question::Prefixes(judged, prefixes) => {
                    let Content::Words(words) = judged.finding.file.content() else { continue };
                    prefixes.take(&entry, words.get(record).unwrap_or_default(), encrypted, &self.paths);
                }
                Question::PrefixMap(_, prefixes, held) => {
                    let held = held.get(record as usize).copied().unwrap_or_default();
                    prefixes.take(&entry, held, encrypted, &self.paths);
                }
                _ => {}
            }
        }
    }

    /// What to say of each file, once every record was taken in.
    pub(super) fn judge(self, records: &Records) -> Vec<Finding> {
        let Self { paths, values, keys, files, .. } = self;
        let shift = files.iter().find_map(|question| match question {
            Question::Places(judged) => match judged.finding.file.content() {
                Content::Words(words) => arrays::shift(words, records),
                _ => None,
            },
            _ => None,
        });
        let judge = |question| match question {
            Question::Answered(finding) => finding,
            Question::Fields(judged, fields) => fields.judge(judged, records),
            Question::Prefixes(judged, prefixes) | Question::PrefixMap(judged, prefixes, _) => {
                prefixes.judge(judged, &paths, records)
            }
            Question::Bitvector(judged, number) => {
                let content = judged.finding.file.content().clone();
                match (content, values.get(number)) {
                    (Content::Bits(bits), Some(about)) => {
                        bitvectors::judge(judged, &bits, about, shift, &paths, records)
                    }
                    _ => judged.unknown(NOTHING),
                }
            }
            Question::Places(judged) => match (judged.finding.file.content().clone(), &keys) {
                (Content::Words(words), _) => arrays::positions(judged, &words, shift, records),
                (Content::Numbers(numbers), _) => positions::numbers(judged, &numbers, records),
                (Content::Snapshot(_), _) => positions::snapshot(judged, records),
                (Content::Hashtable(table), Some(keys)) => tables::judge(judged, &table, keys, records),
                _ => judged.unknown(NOTHING),
            },
        };
        files.into_iter().map(judge).collect()
    }
}
