//! [`Changes`], groups that have changed since the last publish.

use std::{collections::BTreeMap, io, sync::Arc};

use redb::{ReadableTable, WriteTransaction};

use super::{
    base::{Base, ENTRIES},
    keys::{KeysOf, join, split},
    loaded::Loaded,
    members::{Members, MembersTable},
    state::to_bytes,
};
use crate::{Error, Result, Seq, view::Retraction, views::aggregate::Aggregate};

/// What has changed, and how to change it.
pub(super) struct Changes<T, A: Aggregate<T>> {
    keys: KeysOf<T>,
    aggregate: Arc<A>,
    /// Whether what entries bring is kept.
    pub(super) undo: bool,
    pub(super) groups: Loaded<A::State>,
    members: Members,
    /// What entries have brought, and to which groups; `None`: it was taken back.
    entries: BTreeMap<Seq, Option<Vec<u8>>>,
    /// The keys of one entry, to use their memory again.
    found: Vec<Vec<u8>>,
}

impl<T, A: Aggregate<T>> Changes<T, A> {
    pub(super) fn new(keys: KeysOf<T>, aggregate: Arc<A>) -> Self {
        let (groups, members, entries, found) = Default::default();
        Self { keys, aggregate, undo: false, groups, members, entries, found }
    }

    pub(super) fn clear(&mut self) {
        self.groups = Loaded::default();
        self.members.clear();
        self.entries.clear();
    }

    pub(super) fn add(&mut self, base: &Base, seq: Seq, item: &T) -> Result<()> {
        let mut found = std::mem::take(&mut self.found);
        (self.keys)(item, &mut found);
        if self.undo && !found.is_empty() {
            let part = to_bytes(&self.part(seq, item))?;
            for key in &found {
                self.members.add(key, seq.get());
            }
            self.entries.insert(seq, Some(join(&found, &part)));
        }
        for key in found.drain(..) {
            let group = self.groups.load(base, key)?;
            group.entries += 1;
            group.listed += u64::from(self.undo);
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
                group.empty();
            }
        }
        Ok(Retraction::Done)
    }

    /// Takes away what the entry has brought, if it has brought anything.
    fn undo(&mut self, base: &Base, seq: Seq) -> Result<()> {
        let row = match self.entries.get(&seq) {
            Some(row) => row.clone(),
            None => base.entry(seq)?,
        };
        let Some(row) = row else { return Ok(()) };
        let (keys, part) = split(&row).ok_or_else(|| base.damaged())?;
        let part = rmp_serde::from_slice(part).map_err(|_| base.damaged())?;
        for key in keys {
            let group = self.groups.load(base, key.to_owned())?;
            group.entries = group.entries.checked_sub(1).ok_or_else(|| base.damaged())?;
            if group.entries == 0 {
                group.empty();
            } else if !group.stale {
                group.stale = !self.aggregate.subtract(&mut group.state, &part);
            }
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
        let mut entries = transaction.open_table(ENTRIES)?;
        for (seq, keys) in &self.entries {
            match keys {
                Some(keys) => entries.insert(seq.get(), keys.as_slice())?,
                None => entries.remove(seq.get())?,
            };
        }
        let mut members = self.members.write(transaction)?;
        self.groups.write(transaction, |key| merged(&*self.aggregate, &mut members, &entries, key), carried)
    }
}

/// The state of a group, from what its entries have brought, and how many these are.
fn merged<T, A: Aggregate<T>>(
    aggregate: &A,
    members: &mut MembersTable<'_>,
    entries: &impl ReadableTable<u64, &'static [u8]>,
    key: &[u8],
) -> Result<(A::State, u64), redb::Error> {
    let damaged = || redb::Error::Corrupted("a row that is not what an entry has brought".to_owned());
    let mut state = A::State::default();
    let listed = members.sift(key, |number| {
        let Some(row) = entries.get(number)? else { return Ok(false) };
        let (keys, part) = split(row.value()).ok_or_else(damaged)?;
        let is_in = keys.contains(&key);
        if is_in {
            aggregate.merge(&mut state, &rmp_serde::from_slice(part).map_err(|_| damaged())?);
        }
        Ok(is_in)
    })?;
    Ok((state, listed))
}

/// An error of ours on its way through redb's.
fn carried(error: Error) -> redb::Error {
    redb::Error::Io(io::Error::other(error))
}
