//! [`BitmapReader`], what one of the views held at one moment, a window at a time.

mod difference;

use std::{
    ops::{Bound, RangeInclusive},
    path::PathBuf,
    sync::Arc,
};

use redb::ReadOnlyTable;
use roaring::RoaringBitmap;

use super::{
    Matches, Number, Op,
    block::{Block, whole},
    column::{self, COLUMN},
    eval::Eval,
    kind::{Kind, Test},
    node::{Declared, Planner},
    pending::Measured,
    place::Place,
    rows::{BITS, GONE, key, split},
    term::{self, NUMBER_LEN},
};
use crate::{
    Damage, Error, ErrorKind, Result, Seq,
    codec::Document,
    view::Entries,
    views::store::{
        Store, failed,
        packs::{ReadPacks, Rows},
    },
};

/// A consistent snapshot of one of the views of [`Bitmaps`](super::Bitmaps). Cheap to clone. Queries ask it.
pub struct BitmapReader<T>(Arc<Inner<T>>);

struct Inner<T> {
    bits: ReadPacks,
    gone: ReadPacks,
    has_gone: bool,
    column: Option<ReadOnlyTable<u64, &'static [u8]>>,
    path: PathBuf,
    entries: Entries<T>,
    kind: Arc<Kind>,
    since: Option<Seq>,
    /// The log began here when this was made: it has no entry before.
    begin: u64,
}

impl<T> Clone for BitmapReader<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Some consecutive numbers that have the same upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) high: u32,
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Window {
    fn first(self) -> u64 {
        whole(self.high, self.from)
    }

    fn last(self) -> u64 {
        whole(self.high, self.to)
    }

    /// What of `block` is in it.
    fn cut(self, mut block: Block) -> RoaringBitmap {
        if block.high != self.high {
            return RoaringBitmap::new();
        }
        if block.bits.min().is_some_and(|first| first < self.from) {
            block.bits.remove_range(..self.from);
        }
        if block.bits.max().is_some_and(|last| last > self.to)
            && let Some(beyond) = self.to.checked_add(1)
        {
            block.bits.remove_range(beyond..);
        }
        block.bits
    }
}

