//! Guards against an entry that readers, subscriptions and views see before it is as durable as its append promised: a
//! power cut would take back what somebody has acted on. Who only looks once an append is answered never sees that, so
//! this looks at each call to the disk that the append makes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flumedb::{
    Seq,
    log::{Batch, Log, LogSettings, SegmentedLog},
};
use flumedb_sim::{Call, DIR, Sim, figure};

#[test]
fn nothing_is_seen_before_the_sync_that_its_append_waits_for() {
    let syncs = Arc::<AtomicU64>::default();
    for seed in 0..50 {
        let sim = Sim::new(seed);
        let settings = LogSettings { segment_bytes: 4096, ..LogSettings::default() };
        let log = SegmentedLog::open(&sim.env, Path::new(DIR), settings).unwrap();
        for round in 0..40 {
            let (head, before, counter) = (log.head(), *log.head().borrow(), syncs.clone());
            sim.disk.set_hook(Some(Box::new(move |call, _| {
                if call == Call::Sync {
                    counter.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(*head.borrow(), before, "it is seen, and not on the disk");
                }
            })));
            if round % 7 == 6 {
                sim.block_on(log.delete(&[Seq::new(round)])).unwrap();
            } else {
                let mut batch = Batch::new();
                (0..=round % 3).for_each(|number| batch.push(&vec![7; (300 * number + seed) as usize]));
                sim.block_on(log.append(batch)).unwrap();
            }
            sim.disk.set_hook(None);
            assert!(*log.head().borrow() > before, "once it is answered it is seen");
        }
    }
    figure("nothing_is_seen_before_the_sync_that_its_append_waits_for", syncs.load(Ordering::Relaxed));
    assert!(syncs.load(Ordering::Relaxed) >= 50 * 40, "each of them waited for a sync");
}
