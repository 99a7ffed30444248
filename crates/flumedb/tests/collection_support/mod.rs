//! What a log of collections comes to, worked out in the most naive way there is.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};

use flumedb::{
    Bytes, Entry, Seq,
    collection::{ChangeKind, IndexRow, KeyRange, Write},
};

pub(crate) type Id = (String, Bytes);

/// A record as it is, or that it was deleted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) at: (Seq, u32),
    pub(crate) origin: u64,
    pub(crate) there: bool,
    pub(crate) rows: Vec<IndexRow>,
    pub(crate) value: Bytes,
}

/// All records, and all there ever was.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) records: BTreeMap<Id, Held>,
    pub(crate) refused: BTreeSet<Seq>,
    changes: Vec<(u64, Id)>,
}

impl Model {
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = &'a Entry<Write>>) -> Self {
        let mut model = Self::default();
        for entry in entries {
            model.write(entry.seq, &entry.value);
        }
        model
    }

    /// The records that there are.
    pub(crate) fn there(&self) -> impl Iterator<Item = (&Id, &Held)> {
        self.records.iter().filter(|(_, held)| held.there)
    }

    fn write(&mut self, seq: Seq, write: &Write) {
        let since = write.since.map_or(-1, |since| since.get() as i64);
        let is_changed = |range: &KeyRange| {
            let id = (range.collection.clone(), range.from.clone());
            if range.to == flumedb::collection::KeyEnd::Same {
                return self.records.get(&id).is_some_and(|held| held.origin as i64 > since);
            }
            let within = |id: &Id| id.0 == range.collection && range.contains(&id.1);
            self.changes.iter().any(|(at, id)| *at as i64 > since && within(id))
        };
        let is_there = |id: &Id| self.records.get(id).is_some_and(|held| held.there);
        let mut after = self.clone();
        for (number, change) in (0..).zip(&write.changes) {
            let id = (change.collection.clone(), change.key.clone());
            let origin = match change.kind {
                ChangeKind::Rewrite => change.origin.map_or(seq.get(), Seq::get),
                _ => seq.get(),
            };
            let there = change.kind != ChangeKind::Delete;
            let rows = if there { change.rows.clone() } else { vec![] };
            let held = Held { at: (seq, number), origin, there, rows, value: change.value.clone() };
            after.records.insert(id.clone(), held);
            if change.kind != ChangeKind::Rewrite {
                after.changes.push((seq.get(), id));
            }
        }
        if write.unchanged.iter().any(is_changed) || write.absent.iter().any(is_there) || !after.is_unique() {
            self.refused.insert(seq);
        } else {
            *self = after;
        }
    }

    fn is_unique(&self) -> bool {
        let mut rows = BTreeSet::new();
        let unique = self.records.iter().flat_map(|((collection, _), held)| {
            held.rows.iter().filter(|row| row.unique).map(move |row| (collection, &row.index, &row.key))
        });
        unique.into_iter().all(|row| rows.insert(row))
    }
}