impl<T> BitmapReader<T> {
    pub(super) fn new(store: &Store, entries: Entries<T>, kind: Arc<Kind>, since: Option<Seq>) -> Result<Self> {
        let transaction = store.read()?;
        let bits = ReadPacks::open(&transaction, BITS).map_err(|error| store.failed(error))?;
        let gone = ReadPacks::open(&transaction, GONE).map_err(|error| store.failed(error))?;
        let has_gone = gone.count().map_err(|error| store.failed(error))? > 0;
        let measures = matches!(*kind, Kind::Numbers(_));
        let column =
            measures.then(|| transaction.open_table(COLUMN).map_err(|error| store.failed(error))).transpose()?;
        let path = store.path().to_owned();
        let begin = entries.log().first().map_or(0, Seq::get);
        Ok(Self(Arc::new(Inner { bits, gone, has_gone, column, path, entries, kind, since, begin })))
    }

    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.0.since
    }

    pub(super) fn entries(&self) -> &Entries<T> {
        &self.0.entries
    }

    /// No entry before this is there any more.
    pub(super) fn begin(&self) -> u64 {
        self.0.begin
    }

    /// The number after the last that it covers.
    pub(super) fn end(&self) -> u64 {
        self.0.since.map_or(0, |since| since.get().saturating_add(1))
    }

    fn failed(&self, error: impl Into<redb::Error>) -> Error {
        failed(error, &self.0.path)
    }

    fn broken(&self, what: &str) -> Error {
        Error::corrupt(Damage::new(&*self.0.path, 0, 0, what))
    }

    fn block(&self, key: &[u8], bytes: &[u8]) -> Result<Block> {
        let (_, start) = split(key).ok_or_else(|| self.broken("a row that is no block"))?;
        Block::decode(start, bytes).map_err(|_| self.broken("a block that cannot be read"))
    }

    fn load(&self, packs: &ReadPacks, term: &[u8], window: Window) -> Result<RoaringBitmap> {
        let mut bits = RoaringBitmap::new();
        let (start, end) = (key(term, window.first()), key(term, window.last()));
        // The one that begins at or before the window, then those in it.
        let before = packs
            .last_to(&start, |key, bytes| split(key).is_some_and(|(of, _)| of == term).then(|| self.block(key, bytes)));
        if let Some(block) = before.map_err(|error| self.failed(error))?.flatten() {
            bits = window.cut(block?);
        }
        if window.first() < window.last() {
            let mut within = packs.range((Bound::Excluded(start), Bound::Included(end)));
            while let Some((key, bytes)) = within.next().map_err(|error| self.failed(error))? {
                let cut = window.cut(self.block(key, bytes)?);
                if bits.is_empty() {
                    bits = cut;
                } else {
                    bits |= cut;
                }
            }
        }
        Ok(bits)
    }

    /// Takes off what has been deleted, unless that counts.
    fn without_gone(&self, mut bits: RoaringBitmap, window: Window, ever: bool) -> Result<RoaringBitmap> {
        if self.0.has_gone && !ever && !bits.is_empty() {
            bits -= self.load(&self.0.gone, &[], window)?;
        }
        Ok(bits)
    }

    /// The entries with `term`; with `ever`, deleted ones that had it too.
    pub(super) fn with(&self, term: &[u8], window: Window, ever: bool) -> Result<RoaringBitmap> {
        self.without_gone(self.load(&self.0.bits, term, window)?, window, ever)
    }

    /// The entries with terms from `from` to before `to`. Looks at all rows of these.
    pub(super) fn within(&self, from: &[u8], to: &[u8], window: Window, ever: bool) -> Result<RoaringBitmap> {
        let mut bits = RoaringBitmap::new();
        let mut rows = self.0.bits.range((Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec())));
        while let Some((key, bytes)) = rows.next().map_err(|error| self.failed(error))? {
            let start = split(key).map_or(0, |(_, start)| start);
            if start <= window.last() {
                bits |= window.cut(self.block(key, bytes)?);
            }
        }
        self.without_gone(bits, window, ever)
    }

    /// The entries whose numbers are in the range.
    pub(super) fn measured(
        &self,
        range: &RangeInclusive<[u8; NUMBER_LEN]>,
        window: Window,
        ever: bool,
    ) -> Result<RoaringBitmap> {
        let mut lows = Vec::new();
        self.column(window, |(seq, number)| {
            if range.contains(&number) {
                lows.push(seq as u32);
            }
        })?;
        let bits = RoaringBitmap::from_sorted_iter(lows).map_err(|_| self.broken("a column out of order"))?;
        self.without_gone(bits, window, ever)
    }

    /// The numbers of the entries in `wanted`, in the order of the log; of those that have one.
    pub(super) fn numbers(&self, wanted: &RoaringBitmap, high: u32, mut visit: impl FnMut(Measured)) -> Result<()> {
        let Some(column) = &self.0.column else { return Ok(()) };
        let mut wanted = wanted.iter().map(|low| whole(high, low)).peekable();
        while let Some(&seq) = wanted.peek() {
            let block = column.range(..=seq).map_err(|error| self.failed(error))?.next_back();
            if let Some(block) = block {
                let (start, bytes) = block.map_err(|error| self.failed(error))?;
                for entry in column::decode(start.value(), bytes.value()) {
                    while wanted.next_if(|seq| *seq < entry.0).is_some() {}
                    if wanted.next_if_eq(&entry.0).is_some() {
                        visit(entry);
                    }
                }
            }
            // If it is there still, it stands behind its block, and has none.
            wanted.next_if_eq(&seq);
        }
        Ok(())
    }

    fn column(&self, window: Window, mut visit: impl FnMut(Measured)) -> Result<()> {
        let Some(column) = &self.0.column else { return Ok(()) };
        let before = column.range(..=window.first()).map_err(|error| self.failed(error))?.next_back();
        let start = match before {
            Some(row) => row.map_err(|error| self.failed(error))?.0.value(),
            None => window.first(),
        };
        for row in column.range(start..=window.last()).map_err(|error| self.failed(error))? {
            let (start, bytes) = row.map_err(|error| self.failed(error))?;
            let entries = column::decode(start.value(), bytes.value());
            let entries = entries.skip_while(|entry| entry.0 < window.first());
            entries.take_while(|entry| entry.0 <= window.last()).for_each(&mut visit);
        }
        Ok(())
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> Result<u64> {
        self.0.bits.count().map_err(|error| self.failed(error))
    }

    /// All blocks of numbers in order, from that of `after` (a number and an entry) on, or from its other side.
    pub(super) fn ordered(&self, after: Option<&([u8; NUMBER_LEN], u64)>, reverse: bool) -> Result<Ordered<T>> {
        let of = |number: &[u8], seq| key(&[&[term::NUMBER], number].concat(), seq);
        let (mut first, mut last) = (vec![term::NUMBER], vec![term::NUMBER + 1]);
        if let Some((number, seq)) = after {
            // The block that the entry is in, from either side.
            let end = of(number, *seq);
            let term = split(&end).map(|(term, _)| term);
            let found = self.0.bits.last_to(&end, |key, _| (split(key).map(|it| it.0) == term).then(|| key.to_owned()));
            let found = found.map_err(|error| self.failed(error))?.flatten();
            let block = found.unwrap_or(end);
            if reverse {
                last = block;
                // What begins there is in.
                last.push(0);
            } else {
                first = block;
            }
        }
        let rows = self.0.bits.range((Bound::Included(first), Bound::Excluded(last)));
        Ok(Ordered { rows, reverse, reader: self.clone() })
    }
}

