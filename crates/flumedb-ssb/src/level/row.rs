//! [`Row`], one change to one key; and the rows of LevelDB's logs, where they stand in batches.

use bytes::Bytes;

use super::cursor::Cursor;

/// A key with the value that it was given, or without one where it was deleted.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) key: Bytes,
    /// Which change it was; later ones count.
    pub(super) change: u64,
    pub(super) value: Option<Bytes>,
}

impl Row {
    /// What rows are in order of: by key, and of one key the newest change first.
    pub(super) fn order(&self) -> (&[u8], std::cmp::Reverse<u64>) {
        (&self.key, std::cmp::Reverse(self.change))
    }
}

const DELETED: u8 = 0;
const VALUE: u8 = 1;

/// A key of a table into the key that was given, the number of the change, and whether it set a value.
pub(super) fn split_key(key: &[u8]) -> Option<(&[u8], u64, bool)> {
    let (key, tag) = key.split_last_chunk()?;
    let tag = u64::from_le_bytes(*tag);
    let kind = u8::try_from(tag & 0xff).ok().filter(|kind| [DELETED, VALUE].contains(kind))?;
    Some((key, tag >> 8, kind == VALUE))
}

/// Adds the changes of a batch; `None` if it is none, which may show when some are added already.
pub(super) fn add_batch(batch: &Bytes, rows: &mut Vec<Row>) -> Option<()> {
    let mut rest = Cursor(batch);
    let (first, count) = (rest.u64()?, rest.u32()?);
    for nth in 0..u64::from(count) {
        let change = first.checked_add(nth)?;
        let kind = rest.byte()?;
        let key = batch.slice_ref(rest.slice()?);
        let value = match kind {
            DELETED => None,
            VALUE => Some(batch.slice_ref(rest.slice()?)),
            _ => return None,
        };
        rows.push(Row { key, change, value });
    }
    rest.0.is_empty().then_some(())
}
