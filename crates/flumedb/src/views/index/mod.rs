//! [`Index`], a view that finds entries by keys, in the order of the keys. It keeps keys and `Seq`s; values stay in the
//! log and are fetched from there.

mod follow;
mod key;
mod matches;
mod reader;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use follow::{Follow, Found};
pub use key::{AnyKey, AsKey, Key, Prefix};
pub use matches::{Match, Matches};
pub use reader::IndexReader;

use super::store::{Gathered, Store, packs::Packs};
use crate::{
    Error, ErrorKind, Result, Seq,
    view::{Checkpoint, Definition, Entries, Retraction, Run, View, ViewContext},
};

/// A view that finds entries by keys: ordered, typed, any number of keys per entry and of entries per key.
///
/// ```
/// # use flumedb::views::Index;
/// struct Post { author: String, tags: Vec<String>, likes: u64 }
///
/// let by_author = Index::new(1, |post: &Post| [(post.author.clone(), post.likes)]);
/// let by_tag = Index::new(1, |post: &Post| post.tags.clone());
/// let popular = Index::new(1, |post: &Post| (post.likes > 9).then_some(post.likes));
/// # let _: (Index<Post, (String, u64)>, Index<Post, String>, Index<Post, u64>) = (by_author, by_tag, popular);
/// ```
///
/// Taking in an entry costs memory for its keys until the next publish, which sorts them and writes them in order. A
/// deleted entry's keys are removed; if its bytes are gone already, or an entry is taken in anew, the next publish looks for
/// its former keys through the index, once for all such entries.
///
/// Where the types of keys differ from entry to entry, [`AnyKey`] takes all of them.
pub struct Index<T, K> {
    version: u32,
    cache_bytes: usize,
    keys: KeysOf<T>,
    open: Option<Open<T>>,
    marker: std::marker::PhantomData<fn() -> K>,
}

/// Adds the rows of an item.
type KeysOf<T> = Arc<dyn Fn(&T, Seq, &mut Gathered) + Send + Sync>;

/// What there is after `open`.
struct Open<T> {
    store: Store,
    entries: Entries<T>,
    added: Gathered,
    removed: Gathered,
    /// Entries whose rows are to be removed and whose keys nobody knows any more.
    lost: BTreeSet<Seq>,
    /// The rows of entries that were taken in anew, after all that is lost.
    anew: BTreeMap<Seq, Gathered>,
}

impl<T: Send + Sync + 'static, K: Key> Index<T, K> {
    /// Bytes of the store that are kept in memory, unless [`cache_bytes`](Index::cache_bytes) says otherwise.
    pub const CACHE_BYTES: usize = 8 << 20;

    /// An index by the keys that `keys` gives for an item: an `Option`, an array, a `Vec` or anything else to iterate
    /// over. Raise `version` when `keys` changes, and the index is built anew.
    pub fn new<I: IntoIterator<Item = K>>(version: u32, keys: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
        let keys = move |item: &T, seq: Seq, rows: &mut Gathered| {
            for key in keys(item) {
                rows::push(rows, seq, |out| key.encode(out));
            }
        };
        Self {
            version,
            cache_bytes: Self::CACHE_BYTES,
            keys: Arc::new(keys),
            open: None,
            marker: std::marker::PhantomData,
        }
    }

    /// Sets how many bytes of the store are kept in memory.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }
}

fn not_open() -> Error {
    Error::new(ErrorKind::Invalid, "the index is not open; call `open` first")
}

impl<T: Send + Sync + 'static, K: Key> View for Index<T, K> {
    type Item = T;
    type Reader = IndexReader<T, K>;

    fn definition(&self) -> Definition {
        Definition::new("index", self.version, format!("{}: {}", rows::FORM, K::form()))
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        // Two stores must not have one file open.
        self.open = None;
        let store = Store::open(cx.place.as_ref(), self.cache_bytes)?;
        let checkpoint = store.checkpoint()?;
        let entries = cx.entries.clone();
        let (added, removed) = (Gathered::default(), Gathered::default());
        self.open = Some(Open { store, entries, added, removed, lost: BTreeSet::new(), anew: BTreeMap::new() });
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(not_open)?;
        for entry in run.iter() {
            (self.keys)(&entry.value, entry.seq, &mut open.added);
        }
        Ok(())
    }

    fn retract(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let open = self.open.as_mut().ok_or_else(not_open)?;
        open.anew.remove(&seq);
        match item {
            // One that was taken in anew may have had other keys before.
            Some(item) if !open.lost.contains(&seq) => (self.keys)(item, seq, &mut open.removed),
            _ => {
                open.lost.insert(seq);
            }
        }
        Ok(Retraction::Done)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let open = self.open.as_mut().ok_or_else(not_open)?;
        open.lost.insert(seq);
        let mut rows = Gathered::default();
        if let Some(item) = item {
            (self.keys)(item, seq, &mut rows);
        }
        open.anew.insert(seq, rows);
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<IndexReader<T, K>> {
        let Open { store, entries, added, removed, lost, anew } = self.open.as_mut().ok_or_else(not_open)?;
        store.commit(at, |transaction| {
            let mut rows = Packs::open(transaction, rows::ROWS)?;
            rows.put(added.sorted())?;
            // An entry is applied before it is retracted, so this order is right whatever came between.
            rows.remove(removed.sorted().map(|row| row.0))?;
            if !lost.is_empty() {
                rows.retain(|row, _| rows::split(row).is_none_or(|(_, seq)| !lost.contains(&seq)))?;
            }
            anew.values_mut().try_for_each(|of_entry| rows.put(of_entry.sorted()))?;
            Ok(())
        })?;
        added.clear();
        removed.clear();
        lost.clear();
        anew.clear();
        IndexReader::new(store, entries.clone(), self.keys.clone(), at.since())
    }

    fn pending_bytes(&self) -> Option<usize> {
        self.open.as_ref().map(|open| open.added.memory() + open.removed.memory())
    }

    fn sync(&mut self) -> Result<()> {
        self.open.as_mut().ok_or_else(not_open)?.store.sync()
    }
}