/// Blocks of numbers in order.
pub(super) struct Ordered<T> {
    rows: Rows,
    reverse: bool,
    reader: BitmapReader<T>,
}

impl<T> Ordered<T> {
    /// The next block, with the number that its entries have.
    pub(super) fn next(&mut self) -> Result<Option<([u8; NUMBER_LEN], Block)>> {
        let row = if self.reverse { self.rows.next_back() } else { self.rows.next() };
        let Some((key, bytes)) = row.map_err(|error| self.reader.failed(error))? else { return Ok(None) };
        let block = self.reader.block(key, bytes)?;
        let number = split(key).and_then(|(term, _)| term.get(1..)).and_then(|number| number.try_into().ok());
        Ok(Some((number.ok_or_else(|| self.reader.broken("a number that is none"))?, block)))
    }
}

impl<T: Document + Send + Sync + 'static> BitmapReader<T> {
    /// What `op` finds, in the order of the log, if this view alone can answer it.
    ///
    /// # Errors
    /// `Invalid` if `op` needs another view.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn matches(&self, op: &Op) -> Result<Matches<T>> {
        let mut planner = Planner { kinds: Vec::new(), declared: &*self.0.kind, records: &|_| [].into() };
        let node = planner.node(op, &Place::Top)?;
        let own = self.0.kind.name();
        if planner.kinds.iter().any(|kind| kind.name() != own) || op.lists_records() {
            let message = format!("the view {own} does not answer {op} alone; ask `Bitmaps`");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let eval = Arc::new(Eval { node: Arc::new(node), readers: vec![self.clone()], ever: false });
        Matches::new(eval, None, false, None, 0, None).await
    }
}

impl Declared for Kind {
    fn predicate(&self, wanted: &str) -> Option<(u32, Test)> {
        match self {
            Self::Predicate { name, version, test, .. } if name == wanted => Some((*version, test.clone())),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<Number> {
        Number::known(name)
    }
}
