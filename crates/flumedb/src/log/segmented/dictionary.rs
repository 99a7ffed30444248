//! What a segment's compressed payloads may refer to: strings that many entries of the segment before had.
//!
//! A trained dictionary in the usual sense keeps stretches of single entries, which would outlive the entries' deletion.
//! In this one every stretch of [`SHINGLE`] bytes stood in at least [`SHARED`] of the entries looked at.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use foldhash::fast::FixedState;

/// So many entries are looked at.
pub(crate) const SAMPLES: usize = 512;
/// And of each so many bytes, from its start.
const LONGEST: usize = 4096;
/// So many of them must share what gets into the dictionary.
const SHARED: u32 = 16;
/// In stretches of so many bytes.
const SHINGLE: usize = 8;
/// The dictionary has at most so many bytes: each payload's compression begins by looking through it.
pub(crate) const MAX: usize = 2048;

/// What the samples have in common, the most useful last (where references to it are nearest); empty if that is little.
pub(crate) fn build<'a>(samples: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let samples: Vec<&[u8]> =
        samples.into_iter().take(SAMPLES).map(|sample| sample.get(..LONGEST).unwrap_or(sample)).collect();
    let shared = shared(&samples);
    // Each stretch that is shared all through, and how often it occurs.
    let mut pieces: HashMap<&[u8], usize, _> = HashMap::with_hasher(FixedState::default());
    for sample in &samples {
        let mut start = None;
        for at in 0..=sample.len() {
            let is_shared = sample.get(at..at + SHINGLE).is_some_and(|shingle| shared.contains(&key(shingle)));
            match (start, is_shared) {
                (None, true) => start = Some(at),
                (Some(from), false) => {
                    *pieces.entry(sample.get(from..at + SHINGLE - 1).unwrap_or_default()).or_default() += 1;
                    start = None;
                }
                _ => {}
            }
        }
    }
    let mut pieces: Vec<(&[u8], usize)> = pieces.into_iter().collect();
    pieces.sort_unstable_by_key(|(piece, count)| (Reverse(piece.len() * count), *piece));
    let (mut chosen, mut size, mut held) = (Vec::new(), 0, HashSet::with_hasher(FixedState::default()));
    for (piece, _) in pieces {
        let new = piece.windows(SHINGLE).filter(|shingle| !held.contains(&key(shingle))).count();
        if new * 2 >= piece.len() && size + piece.len() <= MAX {
            size += piece.len();
            held.extend(piece.windows(SHINGLE).map(key));
            chosen.push(piece);
        }
    }
    chosen.reverse();
    chosen.concat()
}

/// The shingles that enough of the samples have.
fn shared(samples: &[&[u8]]) -> HashSet<u64, FixedState> {
    // How many have it, and which was the last of them.
    let mut counts: HashMap<u64, (u32, usize), _> = HashMap::with_hasher(FixedState::default());
    for (number, sample) in samples.iter().enumerate() {
        for shingle in sample.windows(SHINGLE) {
            let (count, last) = counts.entry(key(shingle)).or_insert((0, usize::MAX));
            *count += u32::from(*last != number);
            *last = number;
        }
    }
    counts.into_iter().filter(|(_, (count, _))| *count >= SHARED).map(|(shingle, _)| shingle).collect()
}

fn key(shingle: &[u8]) -> u64 {
    shingle.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_is_shared_and_nothing_else() {
        let entries: Vec<String> = (0..200)
            .map(|n: u64| format!(r#"{{"type":"post","secret":"{:016x}"}}"#, n.wrapping_mul(0x9e3779b97f4a7c15)))
            .collect();
        let dictionary = build(entries.iter().map(|entry| entry.as_bytes()));
        let text = String::from_utf8(dictionary).unwrap();
        assert!(text.contains(r#"{"type":"post","secret":""#), "{text}");
        for shingle in text.as_bytes().windows(SHINGLE) {
            // Where two pieces meet there may be some that nobody had.
            let had = entries.iter().filter(|entry| entry.as_bytes().windows(SHINGLE).any(|it| it == shingle)).count();
            assert!(
                had == 0 || had >= SHARED as usize,
                "{:?} stood in {had} entries",
                String::from_utf8_lossy(shingle)
            );
        }
        assert!(build(entries.iter().take(15).map(|entry| entry.as_bytes())).is_empty());
    }
}
