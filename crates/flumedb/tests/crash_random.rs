//! Guards against what short workloads cannot show: clients that work at the same time and share commits, deletions
//! beside appends, other durabilities, failures and several crashes in a row.
//!
//! 8,000 seeds in the quick run, 1,000,000 with `FLUME_SOAK` set. A seed that fails is printed; `FLUME_SEED` runs it
//! alone.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
};

use flumedb_sim::{on_all_cores, soak_or, storm};

#[test]
fn what_was_acknowledged_outlives_every_storm() {
    if let Some(seed) = env::var("FLUME_SEED").ok().and_then(|seed| seed.parse().ok()) {
        println!("{:?}", storm(seed));
        return;
    }
    let (acknowledged, kept) = (AtomicU64::new(0), AtomicU64::new(0));
    on_all_cores(soak_or(1_000_000, 8_000), |seed| {
        let storm = storm(seed as u64);
        acknowledged.fetch_add(storm.acknowledged, Ordering::Relaxed);
        kept.fetch_add(storm.kept, Ordering::Relaxed);
    });
    println!("{acknowledged:?} entries acknowledged, {kept:?} kept");
    assert!(acknowledged.into_inner() > 10_000 && kept.into_inner() > 10_000, "the storms were calms");
}
