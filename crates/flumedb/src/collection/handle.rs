//! [`Collection`], the records of one type.

use std::{
    fmt,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use super::{
    database::Database,
    envelope::{ChangeKind, RecordChange, Write},
    find::{Find, KeyBounds},
    history::{self, Version},
    record::{IndexDefinition, IndexRows, Record, encode_key},
    records::row::Refusal,
    snapshot::Snapshot,
    value,
    watch::Watch,
};
use crate::{
    Bytes, Call, Error, ErrorKind, Result,
    views::{AsKey, Key, Prefix},
};

/// The records of one type, in a database. Cheap to clone. `#[derive(Record)]` adds methods for the indexes of a type,
/// `by_author` for an index `author`.
///
/// Wherever a key is asked for, what can stand for one will do: a `&str` for a `String`, a tuple of such for a tuple.
pub struct Collection<T> {
    pub(super) db: Database,
    about: Arc<About>,
    at: Option<Snapshot>,
    record: std::marker::PhantomData<fn() -> T>,
}

/// What all handles on a collection share.
struct About {
    indexes: Vec<IndexDefinition>,
    generation: u32,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), about: self.about.clone(), at: self.at.clone(), record: self.record }
    }
}

impl<T: Record> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collection({})", T::NAME)
    }
}

impl<T: Record> Collection<T> {
    pub(super) fn new(db: &Database, generation: u32) -> Self {
        let about = Arc::new(About { indexes: T::indexes(), generation });
        Self { db: db.clone(), about, at: None, record: std::marker::PhantomData }
    }

