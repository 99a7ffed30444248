//! Guards against what short workloads cannot show: clients that work at the same time and share commits, deletions
//! beside appends, other durabilities, failures and several crashes in a row.
//!
//! 8,000 seeds in the quick run, in which the power goes at least 20,000 times; with `FLUME_SOAK` set, as many as go into its
//! minutes, and at least a million power cuts. The number of a case that fails is printed; with `FLUME_SEED` set to it,
//! it runs alone.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
};

use flumedb_sim::{figure, soak_or, soak_or_count, storm};

#[test]
fn what_was_acknowledged_outlives_every_storm() {
    if let Some(seed) = env::var("FLUME_SEED").ok().and_then(|seed| seed.parse().ok()) {
        println!("{:?}", storm(seed));
        return;
    }
    let [acknowledged, kept, crashes] = [const { AtomicU64::new(0) }; 3];
    let mut seeds = 0;
    while crashes.load(Ordering::Relaxed) < soak_or(1_000_000, 20_000) {
        seeds += soak_or_count(8_000, |seed| {
            let storm = storm((seeds + seed) as u64);
            acknowledged.fetch_add(storm.acknowledged, Ordering::Relaxed);
            kept.fetch_add(storm.kept, Ordering::Relaxed);
            crashes.fetch_add(storm.crashes, Ordering::Relaxed);
        });
    }
    println!("{seeds} seeds, {acknowledged:?} entries acknowledged, {kept:?} kept");
    figure("what_was_acknowledged_outlives_every_storm", crashes.into_inner());
    assert!(acknowledged.into_inner() > 10_000 && kept.into_inner() > 10_000, "the storms were calms");
}
