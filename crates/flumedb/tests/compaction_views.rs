//! Guards against views that suffer from compaction: that are rebuilt because of it, that miss a deletion whose record was
//! erased, or that go on knowing what retention dropped.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod view_support;

use std::{
    collections::BTreeMap,
    future::IntoFuture,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use flumedb::{Flume, Seq, codec::Utf8, log::Before, view::Live};
use flumedb_sim::{Choices, Sim, soak_or_count};
use view_support::{Call, Probe};

/// What the log holds, as far as the test knows.
type Entries = BTreeMap<u64, String>;

fn open(sim: &Sim, dir: &str, automatic: bool) -> Flume<Utf8> {
    let builder = Flume::builder(Utf8).env(sim.env.clone()).views_in(dir).set(|settings| {
        settings.log.segment_bytes = 4096;
        settings.log.compaction.automatic = automatic;
        settings.log.compaction.delay = Duration::ZERO;
        settings.views.memory = 8 << 10;
        settings.views.publish_every = Duration::from_millis(1);
        settings.views.sync_every = Duration::ZERO;
    });
    sim.block_on(builder.open("/db").into_future()).unwrap()
}

/// A probe that counts how often it was opened and how often each entry was applied.
fn counted() -> (Probe, Arc<AtomicUsize>, Arc<Mutex<BTreeMap<u64, usize>>>) {
    let (opened, applied) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<BTreeMap<u64, usize>>>::default());
    let (opens, applies) = (opened.clone(), applied.clone());
    let probe = Probe::hooked(move |call| {
        match call {
            Call::Open => {
                opens.fetch_add(1, Ordering::SeqCst);
            }
            Call::Apply(seq, _) => *applies.lock().unwrap().entry(seq.get()).or_default() += 1,
            _ => {}
        }
        Ok(())
    });
    (probe, opened, applied)
}

fn add(sim: &Sim, db: &Flume<Utf8>, probe: Probe) -> Live<Probe> {
    sim.block_on(db.view("probe", probe).into_future()).unwrap()
}

fn shown(sim: &Sim, view: &Live<Probe>) -> Entries {
    sim.block_on(view.read().into_future()).unwrap().items
}

fn append(sim: &Sim, db: &Flume<Utf8>, entries: &mut Entries, texts: Vec<String>) {
    let seqs = sim.block_on(db.append_all(texts.clone()).into_future()).unwrap();
    entries.extend(seqs.into_iter().map(Seq::get).zip(texts));
}

fn delete(sim: &Sim, db: &Flume<Utf8>, entries: &mut Entries, targets: &[u64]) {
    sim.block_on(db.delete(targets.iter().map(|&target| Seq::new(target))).into_future()).unwrap();
    targets.iter().for_each(|target| drop(entries.remove(target)));
}

fn texts(chance: &mut Choices, count: u64) -> Vec<String> {
    (0..count).map(|number| format!("{number} {}", "x".repeat(chance.pick(700) as usize))).collect()
}

fn some_of(chance: &mut Choices, entries: &Entries) -> Vec<u64> {
    entries.keys().copied().filter(|_| chance.pick(3) == 0).collect()
}

/// A view that is there while the log is compacted, on request and by itself, is never opened a second time, and applies
/// each entry once.
#[test]
fn a_view_that_is_there_is_not_rebuilt() {
    let erased = AtomicU64::new(0);
    let cases = soak_or_count(60, |seed| {
        let mut chance = Choices::seeded(seed as u64);
        let (mut sim, mut entries) = (Sim::new(seed as u64), Entries::new());
        let applied_ever: Mutex<BTreeMap<u64, usize>> = Mutex::default();
        for _ in 0..3 {
            let db = open(&sim, "/views", true);
            let (probe, opened, applied) = counted();
            let view = add(&sim, &db, probe);
            for _ in 0..chance.pick(14) {
                match chance.pick(6) {
                    0..=2 => {
                        let count = 1 + chance.pick(12);
                        append(&sim, &db, &mut entries, texts(&mut chance, count));
                    }
                    3 => {
                        let targets = some_of(&mut chance, &entries);
                        delete(&sim, &db, &mut entries, &targets);
                    }
                    4 => {
                        let done = sim.block_on(db.compact().into_future()).unwrap();
                        erased.fetch_add(done.erased, Ordering::Relaxed);
                    }
                    _ => sim.advance(Duration::from_millis(chance.pick(5_000))),
                }
                if chance.pick(2) == 0 {
                    assert_eq!(shown(&sim, &view), entries, "seed {seed}");
                }
            }
            assert_eq!(shown(&sim, &view), entries, "seed {seed}");
            sim.block_on(db.close().into_future()).unwrap();
            assert_eq!(opened.load(Ordering::SeqCst), 1, "seed {seed}: it was rebuilt");
            for (seq, times) in applied.lock().unwrap().iter() {
                *applied_ever.lock().unwrap().entry(*seq).or_default() += times;
            }
            drop((view, db));
            sim = sim.kill();
        }
        let twice = applied_ever.lock().unwrap().iter().filter(|(_, times)| **times > 1).count();
        assert_eq!(twice, 0, "seed {seed}: entries were applied again");
    });
    println!("figure: compaction_beside_views cases={cases} erased={erased:?}");
    assert!(erased.into_inner() > 300);
}

