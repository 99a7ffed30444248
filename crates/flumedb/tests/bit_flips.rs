//! Guards against a flipped bit that goes unnoticed: other bytes, an entry that is passed over, or a log that ends
//! earlier without a word (other stores apply the rule for torn tails in the middle of a log, and lose what follows).
//!
//! Every single bit of a log of 64 KiB. Whatever the bit, opening and reading gives every entry as it was, or an error
//! that names the damaged file; where entries are missing the open has said so, and nobody had vouched for them. A bit
//! that changes nothing of that is found by a check, unless it pads an entry to a multiple of 8 bytes.
//!
//! The quick run flips every bit of one log (closed, in one segment) and every 17th or 61st bit of the others; with
//! `FLUME_SOAK` set, every bit of all.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use flumedb::{
    Keys,
    log::{Compression, LogSettings},
};
use flumedb_sim::{DIR, Original, Outcome, figure, on_all_cores, soak_or};

/// Bits between the entries of the log, where they are padded to multiples of 8 bytes.
const PADDING: u64 = 8 * 240;

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
    figure("bit_flips", outcomes.values().sum());
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
    assert_eq!(count(&outcomes, Outcome::Exact), PADDING);
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
    assert!(count(&outcomes, Outcome::Found) > 1_000);
    assert_eq!(count(&outcomes, Outcome::Prefix), 0);
    assert!(count(&outcomes, Outcome::Exact) <= PADDING);
}

/// What is compressed and encrypted is under the same checksums: damage is told apart from a wrong key.
#[test]
fn of_a_log_that_is_compressed_and_encrypted() {
    let settings = LogSettings {
        segment_bytes: 16 << 10,
        compression: Compression::Lz4,
        keys: Some(Keys::new(1, [7; 32]).unwrap()),
        ..LogSettings::default()
    };
    let outcomes = flip_all(&Original::with(settings, 0, true), soak_or(1, 149));
    assert!(count(&outcomes, Outcome::Corrupt) > 1_000);
}

#[test]
fn of_a_log_in_many_segments() {
    let outcomes = flip_all(&Original::new(4096, 0, true), soak_or(1, 61));
    assert!(count(&outcomes, Outcome::Corrupt) > 7_000);
    assert!(count(&outcomes, Outcome::Found) > 300);
    assert_eq!(count(&outcomes, Outcome::Prefix), 0);
    assert!(count(&outcomes, Outcome::Exact) <= PADDING);
}

/// The head page only vouches: without it everything is still there.
#[test]
fn of_the_head_page() {
    for closed in [true, false] {
        let original = Original::new(16 << 10, 5, closed);
        let file = Path::new(DIR).join("head");
        let whole = original.image.read(&file).unwrap();
        on_all_cores(whole.len() * 8, |bit| {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(original.damaged(&file, &bytes), Outcome::Exact);
        });
        on_all_cores(whole.len(), |len| assert_eq!(original.damaged(&file, &whole[..len]), Outcome::Exact));
    }
}
