//! [`Rows`], rows of packs in order, from either end.

use std::ops::Bound;

use redb::Range;

use super::{
    COUNT, ReadPacks, Within,
    pack::{Reader, Unpacked},
};

/// The rows within two bounds. Packs are read as they are come to.
pub(crate) struct Rows {
    packs: ReadPacks,
    within: Within,
    between: Between,
    front: Half,
    back: Half,
}

/// The packs that nobody has come to yet.
enum Between {
    /// Nothing has been asked.
    All,
    Some(Box<Range<'static, &'static [u8], &'static [u8]>>),
    None,
}

/// What is left of a pack.
#[derive(Default)]
struct Half {
    rows: Unpacked,
    from: usize,
    to: usize,
}

impl Half {
    /// Takes in the rows of a pack that are within; `true` if the pack goes on behind them.
    fn read(&mut self, key: &[u8], bytes: &[u8], (start, end): &Within) -> Result<bool, redb::Error> {
        self.rows.clear();
        let mut reader = Reader::new(key, bytes);
        let mut ended = false;
        while let Some(value) = reader.next()? {
            if is_behind(&reader.key, end) {
                ended = true;
                break;
            }
            // Behind the first that is in, all others are.
            if self.rows.len() > 0 || !is_before(&reader.key, start) {
                self.rows.push(&reader.key, value);
            }
        }
        (self.from, self.to) = (0, self.rows.len());
        Ok(ended)
    }

    fn is_empty(&self) -> bool {
        self.from >= self.to
    }
}

fn is_before(key: &[u8], start: &Bound<Vec<u8>>) -> bool {
    match start {
        Bound::Included(start) => key < start.as_slice(),
        Bound::Excluded(start) => key <= start.as_slice(),
        Bound::Unbounded => false,
    }
}

fn is_behind(key: &[u8], end: &Bound<Vec<u8>>) -> bool {
    match end {
        Bound::Included(end) => key > end.as_slice(),
        Bound::Excluded(end) => key >= end.as_slice(),
        Bound::Unbounded => false,
    }
}

/// Whether a row with this key is within.
pub(crate) fn is_within(key: &[u8], (start, end): &Within) -> bool {
    !is_before(key, start) && !is_behind(key, end)
}

impl Rows {
    pub(super) fn new(packs: ReadPacks, within: Within) -> Self {
        Self { packs, within, between: Between::All, front: Half::default(), back: Half::default() }
    }

    /// The next row.
    pub(crate) fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, redb::Error> {
        self.begin()?;
        while self.front.is_empty() {
            let Between::Some(packs) = &mut self.between else { break };
            match packs.next() {
                Some(pack) => {
                    let (key, bytes) = pack?;
                    self.front.read(key.value(), bytes.value(), &self.within)?;
                }
                None => self.between = Between::None,
            }
        }
        let half = if self.front.is_empty() { &mut self.back } else { &mut self.front };
        if half.is_empty() {
            return Ok(None);
        }
        half.from += 1;
        Ok(half.rows.get(half.from - 1))
    }

    /// The last row that is left.
    pub(crate) fn next_back(&mut self) -> Result<Option<(&[u8], &[u8])>, redb::Error> {
        self.begin()?;
        while self.back.is_empty() {
            let Between::Some(packs) = &mut self.between else { break };
            match packs.next_back() {
                Some(pack) => {
                    let (key, bytes) = pack?;
                    self.back.read(key.value(), bytes.value(), &self.within)?;
                }
                None => self.between = Between::None,
            }
        }
        let half = if self.back.is_empty() { &mut self.front } else { &mut self.back };
        if half.is_empty() {
            return Ok(None);
        }
        half.to -= 1;
        Ok(half.rows.get(half.to))
    }

    /// Reads the pack to which the first row belongs; often there are no others.
    fn begin(&mut self) -> Result<(), redb::Error> {
        if !matches!(self.between, Between::All) {
            return Ok(());
        }
        // What fails gives nothing more.
        self.between = Between::None;
        let table = &self.packs.0;
        let (start, end) = &self.within;
        let mut from = COUNT.to_vec();
        if let Bound::Included(start) | Bound::Excluded(start) = start {
            let first = table.range::<&[u8]>((Bound::Excluded(COUNT), Bound::Included(start.as_slice())))?.next_back();
            if let Some(first) = first {
                let (key, bytes) = first?;
                if self.front.read(key.value(), bytes.value(), &self.within)? {
                    return Ok(());
                }
                from = key.value().to_vec();
            }
        }
        // Nothing can be between other bounds, and need not be looked for.
        if !is_behind(&from, end) && *end != Bound::Included(from.clone()) {
            let between = (Bound::Excluded(from.as_slice()), end.as_ref().map(Vec::as_slice));
            self.between = Between::Some(Box::new(table.range::<&[u8]>(between)?));
        }
        Ok(())
    }
}
