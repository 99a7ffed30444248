//! [`HashIndex`], a view that finds the newest entry with a key, for keys that are nearly unique: the ids of messages, the
//! hashes of files. It keeps a fingerprint and a `Seq` of each; the keys stay in the log, which has the last word.

mod fingerprint;
mod journal;
mod merge;
mod pair;
mod plan;
mod reader;
mod recent;
mod run;
mod store;

use std::{path::PathBuf, sync::Arc};

pub(super) use fingerprint::keyed_hasher;
pub use reader::{Candidates, HashReader};

use self::{
    fingerprint::{Fingerprint, Fingerprints},
    pair::Pair,
    store::Store,
};
use super::index::Key;
use crate::{
    Error, ErrorKind, Result, Seq,
    env::{MemoryStorage, Storage},
    view::{Checkpoint, Definition, Entries, Place, Retraction, Run, View, ViewContext},
};

/// A view that finds the newest entry with a key. Built for keys that few entries share; with many it still answers right,
/// one read of the log a candidate.
///
/// It takes 8 to 16 bytes a key on the disk at any moment, and a megabyte besides (a journal of the newest), and grows by pieces: no
/// entry waits for the whole to be built anew. A lookup gives candidates by a fingerprint of 48 bits, and the entry itself
/// decides.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::Utf8, views::HashIndex};
/// let db = Flume::memory(Utf8)?;
/// let by_name = HashIndex::new(1, |line: &String| line.split_once('=').map(|(name, _)| name.to_owned()));
/// let by_name = db.view("by-name", by_name).await?;
/// db.append_all(["tide=low", "moon=full", "tide=high"]).await?;
///
/// let reader = by_name.read().await?;
/// assert_eq!(reader.get("tide").await?.map(|entry| entry.value), Some("tide=high".to_owned()));
/// assert_eq!(reader.get("sun").await?, None);
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
///
/// An entry that was deleted, or reads otherwise since (see [`View::reprocess`]), is not found by its former key any more,
/// because the log is asked for each answer. What was dropped at the beginning of the log takes no room once pieces are merged.
pub struct HashIndex<T, K> {
    version: u32,
    recent: usize,
    keys: KeysOf<T>,
    open: Option<Open<T>>,
    marker: std::marker::PhantomData<fn() -> K>,
}

/// Shows each key of an item, as the bytes that stand for it.
type KeysOf<T> = Arc<dyn Fn(&T, &mut dyn FnMut(&[u8])) + Send + Sync>;

struct Open<T> {
    store: Store,
    fingerprints: Fingerprints,
    entries: Entries<T>,
}

impl<T: Send + Sync + 'static, K: Key> HashIndex<T, K> {
    /// How many keys are gathered in memory, unless [`recent`](HashIndex::recent) says otherwise.
    pub const RECENT: usize = 16 << 10;

    /// An index by the keys that `keys` gives for an item: an `Option`, an array, a `Vec` or anything else to iterate
    /// over. Raise `version` when `keys` changes, and the index is built anew.
    pub fn new<I: IntoIterator<Item = K>>(version: u32, keys: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
        let keys = move |item: &T, show: &mut dyn FnMut(&[u8])| {
            let mut bytes = Vec::new();
            for key in keys(item) {
                bytes.clear();
                key.encode(&mut bytes);
                show(&bytes);
            }
        };
        Self { version, recent: Self::RECENT, keys: Arc::new(keys), open: None, marker: std::marker::PhantomData }
    }

    /// Sets how many keys are gathered in memory (32 bytes each) before they become a run on the disk.
    #[must_use]
    pub fn recent(mut self, keys: usize) -> Self {
        self.recent = keys;
        self
    }

    fn take_in<'a>(&mut self, items: impl Iterator<Item = (Seq, &'a T)>) -> Result<()> {
        let keys = self.keys.clone();
        let Open { store, fingerprints, .. } = self.opened()?;
        let mut pairs = Vec::with_capacity(items.size_hint().0);
        for (seq, item) in items {
            keys(item, &mut |key| pairs.push(Pair { fingerprint: fingerprints.of_bytes(key), seq: seq.get() }));
        }
        store.add(&pairs)
    }

    fn opened(&mut self) -> Result<&mut Open<T>> {
        self.open
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "the hash index is not open; call `open` first"))
    }
}

impl<T: Send + Sync + 'static, K: Key> View for HashIndex<T, K> {
    type Item = T;
    type Reader = HashReader<T, K>;

    fn definition(&self) -> Definition {
        Definition::new("hash-index", self.version, format!("{} in {LAYOUT}", K::form()))
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        self.open = None;
        let place = cx.place.clone().map_or_else(in_memory, Ok)?;
        let (store, checkpoint) = Store::open(place, self.recent)?;
        let fingerprints = Fingerprints::of(&cx.entries.log().identity());
        self.open = Some(Open { store, fingerprints, entries: cx.entries.clone() });
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        self.take_in(run.iter().map(|entry| (entry.seq, &entry.value)))
    }

    fn retract(&mut self, _seq: Seq, _item: Option<&T>) -> Result<Retraction> {
        // The log is asked for each answer, and has no deleted entry.
        Ok(Retraction::Done)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        // By a former key it is not found any more, because the log is asked.
        if let Some(item) = item {
            self.take_in(std::iter::once((seq, item)))?;
        }
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<HashReader<T, K>> {
        let keys = self.keys.clone();
        let Open { store, fingerprints, entries } = self.opened()?;
        store.publish(at, entries.log().first().map_or(0, Seq::get))?;
        Ok(HashReader::new(store.pairs.clone(), fingerprints.clone(), entries.clone(), keys, at.since()))
    }

    fn sync(&mut self) -> Result<()> {
        self.opened()?.store.sync()
    }
}

/// Names what the files are like: another layout is another definition, built from the log.
const LAYOUT: &str = "parts";
/// The index is kept in so many parts, by the first bits of the fingerprints.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 4;

/// The checksum of what is stored, as it is stored.
fn crc32c(bytes: &[u8]) -> [u8; 4] {
    crc_fast::crc32_iscsi(bytes).to_le_bytes()
}

/// A place that is gone with its last user.
fn in_memory() -> Result<Place> {
    let (storage, dir) = (MemoryStorage::new(), PathBuf::from("hash-index"));
    storage.create_dir_all(&dir).map_err(|error| Error::io("create", &dir, error))?;
    Ok(Place { storage: Arc::new(storage), dir })
}
