//! [`Rows`], the store as the view sees it: what was committed, and over it what was changed since.

use std::{
    collections::{BTreeMap, btree_map},
    iter::Peekable,
    ops::{Bound, ControlFlow},
};

use redb::{ReadOnlyTable, TableDefinition};

use super::table::Table;
use crate::{
    Result,
    view::{Checkpoint, Place},
    views::store::Store,
};

pub(super) const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");

/// Rows that can be changed; what is changed is kept in memory until it is committed.
pub(super) struct Rows {
    store: Store,
    /// The newest commit; none before the first.
    committed: Option<Table>,
    changed: Changed,
}

type Changed = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl Rows {
    pub(super) fn open(place: Option<&Place>, cache_bytes: usize) -> Result<(Self, Option<Checkpoint>)> {
        let store = Store::open(place, cache_bytes)?;
        let checkpoint = store.checkpoint()?;
        let mut rows = Self { store, committed: None, changed: Changed::new() };
        if checkpoint.is_some() {
            rows.committed = Some(rows.table()?);
        }
        Ok((rows, checkpoint))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.changed.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.committed.as_ref().map_or(Ok(None), |table| table.get(key)),
        }
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changed.insert(key, Some(value));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.changed.insert(key, None);
    }

    /// Shows `visit` the rows from `from` to before `to`, in order, until it breaks.
    pub(super) fn visit(
        &self,
        from: &[u8],
        to: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let mut changed = self.changed.range::<[u8], _>(bounds).peekable();
        if let Some(table) = &self.committed {
            for row in table.range(from, to)? {
                let (key, value) = row?;
                if visit_until(&mut changed, Some(&key), &mut visit)?.is_break() {
                    return Ok(());
                }
                let over = changed.next_if(|(over, _)| **over == key);
                let flow = match over {
                    Some((_, Some(value))) => visit(&key, value)?,
                    Some((_, None)) => ControlFlow::Continue(()),
                    None => visit(&key, &value)?,
                };
                if flow.is_break() {
                    return Ok(());
                }
            }
        }
        visit_until(&mut changed, None, &mut visit).map(drop)
    }

    /// Stores what was changed with `at`, and gives what there is then.
    pub(super) fn commit(&mut self, at: &Checkpoint) -> Result<Table> {
        let changed = &self.changed;
        self.store.commit(at, |transaction| {
            let mut table = transaction.open_table(ROWS)?;
            for (key, value) in changed {
                match value {
                    Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
            Ok(())
        })?;
        let table = self.table()?;
        self.changed.clear();
        self.committed = Some(table.clone());
        Ok(table)
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        self.store.sync()
    }

    fn table(&self) -> Result<Table> {
        let table: ReadOnlyTable<_, _> =
            self.store.read()?.open_table(ROWS).map_err(|error| self.store.failed(error))?;
        Ok(Table::new(table, self.store.path()))
    }
}

/// Shows `visit` the changed rows before `end`.
fn visit_until(
    changed: &mut Peekable<btree_map::Range<'_, Vec<u8>, Option<Vec<u8>>>>,
    end: Option<&[u8]>,
    visit: &mut impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    while let Some((key, value)) = changed.next_if(|(key, _)| end.is_none_or(|end| key.as_slice() < end)) {
        if let Some(value) = value
            && visit(key, value)?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