/// A view that was not there when the log was compacted comes out right, whether it had applied what was deleted or not.
#[test]
fn a_view_that_was_away_is_told() {
    let (rebuilt, went_on) = (AtomicU64::new(0), AtomicU64::new(0));
    let cases = soak_or_count(60, |seed| {
        let mut chance = Choices::seeded(seed as u64);
        let (sim, mut entries) = (Sim::new(seed as u64), Entries::new());
        // Each of these was there at another time.
        let mut away = Vec::new();
        for round in 0..4 {
            let dir = format!("/views{round}");
            let db = open(&sim, &dir, false);
            let view = add(&sim, &db, Probe::new());
            let count = 1 + chance.pick(20);
            append(&sim, &db, &mut entries, texts(&mut chance, count));
            assert_eq!(shown(&sim, &view), entries);
            sim.block_on(db.close().into_future()).unwrap();
            drop((view, db));
            away.push(dir);
            // Nobody is there now.
            let db = open(&sim, "/nobody", false);
            for _ in 0..chance.pick(4) {
                let targets = if chance.pick(2) == 0 { some_of(&mut chance, &entries) } else { Vec::new() };
                delete(&sim, &db, &mut entries, &targets);
                let count = chance.pick(8);
                append(&sim, &db, &mut entries, texts(&mut chance, count));
                sim.block_on(db.compact().into_future()).unwrap();
            }
            sim.block_on(db.close().into_future()).unwrap();
        }
        for dir in away {
            let db = open(&sim, &dir, false);
            let (probe, opened, _) = counted();
            let view = add(&sim, &db, probe);
            assert_eq!(shown(&sim, &view), entries, "seed {seed}, {dir}");
            let count = if opened.load(Ordering::SeqCst) > 1 { &rebuilt } else { &went_on };
            count.fetch_add(1, Ordering::Relaxed);
            sim.block_on(db.close().into_future()).unwrap();
        }
        // One that begins now is built once, and never told of what it did not know.
        let db = open(&sim, "/fresh", false);
        let (probe, opened, _) = counted();
        let view = add(&sim, &db, probe);
        assert_eq!(shown(&sim, &view), entries, "seed {seed}");
        assert_eq!(opened.load(Ordering::SeqCst), 1, "seed {seed}");
        sim.block_on(db.close().into_future()).unwrap();
    });
    println!("figure: compaction_without_views cases={cases} rebuilt={rebuilt:?} went_on={went_on:?}");
    assert!(rebuilt.into_inner() > 10 && went_on.into_inner() > 10);
}

/// What retention drops is gone from the log and from views, those there and those that come back.
#[test]
fn retention_reaches_views() {
    soak_or_count(30, |seed| {
        let mut chance = Choices::seeded(seed as u64);
        let (sim, mut entries) = (Sim::new(seed as u64), Entries::new());
        let db = open(&sim, "/views", false);
        let (probe, opened, _) = counted();
        let view = add(&sim, &db, probe);
        for round in 0..6 {
            append(&sim, &db, &mut entries, texts(&mut chance, 20));
            sim.advance(Duration::from_secs(100));
            let before = if round % 2 == 0 {
                let head = db.head().unwrap().get();
                Before::Seq(Seq::new(chance.pick(head + 1)))
            } else {
                Before::Age(Duration::from_secs(chance.pick(300)))
            };
            sim.block_on(db.drop_before(before).into_future()).unwrap();
            let first = db.first().map_or(u64::MAX, Seq::get);
            if let Before::Seq(seq) = before {
                assert!(first <= seq.get() || entries.range(seq.get()..first).next().is_none(), "it dropped too much");
            }
            entries.retain(|&seq, _| seq >= first);
            assert_eq!(shown(&sim, &view), entries, "seed {seed}");
        }
        let all: Vec<_> = sim.block_on(async {
            let mut scan = db.scan(..);
            let mut all = Vec::new();
            while let Some(entry) = scan.next().await {
                all.push(entry.unwrap().seq.get());
            }
            all
        });
        assert!(all.iter().eq(entries.keys()), "seed {seed}");
        assert_eq!(opened.load(Ordering::SeqCst), 1, "seed {seed}: it could take everything back");
        sim.block_on(db.close().into_future()).unwrap();
    });
}
