//! [`Groups`], a view that puts entries into groups by a key and keeps an aggregate of each. It keeps no entries.

mod base;
mod changes;
mod keys;
mod loaded;
mod members;
mod reader;
mod rows;
mod spill;
mod state;
mod windows;

use std::{marker::PhantomData, sync::Arc};

pub use reader::GroupsReader;
pub use rows::{Group, GroupRows};
pub use windows::Windows;

use self::{
    changes::Changes,
    keys::{KeysOf, keys_of},
    spill::Spilled,
};
use super::{Key, aggregate::Aggregate, store::Store};
use crate::{
    Error, ErrorKind, Result, Seq,
    view::{Checkpoint, Definition, Retraction, Run, View, ViewContext},
};

/// A view of groups: entries with a common key, and for each group a count, a sum, the greatest, quantiles … of its entries.
///
/// ```
/// use flumedb::views::{Groups, aggregate::{Count, Max, Mean}};
/// struct Post { author: String, tags: Vec<String>, likes: u32, at: i64 }
///
/// let authors = Groups::new(
///     1,
///     |post: &Post| [post.author.clone()],
///     (Count, Max::new(|post: &Post| [post.at]), Mean::new(|post: &Post| [post.likes])),
/// );
/// let tags = Groups::new(1, |post: &Post| post.tags.clone(), Count);
/// # let _ = (authors, tags);
/// ```
///
/// Groups are rows of an ordered table on the disk; a publish writes those that have changed since the last one, and only
/// these are in memory meanwhile, up to [a limit](Groups::memory_bytes). Raise `version` when a function changes, and the view is built anew.
///
/// A deleted entry is taken out of its groups directly where the aggregates can do that (see the table at
/// [`aggregate`](crate::views::aggregate)) and the entry's bytes are still there. Otherwise the view is built anew; unless it
/// was made [`with_undo`](Groups::with_undo).
pub struct Groups<T, K, A: Aggregate<T>> {
    version: u32,
    cache_bytes: usize,
    memory_bytes: usize,
    undo: bool,
    keys: KeysOf<T>,
    aggregate: Arc<A>,
    open: Option<Open>,
    /// What has changed since the last publish.
    changes: Changes<T, A>,
    marker: PhantomData<fn() -> K>,
}

/// What there is after `open`.
struct Open {
    store: Store,
    base: base::Base,
    /// Where that is.
    published: Option<Checkpoint>,
}

impl<T: Send + Sync + 'static, K: Key, A: Aggregate<T>> Groups<T, K, A> {
    /// Bytes of the store that are kept in memory, unless [`cache_bytes`](Groups::cache_bytes) says otherwise.
    pub const CACHE_BYTES: usize = 8 << 20;

    /// Bytes of changed groups that are kept in memory, unless [`memory_bytes`](Groups::memory_bytes) says otherwise.
    pub const MEMORY_BYTES: usize = 32 << 20;

    /// Groups by the keys that `keys` gives for an item (an `Option`, an array, a `Vec` or anything else to iterate over; an
    /// item without a key is skipped, one with several is in several groups), and what is kept of each.
    pub fn new<I: IntoIterator<Item = K>>(
        version: u32,
        keys: impl Fn(&T) -> I + Send + Sync + 'static,
        aggregate: A,
    ) -> Self {
        let (keys, aggregate) = (keys_of(keys), Arc::new(aggregate));
        let changes = Changes::new(keys.clone(), aggregate.clone());
        let (cache_bytes, memory_bytes, marker) = (Self::CACHE_BYTES, Self::MEMORY_BYTES, PhantomData);
        Self { version, cache_bytes, memory_bytes, undo: false, keys, aggregate, open: None, changes, marker }
    }

    /// Sets how many bytes of the store are kept in memory.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets about how many bytes of groups that have changed since the last publish are kept in memory; those beyond wait in
    /// the store, which costs writing them twice.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Keeps on the disk, too, what each entry has brought to each of its groups. Then no deletion ever builds the view
    /// anew: an aggregate that cannot do without an entry is made anew from what is left of its group. Entries that read
    /// otherwise are taken in anew as well. It costs a row for each entry, some 150 bytes, and a few times
    /// the time.
    #[must_use]
    pub fn with_undo(mut self) -> Self {
        self.undo = true;
        self.changes.undo = true;
        self
    }

    fn parts(&mut self) -> Result<(&mut Open, &mut Changes<T, A>)> {
        match &mut self.open {
            Some(open) => Ok((open, &mut self.changes)),
            None => Err(Error::new(ErrorKind::Invalid, "the groups are not open; call `open` first")),
        }
    }
}

impl<T: Send + Sync + 'static, K: Key, A: Aggregate<T>> View for Groups<T, K, A> {
    type Item = T;
    type Reader = GroupsReader<T, K, A>;

    fn definition(&self) -> Definition {
        let undo = if self.undo { " with undo" } else { "" };
        Definition::new("groups", self.version, format!("{} -> {}{undo} in {LAYOUT}", K::form(), self.aggregate.form()))
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        // Two stores must not have one file open.
        self.open = None;
        self.changes = Changes::new(self.keys.clone(), self.aggregate.clone());
        self.changes.undo = self.undo;
        let mut store = Store::open(cx.place.as_ref(), self.cache_bytes)?;
        let published = store.checkpoint()?;
        if let Some(at) = &published {
            Spilled::clean(&mut store, at)?;
        }
        let base = base::Base::of(&store)?;
        self.open = Some(Open { store, base, published: published.clone() });
        Ok(published)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        let most = self.memory_bytes;
        let (open, changes) = self.parts()?;
        for entry in run.iter() {
            changes.add(&open.base, entry.seq, &entry.value)?;
            if changes.groups.held() > most
                && let Some(at) = &open.published
            {
                changes.groups.spill(&mut open.store, at)?;
            }
        }
        Ok(())
    }

    fn retract(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let (open, changes) = self.parts()?;
        changes.retract(&open.base, seq, item)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let (open, changes) = self.parts()?;
        if !changes.undo {
            return Ok(Retraction::Rebuild);
        }
        changes.retract(&open.base, seq, None)?;
        if let Some(item) = item {
            changes.add(&open.base, seq, item)?;
        }
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<Self::Reader> {
        let (open, changes) = self.parts()?;
        open.store.commit(at, |transaction| changes.write(transaction))?;
        changes.clear();
        open.published = Some(at.clone());
        open.base = base::Base::of(&open.store)?;
        let base = open.base.clone();
        Ok(GroupsReader::new(base, self.aggregate.clone(), at.since()))
    }

    fn sync(&mut self) -> Result<()> {
        self.parts()?.0.store.sync()
    }
}

/// Names what the rows are like: another layout is another definition, built from the log.
const LAYOUT: &str = "lists of members";
