//! [`IndexReader`], an index as it stood at one moment.

use std::{
    marker::PhantomData,
    ops::{Bound, RangeBounds},
    path::PathBuf,
    sync::Arc,
};

use super::{
    AsKey, Key, KeysOf, Match, Matches, Prefix,
    rows::{ROWS, SEQ_LEN},
};
use crate::{
    Result, Seq,
    view::Entries,
    views::store::{Store, failed, packs::ReadPacks},
};

/// A consistent snapshot of an [`Index`](super::Index): whatever is appended or deleted meanwhile, it gives the same
/// answers. When the index is opened again after a failure, rebuilt or closed, the snapshot ends with its store, and what
/// is not in memory is answered with `Closed`: read again. Cheap to clone. While one is alive, the space of what it shows is not used again, so do not keep it for long.
///
/// All questions give [`Matches`]: iterate over them for keys and `Seq`s, or ask them for the entries.
pub struct IndexReader<T, K> {
    packs: ReadPacks,
    path: Arc<PathBuf>,
    entries: Entries<T>,
    keys: KeysOf<T>,
    since: Option<Seq>,
    marker: PhantomData<fn() -> K>,
}

impl<T, K> Clone for IndexReader<T, K> {
    fn clone(&self) -> Self {
        Self {
            packs: self.packs.clone(),
            path: self.path.clone(),
            entries: self.entries.clone(),
            keys: self.keys.clone(),
            since: self.since,
            marker: PhantomData,
        }
    }
}

impl<T, K: Key> IndexReader<T, K> {
    pub(super) fn new(store: &Store, entries: Entries<T>, keys: KeysOf<T>, since: Option<Seq>) -> Result<Self> {
        let packs = ReadPacks::open(&store.read()?, ROWS).map_err(|error| store.failed(error))?;
        let path = Arc::new(store.path().to_owned());
        Ok(Self { packs, path, entries, keys, since, marker: PhantomData })
    }

    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }

    /// How many pairs of key and entry there are.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the store says.
    pub fn count(&self) -> Result<u64> {
        self.packs.count().map_err(|error| failed(error, &self.path))
    }

    /// Everything, by key.
    pub fn all(&self) -> Matches<T, K> {
        self.rows(Bound::Unbounded, Bound::Unbounded)
    }

    /// The entries with this key, oldest first.
    pub fn get<Q: AsKey<K>>(&self, key: Q) -> Matches<T, K> {
        self.range::<Q>((Bound::Included(&key), Bound::Included(&key)))
    }

    /// Keys within `bounds`, in order; entries with the same key oldest first.
    ///
    /// ```no_run
    /// # fn main() -> flumedb::Result<()> {
    /// # let reader: flumedb::views::index::IndexReader<(), (String, u64)> = unimplemented!();
    /// for found in reader.range(("alice", 10)..("bob", 0)).rev() {
    ///     let found = found?;
    ///     println!("{:?} at {}", found.key, found.seq);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn range<Q: AsKey<K>>(&self, bounds: impl RangeBounds<Q>) -> Matches<T, K> {
        let row = |key: &Q, seq: [u8; SEQ_LEN]| {
            let mut row = Vec::new();
            key.encode(&mut row);
            row.extend_from_slice(&seq);
            row
        };
        let (first, last) = ([0; SEQ_LEN], [0xff; SEQ_LEN]);
        let start = match bounds.start_bound() {
            Bound::Included(key) => Bound::Included(row(key, first)),
            Bound::Excluded(key) => Bound::Excluded(row(key, last)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let end = match bounds.end_bound() {
            Bound::Included(key) => Bound::Included(row(key, last)),
            Bound::Excluded(key) => Bound::Excluded(row(key, first)),
            Bound::Unbounded => Bound::Unbounded,
        };
        self.rows(start, end)
    }

    /// Keys that begin with `prefix`, in order: texts that begin with a text, tuples that begin with some parts.
    ///
    /// ```no_run
    /// # let reader: flumedb::views::index::IndexReader<(), (String, u64)> = unimplemented!();
    /// let of_alice = reader.prefix("alice");
    /// ```
    pub fn prefix(&self, prefix: &(impl Prefix<K> + ?Sized)) -> Matches<T, K> {
        let mut start = Vec::new();
        prefix.encode_prefix(&mut start);
        // The least bytes that are more than all that begin so: without the 0xff at the end, and the last byte one more.
        let mut end = start.clone();
        while end.last() == Some(&0xff) {
            end.pop();
        }
        let end = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        self.rows(Bound::Included(start), end)
    }

    /// The first of the rows that are here and not in `other`, or there and not here, in words; `None` if there is none.
    /// For [`Flume::verify_view`](crate::Flume::verify_view).
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the stores say.
    pub fn difference(&self, other: &Self) -> Result<Option<String>> {
        let row = |found: Option<Result<Match<K>>>| {
            let row = |found: Match<K>| {
                let mut key = Vec::new();
                found.key.encode(&mut key);
                (key, found.seq)
            };
            found.map(|found| found.map(row)).transpose()
        };
        let (mut ours, mut theirs) = (self.all(), other.all());
        let mut number = 0_u64;
        loop {
            let missing = |seq: Seq| Ok(Some(format!("a row of entry {seq} is missing (row {number})")));
            let extra = |seq: Seq| Ok(Some(format!("a row of entry {seq} is too many (row {number})")));
            match (row(ours.next())?, row(theirs.next())?) {
                (None, None) => return Ok(None),
                (Some(one), Some(two)) if one == two => number += 1,
                (Some(one), Some(two)) if two < one => return missing(two.1),
                (None, Some(two)) => return missing(two.1),
                (Some(one), _) => return extra(one.1),
            }
        }
    }

    fn rows(&self, start: Bound<Vec<u8>>, end: Bound<Vec<u8>>) -> Matches<T, K> {
        let within = (start, end);
        Matches::new(self.packs.range(within.clone()), within, self.entries.clone(), self.path.clone())
    }

    /// The log's entries, and the rows that an entry has.
    pub(super) fn source(&self) -> (&Entries<T>, &KeysOf<T>) {
        (&self.entries, &self.keys)
    }
}
