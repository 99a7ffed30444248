//! Guards against views that each read and decode the log for themselves, and against memory that grows with the log.

#![allow(clippy::unwrap_used, reason = "a test")]

mod view_support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use flumedb::{
    Bytes, Env, Seq,
    log::Log,
    view::{Checkpoint, Definition, Entries, Host, HostSettings, Live, Run, View, ViewContext},
};
use view_support::{Call, Gate, Probe, Rig, SOON, TestLog, numbers};

const ENTRIES: u64 = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn five_views_decode_the_log_once() {
    let log = TestLog::with(7, 0, 1_000);
    log.fill(ENTRIES).await;
    let rig = Rig::memory(&log);
    let gate = Gate::shut();
    let views: Vec<_> = (0..5)
        .map(|number| {
            let hook = gate.clone();
            // None sets out before all are there.
            rig.add(&format!("v{number}"), Probe::hooked(move |call| hook.hold(*call == Call::Open)))
        })
        .collect();
    gate.open();
    for view in &views {
        assert_eq!(view.read().timeout(SOON).await.unwrap().items.len() as u64, ENTRIES);
    }
    let decoded = rig.decoded.load(Ordering::SeqCst) as u64;
    assert!(decoded < ENTRIES * 5 / 4, "{decoded} decodes of {ENTRIES} entries");

    // Following, too.
    for _ in 0..200 {
        log.fill(1).await;
        rig.host.wait_all().await.unwrap();
    }
    let decoded = rig.decoded.load(Ordering::SeqCst) as u64 - decoded;
    assert!(decoded <= 250, "{decoded} decodes of 200 entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_added_while_others_run_catches_up_and_joins_them() {
    let log = TestLog::with(7, 0, 2_000);
    let rig = Rig::memory(&log);
    let first = rig.add("first", Probe::new());
    log.fill(2_000).await;
    assert_eq!(first.read().timeout(SOON).await.unwrap().items, numbers(2_000));
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            for _ in 0..200 {
                log.fill(10).await;
                tokio::task::yield_now().await;
            }
        }
    });
    let mut views = vec![first];
    for number in 0..8 {
        views.push(rig.add(&format!("late-{number}"), Probe::new()));
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    for view in &views {
        assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(4_000));
    }
    let before = rig.decoded.load(Ordering::SeqCst);
    for count in 0..100 {
        log.fill(1).await;
        for view in &views {
            assert_eq!(view.read().timeout(SOON).await.unwrap().since, Some(Seq::new(4_000 + count)));
        }
    }
    let decoded = rig.decoded.load(Ordering::SeqCst) - before;
    assert!(decoded <= 150, "{decoded} decodes of 100 entries by nine views that have met");
}

/// An item that is counted while it lives.
struct Weighed(Arc<AtomicUsize>);

impl Drop for Weighed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A view that takes its time over some entries.
struct Slow(u64);

impl View for Slow {
    type Item = Weighed;
    type Reader = ();

    fn definition(&self) -> Definition {
        Definition::new("slow", 1, self.0.to_string())
    }

    fn open(&mut self, _cx: &ViewContext<Weighed>) -> flumedb::Result<Option<Checkpoint>> {
        Ok(None)
    }

    fn apply(&mut self, run: &Run<Weighed>) -> flumedb::Result<()> {
        for entry in run.iter() {
            let spins = if self.0 > 0 && entry.seq.get() % self.0 == 0 { 40 } else { 1 };
            (0..spins).for_each(|_| std::hint::spin_loop());
        }
        Ok(())
    }

    fn publish(&mut self, _at: &Checkpoint) -> flumedb::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_however_long_the_log_and_however_apart_the_views() {
    let log = TestLog::with(7, 0, 1 << 20);
    log.fill(200_000).await;
    let (alive, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (counter, peak) = (alive.clone(), most.clone());
    let entries = Entries::new(log.clone(), move |_: &Bytes| {
        let now = counter.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(now, Ordering::SeqCst);
        Ok(Weighed(counter.clone()))
    });
    let mut settings = HostSettings::default();
    settings.memory = 256 << 10;
    let host = Host::new(Env::memory(), entries, "weighed/1".into(), settings);
    let views: Vec<Live<Slow>> =
        (0..6).map(|number| host.add(&format!("v{number}"), Slow(number), false).unwrap()).collect();
    for view in &views {
        view.read().timeout(SOON).await.unwrap();
    }
    // A payload of up to 6 bytes counts with the item and its number; blocks that are being applied come on top.
    let bound = 2 * 256 * 1024 / 20;
    let peak = most.load(Ordering::SeqCst);
    assert!(peak < bound, "{peak} items in memory at once, more than {bound}");
    assert_eq!(*log.head().borrow(), Some(Seq::new(199_999)));
    // And nothing is kept once all are at the head.
    log.fill(1).await;
    host.wait_all().await.unwrap();
    while alive.load(Ordering::SeqCst) > 1 {
        tokio::task::yield_now().await;
    }
}
