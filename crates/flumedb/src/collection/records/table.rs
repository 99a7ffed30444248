//! [`Table`], the rows of one commit.

use std::{
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Range, ReadOnlyTable};

use crate::{Damage, Error, Result, views::store::failed};

/// The rows of one commit, for as long as it lives. Cheap to clone.
#[derive(Clone)]
pub(in crate::collection) struct Table {
    rows: Arc<ReadOnlyTable<&'static [u8], &'static [u8]>>,
    path: Arc<PathBuf>,
}

/// A row: key and value.
pub(in crate::collection) type Row = (Vec<u8>, Vec<u8>);

impl Table {
    pub(super) fn new(rows: ReadOnlyTable<&'static [u8], &'static [u8]>, path: &Path) -> Self {
        Self { rows: Arc::new(rows), path: Arc::new(path.to_owned()) }
    }

    pub(in crate::collection) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.rows.get(key).map_err(|error| failed(error, &self.path))?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    /// The rows from `from` to before `to`.
    pub(in crate::collection) fn range(&self, from: &[u8], to: &[u8]) -> Result<TableRange> {
        let range = if from < to {
            let bounds = (Bound::Included(from), Bound::Excluded(to));
            Some(self.rows.range::<&[u8]>(bounds).map_err(|error| failed(error, &self.path))?)
        } else {
            None
        };
        Ok(TableRange { range, path: self.path.clone() })
    }

    /// What to say of a row that is not as this version writes it.
    pub(in crate::collection) fn damaged(&self) -> Error {
        Error::corrupt(Damage::new(&*self.path, 0, 0, "a row that is none of a collection"))
    }
}

/// Some rows, from both ends. Ends behind an error.
pub(in crate::collection) struct TableRange {
    range: Option<Range<'static, &'static [u8], &'static [u8]>>,
    path: Arc<PathBuf>,
}

impl TableRange {
    fn step(&mut self, from_end: bool) -> Option<Result<Row>> {
        let range = self.range.as_mut()?;
        let row = if from_end { range.next_back() } else { range.next() };
        let row = row?.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()));
        Some(row.map_err(|error| {
            self.range = None;
            failed(error, &self.path)
        }))
    }
}

impl Iterator for TableRange {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(false)
    }
}

impl DoubleEndedIterator for TableRange {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(true)
    }
}
