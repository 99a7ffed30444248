//! [`Find`], records that are asked for by a range of keys or through an index.

use std::{
    future::IntoFuture,
    marker::PhantomData,
    ops::{Bound, RangeBounds},
    pin::Pin,
};

use futures_core::Stream;
use futures_util::{StreamExt, stream};

use super::{
    handle::Collection,
    record::{Record, encode_key},
    records::{
        TableRange,
        row::{self, Current},
    },
    snapshot::Snapshot,
};
use crate::{
    Bytes, Call, Result,
    views::{AsKey, Key},
};

/// A question to a collection: await it for all that is found, in the order of the keys asked for, or say first how much
/// of it is wanted, and in which form.
///
/// ```
/// # use flumedb::{Database, Record};
/// # #[derive(serde::Serialize, serde::Deserialize, Record)]
/// # #[record(name = "posts")]
/// # struct Post { #[key] id: u64, #[index] author: String }
/// # let db = Database::memory().blocking()?;
/// # let posts = db.collection::<Post>().blocking()?;
/// for id in 0..9 {
///     posts.put(&Post { id, author: "alice".into() }).blocking()?;
/// }
/// let newest = posts.by_author("alice").rev().limit(2).blocking()?;
/// assert_eq!(newest.iter().map(|post| post.id).collect::<Vec<_>>(), [8, 7]);
/// assert_eq!(posts.range(3..5).keys().blocking()?, [3, 4]);
/// assert_eq!(posts.all().count().blocking()?, 9);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[must_use = "nothing is read until it is awaited or blocked on"]
pub struct Find<T> {
    collection: Collection<T>,
    rows: Result<Rows>,
    reverse: bool,
    limit: usize,
}

/// Which rows of the store to look at.
#[derive(Clone)]
struct Rows {
    from: Vec<u8>,
    to: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A row is a record. Before its key are so many bytes.
    Records(usize),
    /// A row is in an index.
    Index { unique: bool },
}

/// Keys of a collection, as bytes: from this one to before that one.
pub(super) struct KeyBounds {
    pub(super) from: Vec<u8>,
    pub(super) to: Option<Vec<u8>>,
}

impl KeyBounds {
    pub(super) fn of<K, Q: AsKey<K>>(bounds: &impl RangeBounds<Q>) -> Self {
        // No key's bytes begin another's, so nothing is between a key and itself with a zero behind.
        let behind = |key: &Q| [&*encode_key(key), &[0]].concat();
        let from = match bounds.start_bound() {
            Bound::Included(key) => encode_key(key).into(),
            Bound::Excluded(key) => behind(key),
            Bound::Unbounded => Vec::new(),
        };
        let to = match bounds.end_bound() {
            Bound::Included(key) => Some(behind(key)),
            Bound::Excluded(key) => Some(encode_key(key).into()),
            Bound::Unbounded => None,
        };
        Self { from, to }
    }

    /// The keys that begin with these bytes.
    pub(super) fn prefix(prefix: Vec<u8>) -> Self {
        let to = Some(row::behind(prefix.clone())).filter(|to| !to.is_empty());
        Self { from: prefix, to }
    }

    fn rows(&self, collection: &str) -> Rows {
        let all = row::record(collection, &[]);
        let to = match &self.to {
            Some(to) => row::record(collection, to),
            None => row::behind(all.clone()),
        };
        Rows { from: row::record(collection, &self.from), to, kind: Kind::Records(all.len()) }
    }
}

/// The records of `T` within `bounds`, with their keys.
pub(super) fn in_range<T: Record>(snapshot: &Snapshot, bounds: &KeyBounds) -> Result<Found<T>> {
    Found::new(snapshot.clone(), bounds.rows(T::NAME), false)
}

impl<T: Record> Find<T> {
    pub(super) fn records(collection: Collection<T>, bounds: &KeyBounds) -> Self {
        Self { collection, rows: Ok(bounds.rows(T::NAME)), reverse: false, limit: usize::MAX }
    }

    /// The records that have a key within `bounds` in an index.
    pub(super) fn index<K: Key>(collection: Collection<T>, index: &str, from: Bound<Bytes>, to: Bound<Bytes>) -> Self {
        let rows = collection.index::<K>(index).map(|definition| {
            let unique = definition.unique;
            let all = row::index(unique, T::NAME, index, &[]);
            let at = |key: Bytes| row::index(unique, T::NAME, index, &key);
            let from = match from {
                Bound::Included(key) => at(key),
                Bound::Excluded(key) => row::behind(at(key)),
                Bound::Unbounded => all.clone(),
            };
            let to = match to {
                Bound::Included(key) => row::behind(at(key)),
                Bound::Excluded(key) => at(key),
                Bound::Unbounded => row::behind(all),
            };
            Rows { from, to, kind: Kind::Index { unique } }
        });
        Self { collection, rows, reverse: false, limit: usize::MAX }
    }

    /// The other way round: the last first.
    #[allow(clippy::should_implement_trait, reason = "it is no iterator")]
    pub fn rev(mut self) -> Self {
        self.reverse = !self.reverse;
        self
    }

