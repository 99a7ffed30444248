//! The rows of the store: terms with their blocks, and how they are changed.

use std::collections::{BTreeMap, BTreeSet};

use redb::TableDefinition;

use super::block::{self, Block, halves, whole};
use crate::views::store::{
    Gathered,
    packs::{self, Packs},
};

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Blocks of entries by term: the term, and the block's first number; packed.
pub(super) const BITS: Definition = packs::table("bits");
/// Blocks of entries that were deleted, under the empty term; they stay in `BITS`.
pub(super) const GONE: Definition = packs::table("gone");

/// So many bytes of changed blocks are kept in memory before they are put into packs.
const AT_ONCE_BYTES: usize = 1 << 20;

/// The bytes of a number in a key: in order.
pub(super) const SEQ_LEN: usize = 8;

pub(super) fn key(term: &[u8], number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(term.len() + SEQ_LEN);
    write_key(term, number, &mut key);
    key
}

fn write_key(term: &[u8], number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(term);
    out.extend_from_slice(&number.to_be_bytes());
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

/// The block in which the number of a key would be: the last one of its term that does not begin behind it.
fn block_of(packs: &mut Packs<'_>, wanted: &[u8]) -> Result<Option<Block>, redb::Error> {
    let term = split(wanted).map(|(term, _)| term);
    let found =
        packs.last_to(wanted, |key, bytes| (split(key).map(|(term, _)| term) == term).then(|| decode(key, bytes)));
    found?.flatten().transpose()
}

/// Adds numbers with the upper half `high` to terms. The terms are in order, and so are the numbers of each, which are behind
/// all that it has.
pub(super) fn append<'t>(
    packs: &mut Packs<'_>,
    high: u32,
    terms: impl Iterator<Item = (&'t [u8], &'t [u32])>,
) -> Result<(), redb::Error> {
    let (mut changed, mut last) = (Gathered::default(), Vec::new());
    for (term, lows) in terms {
        if changed.memory() >= AT_ONCE_BYTES {
            packs.put(changed.rows())?;
            changed.clear();
        }
        let Some(first) = lows.first().map(|low| whole(high, *low)) else { continue };
        last.clear();
        write_key(term, u64::MAX, &mut last);
        let mut block = match block_of(packs, &last)?.filter(|block| block.takes(first)) {
            Some(block) => block,
            // Most terms are rare.
            None if block::are_few(lows) => {
                changed.push_with(|out| write_key(term, first, out), |out| block::encode_few(lows, out));
                continue;
            }
            None => Block::of(first),
        };
        let mut rest = lows;
        loop {
            rest = block.append(rest);
            if let Some(start) = block.start() {
                changed.push_with(|out| write_key(term, start, out), |out| block.encode(out));
            }
            match rest.first() {
                Some(&next) => block = Block::of(whole(high, next)),
                None => break,
            }
        }
    }
    packs.put(changed.rows())
}

fn write(packs: &mut Packs<'_>, term: &[u8], block: &mut Block) -> Result<(), redb::Error> {
    let Some(start) = block.start() else { return Ok(()) };
    let mut bytes = Vec::new();
    block.encode(&mut bytes);
    packs.put([(key(term, start).as_slice(), bytes.as_slice())])
}

/// Adds a number, wherever it belongs.
pub(super) fn insert(packs: &mut Packs<'_>, term: &[u8], number: u64) -> Result<(), redb::Error> {
    let mut block = match block_of(packs, &key(term, number))? {
        Some(mut block) if block.high == halves(number).0 => {
            block.insert(number);
            block
        }
        _ => Block::of(number),
    };
    write(packs, term, &mut block)
}

/// Removes a number from one term.
pub(super) fn remove(packs: &mut Packs<'_>, term: &[u8], number: u64) -> Result<(), redb::Error> {
    let Some(mut block) = block_of(packs, &key(term, number))? else { return Ok(()) };
    let start = block.start();
    if block.remove(number) {
        if let Some(start) = start.filter(|_| block.start() != start) {
            packs.remove([key(term, start).as_slice()])?;
        }
        write(packs, term, &mut block)?;
    }
    Ok(())
}

/// Removes numbers from whatever terms have them. Looks at every row, once.
pub(super) fn forget(packs: &mut Packs<'_>, numbers: &BTreeSet<u64>) -> Result<(), redb::Error> {
    let mut hits: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
    packs.each(|key, bytes| {
        let Some((term, start)) = split(key) else { return Ok(()) };
        if numbers.range(start..).next().is_none() {
            return Ok(());
        }
        let block = decode(key, bytes)?;
        let within = numbers.range(start..).filter(|&&number| {
            let (high, low) = halves(number);
            high == block.high && block.bits.contains(low)
        });
        let within: Vec<u64> = within.copied().collect();
        if !within.is_empty() {
            hits.entry(term.to_owned()).or_default().extend(within);
        }
        Ok(())
    })?;
    for (term, numbers) in hits {
        for number in numbers {
            remove(packs, &term, number)?;
        }
    }
    Ok(())
}
