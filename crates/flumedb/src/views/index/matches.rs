//! [`Matches`], what an index found.

use std::{iter::FusedIterator, marker::PhantomData, path::PathBuf, pin::Pin, sync::Arc};

use futures_core::Stream;
use futures_util::{StreamExt, stream};

use super::{Key, rows::split};
use crate::{
    Damage, Entry, Error, ErrorKind, Result, Seq,
    view::Entries,
    views::store::{
        failed,
        packs::{Rows, Within},
    },
};

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
    /// Nothing after an error.
    rows: Option<Box<Rows>>,
    reverse: bool,
    /// How many more there may be.
    left: usize,
    within: Within,
    entries: Entries<T>,
    path: Arc<PathBuf>,
    marker: PhantomData<fn() -> K>,
}

impl<T, K: Key> Matches<T, K> {
    pub(super) fn new(rows: Rows, within: Within, entries: Entries<T>, path: Arc<PathBuf>) -> Self {
        let rows = Some(Box::new(rows));
        Self { rows, reverse: false, left: usize::MAX, within, entries, path, marker: PhantomData }
    }

    /// Which rows were asked for.
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
        let rows = self.rows.as_mut()?;
        let found = match if from_end { rows.next_back() } else { rows.next() } {
            Ok(Some((row, _))) => {
                decode(row).ok_or_else(|| Error::corrupt(Damage::new(&*self.path, 0, 0, "a row that is no key")))
            }
            Ok(None) => {
                self.rows = None;
                return None;
            }
            Err(error) => Err(failed(error, &self.path)),
        };
        if found.is_err() {
            // What follows cannot be trusted to be all.
            self.rows = None;
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
