//! [`Snapshot`], all collections as they stood at one moment.

use std::sync::Arc;

use super::{
    envelope::RecordChange,
    pins::Pin,
    record::Record,
    records::{
        Records, RecordsReader,
        row::{self, Current},
    },
    value,
};
use crate::{Bytes, ErrorKind, Result, view::Live};

/// All collections as they stood at one moment: what [`Collection::at`](super::Collection::at) reads. Cheap to clone.
///
/// While there is one, what it shows is not deleted from the log, so do not keep it for long. When the database is
/// closed, or its view had to be opened again after a failure, reads of it fail with `Closed`: take another.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) reader: RecordsReader,
    pub(super) records: Live<Records>,
    pub(super) pin: Arc<Pin>,
}

impl Snapshot {
    pub(super) fn get<T: Record>(&self, key: &[u8]) -> Result<Option<T>> {
        match self.reader.current(T::NAME, key)? {
            Some(current) => self.read(key, &current),
            None => Ok(None),
        }
    }

    /// The record that `current` says where it is.
    pub(super) fn read<T: Record>(&self, key: &[u8], current: &Current) -> Result<Option<T>> {
        let mut change = self.reader.change_of(current);
        if is_deleted(&change)
            && let Some(newest) = self.records.read_stale()
        {
            // The writer is another process, which does not know who reads here; or it was deleted by hand.
            change = match newest.current(T::NAME, key)? {
                Some(current) => newest.change_of(&current),
                None => Ok(None),
            };
        }
        match change {
            Ok(Some(change)) => value::record(&change.value, change.version).map(Some),
            Err(error) if error.kind() != ErrorKind::Deleted => Err(error),
            _ => Ok(None),
        }
    }

    /// The key of the record that has this key in a unique index.
    pub(super) fn holder(&self, collection: &str, index: &str, key: &[u8]) -> Result<Option<Bytes>> {
        let row = row::index(true, collection, index, key);
        Ok(self.reader.get(&row)?.map(Bytes::from))
    }
}

fn is_deleted(change: &Result<Option<RecordChange>>) -> bool {
    change.as_ref().is_err_and(|error| error.kind() == ErrorKind::Deleted)
}