    /// The record with this key.
    ///
    /// ```
    /// # use flumedb::{Database, Record};
    /// # #[derive(serde::Serialize, serde::Deserialize, Record)]
    /// # #[record(name = "scores")]
    /// # struct Score { #[key] of: (String, u32), points: u64 }
    /// # let db = Database::memory().blocking()?;
    /// let scores = db.collection::<Score>().blocking()?;
    /// scores.put(&Score { of: ("alice".into(), 1), points: 5 }).blocking()?;
    /// assert_eq!(scores.get(("alice", 1)).blocking()?.unwrap().points, 5);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [`Record::migrate`] says of an older record; `Unsupported` for one that a newer program has written;
    /// `Corrupt`, `Closed`, `Io`; `Faulted` if the log holds what is no entry of a database of collections.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub fn get(&self, key: impl AsKey<T::Key>) -> Call<'_, Result<Option<T>>> {
        let key = encode_key(&key);
        Call::new(async move { self.snapshot().await?.get(&key) })
    }

    /// Puts a record, instead of the one with its key if there is one.
    ///
    /// # Errors
    /// `Conflict` if another record has its key in a unique index, and nothing is changed then; `Invalid` if the record
    /// cannot be written; otherwise as [`Flume::append`](crate::Flume::append).
    ///
    /// # Cancel safety
    /// A future dropped before its first poll puts nothing. Later it may or may not be put.
    pub fn put(&self, record: &T) -> Call<'_, Result<()>> {
        let change = self.put_change(record);
        Call::new(async move { self.commit(Write { changes: vec![change?], ..Write::default() }).await })
    }

    /// Puts a record with a new key.
    ///
    /// # Errors
    /// `Conflict` if there is one with this key; otherwise as [`put`](Collection::put).
    ///
    /// # Cancel safety
    /// As [`put`](Collection::put).
    pub fn insert(&self, record: &T) -> Call<'_, Result<()>> {
        let change = self.put_change(record);
        Call::new(async move {
            let change = change?;
            let absent = vec![(change.collection.clone(), change.key.clone())];
            self.commit(Write { absent, changes: vec![change], ..Write::default() }).await
        })
    }

    /// Puts many records, each for itself, with one wait for the disk.
    ///
    /// # Errors
    /// As [`put`](Collection::put), of the first record for which it failed; those that conflict with nothing are put
    /// all the same.
    ///
    /// # Cancel safety
    /// A future dropped before its first poll puts nothing. Later all or none may be put.
    pub fn put_all<'r>(&self, records: impl IntoIterator<Item = &'r T>) -> Call<'_, Result<()>> {
        let changes: Result<Vec<_>> = records.into_iter().map(|record| self.put_change(record)).collect();
        Call::new(async move {
            let writes = changes?.into_iter().map(|change| Write { changes: vec![change], ..Write::default() });
            let refusals = self.db.commit_all(writes.collect()).await?;
            let first = refusals.into_iter().flatten().next();
            first.map_or(Ok(()), |refusal| Err(conflict(&refusal, &T::Key::form())))
        })
    }

    /// Deletes the record with this key, if there is one.
    ///
    /// # Errors
    /// As [`Flume::append`](crate::Flume::append).
    ///
    /// # Cancel safety
    /// As [`put`](Collection::put).
    pub fn delete(&self, key: impl AsKey<T::Key>) -> Call<'_, Result<()>> {
        let change = self.delete_change(encode_key(&key));
        Call::new(async move { self.commit(Write { changes: vec![change], ..Write::default() }).await })
    }

    /// Changes the record with this key, and gives what it is then; nothing if there is none. When somebody else changes
    /// it at the same time, `change` is called again with what that one made of it: no change is lost.
    ///
    /// # Errors
    /// `Invalid` if `change` changes the key; otherwise as [`Database::write`].
    ///
    /// # Cancel safety
    /// As [`put`](Collection::put).
    pub fn update<'a>(
        &'a self,
        key: impl AsKey<T::Key>,
        mut change: impl FnMut(&mut T) + Send + 'a,
    ) -> Call<'a, Result<Option<T>>> {
        let key = encode_key(&key);
        self.db.write(move |tx| {
            tx.updated(self, key.clone(), |record| {
                change(record);
                Ok(())
            })
        })
    }

    /// All records, in the order of their keys.
    pub fn all(&self) -> Find<T> {
        Find::records(self.clone(), &KeyBounds { from: Vec::new(), to: None })
    }

    /// The records whose keys are within `bounds`, in order.
    pub fn range<Q: AsKey<T::Key>>(&self, bounds: impl RangeBounds<Q>) -> Find<T> {
        Find::records(self.clone(), &KeyBounds::of(&bounds))
    }

    /// The records whose keys begin with `prefix`, in order: texts that begin with a text, tuples that begin with some
    /// parts.
    pub fn prefix(&self, prefix: &(impl Prefix<T::Key> + ?Sized)) -> Find<T> {
        let mut bytes = Vec::new();
        prefix.encode_prefix(&mut bytes);
        Find::records(self.clone(), &KeyBounds::prefix(bytes))
    }

    /// The records that have this key in an index whose keys are of type `K`.
    pub fn by_index<K: Key>(&self, index: &str, key: impl AsKey<K>) -> Find<T> {
        let key = Bound::Included(encode_key(&key));
        Find::index::<K>(self.clone(), index, key.clone(), key)
    }

    /// The records that have a key within `bounds` in an index, in the order of those keys.
    pub fn by_index_range<K: Key, Q: AsKey<K>>(&self, index: &str, bounds: impl RangeBounds<Q>) -> Find<T> {
        let (from, to) = (bounds.start_bound().map(encode_key), bounds.end_bound().map(encode_key));
        Find::index::<K>(self.clone(), index, from, to)
    }

    /// The record that has this key in a unique index.
    ///
    /// # Errors
    /// As [`get`](Collection::get); `Invalid` if there is no such unique index.
    ///
    /// # Cancel safety
    /// As [`get`](Collection::get).
    pub fn by_unique<K: Key>(&self, index: &str, key: impl AsKey<K>) -> Call<'_, Result<Option<T>>> {
        let (key, index) = (encode_key(&key), index.to_owned());
        Call::new(async move {
            if !self.index::<K>(&index)?.unique {
                return Err(Error::new(ErrorKind::Invalid, format!("the index \"{index}\" is not unique")));
            }
            let snapshot = self.snapshot().await?;
            match snapshot.holder(T::NAME, &index, &key)? {
                Some(holder) => snapshot.get(&holder),
                None => Ok(None),
            }
        })
    }

    /// The versions of a record that are kept, the newest first. See [`Record::HISTORY`].
    ///
    /// # Errors
    /// As [`get`](Collection::get).
    ///
    /// # Cancel safety
    /// As [`get`](Collection::get).
    pub fn history(&self, key: impl AsKey<T::Key>) -> Call<'_, Result<Vec<Version<T>>>> {
        let key = encode_key(&key);
        Call::new(async move { history::versions(&self.snapshot().await?, &key) })
    }

    /// All records, then [`Change::CaughtUp`](super::Change::CaughtUp), then each change as it is made: whoever does
    /// what it says has the same records.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use flumedb::{Database, Record, collection::Change};
    /// # #[derive(serde::Serialize, serde::Deserialize, Record)]
    /// # #[record(name = "posts")]
    /// # struct Post { #[key] id: u64 }
    /// # let db = Database::memory().await?;
    /// let posts = db.collection::<Post>().await?;
    /// posts.put(&Post { id: 1 }).await?;
    /// let mut watch = posts.watch();
    /// assert!(matches!(watch.next().await, Some(Ok(Change::Put(Post { id: 1 })))));
    /// assert!(matches!(watch.next().await, Some(Ok(Change::CaughtUp))));
    /// posts.delete(1).await?;
    /// assert!(matches!(watch.next().await, Some(Ok(Change::Deleted(1)))));
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    pub fn watch(&self) -> Watch<T> {
        Watch::new(self.db.clone())
    }

    /// The same collection, read as it stood at a moment. What is written through it is written now.
    #[must_use]
    pub fn at(&self, snapshot: &Snapshot) -> Self {
        Self { at: Some(snapshot.clone()), ..self.clone() }
    }

    /// The database it is in.
    pub fn database(&self) -> &Database {
        &self.db
    }

    pub(super) async fn snapshot(&self) -> Result<Snapshot> {
        match &self.at {
            Some(snapshot) => Ok(snapshot.clone()),
            None => self.db.snapshot().await,
        }
    }

    /// An index by its name, if its keys are of type `K`.
    pub(super) fn index<K: Key>(&self, name: &str) -> Result<&IndexDefinition> {
        let definition = self.definition(name)?;
        if definition.form == K::form() {
            return Ok(definition);
        }
        let (form, asked) = (&definition.form, K::form());
        let message = format!("the keys of the index \"{name}\" of \"{}\" are {form}, not {asked}", T::NAME);
        Err(Error::new(ErrorKind::Invalid, message))
    }

    fn definition(&self, name: &str) -> Result<&IndexDefinition> {
        self.about.indexes.iter().find(|index| index.name == name).ok_or_else(|| {
            let message = format!("\"{}\" has no index \"{name}\"; declare it in `Record::indexes`", T::NAME);
            Error::new(ErrorKind::Invalid, message)
        })
    }

    pub(super) fn put_change(&self, record: &T) -> Result<RecordChange> {
        let mut rows = IndexRows::default();
        record.index(&mut rows);
        let mut rows = rows.0;
        for row in &mut rows {
            row.unique = self.definition(&row.index)?.unique;
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(RecordChange {
            kind: ChangeKind::Put,
            origin: None,
            collection: T::NAME.to_owned(),
            key: encode_key(&record.key()),
            version: T::VERSION,
            generation: self.about.generation,
            rows,
            value: value::encode(record)?,
        })
    }

    pub(super) fn delete_change(&self, key: Bytes) -> RecordChange {
        RecordChange {
            kind: ChangeKind::Delete,
            origin: None,
            collection: T::NAME.to_owned(),
            key,
            version: T::VERSION,
            generation: self.about.generation,
            rows: Vec::new(),
            value: Bytes::new(),
        }
    }

    async fn commit(&self, write: Write) -> Result<()> {
        self.db.commit(write).await?.map_or(Ok(()), |refusal| Err(conflict(&refusal, &T::Key::form())))
    }
}

