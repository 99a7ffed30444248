//! Guards against damage that one format of other people's logs takes worse than is said: a small log of each is cut after
//! every byte, every bit of it is turned, and its sectors are zeroed, swapped and written over one another. What a log shows
//! then is held against what was in it, and the words for that against the table in `docs/durability.md`.
//!
//! Whatever the damage: nothing panics or hangs, a record before the damage is there as it was, what is missing is told
//! unless the cut lies between two records, and a repair leaves a log without damage in which everything still is that could
//! be read.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
mod damage_support;

use std::collections::{BTreeMap, BTreeSet};

use damage_support::{Original, Outcome};
use flumedb_sim::{SECTOR, figure};
use flumedb_ssb::Format;

const FORMATS: [&str; 10] = [
    "offset32",
    "offset48",
    "offset53",
    "offset-basic",
    "aligned:2048",
    "aaol:2048",
    "offset2",
    "memory",
    "jsonl",
    "level",
];

/// The columns of the table.
const DAMAGE: [&str; 5] =
    ["cut after any byte", "any bit", "a sector of zeros", "two sectors swapped", "a sector twice"];

fn outcomes(format: Format) -> [BTreeMap<Outcome, usize>; 5] {
    const BYTES: usize = SECTOR as usize;
    let sectors = |len: usize| len.div_ceil(BYTES);
    let (few, many) = (Original::small(format), Original::large(format));
    let pairs = |len: usize| len.div_ceil(BYTES).pow(2);
    /// The two sectors of the pair of this number.
    fn pair(bytes: &[u8], number: usize) -> (usize, usize) {
        let sectors = bytes.len().div_ceil(BYTES);
        (number / sectors * BYTES, number % sectors * BYTES)
    }
    [
        many.each(|len| len, |bytes, number| bytes.truncate(number)),
        few.each(|len| len * 8, |bytes, number| bytes[number / 8] ^= 1 << (number % 8)),
        many.each(sectors, |bytes, number| {
            let end = bytes.len().min((number + 1) * BYTES);
            bytes[number * BYTES..end].fill(0);
        }),
        many.each(pairs, |bytes, number| {
            let (one, other) = pair(bytes, number);
            let len = BYTES.min(bytes.len() - one.max(other));
            if one < other {
                let (left, right) = bytes.split_at_mut(other);
                left[one..one + len].swap_with_slice(&mut right[..len]);
            }
        }),
        many.each(pairs, |bytes, number| {
            let (one, other) = pair(bytes, number);
            let len = BYTES.min(bytes.len() - one.max(other));
            bytes.copy_within(one..one + len, other);
        }),
    ]
}

#[test]
fn every_format_shows_what_the_table_says() {
    let table = include_str!("../../../docs/durability.md");
    let mut wrong = Vec::new();
    for name in FORMATS {
        let outcomes = outcomes(name.parse().unwrap());
        println!("{name}: {outcomes:?}");
        figure(name, outcomes.iter().flat_map(BTreeMap::values).sum::<usize>() as u64);
        let cell = |seen: &BTreeMap<Outcome, usize>| {
            let words: BTreeSet<_> = seen.keys().collect();
            words.into_iter().map(Outcome::to_string).collect::<Vec<_>>().join(", ")
        };
        let cells = outcomes.iter().map(cell).collect::<Vec<_>>();
        let row = format!("| `{name}` | {} |", cells.join(" | "));
        if !table.contains(&row) {
            wrong.push(row);
        }
    }
    assert!(wrong.is_empty(), "the table says something else of:\n| | {} |\n{}", DAMAGE.join(" | "), wrong.join("\n"));
}
