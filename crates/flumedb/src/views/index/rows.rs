//! [`Rows`], rows on their way into the store, in one piece of memory. A row is the bytes of a key with the entry's `Seq`
//! behind them.

use crate::Seq;

/// The bytes of a `Seq` in a row: in order.
pub(super) const SEQ_LEN: usize = 8;

/// Rows that are gathered, then sorted: a B-tree takes them several times as fast in order.
#[derive(Default)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    /// Where each row starts and ends.
    places: Vec<(usize, usize)>,
}

impl Rows {
    /// Adds the row of the key that `encode` writes.
    pub(super) fn push(&mut self, seq: Seq, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        self.bytes.extend_from_slice(&seq.get().to_be_bytes());
        self.places.push((start, self.bytes.len()));
    }

    /// Shows `visit` each row once, in order.
    pub(super) fn sorted<E>(&mut self, mut visit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let bytes = &self.bytes;
        let row = |place: &(usize, usize)| bytes.get(place.0..place.1).unwrap_or_default();
        self.places.sort_unstable_by(|one, two| row(one).cmp(row(two)));
        self.places.dedup_by(|one, two| row(one) == row(two));
        self.places.iter().try_for_each(|place| visit(row(place)))
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
