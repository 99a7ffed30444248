//! [`BitmapView`], one (path, kind): a view of its own, that follows the log and keeps bitmaps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    column::{self, COLUMN},
    group::{Group, Member},
    kind::Kind,
    path::{Number, Path},
    pending::Pending,
    reader::BitmapReader,
    rows::{self, BITS, GONE},
};
use crate::{
    Error, ErrorKind, Result, Seq,
    codec::{Document, Field},
    view::{Checkpoint, Definition, Entries, Retraction, Run, View, ViewContext},
    views::store::{Store, packs::Packs},
};

/// One of the views that [`Bitmaps`](super::Bitmaps) is a handle on; it can be added alone as well, and its
/// [reader](BitmapReader::matches) asked what it alone can answer.
///
/// Taking in entries costs memory for their terms until the next publish, which writes the last block of each term they have.
/// A deleted entry is noted in a bitmap of its own, which is taken off every answer; an entry that reads otherwise now is
/// taken out of all bitmaps, in one pass over the rows for all such entries.
pub struct BitmapView<T> {
    kind: Arc<Kind>,
    cache_bytes: usize,
    group: Arc<Group>,
    open: Option<Open<T>>,
}

struct Open<T> {
    store: Store,
    entries: Entries<T>,
    pending: Pending,
    member: Option<Member>,
}

impl<T> BitmapView<T> {
    /// Bytes of the store that are kept in memory, unless [`cache_bytes`](BitmapView::cache_bytes) says otherwise.
    pub const CACHE_BYTES: usize = 16 << 20;

    pub(super) fn new(kind: Kind) -> Self {
        Self { kind: Arc::new(kind), cache_bytes: Self::CACHE_BYTES, group: Arc::default(), open: None }
    }

    /// Lets it read together with others.
    pub(super) fn in_group(self, group: &Arc<Group>) -> Self {
        Self { group: group.clone(), ..self }
    }

    /// Sets how many bytes of the store are kept in memory.
    #[must_use]
    pub fn cache_bytes(self, bytes: usize) -> Self {
        Self { cache_bytes: bytes, ..self }
    }

    /// Every entry: what `not` is taken from.
    pub fn entries() -> Self {
        Self::new(Kind::Entries)
    }

    /// The values at a path: for `equal`, `absent` and `prefix`.
    pub fn values(path: impl Into<Path>) -> Self {
        Self::new(Kind::Values(path.into()))
    }

    /// The items of the array at a path, or what stands at `pluck` in each: for `includes`.
    pub fn items(path: impl Into<Path>, pluck: Option<Path>) -> Self {
        Self::new(Kind::Items { path: path.into(), pluck })
    }

    /// A few bytes of the text at a path: for `equal` with a `part`.
    pub fn parts(path: impl Into<Path>, bytes: usize, offset: usize) -> Self {
        Self::new(Kind::Part { path: path.into(), bytes, offset })
    }

    /// Numbers: for `gt` and its kin, and to sort by. One that is only named (`Number::Named`) is one of those that are there from
    /// the start, or none.
    pub fn numbers(number: impl Into<Number>) -> Self {
        let number = match number.into() {
            Number::Named(name) => Number::known(&name).unwrap_or(Number::Least(Vec::new())),
            number => number,
        };
        Self::new(Kind::Numbers(number))
    }

    /// What a function of the field at a path says: for `predicate`.
    pub fn predicate(
        path: impl Into<Path>,
        name: impl Into<String>,
        version: u32,
        test: impl Fn(Option<Field<'_>>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::new(Kind::Predicate { path: path.into(), name: name.into(), version, test: Arc::new(test) })
    }

    /// The view that has this definition, which is what a stored one says of itself. `None` for another kind or version of view,
    /// and for a predicate: only its program has the function.
    pub fn defined(definition: &Definition) -> Option<Self> {
        let kind = Kind::of_detail(&serde_json::from_str(&definition.detail).ok()?)?;
        (kind.definition() == *definition).then(|| Self::new(kind))
    }

    fn open(&mut self) -> Result<(&Arc<Kind>, &mut Open<T>)> {
        match &mut self.open {
            Some(open) => Ok((&self.kind, open)),
            None => Err(Error::new(ErrorKind::Invalid, "the bitmaps are not open; call `open` first")),
        }
    }
}

impl<T: Document + Send + Sync + 'static> View for BitmapView<T> {
    type Item = T;
    type Reader = BitmapReader<T>;

    fn definition(&self) -> Definition {
        self.kind.definition()
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        // Two stores must not have one file open.
        self.open = None;
        let store = Store::open(cx.place.as_ref(), self.cache_bytes)?;
        let checkpoint = store.checkpoint()?;
        let next = checkpoint.as_ref().and_then(|at| at.since()).map_or(0, |since| since.get().saturating_add(1));
        let member = match &*self.kind {
            Kind::Values(path) => Some(self.group.join(path, next)),
            _ => None,
        };
        self.open = Some(Open { store, entries: cx.entries.clone(), pending: Pending::default(), member });
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        let (kind, open) = self.open()?;
        open.pending.apply(kind, run, open.member.as_ref().and_then(|member| member.column(run)));
        if let Some(member) = &open.member {
            member.passed(run);
        }
        Ok(())
    }

    fn retract(&mut self, seq: Seq, _: Option<&T>) -> Result<Retraction> {
        self.open()?.1.pending.gone.insert(seq.get());
        Ok(Retraction::Done)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let (kind, open) = self.open()?;
        open.pending.reprocess(kind, &kind.paths(), seq.get(), item);
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<BitmapReader<T>> {
        let (kind, Open { store, entries, pending, .. }) = self.open()?;
        let measures = matches!(**kind, Kind::Numbers(_));
        store.commit(at, |transaction| {
            let (mut bits, mut gone) = (Packs::open(transaction, BITS)?, Packs::open(transaction, GONE)?);
            // The store takes them many times as fast in order.
            let order = pending.terms.sorted();
            for part in &pending.parts {
                let lows = part.by_term(pending.terms.len());
                let terms = order.iter().map(|term| (pending.terms.get(*term), lows.get(*term)));
                rows::append(&mut bits, part.high, terms)?;
            }
            if measures {
                let mut column = transaction.open_table(COLUMN)?;
                column::append(&mut column, &pending.numbers)?;
                for (seq, anew) in &pending.anew {
                    column::set(&mut column, *seq, anew.as_ref().and_then(|anew| anew.number))?;
                }
            }
            if !pending.anew.is_empty() {
                rows::forget(&mut bits, &pending.anew.keys().copied().collect::<BTreeSet<u64>>())?;
            }
            let mut back: BTreeMap<&[u8], Vec<u64>> = BTreeMap::new();
            for (seq, anew) in &pending.anew {
                // It was deleted as far as this view knows if it did not decode.
                rows::remove(&mut gone, &[], *seq)?;
                anew.iter().flat_map(|anew| &anew.terms).for_each(|term| back.entry(term).or_default().push(*seq));
            }
            for (term, numbers) in back {
                rows::insert(&mut bits, term, numbers)?;
            }
            rows::insert(&mut gone, &[], pending.gone.iter().copied())?;
            Ok(())
        })?;
        pending.clear();
        BitmapReader::new(store, entries.clone(), kind.clone(), at.since())
    }

    fn pending_bytes(&self) -> Option<usize> {
        self.open.as_ref().map(|open| open.pending.memory())
    }

    fn sync(&mut self) -> Result<()> {
        self.open()?.1.store.sync()
    }
}
