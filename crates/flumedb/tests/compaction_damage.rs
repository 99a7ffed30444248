//! Guards against a compacted log in which damage goes unnoticed: its gaps and its index by runs are other records than those
//! that `bit_flips.rs` and `truncation.rs` damage, and the page that says where it begins is one more file to lose.
//!
//! The quick run flips every 13th bit; with `FLUME_SOAK` set, every bit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{collections::BTreeMap, path::Path, sync::Mutex};

use flumedb::log::SegmentedLog;
use flumedb_sim::{DIR, Original, Outcome, Sim, on_all_cores, soak_or};

type Outcomes = BTreeMap<String, u64>;

fn count(outcomes: &Outcomes, outcome: Outcome) -> u64 {
    outcomes.get(&format!("{outcome:?}")).copied().unwrap_or(0)
}

fn damage(original: &Original, cases: usize, case: impl Fn(&[u8], usize) -> Option<Vec<u8>> + Sync) -> Outcomes {
    let outcomes = Mutex::new(Outcomes::new());
    for (file, _) in original.segments() {
        let whole = original.image.read(&file).unwrap();
        on_all_cores(cases.min(whole.len() * 8), |number| {
            let Some(bytes) = case(&whole, number) else { return };
            let outcome = original.damaged(&file, &bytes);
            *outcomes.lock().unwrap().entry(format!("{outcome:?}")).or_insert(0) += 1;
        });
    }
    let outcomes = outcomes.into_inner().unwrap();
    println!("{outcomes:?}");
    outcomes
}

#[test]
fn every_bit() {
    let stride = soak_or(1, 13);
    let outcomes = damage(&Original::compacted(), usize::MAX, |whole, number| {
        let bit = number * stride;
        let mut bytes = whole.to_vec();
        *bytes.get_mut(bit / 8)? ^= 1 << (bit % 8);
        Some(bytes)
    });
    assert_eq!(count(&outcomes, Outcome::Silent), 0);
    assert_eq!(count(&outcomes, Outcome::Prefix), 0);
    assert!(count(&outcomes, Outcome::Corrupt) > 5_000);
}

#[test]
fn every_length() {
    let stride = soak_or(1, 7);
    let outcomes = damage(&Original::compacted(), usize::MAX, |whole, number| {
        let len = number * stride;
        (len < whole.len()).then(|| whole[..len].to_vec())
    });
    assert_eq!(count(&outcomes, Outcome::Silent), 0);
    assert_eq!(count(&outcomes, Outcome::Prefix), 0);
}

/// A log whose beginning is dropped is not one whose beginning is missing; without the page that says so it is.
#[test]
fn the_page_that_says_where_it_begins() {
    let original = Original::compacted();
    let file = Path::new(DIR).join("first");
    let whole = original.image.read(&file).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut image = original.image.clone();
        image.write(&file, &bytes).unwrap();
        let sim = Sim::boot(image, bit as u64);
        let error = SegmentedLog::open(&sim.env, Path::new(DIR), Default::default()).err().unwrap();
        assert_eq!(error.damage().map(|damage| &damage.file), Some(&file), "bit {bit}: {error}");
        // What is there can be read, and a repair brings the page back.
        let report = SegmentedLog::check(&sim.env, Path::new(DIR)).unwrap();
        assert_eq!(report.damage.len(), 1, "bit {bit}: {report:?}");
        SegmentedLog::read_only(&sim.env, Path::new(DIR)).unwrap();
        if bit % 29 == 0 {
            SegmentedLog::repair(&sim.env, Path::new(DIR), &Default::default(), true).unwrap();
            assert!(SegmentedLog::check(&sim.env, Path::new(DIR)).unwrap().is_ok());
            SegmentedLog::open(&sim.env, Path::new(DIR), Default::default()).unwrap();
        }
    }
}
