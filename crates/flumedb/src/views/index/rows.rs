//! [`Rows`], rows on their way into the store, in one piece of memory. A row is the bytes of a key with the entry's `Seq`
//! behind them.

use crate::Seq;

/// The bytes of a `Seq` in a row: in order.
pub(super) const SEQ_LEN: usize = 8;

/// Rows that are gathered, then sorted: a B-tree takes them several times as fast in order.
#[derive(Default)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    places: Vec<RowPlace>,
}

/// Where a row starts and ends.
#[derive(Clone, Copy)]
struct RowPlace {
    /// Its first bytes, as a number (zeros behind a short one): they mostly tell it from others.
    head: u128,
    start: usize,
    end: usize,
}

impl Rows {
    /// Adds the row of the key that `encode` writes.
    pub(super) fn push(&mut self, seq: Seq, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        self.bytes.extend_from_slice(&seq.get().to_be_bytes());
        let mut head = [0; 16];
        let row = self.bytes.get(start..).unwrap_or_default();
        head.iter_mut().zip(row).for_each(|(head, byte)| *head = *byte);
        self.places.push(RowPlace { head: u128::from_be_bytes(head), start, end: self.bytes.len() });
    }

    /// Shows `visit` each row once, in order.
    pub(super) fn sorted<E>(&mut self, mut visit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let bytes = &self.bytes;
        let row = |place: &RowPlace| bytes.get(place.start..place.end).unwrap_or_default();
        self.places.sort_unstable_by(|one, two| one.head.cmp(&two.head).then_with(|| row(one).cmp(row(two))));
        self.places.dedup_by(|one, two| one.head == two.head && row(one) == row(two));
        self.places.iter().try_for_each(|place| visit(row(place)))
    }

    /// About how much memory they take.
    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<RowPlace>()
    }

    /// Forgets the rows; keeps the memory for the next ones.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }
}

/// The `Seq` of a row, and the bytes of its key.
pub(super) fn split(row: &[u8]) -> Option<(&[u8], Seq)> {
    let (key, seq) = row.split_last_chunk::<SEQ_LEN>()?;
    Some((key, Seq::new(u64::from_be_bytes(*seq))))
}