    /// At most so many.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = self.limit.min(limit);
        self
    }

    /// Asks, and blocks this thread until the answer is there. Needs no runtime.
    ///
    /// # Errors
    /// As [`Collection::get`].
    pub fn blocking(self) -> Result<Vec<T>> {
        self.into_future().blocking()
    }

    /// What is found first; nothing if nothing is.
    ///
    /// # Errors
    /// As [`Collection::get`].
    pub fn first(self) -> Call<'static, Result<Option<T>>> {
        Call::new(async move { self.limit(1).found().await?.next().map(|found| Ok(found?.1)).transpose() })
    }

    /// Only the keys of the records: no record is read.
    ///
    /// # Errors
    /// As [`Collection::get`].
    pub fn keys(self) -> Call<'static, Result<Vec<T::Key>>> {
        Call::new(async move {
            let mut found = self.found().await?;
            std::iter::from_fn(|| found.next_key()).map(|key| found_key::<T>(&key?)).collect()
        })
    }

    /// Only how many there are: no record is read.
    ///
    /// # Errors
    /// As [`Collection::get`].
    pub fn count(self) -> Call<'static, Result<u64>> {
        Call::new(async move {
            let mut found = self.found().await?;
            std::iter::from_fn(|| found.next_key()).try_fold(0, |count, key| key.map(|_| count + 1))
        })
    }

    /// The records one by one, all as of one moment: for what does not fit into memory.
    ///
    /// # Cancel safety
    /// Dropping a future of the stream's next item loses nothing.
    pub fn stream(self) -> Pin<Box<dyn Stream<Item = Result<T>> + Send>> {
        let found = stream::once(self.found()).map(|found| match found {
            Ok(found) => stream::iter(found.map(|found| Ok(found?.1))).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        });
        Box::pin(found.flatten())
    }

    async fn found(self) -> Result<Found<T>> {
        let snapshot = self.collection.snapshot().await?;
        let mut found = Found::new(snapshot, self.rows?, self.reverse)?;
        found.left = self.limit;
        Ok(found)
    }
}

impl<T: Record> IntoFuture for Find<T> {
    type Output = Result<Vec<T>>;
    type IntoFuture = Call<'static, Result<Vec<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        Call::new(async move { self.found().await?.map(|found| Ok(found?.1)).collect() })
    }
}

/// The key in these bytes.
pub(super) fn found_key<T: Record>(bytes: &Bytes) -> Result<T::Key> {
    T::Key::decode(&mut &**bytes).ok_or_else(|| {
        let message = format!("a key of \"{}\" is none of its type; rebuild the view \"collections\"", T::NAME);
        crate::Error::new(crate::ErrorKind::Corrupt, message)
    })
}

/// What is found: keys and records.
pub(super) struct Found<T> {
    snapshot: Snapshot,
    rows: TableRange,
    kind: Kind,
    reverse: bool,
    left: usize,
    record: PhantomData<fn() -> T>,
}

impl<T: Record> Found<T> {
    fn new(snapshot: Snapshot, rows: Rows, reverse: bool) -> Result<Self> {
        let range = snapshot.reader.range(&rows.from, &rows.to)?;
        Ok(Self { snapshot, rows: range, kind: rows.kind, reverse, left: usize::MAX, record: PhantomData })
    }

    /// The key of what is found next.
    fn next_key(&mut self) -> Option<Result<Bytes>> {
        self.step(|_, key, _| Ok(Some(key)))
    }

    fn step<R>(&mut self, read: impl Fn(&Self, Bytes, Option<Current>) -> Result<Option<R>>) -> Option<Result<R>> {
        while self.left > 0 {
            let row = if self.reverse { self.rows.next_back() } else { self.rows.next() }?;
            let found = row.and_then(|(row, value)| match self.key(row, value)? {
                Some((key, current)) => read(self, key, current),
                None => Ok(None),
            });
            if let Some(found) = found.transpose() {
                self.left -= 1;
                return Some(found);
            }
        }
        None
    }

    /// The key of the record that a row is about, and where the record is, if the row knows. Nothing for one that was
    /// deleted.
    fn key(&self, mut row: Vec<u8>, value: Vec<u8>) -> Result<Option<(Bytes, Option<Current>)>> {
        let reader = &self.snapshot.reader;
        match self.kind {
            Kind::Records(before) => {
                let current = reader.decoded(Current::decode(&value))?;
                let key = row.split_off(before.min(row.len())).into();
                Ok(current.is_there().then_some((key, Some(current))))
            }
            Kind::Index { unique: true } => Ok(Some((value.into(), None))),
            Kind::Index { unique: false } => {
                let before = reader.decoded(row::number(&value).and_then(|before| usize::try_from(before).ok()))?;
                Ok(Some((row.split_off(before.min(row.len())).into(), None)))
            }
        }
    }
}

impl<T: Record> Iterator for Found<T> {
    type Item = Result<(Bytes, T)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(|found, key, current| {
            let record = match current {
                Some(current) => found.snapshot.read(&key, &current)?,
                None => found.snapshot.get(&key)?,
            };
            Ok(record.map(|record| (key, record)))
        })
    }
}
