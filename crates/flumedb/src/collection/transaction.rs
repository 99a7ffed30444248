//! [`Transaction`], reads and changes of records that are one.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use super::{
    database::Database,
    declare::declared,
    envelope::{ChangeKind, KeyEnd, KeyRange, RecordChange, Write},
    find::{self, KeyBounds},
    handle::{Collection, conflict},
    record::{Record, encode_key},
    records::row::Refusal,
    snapshot::Snapshot,
    value,
};
use crate::{
    Bytes, Error, ErrorKind, Result,
    views::{AsKey, Key},
};

/// How often a transaction runs before it gives up, because others were first each time.
const ATTEMPTS: usize = 100;

/// What [`Database::write`] gives to its body: reads are of one moment, with what was written through it on top; changes
/// are made when the body has returned.
pub struct Transaction {
    db: Database,
    snapshot: Snapshot,
    changes: BTreeMap<(String, Bytes), RecordChange>,
    read: BTreeSet<(String, Bytes)>,
    ranges: Vec<KeyRange>,
}

impl Transaction {
    /// The record with this key.
    ///
    /// # Errors
    /// What [`Record::migrate`] says; `Closed`, `Corrupt`, `Io`; `Invalid` for a collection of another database.
    pub fn get<T: Record>(&mut self, of: &Collection<T>, key: impl AsKey<T::Key>) -> Result<Option<T>> {
        self.check(of)?;
        let key = encode_key(&key);
        if let Some(change) = self.changes.get(&(T::NAME.to_owned(), key.clone())) {
            return Self::changed(change);
        }
        let record = self.snapshot.get(&key)?;
        self.read.insert((T::NAME.to_owned(), key));
        Ok(record)
    }

    /// The records whose keys are within `bounds`, in order. Nobody else may change one of them, or put another there,
    /// before the transaction is done.
    ///
    /// # Errors
    /// As [`get`](Transaction::get).
    pub fn range<T: Record, Q: AsKey<T::Key>>(
        &mut self,
        of: &Collection<T>,
        bounds: impl std::ops::RangeBounds<Q>,
    ) -> Result<Vec<T>> {
        self.check(of)?;
        let bounds = KeyBounds::of(&bounds);
        let mut records: BTreeMap<Bytes, T> = BTreeMap::new();
        for found in find::in_range::<T>(&self.snapshot, &bounds)? {
            let (key, record) = found?;
            records.insert(key, record);
        }
        let to = bounds.to.map_or(KeyEnd::Open, |to| KeyEnd::Before(to.into()));
        let range = KeyRange { collection: T::NAME.to_owned(), from: bounds.from.into(), to };
        for ((collection, key), change) in &self.changes {
            if collection == T::NAME && range.contains(key) {
                match Self::changed(change)? {
                    Some(record) => drop(records.insert(key.clone(), record)),
                    None => drop(records.remove(key)),
                }
            }
        }
        self.ranges.push(range);
        Ok(records.into_values().collect())
    }

    /// Puts a record, instead of the one with its key if there is one.
    ///
    /// # Errors
    /// `Invalid` if the record cannot be written, or for a collection of another database.
    pub fn put<T: Record>(&mut self, into: &Collection<T>, record: &T) -> Result<()> {
        self.check(into)?;
        self.change(into.put_change(record)?);
        Ok(())
    }

    /// Puts a record with a new key.
    ///
    /// # Errors
    /// `Conflict` if there is one with this key; otherwise as [`get`](Transaction::get) and [`put`](Transaction::put).
    pub fn insert<T: Record>(&mut self, into: &Collection<T>, record: &T) -> Result<()> {
        if self.get(into, record.key())?.is_some() {
            let refusal = Refusal::Present { collection: T::NAME.to_owned(), key: encode_key(&record.key()) };
            return Err(conflict(&refusal, &T::Key::form()));
        }
        self.put(into, record)
    }

