//! Guards against a flipped bit that goes unnoticed: other bytes, an entry that is passed over, or a log that ends
//! earlier without a word (other stores apply the rule for torn tails in the middle of a log, and lose what follows).
//!
//! Every single bit of a log of 64 KiB. Whatever the bit, opening and reading gives every entry as it was, or an error
//! that names the damaged file; where entries are missing the open has said so, and nobody had vouched for them.
//!
//! The quick run flips every bit of one log (closed, in one segment) and every 17th bit of the others; with `FLUME_SOAK`
//! set, every bit of all.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{collections::BTreeMap, sync::Mutex};

use flumedb_sim::{Original, Outcome, on_all_cores, soak_or};

/// Flips every `stride`-th bit, one at a time; how often each outcome was seen.
fn flip_all(original: &Original, stride: usize) -> BTreeMap<String, u64> {
    let outcomes = Mutex::new(BTreeMap::new());
    for (file, bytes) in original.segments() {
        let whole = original.image.read(&file).unwrap();
        let flips = (bytes.len() * 8).div_ceil(stride);
        on_all_cores(flips, |flip| {
            let bit = flip * stride;
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let outcome = original.damaged(&file, &bytes);
            *outcomes.lock().unwrap().entry(format!("{outcome:?}")).or_insert(0) += 1;
        });
    }
    let outcomes = outcomes.into_inner().unwrap();
    println!("{outcomes:?}");
    assert_eq!(count(&outcomes, Outcome::Silent), 0);
    outcomes
}

fn count(outcomes: &BTreeMap<String, u64>, outcome: Outcome) -> u64 {
    outcomes.get(&format!("{outcome:?}")).copied().unwrap_or(0)
}

#[test]
fn of_a_closed_log() {
    let outcomes = flip_all(&Original::new(1 << 20, 0, true), 1);
    assert!(count(&outcomes, Outcome::Corrupt) > 500_000);
    assert_eq!(count(&outcomes, Outcome::Prefix), 0);
}

#[test]
fn of_a_log_whose_process_was_killed() {
    let outcomes = flip_all(&Original::new(1 << 20, 10, false), soak_or(1, 17));
    assert!(count(&outcomes, Outcome::Corrupt) > 25_000);
    assert!(count(&outcomes, Outcome::Prefix) > 100);
}

#[test]
fn of_a_log_in_several_segments() {
    let outcomes = flip_all(&Original::new(16 << 10, 0, true), soak_or(1, 17));
    assert!(count(&outcomes, Outcome::Corrupt) > 25_000);
    assert_eq!(count(&outcomes, Outcome::Prefix), 0);
}
