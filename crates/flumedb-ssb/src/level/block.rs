//! [`Block`], sorted keys with values as a table stores them: each key without the beginning that it has in common with the
//! one before it.

use bytes::Bytes;

use super::cursor::Cursor;

/// A block that is read from its start.
pub(super) struct Block {
    bytes: Bytes,
    at: usize,
    /// Where the entries end.
    end: usize,
    key: Vec<u8>,
}

impl Block {
    /// `None` if the bytes are no block.
    pub(super) fn new(bytes: Bytes) -> Option<Self> {
        // Behind the entries stand places at which keys are whole, four bytes each, and their number.
        let places = bytes.len().checked_sub(4)?;
        let count = Cursor(bytes.get(places..)?).u32()?;
        let end = places.checked_sub(usize::try_from(count).ok()?.checked_mul(4)?)?;
        Some(Self { bytes, at: 0, end, key: Vec::new() })
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// The next key and its value; `None` if there is none that makes sense.
    pub(super) fn step(&mut self) -> Option<(&[u8], Bytes)> {
        let entries = self.bytes.get(self.at..self.end)?;
        let mut rest = Cursor(entries);
        let (shared, fresh, len) = (rest.len()?, rest.len()?, rest.len()?);
        if shared > self.key.len() {
            return None;
        }
        let (fresh, value) = (rest.take(fresh)?, rest.take(len)?);
        self.key.truncate(shared);
        self.key.extend_from_slice(fresh);
        self.at += entries.len() - rest.0.len();
        let value = self.bytes.slice_ref(value);
        Some((&self.key, value))
    }
}