/// What the writer is told whose changes were refused. `form` is that of the collection's keys.
pub(super) fn conflict(refusal: &Refusal, form: &str) -> Error {
    let message = match refusal {
        Refusal::Changed { collection } => {
            format!("\"{collection}\": somebody else changed what this change rests on; read again, decide again")
        }
        Refusal::Present { collection, key } => {
            format!(
                "\"{collection}\" has a record with the key {} already; update it, or take another key",
                shown(key, form)
            )
        }
        Refusal::Taken { collection, index, by } => format!(
            "\"{collection}\": the record {} has this {index} already, and {index} is unique; take another",
            shown(by, form)
        ),
    };
    Error::new(ErrorKind::Conflict, message)
}

/// A key for people, by its bytes.
fn shown(key: &Bytes, form: &str) -> String {
    let bytes = &mut &**key;
    let shown = match form {
        "text" => String::decode(bytes).map(|text| format!("{text:?}")),
        "u8" => u8::decode(bytes).map(|number| number.to_string()),
        "u16" => u16::decode(bytes).map(|number| number.to_string()),
        "u32" => u32::decode(bytes).map(|number| number.to_string()),
        "u64" => u64::decode(bytes).map(|number| number.to_string()),
        "i32" => i32::decode(bytes).map(|number| number.to_string()),
        "i64" => i64::decode(bytes).map(|number| number.to_string()),
        _ => None,
    };
    shown.unwrap_or_else(|| key.iter().map(|byte| format!("{byte:02x}")).collect())
}
