//! Packs: rows in order, many of them in one value of a table of redb, each without the bytes that it has in common with the
//! one before. For views with many small rows, which take several times the room, and the time, as rows of the table
//! itself.
//!
//! A pack is found by the key of its first row: a row belongs to the last pack that does not begin behind it, or to the first
//! pack. Under the empty key stands how many rows there are; no row has it.

mod change;
mod pack;
mod range;

use std::{ops::Bound, sync::Arc};

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition};

use self::pack::Reader;
pub(crate) use self::{
    change::Packs,
    range::{Rows, is_within},
};

/// What a table of packs is to redb.
type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Names a table of packs.
pub(crate) const fn table(name: &'static str) -> Definition {
    TableDefinition::new(name)
}

/// Rows from one to another.
pub(crate) type Within = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Where the number of rows stands.
const COUNT: &[u8] = &[];

/// How many rows that says.
fn count(bytes: &[u8]) -> Result<u64, redb::Error> {
    let bytes = bytes.try_into().map_err(|_| corrupted("a number of rows that is none"))?;
    Ok(u64::from_le_bytes(bytes))
}

fn corrupted(what: &str) -> redb::Error {
    redb::Error::Corrupted(what.to_owned())
}

/// Rows in packs, as they stood at one moment. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ReadPacks(Arc<ReadOnlyTable<&'static [u8], &'static [u8]>>);

impl ReadPacks {
    pub(crate) fn open(transaction: &ReadTransaction, table: Definition) -> Result<Self, redb::Error> {
        Ok(Self(Arc::new(transaction.open_table(table)?)))
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> Result<u64, redb::Error> {
        self.0.get(COUNT)?.map_or(Ok(0), |bytes| count(bytes.value()))
    }

    /// The last row that does not stand behind `key`.
    pub(crate) fn last_to<T>(
        &self,
        key: &[u8],
        read: impl FnOnce(&[u8], &[u8]) -> T,
    ) -> Result<Option<T>, redb::Error> {
        let within = (Bound::Excluded(COUNT), Bound::Included(key));
        let Some(pack) = self.0.range::<&[u8]>(within)?.next_back() else { return Ok(None) };
        let (first, bytes) = pack?;
        let (mut reader, mut found) = (Reader::new(first.value(), bytes.value()), None);
        let mut last = Vec::new();
        while let Some(value) = reader.next()? {
            if reader.key.as_slice() > key {
                break;
            }
            last.clone_from(&reader.key);
            found = Some(value);
        }
        Ok(found.map(|value| read(&last, value)))
    }

    /// The rows within, in order.
    pub(crate) fn range(&self, within: Within) -> Rows {
        Rows::new(self.clone(), within)
    }
}

#[cfg(test)]
mod tests;
