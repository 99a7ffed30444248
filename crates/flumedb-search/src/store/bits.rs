//! [`Bits`], a set of documents of one segment.

use std::sync::Arc;

/// A set of numbers below a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: u32,
}

impl Bits {
    /// None of the numbers below `len`.
    pub(crate) fn none(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len }
    }

    pub(crate) fn insert(&mut self, bit: u32) {
        if let Some(word) = self.words.get_mut((bit / 64) as usize).filter(|_| bit < self.len) {
            *word |= 1 << (bit % 64);
        }
    }

    pub(crate) fn contains(&self, bit: u32) -> bool {
        self.words.get((bit / 64) as usize).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    pub(crate) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// The least number in the set that is not below `from`.
    pub(crate) fn at_least(&self, from: u32) -> Option<u32> {
        let at = (from / 64) as usize;
        let first = self.words.get(at)? & (u64::MAX << (from % 64));
        if first != 0 {
            return Some(from / 64 * 64 + first.trailing_zeros());
        }
        let skipped = self.words.iter().skip(at + 1).position(|word| *word != 0)?;
        let at = at + 1 + skipped;
        Some(at as u32 * 64 + self.words.get(at)?.trailing_zeros())
    }

    /// The numbers in the set, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.at_least(0), |last| self.at_least(last + 1))
    }
}

/// The documents of a segment that are gone; shared with readers until it changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dead(Option<Arc<Bits>>);

impl Dead {
    pub(crate) fn insert(&mut self, doc: u32, docs: u32) {
        let bits = self.0.get_or_insert_with(|| Arc::new(Bits::none(docs)));
        Arc::make_mut(bits).insert(doc);
    }

    pub(crate) fn contains(&self, doc: u32) -> bool {
        self.0.as_ref().is_some_and(|bits| bits.contains(doc))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.as_ref().map_or(0, |bits| bits.count())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|bits| bits.iter())
    }
}
