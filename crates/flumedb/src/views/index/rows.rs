//! The rows of an index: the bytes of a key with the entry's `Seq` behind them, and nothing behind that.

use redb::TableDefinition;

use crate::{
    Seq,
    views::store::{Gathered, packs},
};

/// Every row, packed.
pub(super) const ROWS: TableDefinition<'static, &'static [u8], &'static [u8]> = packs::table("rows");

/// The version of what is stored, which decides where.
pub(super) const FORM: &str = "packed";

/// The bytes of a `Seq` in a row: in order.
pub(super) const SEQ_LEN: usize = 8;

/// Adds the row of the key that `encode` writes.
pub(super) fn push(rows: &mut Gathered, seq: Seq, encode: impl FnOnce(&mut Vec<u8>)) {
    rows.push(|out| {
        encode(out);
        out.extend_from_slice(&seq.get().to_be_bytes());
    });
}

/// The `Seq` of a row, and the bytes of its key.
pub(super) fn split(row: &[u8]) -> Option<(&[u8], Seq)> {
    let (key, seq) = row.split_last_chunk::<SEQ_LEN>()?;
    Some((key, Seq::new(u64::from_be_bytes(*seq))))
}
