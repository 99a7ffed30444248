//! [`Row`], one change to one key; and the rows of LevelDB's logs, where they stand in batches.

use std::cmp::Reverse;

use bytes::Bytes;

use super::cursor::Cursor;

/// A key with the value that it was given, or without one where it was deleted.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) key: u64,
    /// Which change it was; later ones count.
    pub(super) change: u64,
    pub(super) value: Option<Bytes>,
}

impl Row {
    /// What rows are in order of: by key, and of one key the newest change first.
    pub(super) fn order(&self) -> (u64, Reverse<u64>) {
        (self.key, Reverse(self.change))
    }
}

const DELETED: u8 = 0;
const VALUE: u8 = 1;

/// The key of an entry: a time in milliseconds as a big-endian double. The order of the bytes is that of the times.
pub(super) fn key(bytes: &[u8]) -> Option<u64> {
    let time = f64::from_be_bytes(bytes.try_into().ok()?);
    (time.is_finite() && time.is_sign_positive()).then_some(time.to_bits())
}

/// A key as tables have it, into the key that was given, the number of the change, and whether it set a value.
pub(super) fn split(key: &[u8]) -> Option<(&[u8], u64, bool)> {
    let (key, tag) = key.split_last_chunk()?;
    let tag = u64::from_le_bytes(*tag);
    let kind = u8::try_from(tag & 0xff).ok().filter(|kind| [DELETED, VALUE].contains(kind))?;
    Some((key, tag >> 8, kind == VALUE))
}

/// Adds the changes of a batch. Where it is none, this may show when some are added already.
pub(super) fn add_batch(batch: &Bytes, rows: &mut Vec<Row>) -> Result<(), &'static str> {
    const NONE: &str = "a batch that is none";
    let mut rest = Cursor(batch);
    let (first, count) = rest.u64().zip(rest.u32()).ok_or(NONE)?;
    for nth in 0..u64::from(count) {
        let change = first.checked_add(nth).ok_or(NONE)?;
        let kind = rest.byte().filter(|kind| [DELETED, VALUE].contains(kind)).ok_or(NONE)?;
        let key = key(rest.slice().ok_or(NONE)?).ok_or("a key that is no time, as flumelog-level has them")?;
        let value = if kind == VALUE { Some(batch.slice_ref(rest.slice().ok_or(NONE)?)) } else { None };
        rows.push(Row { key, change, value });
    }
    if rest.0.is_empty() { Ok(()) } else { Err(NONE) }
}
