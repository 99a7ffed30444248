//! [`Loaded`], groups that have changed since the last publish: in memory, and beyond a limit aside in the store.

use std::collections::{HashMap, hash_map::Entry};

use redb::{Table, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    base::{Base, GROUPS},
    spill::Spilled,
    state::GroupState,
};
use crate::{Result, view::Checkpoint, views::store::Store};

/// About what it costs to have a group in memory, its key and state aside; and by how much an entry makes it grow.
const GROUP_BYTES: usize = 100;
const GROWTH: usize = 32;

pub(super) struct Loaded<S> {
    groups: HashMap<Vec<u8>, GroupState<S>>,
    spilled: Spilled,
    /// About how many bytes of memory the groups take.
    held: usize,
}

impl<S> Default for Loaded<S> {
    fn default() -> Self {
        Self { groups: HashMap::new(), spilled: Spilled::default(), held: 0 }
    }
}

impl<S: Default + Serialize + DeserializeOwned> Loaded<S> {
    /// The group of this key as it is now, to be changed.
    pub(super) fn load(&mut self, base: &Base, key: Vec<u8>) -> Result<&mut GroupState<S>> {
        self.held += GROWTH;
        match self.groups.entry(key) {
            Entry::Occupied(group) => Ok(group.into_mut()),
            Entry::Vacant(place) => {
                let row = match self.spilled.row(base, place.key())? {
                    None => base.group(place.key())?,
                    found => found,
                };
                // States take about twice the memory that they take as rows.
                self.held += GROUP_BYTES + place.key().len() + row.as_ref().map_or(0, |row| row.len() * 2);
                let group = row.filter(|row| !row.is_empty()).map(|row| base.decode(&row)).transpose()?;
                Ok(place.insert(group.unwrap_or_default()))
            }
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Puts groups aside, into the store, where nobody sees them before the next publish; `at` is what was published last.
    pub(super) fn spill(&mut self, store: &mut Store, at: &Checkpoint) -> Result<()> {
        let mut groups: Vec<_> = self.groups.iter().filter(|(_, group)| !group.is_loose()).collect();
        groups.sort_unstable_by_key(|group| group.0);
        let rows = groups.into_iter().map(|(key, group)| Ok((key.as_slice(), group.to_row()?)));
        self.spilled.add(store, at, &rows.collect::<Result<Vec<_>>>()?)?;
        // Those whose members are to be looked through stay: what that needs is not in the store yet.
        self.groups.retain(|_, group| group.is_loose());
        self.held = 0;
        Ok(())
    }

    /// Writes everything where readers see it; `anew` makes the state of a group from its members, and says how many they are.
    pub(super) fn write(
        &mut self,
        transaction: &WriteTransaction,
        mut anew: impl FnMut(&[u8]) -> Result<(S, u64), redb::Error>,
        carried: impl Fn(crate::Error) -> redb::Error,
    ) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(GROUPS)?;
        self.spilled.take_all(transaction, |key, row| put(&mut table, key, row))?;
        let mut changed: Vec<_> = self.groups.iter_mut().collect();
        changed.sort_unstable_by(|one, other| one.0.cmp(other.0));
        for (key, group) in changed {
            if group.is_loose() {
                (group.state, group.listed) = anew(key)?;
                group.stale = false;
            }
            put(&mut table, key, &group.to_row().map_err(&carried)?)?;
        }
        Ok(())
    }
}

/// An empty row is a group that is gone.
fn put(table: &mut Table<'_, &'static [u8], &'static [u8]>, key: &[u8], row: &[u8]) -> Result<(), redb::StorageError> {
    if row.is_empty() {
        table.remove(key)?
    } else {
        table.insert(key, row)?
    };
    Ok(())
}
