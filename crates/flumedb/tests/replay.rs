//! Guards against a simulation that cannot be replayed: a failure found with one seed would be gone with the same seed,
//! and nobody could mend it. Hash maps with random keys, threads and the machine's clock are what would do that.

use std::collections::HashSet;

use flumedb_sim::{figure, on_all_cores, soak_or, storm};

#[test]
fn one_seed_is_one_storm() {
    let seeds = soak_or(1_000, 50);
    on_all_cores(seeds, |seed| assert_eq!(storm(seed as u64), storm(seed as u64)));
    figure("one_seed_is_one_storm", seeds as u64);
}

#[test]
fn other_seeds_are_other_storms() {
    let ends: HashSet<u64> = (0..50).map(|seed| storm(seed).fingerprint).collect();
    assert_eq!(ends.len(), 50);
}
