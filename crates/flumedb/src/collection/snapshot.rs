//! [`Snapshot`], all collections as they stood at one moment.

use std::sync::Arc;

use super::{pins::Pin, record::Record, records::RecordsReader, value};
use crate::{Bytes, ErrorKind, Result};

/// All collections as they stood at one moment: what [`Collection::at`](super::Collection::at) reads. Cheap to clone.
///
/// While there is one, what it shows is not deleted from the log, so do not keep it for long. When the database is
/// closed, or its view had to be opened again after a failure, reads of it fail with `Closed`: take another.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) reader: RecordsReader,
    pub(super) pin: Arc<Pin>,
}

impl Snapshot {
    pub(super) fn get<T: Record>(&self, key: &[u8]) -> Result<Option<T>> {
        let Some(current) = self.reader.current(T::NAME, key)?.filter(|current| current.is_there()) else {
            return Ok(None);
        };
        self.read(current.at)
    }

    /// The record that a change put; `None` if somebody has deleted its entry from the log.
    pub(super) fn read<T: Record>(&self, at: (u64, u32)) -> Result<Option<T>> {
        match self.reader.change(at) {
            Ok(change) => value::record(&change.value, change.version).map(Some),
            Err(error) if error.kind() == ErrorKind::Deleted => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The key of the record that has this key in a unique index.
    pub(super) fn holder(&self, collection: &str, index: &str, key: &[u8]) -> Result<Option<Bytes>> {
        let row = super::records::row::index(true, collection, index, key);
        Ok(self.reader.get(&row)?.map(Bytes::from))
    }
}
