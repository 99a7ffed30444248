//! Guards against views that depend on luck: on which thread goes first, on when a power cut comes, on what the disk
//! kept. On the simulated machine, where all of that follows from a seed, and everything runs on one thread.
//!
//! With `FLUME_SOAK` set, 50,000 seeds instead of 400.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod view_support;

use std::{
    future::IntoFuture,
    path::{Path, PathBuf},
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use flumedb::{
    Bytes, Result, Seq, Span,
    log::{Batch, Durability, Log, LogSettings, ReadRequest, SegmentedLog},
    view::{Entries, Host, HostSettings, Live, LiveSet, View},
    views::Reduce,
};
use flumedb_sim::{Choices, Sim, figure, on_all_cores, soak_or};
use view_support::{Probe, SOON, Seen};

type Items = Reduce<String, Vec<String>, fn(&mut Vec<String>, &String)>;

fn items() -> Items {
    Reduce::new(1, Vec::new(), |items, item| items.push(item.clone()))
}

/// A log on the simulated disk with views beside it.
struct Open {
    host: Host<String>,
    stored: Live<Items>,
    probe: Live<Probe>,
    log: Arc<SegmentedLog>,
}

fn open(sim: &Sim) -> Result<Open> {
    // The disk gets what must be on it, and no more.
    let settings = LogSettings { segment_bytes: 4096, durability: Durability::System, ..LogSettings::default() };
    let log = Arc::new(SegmentedLog::open(&sim.env, Path::new("/db/log"), settings)?);
    let entries = Entries::new(log.clone(), |bytes: &Bytes| Ok(String::from_utf8(bytes.to_vec()).unwrap()));
    let mut settings = HostSettings::default();
    settings.dir = Some(PathBuf::from("/db/views"));
    settings.memory = 8 << 10;
    settings.publish_every = Duration::from_millis(1);
    settings.sync_every = Duration::ZERO;
    let host = Host::new(sim.env.clone(), entries, "text/1".into(), settings);
    Ok(Open { stored: host.add("items", items(), true)?, probe: host.add("probe", Probe::new(), true)?, host, log })
}

/// What the log holds.
async fn in_log(log: &dyn Log) -> Vec<String> {
    let head = log.barrier().await.unwrap();
    let mut span = Span { from: 0, to: head.map_or(0, |head| head.get() + 1) };
    let mut items = Vec::new();
    while !span.is_empty() {
        let chunk = log.read(ReadRequest::forwards(span)).await.unwrap();
        items.extend(chunk.entries().map(|(_, payload)| String::from_utf8(payload.to_vec()).unwrap()));
        span.from = chunk.covered.to;
    }
    items
}

fn texts(seen: &Seen) -> Vec<String> {
    seen.items.values().cloned().collect()
}

/// Deletes an entry, if it meets one.
fn delete(sim: &Sim, db: &Open, chance: &mut Choices) {
    let head = sim.block_on(db.log.barrier()).unwrap().map_or(0, Seq::get);
    let target = Seq::new(chance.pick(head + 1));
    if let Some(Ok(_)) = db.log.get_now(target) {
        sim.block_on(db.log.delete(&[target])).unwrap();
    }
}

/// Several processes' lives over one disk, each ended by a power cut; gives a trace of what was seen.
fn live(seed: u64) -> Vec<String> {
    let mut chance = Choices::seeded(seed);
    let (mut sim, mut trace, mut count) = (Sim::new(seed), Vec::new(), 0);
    for _ in 0..4 {
        let db = open(&sim).unwrap();
        sim.block_on(db.stored.opened()).expect("a stored view never knows more than the log");
        for _ in 0..chance.pick(12) {
            match chance.pick(8) {
                0..=3 => {
                    let mut batch = Batch::new();
                    for _ in 0..=chance.pick(20) {
                        count += 1;
                        batch.push(format!("{count}").as_bytes());
                    }
                    sim.block_on(db.log.append(batch)).unwrap();
                }
                4 => delete(&sim, &db, &mut chance),
                5 => {
                    let mut both = Box::pin((&db.stored, &db.probe).read_all());
                    // What is deleted while it waits is in both or in neither.
                    if chance.pick(2) == 0 && both.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                        (0..chance.pick(20)).for_each(|_| {
                            sim.threads.step();
                        });
                        delete(&sim, &db, &mut chance);
                    } else {
                        both = Box::pin((&db.stored, &db.probe).read_all());
                    }
                    let (stored, probe) = sim.block_on(both).unwrap();
                    assert_eq!(*stored, texts(&probe));
                    let expect = sim.block_on(in_log(&*db.log));
                    assert!(expect.iter().all(|item| stored.contains(item)));
                    assert_eq!(stored.since(), probe.since);
                    trace.push(format!("{:?} {expect:?}", probe.since));
                }
                6 => sim.advance(Duration::from_millis(chance.pick(2_000))),
                _ => sim.block_on(db.stored.rebuild()).unwrap(),
            }
        }
        match chance.pick(3) {
            0 => sim.block_on(async {
                db.host.close().await.unwrap();
                db.log.close().await.unwrap();
            }),
            // Somewhere in the middle of things.
            _ => (0..chance.pick(60)).for_each(|_| {
                sim.threads.step();
            }),
        }
        let next = sim.crash(&mut chance);
        drop(db);
        sim = next;
        trace.push(format!("{:x}", sim.disk.image().fingerprint()));
    }
    let db = open(&sim).unwrap();
    let expect = sim.block_on(in_log(&*db.log));
    let read = db.stored.read().timeout(SOON).into_future();
    assert_eq!(*sim.block_on(read).unwrap(), expect);
    let read = db.probe.read().timeout(SOON).into_future();
    assert_eq!(texts(&sim.block_on(read).unwrap()), expect);
    sim.block_on(async {
        db.host.close().await.unwrap();
        db.log.close().await.unwrap();
    });
    trace
}

#[test]
fn views_agree_with_the_log_whatever_the_order_and_the_power() {
    let seeds = soak_or(50_000, 400);
    on_all_cores(seeds, |seed| drop(live(seed as u64)));
    // Each has four lives.
    figure("views_agree_with_the_log_whatever_the_order_and_the_power", 4 * seeds as u64);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        assert_eq!(live(seed), live(seed), "seed {seed}");
    }
    assert_ne!(live(1), live(2));
}

#[test]
fn five_views_share_one_scan_in_every_order() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    for seed in 0..50 {
        let sim = Sim::new(seed);
        let db = open(&sim).unwrap();
        for _ in 0..40 {
            let mut batch = Batch::new();
            (0..50).for_each(|number| batch.push(format!("entry number {number}").as_bytes()));
            sim.block_on(db.log.append(batch)).unwrap();
        }
        let decoded = Arc::<AtomicUsize>::default();
        let counter = decoded.clone();
        let entries = Entries::new(db.log.clone(), move |bytes: &Bytes| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(String::from_utf8(bytes.to_vec()).unwrap())
        });
        let host = Host::new(sim.env.clone(), entries, "text/1".into(), HostSettings::default());
        let views: Vec<_> = (0..5).map(|number| host.add(&format!("v{number}"), items(), true).unwrap()).collect();
        for view in &views {
            assert_eq!(sim.block_on(view.read().into_future()).unwrap().len(), 2_000);
        }
        let decoded = decoded.load(Ordering::SeqCst);
        assert!(decoded <= 2_100, "{decoded} decodes of 2,000 entries with seed {seed}");
        assert_eq!(views[0].read_stale().unwrap().len(), 2_000);
        assert_eq!(items().definition().kind, "reduce");
    }
}
