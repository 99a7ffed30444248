//! [`HashReader`], a hash index as it stood at one moment.

use std::{iter::FusedIterator, marker::PhantomData, sync::Arc};

use super::{Fingerprint, Fingerprints, KeysOf, store::Pairs};
use crate::{
    Entry, ErrorKind, Result, Seq,
    env::planted::{Bug, planted},
    view::Entries,
    views::index::{AsKey, Key},
};

/// A consistent snapshot of a [`HashIndex`](super::HashIndex): what is appended meanwhile is not in it. Entries that are
/// deleted meanwhile are not found any more. Cheap to clone.
pub struct HashReader<T, K> {
    pairs: Arc<Pairs>,
    fingerprints: Fingerprints,
    entries: Entries<T>,
    keys: KeysOf<T>,
    since: Option<Seq>,
    marker: PhantomData<fn() -> K>,
}

impl<T, K> Clone for HashReader<T, K> {
    fn clone(&self) -> Self {
        Self {
            pairs: self.pairs.clone(),
            fingerprints: self.fingerprints.clone(),
            entries: self.entries.clone(),
            keys: self.keys.clone(),
            since: self.since,
            marker: PhantomData,
        }
    }
}

impl<T: Send + Sync + 'static, K: Key> HashReader<T, K> {
    pub(super) fn new(
        pairs: Arc<Pairs>,
        fingerprints: Fingerprints,
        entries: Entries<T>,
        keys: KeysOf<T>,
        since: Option<Seq>,
    ) -> Self {
        Self { pairs, fingerprints, entries, keys, since, marker: PhantomData }
    }

    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }

    /// The newest entry with this key.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the index or the log says; what the codec says of an entry that may be the one.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn get<Q: AsKey<K> + ?Sized>(&self, key: &Q) -> Result<Option<Entry<T>>> {
        let mut wanted = Vec::new();
        key.encode(&mut wanted);
        for seq in self.candidates(key) {
            let seq = seq?;
            let value = match self.entries.get(seq).await {
                Ok(value) => value,
                Err(error) if matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound) => continue,
                Err(error) => return Err(error),
            };
            let mut found = false;
            (self.keys)(&value, &mut |key| found |= key == wanted || planted(Bug::FingerprintBelieved));
            if found {
                return Ok(Some(Entry { seq, value }));
            }
        }
        Ok(None)
    }

    /// Whether there is an entry with this key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn contains<Q: AsKey<K> + ?Sized>(&self, key: &Q) -> Result<bool> {
        Ok(self.get(key).await?.is_some())
    }

    /// The entries that may have this key, the newest first, without a look at the log: all that have it, those that had
    /// it and were deleted, and very seldom one that never had. Stops with the error of a damaged file.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, views::HashIndex};
    /// let db = Flume::memory(Utf8)?;
    /// let lines = db.view("lines", HashIndex::new(1, |line: &String| [line.clone()])).await?;
    /// let seqs = db.append_all(["ebb", "flow", "ebb"]).await?;
    /// let candidates = lines.read().await?.candidates("ebb").collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(candidates, [seqs[2], seqs[0]]);
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    pub fn candidates<Q: AsKey<K> + ?Sized>(&self, key: &Q) -> Candidates<'_> {
        let fingerprint = self.fingerprints.fingerprint::<K, Q>(key);
        let to = self.since.map_or(0, |since| since.get().saturating_add(1));
        Candidates { pairs: &self.pairs, fingerprint, to }
    }
}

/// What [`HashReader::candidates`] makes: the newest first.
pub struct Candidates<'a> {
    pairs: &'a Pairs,
    fingerprint: Fingerprint,
    /// Where to go on: below.
    to: u64,
}

impl Iterator for Candidates<'_> {
    type Item = Result<Seq>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.to == 0 {
            return None;
        }
        match self.pairs.find(self.fingerprint, self.to) {
            Ok(found) => {
                self.to = found.unwrap_or(0);
                found.map(|seq| Ok(Seq::new(seq)))
            }
            Err(error) => {
                self.to = 0;
                Some(Err(error))
            }
        }
    }
}

impl FusedIterator for Candidates<'_> {}
