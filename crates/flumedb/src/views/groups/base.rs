//! [`Base`], what the last publish left in the store.

use std::{path::PathBuf, sync::Arc};

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};
use serde::{Serialize, de::DeserializeOwned};

use super::state::GroupState;
use crate::{
    Damage, Error, Result, Seq,
    views::store::{Store, failed},
};

/// What is kept of each group, by key.
pub(super) const GROUPS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("groups");
/// What an entry has brought, and to which groups.
pub(super) const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");

pub(super) type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A snapshot of the tables.
#[derive(Clone)]
pub(super) struct Base {
    tables: Option<Arc<Tables>>,
    path: Arc<PathBuf>,
}

struct Tables {
    groups: Rows,
    entries: ReadOnlyTable<u64, &'static [u8]>,
}

fn open(transaction: &ReadTransaction) -> Result<Tables, TableError> {
    Ok(Tables { groups: transaction.open_table(GROUPS)?, entries: transaction.open_table(ENTRIES)? })
}

impl Base {
    /// As the newest commit left them.
    pub(super) fn of(store: &Store) -> Result<Self> {
        let tables = match open(&store.read()?) {
            Ok(tables) => Some(Arc::new(tables)),
            // Nothing was published yet.
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(store.failed(error)),
        };
        Ok(Self { tables, path: Arc::new(store.path().to_owned()) })
    }

    pub(super) fn groups(&self) -> Option<&Rows> {
        self.tables.as_ref().map(|tables| &tables.groups)
    }

    /// The row of the group with this key.
    pub(super) fn group(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(groups) = self.groups() else { return Ok(None) };
        let row = groups.get(key).map_err(|error| self.failed(error))?;
        Ok(row.map(|row| row.value().to_owned()))
    }

    /// What a row says of a group.
    pub(super) fn decode<S: Serialize + DeserializeOwned>(&self, row: &[u8]) -> Result<GroupState<S>> {
        GroupState::from_row(row).ok_or_else(|| self.damaged())
    }

    /// What an entry has brought, and to which groups.
    pub(super) fn entry(&self, seq: Seq) -> Result<Option<Vec<u8>>> {
        let Some(tables) = &self.tables else { return Ok(None) };
        let row = tables.entries.get(seq.get()).map_err(|error| self.failed(error))?;
        Ok(row.map(|row| row.value().to_owned()))
    }

    pub(super) fn failed(&self, error: impl Into<redb::Error>) -> Error {
        failed(error, &self.path)
    }

    /// The error for a row that is not as it was written.
    pub(super) fn damaged(&self) -> Error {
        Error::corrupt(Damage::new(&*self.path, 0, 0, "a row that is no group of this view"))
    }
}
