//! [`Matches`], what an index found.

use std::{
    iter::FusedIterator,
    marker::PhantomData,
    ops::{Bound, RangeBounds},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};

use futures_core::Stream;
use futures_util::{StreamExt, stream};
use redb::{Range, ReadOnlyTable, StorageError};

use super::{Key, rows::split};
use crate::{Damage, Entry, Error, ErrorKind, Result, Seq, view::Entries, views::store::failed};

/// An entry that an index found, by one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<K> {
    /// The key it was found by.
    pub key: K,
    /// The entry.
    pub seq: Seq,
}

/// What an index found: an iterator over keys and `Seq`s, which can be turned around, or into a stream of entries. It
/// sees the index as it stood when the reader was made, for as long as it lives.
pub struct Matches<T, K> {
    rows: State,
    reverse: bool,
    /// How many more there may be.
    left: usize,
    within: Within,
    entries: Entries<T>,
    path: Arc<PathBuf>,
    marker: PhantomData<fn() -> K>,
}

/// Which rows were asked for.
#[derive(Clone)]
pub(super) struct Within(pub(super) Bound<Vec<u8>>, pub(super) Bound<Vec<u8>>);

impl Within {
    /// Whether no row can be in; redb does not take such bounds.
    fn is_empty(&self) -> bool {
        match (&self.0, &self.1) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
                start >= end
            }
            _ => false,
        }
    }

    pub(super) fn contains(&self, row: &[u8]) -> bool {
        RangeBounds::<[u8]>::contains(&self.as_slices(), row)
    }

    fn as_slices(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.0.as_ref().map(Vec::as_slice), self.1.as_ref().map(Vec::as_slice))
    }
}

enum State {
    Rows(Box<Range<'static, &'static [u8], ()>>),
    Failed(StorageError),
    Done,
}

impl<T, K: Key> Matches<T, K> {
    pub(super) fn new(
        table: &ReadOnlyTable<&'static [u8], ()>,
        within: Within,
        entries: Entries<T>,
        path: Arc<PathBuf>,
    ) -> Self {
        let rows = if within.is_empty() {
            State::Done
        } else {
            match table.range::<&[u8]>(within.as_slices()) {
                Ok(range) => State::Rows(Box::new(range)),
                Err(error) => State::Failed(error),
            }
        };
        Self { rows, reverse: false, left: usize::MAX, within, entries, path, marker: PhantomData }
    }

    pub(super) fn within(&self) -> &Within {
        &self.within
    }

    /// The other way round, from where it is now: what is next comes last.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "`Iterator::rev` would lose `entries`")]
    pub fn rev(mut self) -> Self {
        self.reverse = !self.reverse;
        self
    }

    /// No more than so many, whichever end they are taken from.
    #[must_use]
    pub fn limit(mut self, count: usize) -> Self {
        self.left = self.left.min(count);
        self
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Only the `Seq`s.
    pub fn seqs(self) -> impl DoubleEndedIterator<Item = Result<Seq>> {
        self.map(|found| Ok(found?.seq))
    }

    /// Only the keys: one for each entry, so the same one may come several times.
    pub fn keys(self) -> impl DoubleEndedIterator<Item = Result<K>> {
        self.map(|found| Ok(found?.key))
    }

    /// The entries that were found, each fetched from the log when it is asked for. Those that were deleted meanwhile
    /// are passed over; one that cannot be read is an `Err`, and the next ones follow.
    ///
    /// # Cancel safety
    /// Dropping a future of the stream's next item loses nothing.
    pub fn entries(self) -> Pin<Box<dyn Stream<Item = Result<Entry<T>>> + Send>>
    where
        T: Send + Sync + 'static,
    {
        Box::pin(self.keyed().map(|found| found.map(|(_, entry)| entry)))
    }

    /// Only the values, as [`entries`](Self::entries) fetches them.
    ///
    /// # Cancel safety
    /// Dropping a future of the stream's next item loses nothing.
    pub fn values(self) -> Pin<Box<dyn Stream<Item = Result<T>> + Send>>
    where
        T: Send + Sync + 'static,
    {
        Box::pin(self.keyed().map(|found| found.map(|(_, entry)| entry.value)))
    }

    /// The entries, as [`entries`](Self::entries) fetches them, each with the key it was found by.
    ///
    /// # Cancel safety
    /// Dropping a future of the stream's next item loses nothing.
    pub fn keyed(self) -> Pin<Box<dyn Stream<Item = Result<(K, Entry<T>)>> + Send>>
    where
        T: Send + Sync + 'static,
    {
        Box::pin(stream::unfold(self, |mut matches| async move {
            loop {
                let Match { key, seq } = match matches.next()? {
                    Ok(found) => found,
                    Err(error) => return Some((Err(error), matches)),
                };
                match matches.entries.get(seq).await {
                    Ok(value) => return Some((Ok((key, Entry { seq, value })), matches)),
                    Err(error) if error.kind() == ErrorKind::Deleted => {
                        // It does not count.
                        matches.left = matches.left.saturating_add(1);
                    }
                    Err(error) => return Some((Err(error), matches)),
                }
            }
        }))
    }

    fn step(&mut self, from_end: bool) -> Option<Result<Match<K>>> {
        self.left = self.left.checked_sub(1)?;
        let State::Rows(range) = &mut self.rows else {
            return match std::mem::replace(&mut self.rows, State::Done) {
                State::Failed(error) => Some(Err(failed(error, &self.path))),
                _ => None,
            };
        };
        let row = if from_end { range.next_back() } else { range.next() };
        let Some(row) = row else {
            self.rows = State::Done;
            return None;
        };
        let found = match row {
            Ok((row, _)) => decode(row.value())
                .ok_or_else(|| Error::corrupt(Damage::new(&*self.path, 0, 0, "a row that is no key"))),
            Err(error) => Err(failed(error, &self.path)),
        };
        if found.is_err() {
            // What follows cannot be trusted to be all.
            self.rows = State::Done;
        }
        Some(found)
    }
}

pub(super) fn decode<K: Key>(row: &[u8]) -> Option<Match<K>> {
    let (mut key, seq) = split(row)?;
    let decoded = K::decode(&mut key)?;
    key.is_empty().then_some(Match { key: decoded, seq })
}

impl<T, K: Key> Iterator for Matches<T, K> {
    type Item = Result<Match<K>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(self.reverse)
    }
}

impl<T, K: Key> DoubleEndedIterator for Matches<T, K> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(!self.reverse)
    }
}

impl<T, K: Key> FusedIterator for Matches<T, K> {}
