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

fn write(packs: &mut Packs<'_>, term: &[u8], block: Block) -> Result<(), redb::Error> {
    let mut rows = Gathered::default();
    for mut part in block.parts() {
        if let Some(start) = part.start() {
            rows.push_with(|out| write_key(term, start, out), |out| part.encode(out));
        }
    }
    packs.put(rows.rows())
}

/// Adds numbers to a term, wherever they belong. They are in order.
pub(super) fn insert(
    packs: &mut Packs<'_>,
    term: &[u8],
    numbers: impl IntoIterator<Item = u64>,
) -> Result<(), redb::Error> {
    let mut numbers = numbers.into_iter().peekable();
    while let Some(&first) = numbers.peek() {
        let place = key(term, first);
        let mut block =
            block_of(packs, &place)?.filter(|block| block.has_place_for(first)).unwrap_or_else(|| Block::of(first));
        // No block reaches into the next one.
        let next = packs.next_after(&place)?;
        let end =
            next.as_deref().and_then(split).filter(|(other, _)| *other == term).map_or(u64::MAX, |(_, start)| start);
        while let Some(number) = numbers.next_if(|&number| number < end && block.has_place_for(number)) {
            block.insert(number);
        }
        write(packs, term, block)?;
    }
    Ok(())
}

/// Removes a number from one term.
pub(super) fn remove(packs: &mut Packs<'_>, term: &[u8], number: u64) -> Result<(), redb::Error> {
    let Some(mut block) = block_of(packs, &key(term, number))? else { return Ok(()) };
    let start = block.start();
    if block.remove(number) {
        if let Some(start) = start.filter(|_| block.start() != start) {
            packs.remove([key(term, start).as_slice()])?;
        }
        write(packs, term, block)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::{Database, backends::InMemoryBackend};

    use super::*;

    const TERM: &[u8] = b"term";
    /// Of a bitmap of 65,536 numbers, or of twice as many single ones as a block takes before it ends.
    const MOST_BYTES: usize = 24 << 10;

    /// What a term has, from its rows; no row is large.
    fn all(packs: &Packs<'_>) -> Result<BTreeSet<u64>, redb::Error> {
        let (mut found, mut end) = (BTreeSet::new(), None);
        packs.each(|key, bytes| {
            assert!(bytes.len() <= MOST_BYTES, "a row of {} bytes", bytes.len());
            let (start, block) = (split(key).map(|(_, start)| start), decode(key, bytes)?);
            assert!(block.start() == start && start > end, "a block that reaches into the next");
            end = block.bits.max().map(|low| whole(block.high, low));
            found.extend(block.bits.iter().map(|low| whole(block.high, low)));
            Ok(())
        })?;
        Ok(found)
    }

    fn insert_and_read(db: &Database, numbers: &[u64]) -> Result<BTreeSet<u64>, redb::Error> {
        let transaction = db.begin_write()?;
        let mut packs = Packs::open(&transaction, BITS)?;
        insert(&mut packs, TERM, numbers.iter().copied())?;
        let found = all(&packs)?;
        drop(packs);
        transaction.commit()?;
        Ok(found)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Guards against numbers that are lost where blocks end or are divided, and against a block that grows for ever, whatever
        /// the order in which numbers come.
        #[test]
        fn numbers_are_where_they_are_looked_for(
            groups in proptest::collection::vec((0..300_000_u64, 1..20_000_usize, 1..50_u64), 1..12),
        ) {
            let db = Database::builder().create_with_backend(InMemoryBackend::new());
            let db = db.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let mut model = BTreeSet::new();
            for (from, count, step) in groups {
                let numbers: Vec<u64> = (from..).step_by(step as usize).take(count).collect();
                let found = insert_and_read(&db, &numbers).map_err(|error| TestCaseError::fail(error.to_string()))?;
                model.extend(numbers);
                prop_assert!(found == model);
            }
        }
    }
}
