//! Guards against a view of collections that decides otherwise when it is read anew than it did before: after deletions,
//! crashes and rebuilds it must show what a naive reading of the log that is left comes to.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod collection_support;

use std::collections::{BTreeMap, BTreeSet};

use collection_support::Model;
use flumedb::{
    Bytes, Entry, Seq,
    collection::{ChangeKind, IndexRow, KeyEnd, KeyRange, RecordChange, Records, RecordsReader, Write},
};
use flumedb_sim::{
    Choices,
    views::{Subject, check},
};

const COLLECTIONS: [&str; 2] = ["a", "b"];
const INDEXES: [&str; 2] = ["many", "one"];
const KEYS: u64 = 4;

struct Collections;

/// What a reader says: where each record is, what each key of an index has, which entries were refused.
#[derive(Debug, PartialEq)]
struct Seen {
    records: BTreeMap<(String, Bytes), (Seq, u32)>,
    rows: BTreeMap<(String, String, u8), BTreeSet<Bytes>>,
    refused: BTreeSet<Seq>,
}

fn key(number: u64) -> Bytes {
    Bytes::from(vec![number as u8])
}

impl Subject for Collections {
    type Item = Write;
    type View = Records;
    type Seen = Seen;

    fn view(&self, _: u32) -> Records {
        Records::default()
    }

    fn item(&self, chance: &mut Choices) -> Write {
        let since = match chance.pick(4) {
            0 => None,
            _ => Some(Seq::new(chance.pick(150))),
        };
        let mut changes: BTreeMap<(String, Bytes), RecordChange> = BTreeMap::new();
        for _ in 0..=chance.pick(6).saturating_sub(3) {
            let kind = [ChangeKind::Put, ChangeKind::Put, ChangeKind::Delete, ChangeKind::Rewrite];
            let kind = kind[chance.pick(4) as usize];
            let rows = (0..chance.pick(3)).map(|_| {
                let index = chance.pick(2) as usize;
                IndexRow { index: INDEXES[index].into(), unique: index == 1, key: key(chance.pick(3)) }
            });
            let rows: BTreeSet<IndexRow> = rows.collect();
            // Now and then a declaration, of which nobody can make anything.
            let collection = if chance.pick(30) == 0 { "" } else { COLLECTIONS[chance.pick(2) as usize] };
            let change = RecordChange {
                kind,
                origin: (kind == ChangeKind::Rewrite).then(|| Seq::new(chance.pick(150))),
                collection: collection.into(),
                key: key(chance.pick(KEYS)),
                version: 1,
                generation: 1,
                rows: if kind == ChangeKind::Delete { vec![] } else { rows.into_iter().collect() },
                value: Bytes::new(),
            };
            changes.insert((change.collection.clone(), change.key.clone()), change);
        }
        let range = |chance: &mut Choices| {
            let to = match chance.pick(4) {
                0 => KeyEnd::Before(key(chance.pick(KEYS))),
                1 => KeyEnd::Open,
                _ => KeyEnd::Same,
            };
            KeyRange { collection: COLLECTIONS[chance.pick(2) as usize].into(), from: key(chance.pick(KEYS)), to }
        };
        let unchanged = if chance.pick(3) == 0 { vec![range(chance)] } else { vec![] };
        let absent = if chance.pick(6) == 0 { vec![("a".to_owned(), key(chance.pick(KEYS)))] } else { vec![] };
        Write { time_ms: 1, since, unchanged, absent, changes: changes.into_values().collect() }
    }

    async fn look(&self, reader: &RecordsReader) -> Seen {
        let (mut records, mut rows) = (BTreeMap::new(), BTreeMap::new());
        for collection in COLLECTIONS.iter().copied().chain([""]) {
            for key in reader.keys(collection).unwrap() {
                let at = reader.find(collection, &key).unwrap().unwrap();
                records.insert((collection.to_owned(), key), at);
            }
            for index in INDEXES {
                for number in 0..3 {
                    let found: BTreeSet<Bytes> =
                        reader.find_by(collection, index, &[number]).unwrap().into_iter().collect();
                    if !found.is_empty() {
                        rows.insert((collection.to_owned(), index.to_owned(), number), found);
                    }
                }
            }
        }
        let refused = (0..600).map(Seq::new).filter(|seq| reader.refused(*seq).unwrap().is_some()).collect();
        Seen { records, rows, refused }
    }

    fn expect(&self, _: u32, entries: &[Entry<Write>]) -> Seen {
        let model = Model::of(entries);
        let mut rows: BTreeMap<(String, String, u8), BTreeSet<Bytes>> = BTreeMap::new();
        for ((collection, key), held) in model.there() {
            for row in &held.rows {
                let place = (collection.clone(), row.index.clone(), row.key[0]);
                rows.entry(place).or_default().insert(key.clone());
            }
        }
        let records = model.there().map(|(id, held)| (id.clone(), held.at)).collect();
        Seen { records, rows, refused: model.refused }
    }
}

#[test]
fn whatever_is_left_of_the_log_decides() {
    check(&Collections, 150);
}
