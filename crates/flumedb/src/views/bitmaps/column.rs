//! The column of a view of numbers: for each entry its number, in blocks of entries.

use redb::{ReadableTable, Table, TableDefinition};

use super::{pending::Measured, term::NUMBER_LEN};

/// Blocks of measured entries, by their first.
pub(super) const COLUMN: TableDefinition<u64, &[u8]> = TableDefinition::new("column");

/// So many entries are in a block.
const FULL: usize = 512;
const DELTA_LEN: usize = 4;
const ROW_LEN: usize = DELTA_LEN + NUMBER_LEN;

pub(super) type Column<'a> = Table<'a, u64, &'static [u8]>;

/// The entries of a block.
pub(super) fn decode(start: u64, bytes: &[u8]) -> impl Iterator<Item = Measured> + '_ {
    bytes.as_chunks::<ROW_LEN>().0.iter().map(move |row| {
        let [a, b, c, d, number @ ..] = row;
        (start + u64::from(u32::from_le_bytes([*a, *b, *c, *d])), *number)
    })
}

fn write(table: &mut Column<'_>, block: &[Measured]) -> Result<(), redb::Error> {
    let Some(&(start, _)) = block.first() else { return Ok(()) };
    let mut bytes = Vec::with_capacity(block.len() * ROW_LEN);
    for (seq, number) in block {
        bytes.extend_from_slice(&((seq - start) as u32).to_le_bytes());
        bytes.extend_from_slice(number);
    }
    table.insert(start, bytes.as_slice())?;
    Ok(())
}

fn block_of(table: &Column<'_>, seq: u64) -> Result<Vec<Measured>, redb::Error> {
    let found = table.range(..=seq)?.next_back();
    let Some(row) = found else { return Ok(Vec::new()) };
    let (start, bytes) = row?;
    Ok(decode(start.value(), bytes.value()).collect())
}

/// Whether the entry `seq`, which is behind all of the block, belongs in it.
fn takes(block: &[Measured], seq: u64) -> bool {
    block.first().is_none_or(|&(start, _)| block.len() < FULL && u32::try_from(seq - start).is_ok())
}

/// Adds entries that are behind all there are.
pub(super) fn append(table: &mut Column<'_>, entries: &[Measured]) -> Result<(), redb::Error> {
    let mut block = block_of(table, u64::MAX)?;
    for &entry in entries {
        if !takes(&block, entry.0) {
            write(table, &block)?;
            block.clear();
        }
        block.push(entry);
    }
    write(table, &block)
}

/// Sets, or takes away, what an entry has.
pub(super) fn set(table: &mut Column<'_>, seq: u64, number: Option<[u8; NUMBER_LEN]>) -> Result<(), redb::Error> {
    let mut block = block_of(table, seq)?;
    let former = block.first().map(|first| first.0);
    if former.is_some_and(|start| u32::try_from(seq - start).is_err()) {
        block.clear();
    }
    let place = block.binary_search_by_key(&seq, |entry| entry.0);
    match (place, number) {
        (Ok(at), Some(number)) => {
            if let Some(entry) = block.get_mut(at) {
                entry.1 = number;
            }
        }
        (Ok(at), None) => {
            block.remove(at);
        }
        (Err(at), Some(number)) => block.insert(at, (seq, number)),
        (Err(_), None) => return Ok(()),
    }
    if former == Some(seq) && number.is_none() {
        table.remove(seq)?;
    }
    write(table, &block)
}
