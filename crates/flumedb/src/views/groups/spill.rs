//! [`Spilled`], rows of groups that wait in the store for the next publish. Readers do not see them, and whoever opens the
//! store after a crash throws them away.

use redb::{ReadOnlyTable, ReadableTable, StorageError, TableDefinition, TableError, WriteTransaction};

use super::base::Base;
use crate::{Result, view::Checkpoint, views::store::Store};

const SPILLED: TableDefinition<&[u8], &[u8]> = TableDefinition::new("spilled");

/// What was put aside since the last publish.
#[derive(Default)]
pub(super) struct Spilled(Option<ReadOnlyTable<&'static [u8], &'static [u8]>>);

impl Spilled {
    /// Throws away what a run before this one put aside and did not publish; `at` is what it published last.
    pub(super) fn clean(store: &mut Store, at: &Checkpoint) -> Result<()> {
        let table = store.read()?.open_table(SPILLED);
        match table {
            Ok(_) => store.commit(at, |transaction| Ok(transaction.delete_table(SPILLED).map(drop)?)),
            Err(TableError::TableDoesNotExist(_)) => Ok(()),
            Err(error) => Err(store.failed(error)),
        }
    }

    /// Adds rows, which are in order; `at` is what was published last.
    pub(super) fn add(&mut self, store: &mut Store, at: &Checkpoint, rows: &[(&[u8], Vec<u8>)]) -> Result<()> {
        store.commit(at, |transaction| {
            let mut table = transaction.open_table(SPILLED)?;
            for (key, row) in rows {
                table.insert(*key, row.as_slice())?;
            }
            Ok(())
        })?;
        self.0 = Some(store.read()?.open_table(SPILLED).map_err(|error| store.failed(error))?);
        Ok(())
    }

    /// The row with this key, if there is one.
    pub(super) fn row(&self, base: &Base, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(table) = &self.0 else { return Ok(None) };
        let row = table.get(key).map_err(|error| base.failed(error))?;
        Ok(row.map(|row| row.value().to_owned()))
    }

    /// Shows `put` all rows, in order, and removes them.
    pub(super) fn take_all(
        &self,
        transaction: &WriteTransaction,
        mut put: impl FnMut(&[u8], &[u8]) -> Result<(), StorageError>,
    ) -> Result<(), redb::Error> {
        if self.0.is_none() {
            return Ok(());
        }
        let rows = transaction.open_table(SPILLED)?;
        for row in rows.range::<&[u8]>(..)? {
            let (key, row) = row?;
            put(key.value(), row.value())?;
        }
        drop(rows);
        transaction.delete_table(SPILLED)?;
        Ok(())
    }
}