    /// Changes the record with this key. Says whether there is one.
    ///
    /// # Errors
    /// What `change` says; `Invalid` if it changes the key; otherwise as [`get`](Transaction::get) and
    /// [`put`](Transaction::put).
    pub fn update<T: Record>(
        &mut self,
        of: &Collection<T>,
        key: impl AsKey<T::Key>,
        change: impl FnOnce(&mut T) -> Result<()>,
    ) -> Result<bool> {
        Ok(self.updated(of, encode_key(&key), change)?.is_some())
    }

    pub(super) fn updated<T: Record>(
        &mut self,
        of: &Collection<T>,
        key: Bytes,
        change: impl FnOnce(&mut T) -> Result<()>,
    ) -> Result<Option<T>> {
        let Some(mut record) = self.get(of, Encoded(&key))? else { return Ok(None) };
        change(&mut record)?;
        if encode_key(&record.key()) != key {
            let message = "an update must not change the key of a record; put the new one and delete the old one";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.put(of, &record)?;
        Ok(Some(record))
    }

    /// Deletes the record with this key, if there is one.
    ///
    /// # Errors
    /// `Invalid` for a collection of another database.
    pub fn delete<T: Record>(&mut self, from: &Collection<T>, key: impl AsKey<T::Key>) -> Result<()> {
        self.check(from)?;
        self.change(from.delete_change(encode_key(&key)));
        Ok(())
    }

    fn change(&mut self, change: RecordChange) {
        match self.changes.entry((change.collection.clone(), change.key.clone())) {
            btree_map::Entry::Occupied(mut there) => drop(there.insert(change)),
            btree_map::Entry::Vacant(free) => drop(free.insert(change)),
        }
    }

    fn changed<T: Record>(change: &RecordChange) -> Result<Option<T>> {
        match change.kind {
            ChangeKind::Delete => Ok(None),
            ChangeKind::Put | ChangeKind::Rewrite => value::record(&change.value, change.version).map(Some),
        }
    }

    fn check<T: Record>(&self, collection: &Collection<T>) -> Result<()> {
        if collection.db.is(&self.db) {
            return Ok(());
        }
        let message = format!("\"{}\" is a collection of another database than the transaction", T::NAME);
        Err(Error::new(ErrorKind::Invalid, message))
    }

    fn into_write(self) -> Option<Write> {
        if self.changes.is_empty() {
            return None;
        }
        let read = self.read.into_iter().map(|(collection, key)| KeyRange::one(collection, key));
        Some(Write {
            since: self.snapshot.reader.since(),
            unchanged: read.chain(self.ranges).collect(),
            changes: self.changes.into_values().collect(),
            ..Write::default()
        })
    }
}

/// The bytes of a key, in place of the key.
struct Encoded<'a>(&'a Bytes);

impl<K> AsKey<K> for Encoded<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// Runs `body` until its changes are made.
pub(super) async fn run<R>(db: &Database, mut body: impl FnMut(&mut Transaction) -> Result<R>) -> Result<R> {
    for _ in 0..ATTEMPTS {
        let snapshot = db.snapshot().await?;
        let (changes, read, ranges) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let mut transaction = Transaction { db: db.clone(), snapshot: snapshot.clone(), changes, read, ranges };
        let answer = body(&mut transaction)?;
        let Some(write) = transaction.into_write() else { return Ok(answer) };
        // The snapshot's pin keeps what would tell that something has changed since.
        match db.commit(write).await? {
            None => return Ok(answer),
            Some(Refusal::Changed { .. }) => {}
            Some(refusal) => {
                let declared = declared(&snapshot, refusal.collection())?;
                return Err(conflict(&refusal, &declared.map_or_else(String::new, |declared| declared.key)));
            }
        }
    }
    let message = format!("others changed what the transaction reads {ATTEMPTS} times; try again, or read less in it");
    Err(Error::new(ErrorKind::Conflict, message))
}
