//! The rows of the store: terms with their blocks, and how they are changed.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadableTable, Table, TableDefinition};

use super::block::{Block, halves};

/// Blocks of entries by term: the term, and the block's first number.
pub(super) const BITS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("bits");
/// Blocks of entries that were deleted, under the empty term; they stay in `BITS`.
pub(super) const GONE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("gone");

pub(super) type Bits<'a> = Table<'a, &'static [u8], &'static [u8]>;

/// The bytes of a number in a key: in order.
pub(super) const SEQ_LEN: usize = 8;

pub(super) fn key(term: &[u8], number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(term.len() + SEQ_LEN);
    key.extend_from_slice(term);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The term of a key, and the block's first number.
pub(super) fn split(key: &[u8]) -> Option<(&[u8], u64)> {
    let (term, number) = key.split_last_chunk::<SEQ_LEN>()?;
    Some((term, u64::from_be_bytes(*number)))
}

fn decode(key: &[u8], bytes: &[u8]) -> Result<Block, redb::Error> {
    let (_, start) = split(key).ok_or_else(|| redb::Error::Corrupted("a row that is no block".into()))?;
    Block::decode(start, bytes).map_err(|_| redb::Error::Corrupted("a block that cannot be read".into()))
}

/// The block in which `number` would be: the last one that does not begin behind it.
fn block_of(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    term: &[u8],
    number: u64,
) -> Result<Option<Block>, redb::Error> {
    let (first, last) = (key(term, 0), key(term, number));
    let found = table.range::<&[u8]>(first.as_slice()..=last.as_slice())?.next_back();
    let Some(row) = found else { return Ok(None) };
    let (key, bytes) = row?;
    decode(key.value(), bytes.value()).map(Some)
}

/// Writes blocks with one piece of memory.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn write(&mut self, table: &mut Bits<'_>, term: &[u8], block: &mut Block) -> Result<(), redb::Error> {
        if let Some(start) = block.start() {
            block.encode(&mut self.bytes);
            table.insert(key(term, start).as_slice(), self.bytes.as_slice())?;
        }
        Ok(())
    }

    /// Adds numbers, which are in order and behind all that the term has.
    pub(super) fn append(&mut self, table: &mut Bits<'_>, term: &[u8], numbers: &[u64]) -> Result<(), redb::Error> {
        let Some(&first) = numbers.first() else { return Ok(()) };
        let last = block_of(table, term, u64::MAX)?;
        let mut block = last.filter(|block| block.takes(first)).unwrap_or_else(|| Block::of(first));
        let mut rest = numbers;
        loop {
            rest = block.append(rest);
            self.write(table, term, &mut block)?;
            match rest.first() {
                Some(&next) => block = Block::of(next),
                None => return Ok(()),
            }
        }
    }

    /// Adds a number, wherever it belongs.
    pub(super) fn insert(&mut self, table: &mut Bits<'_>, term: &[u8], number: u64) -> Result<(), redb::Error> {
        let mut block = match block_of(table, term, number)? {
            Some(mut block) if block.high == halves(number).0 => {
                block.insert(number);
                block
            }
            _ => Block::of(number),
        };
        self.write(table, term, &mut block)
    }

    /// Removes a number from one term.
    pub(super) fn remove(&mut self, table: &mut Bits<'_>, term: &[u8], number: u64) -> Result<(), redb::Error> {
        let Some(mut block) = block_of(table, term, number)? else { return Ok(()) };
        let start = block.start();
        if block.remove(number) {
            if let Some(start) = start.filter(|_| block.start() != start) {
                table.remove(key(term, start).as_slice())?;
            }
            self.write(table, term, &mut block)?;
        }
        Ok(())
    }

    /// Removes numbers from whatever terms have them. Looks at every row, once.
    pub(super) fn forget(&mut self, table: &mut Bits<'_>, numbers: &BTreeSet<u64>) -> Result<(), redb::Error> {
        let mut hits: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
        for row in table.iter()? {
            let (key, bytes) = row?;
            let Some((term, start)) = split(key.value()) else { continue };
            if numbers.range(start..).next().is_none() {
                continue;
            }
            let block = decode(key.value(), bytes.value())?;
            let within = numbers.range(start..).filter(|&&number| {
                let (high, low) = halves(number);
                high == block.high && block.bits.contains(low)
            });
            let within: Vec<u64> = within.copied().collect();
            if !within.is_empty() {
                hits.entry(term.to_owned()).or_default().extend(within);
            }
        }
        for (term, numbers) in hits {
            for number in numbers {
                self.remove(table, &term, number)?;
            }
        }
        Ok(())
    }
}
