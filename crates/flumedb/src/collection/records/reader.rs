//! [`RecordsReader`], the records as they stood at one entry of the log.

use super::{
    Table, TableRange,
    row::{self, At, Current, Refusal, Version},
};
use crate::{
    Bytes, Error, ErrorKind, Result, Seq,
    codec::Codec,
    collection::envelope::{Envelope, RecordChange, Write},
    view::Entries,
};

/// The records as they stood at one entry of the log. Values are in the log.
#[derive(Clone)]
pub struct RecordsReader {
    table: Table,
    entries: Entries<Write>,
    since: Option<Seq>,
    epoch: u64,
}

impl RecordsReader {
    pub(super) fn new(table: Table, entries: Entries<Write>, since: Option<Seq>, epoch: u64) -> Self {
        Self { table, entries, since, epoch }
    }

    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }

    /// Another number than that of an earlier reader: records may have gone without a change that says so.
    pub(in crate::collection) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What a collection has under a key: the entry that holds it, and which of its changes it is. The key is in bytes
    /// that keep its order ([`AsKey::encode`](crate::views::AsKey::encode)).
    ///
    /// # Errors
    /// `Closed` if the view was opened again or closed, `Corrupt`, `Io`.
    pub fn find(&self, collection: &str, key: &[u8]) -> Result<Option<(Seq, u32)>> {
        let current = self.current(collection, key)?.filter(Current::is_there);
        Ok(current.map(|current| (Seq::new(current.at.0), current.at.1)))
    }

    /// The keys that a collection has under a key of an index, in order.
    ///
    /// # Errors
    /// As [`find`](RecordsReader::find).
    pub fn find_by(&self, collection: &str, index: &str, key: &[u8]) -> Result<Vec<Bytes>> {
        let unique = self.table.get(&row::index(true, collection, index, key))?;
        let from = row::index(false, collection, index, key);
        let rows = self.table.range(&from, &row::behind(from.clone()))?;
        let keys = rows.map(|row| Ok(Bytes::copy_from_slice(row?.0.get(from.len()..).unwrap_or_default())));
        unique.map(|key| Ok(key.into())).into_iter().chain(keys).collect()
    }

    /// The keys of a collection, in order.
    ///
    /// # Errors
    /// As [`find`](RecordsReader::find).
    pub fn keys(&self, collection: &str) -> Result<Vec<Bytes>> {
        let from = row::record(collection, &[]);
        let mut keys = Vec::new();
        for row in self.table.range(&from, &row::behind(from.clone()))? {
            let (place, current) = row?;
            if self.decoded(Current::decode(&current))?.is_there() {
                keys.push(Bytes::copy_from_slice(place.get(from.len()..).unwrap_or_default()));
            }
        }
        Ok(keys)
    }

    /// Whether the changes of the entry were refused, and why, in words.
    ///
    /// # Errors
    /// As [`find`](RecordsReader::find).
    pub fn refused(&self, seq: Seq) -> Result<Option<String>> {
        Ok(self.refusal(seq)?.map(|refusal| format!("{refusal:?}")))
    }

    pub(in crate::collection) fn current(&self, collection: &str, key: &[u8]) -> Result<Option<Current>> {
        let current = self.table.get(&row::record(collection, key))?;
        current.map(|bytes| self.decoded(Current::decode(&bytes))).transpose()
    }

    pub(in crate::collection) fn refusal(&self, seq: Seq) -> Result<Option<Refusal>> {
        let refusal = self.table.get(&row::entry(row::REFUSED, seq.get()))?;
        refusal.map(|bytes| Ok(self.decoded(Refusal::decode(&bytes))?.1)).transpose()
    }

    pub(in crate::collection) fn version(&self, at: At) -> Result<Option<Version>> {
        let version = self.table.get(&row::version(at))?;
        version.map(|bytes| self.decoded(Version::decode(&bytes))).transpose()
    }

    pub(in crate::collection) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.table.get(key)
    }

    pub(in crate::collection) fn range(&self, from: &[u8], to: &[u8]) -> Result<TableRange> {
        self.table.range(from, to)
    }

    /// A part of a row, which is there unless the store is damaged.
    pub(in crate::collection) fn decoded<T>(&self, part: Option<T>) -> Result<T> {
        part.ok_or_else(|| self.table.damaged())
    }

    /// The entry `seq`.
    pub(in crate::collection) fn entry(&self, seq: Seq) -> Result<Write> {
        let bytes = self.entries.log().get_now(seq).unwrap_or_else(|| {
            let message = "collections need a log that is at hand; copy this one first";
            Err(Error::new(ErrorKind::Unsupported, message))
        })?;
        Envelope.decode(&bytes).map_err(|error| error.at(seq))
    }

    /// The change that made a record what it is; none if it is not there.
    pub(in crate::collection) fn change_of(&self, current: &Current) -> Result<Option<RecordChange>> {
        if current.is_there() { self.change(current.at).map(Some) } else { Ok(None) }
    }

    /// A change that the log holds.
    pub(in crate::collection) fn change(&self, at: At) -> Result<RecordChange> {
        let (seq, number) = (Seq::new(at.0), at.1);
        let change = self.entry(seq)?.changes.into_iter().nth(number as usize);
        change.ok_or_else(|| self.table.damaged().at(seq))
    }
}
