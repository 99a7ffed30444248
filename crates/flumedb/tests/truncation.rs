//! Guards against a log that was cut short and does not say so.
//!
//! A log of 64 KiB, cut after every byte: closed or killed, in one segment or several. Where somebody vouches for what
//! is gone, it is an error that names the file; above the newest witness a true prefix, and the open says what it cut.
//! Only a cut exactly between two commits that nobody vouches for cannot be seen.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{collections::BTreeMap, sync::Mutex};

use flumedb_sim::{Original, Outcome, figure, on_all_cores};

/// Cuts every file after every byte, one at a time; which outcome was seen at which length, file by file.
fn cut_all(original: &Original) -> Vec<BTreeMap<usize, Outcome>> {
    let cuts = original.segments().into_iter().map(|(file, bytes)| {
        let outcomes = Mutex::new(BTreeMap::new());
        on_all_cores(bytes.len(), |len| {
            let outcome = original.damaged(&file, &bytes[..len]);
            outcomes.lock().unwrap().insert(len, outcome);
        });
        outcomes.into_inner().unwrap()
    });
    let cuts: Vec<BTreeMap<usize, Outcome>> = cuts.collect();
    figure("truncation", cuts.iter().map(|outcomes| outcomes.len() as u64).sum());
    cuts
}

fn count(outcomes: &BTreeMap<usize, Outcome>, outcome: Outcome) -> usize {
    outcomes.values().filter(|seen| **seen == outcome).count()
}

#[test]
fn of_a_closed_log() {
    for outcomes in cut_all(&Original::new(1 << 20, 0, true)) {
        assert_eq!(count(&outcomes, Outcome::Corrupt), outcomes.len(), "a cut was not seen");
    }
}

#[test]
fn of_a_log_in_several_segments_whose_process_was_killed() {
    in_segments(&Original::new(16 << 10, 0, false));
}

#[test]
fn of_a_log_in_many_segments() {
    in_segments(&Original::new(4096, 0, true));
}

fn in_segments(original: &Original) {
    for outcomes in cut_all(original) {
        // A cut in what ends a sealed segment takes no entry; reading walks the segment then, and a check finds it.
        let seen = count(&outcomes, Outcome::Corrupt) + count(&outcomes, Outcome::Found);
        assert_eq!(seen, outcomes.len(), "a cut was not seen");
    }
}

#[test]
fn of_a_log_whose_last_entries_nobody_vouches_for() {
    let unvouched = 10;
    let cuts = cut_all(&Original::new(1 << 20, unvouched, false));
    let [outcomes] = &cuts[..] else { panic!("the log has several segments") };
    // Behind all that somebody vouches for, each cut but those between two commits is told.
    let tail = outcomes.values().rev().take_while(|outcome| **outcome != Outcome::Corrupt).count();
    assert!(tail > 1000);
    assert_eq!(count(outcomes, Outcome::Corrupt), outcomes.len() - tail);
    assert_eq!(count(outcomes, Outcome::Silent), unvouched);
    assert!(count(outcomes, Outcome::Exact) < 8, "padding at most");
}
