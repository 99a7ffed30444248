//! [`Changes`], groups that have changed since the last publish.

use std::{collections::BTreeMap, io, sync::Arc};

use redb::{ReadableTable, WriteTransaction};

use super::{
    base::{Base, ENTRIES, PARTS},
    keys::{KeysOf, after_prefix, join, part_key, split},
    loaded::Loaded,
    state::{GroupState, to_bytes},
};
use crate::{Error, Result, Seq, view::Retraction, views::aggregate::Aggregate};

/// What has changed, and how to change it.
pub(super) struct Changes<T, A: Aggregate<T>> {
    keys: KeysOf<T>,
    aggregate: Arc<A>,
    /// Whether what entries bring is kept.
    pub(super) undo: bool,
    pub(super) groups: Loaded<A::State>,
    /// Rows of the other tables; `None`: removed.
    parts: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    entries: BTreeMap<Seq, Option<Vec<u8>>>,
    /// The keys of one entry, to use their memory again.
    found: Vec<Vec<u8>>,
}

impl<T, A: Aggregate<T>> Changes<T, A> {
    pub(super) fn new(keys: KeysOf<T>, aggregate: Arc<A>) -> Self {
        let (groups, parts, entries, found) = Default::default();
        Self { keys, aggregate, undo: false, groups, parts, entries, found }
    }

    pub(super) fn clear(&mut self) {
        self.groups = Loaded::default();
        self.parts.clear();
        self.entries.clear();
    }

    pub(super) fn add(&mut self, base: &Base, seq: Seq, item: &T) -> Result<()> {
        let mut found = std::mem::take(&mut self.found);
        (self.keys)(item, &mut found);
        if self.undo && !found.is_empty() {
            let part = to_bytes(&self.part(seq, item))?;
            for key in &found {
                self.parts.insert(part_key(key, seq), Some(part.clone()));
            }
            self.entries.insert(seq, Some(join(&found)));
        }
        for key in found.drain(..) {
            let group = self.groups.load(base, key)?;
            group.entries += 1;
            self.aggregate.add(&mut group.state, seq, item);
        }
        self.found = found;
        Ok(())
    }

    pub(super) fn retract(&mut self, base: &Base, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        if self.undo {
            self.undo(base, seq)?;
            return Ok(Retraction::Done);
        }
        let Some(item) = item else { return Ok(Retraction::Rebuild) };
        let (mut keys, part) = (Vec::new(), self.part(seq, item));
        (self.keys)(item, &mut keys);
        for key in keys {
            let group = self.groups.load(base, key)?;
            let Some(rest) = group.entries.checked_sub(1) else { return Ok(Retraction::Rebuild) };
            group.entries = rest;
            // A group without entries is gone, whatever was in it.
            if rest > 0 && !self.aggregate.subtract(&mut group.state, &part) {
                return Ok(Retraction::Rebuild);
            }
            if rest == 0 {
                *group = GroupState::default();
            }
        }
        Ok(Retraction::Done)
    }

    /// Takes away what the entry has brought, if it has brought anything.
    fn undo(&mut self, base: &Base, seq: Seq) -> Result<()> {
        let keys = match self.entries.get(&seq) {
            Some(keys) => keys.clone(),
            None => base.entry(seq)?,
        };
        let Some(keys) = keys else { return Ok(()) };
        for key in split(&keys).ok_or_else(|| base.damaged())? {
            let row = part_key(&key, seq);
            let part = match self.parts.get(&row) {
                Some(part) => part.clone(),
                None => base.part(&row)?,
            };
            let part = part.and_then(|part| rmp_serde::from_slice(&part).ok()).ok_or_else(|| base.damaged())?;
            let group = self.groups.load(base, key)?;
            group.entries = group.entries.checked_sub(1).ok_or_else(|| base.damaged())?;
            if group.entries == 0 {
                *group = GroupState::default();
            } else if !group.stale {
                group.stale = !self.aggregate.subtract(&mut group.state, &part);
            }
            self.parts.insert(row, None);
        }
        self.entries.insert(seq, None);
        Ok(())
    }

    fn part(&self, seq: Seq, item: &T) -> A::State {
        let mut part = A::State::default();
        self.aggregate.add(&mut part, seq, item);
        part
    }

    /// Writes everything, in the order of the tables.
    pub(super) fn write(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut parts = transaction.open_table(PARTS)?;
        for (key, part) in &self.parts {
            match part {
                Some(part) => parts.insert(key.as_slice(), part.as_slice())?,
                None => parts.remove(key.as_slice())?,
            };
        }
        let mut entries = transaction.open_table(ENTRIES)?;
        for (seq, keys) in &self.entries {
            match keys {
                Some(keys) => entries.insert(seq.get(), keys.as_slice())?,
                None => entries.remove(seq.get())?,
            };
        }
        self.groups.write(transaction, |key| merged(&*self.aggregate, &parts, key), carried)
    }
}

/// The state of a group, from what its entries have brought.
fn merged<T, A: Aggregate<T>>(
    aggregate: &A,
    parts: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<A::State, redb::Error> {
    let mut state = A::State::default();
    let rows = match after_prefix(key) {
        Some(end) => parts.range::<&[u8]>(key..end.as_slice())?,
        None => parts.range::<&[u8]>(key..)?,
    };
    for row in rows {
        let part = rmp_serde::from_slice(row?.1.value())
            .map_err(|error| redb::Error::Corrupted(format!("a row that is no part of a group: {error}")))?;
        aggregate.merge(&mut state, &part);
    }
    Ok(state)
}

/// An error of ours on its way through redb's.
fn carried(error: Error) -> redb::Error {
    redb::Error::Io(io::Error::other(error))
}
