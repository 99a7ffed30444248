//! Guards against a log that grows for ever although it was told what to keep, and against one that drops what it should
//! keep, or whose views do not follow.
//!
//! On the simulated disk: histories of appends, batches, deletions, hours that pass, openings, kills and power cuts from a
//! seed, with any kind of retention, held against what was appended when. With `FLUME_SOAK` set, as many as go into its minutes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    collections::BTreeSet,
    future::IntoFuture,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use flumedb::{
    ErrorKind, Flume, Seq,
    codec::Utf8,
    env::Clock,
    log::{Compaction, Retention},
    view::Live,
    views::Index,
};
use flumedb_sim::{Choices, Sim, soak_or_count};

const SEGMENT: u64 = 4096;
const HOUR: Duration = Duration::from_hours(1);

/// What was acknowledged: the text of each number, none of a tombstone, and when by the clock of the machine.
#[derive(Default)]
struct Model {
    numbers: Vec<Option<(String, Duration)>>,
    /// Those that somebody deleted.
    deleted: BTreeSet<u64>,
    /// So many bytes are in the entries up to this one.
    bytes: Vec<u64>,
}

impl Model {
    fn text(&self, number: usize, len: usize) -> String {
        format!("<{number}> {}", "x".repeat(len))
    }

    fn push(&mut self, seq: Seq, text: String, at: Duration) {
        // Deletions by the retention take numbers, too, of which nobody is told.
        let number = seq.get() as usize;
        let sum = self.bytes.last().copied().unwrap_or(0);
        assert!(number >= self.numbers.len(), "a number is used twice: {number}");
        self.numbers.resize(number, None);
        self.bytes.resize(number, sum);
        self.bytes.push(sum + text.len() as u64);
        self.numbers.push(Some((text, at)));
    }

    /// Whether the settings say that an entry may be gone.
    fn may_go(&self, retention: &Retention, seq: u64, now: Duration, head: u64) -> bool {
        let Some((_, at)) = &self.numbers[seq as usize] else { return true };
        let behind = self.bytes.last().unwrap() - self.bytes[seq as usize];
        retention.age.is_some_and(|age| now - *at >= age)
            || retention.entries.is_some_and(|entries| head - seq > entries)
            // What is around the entries counts: at most 300 bytes each, and what a segment begins with.
            || retention.bytes.is_some_and(|bytes| behind + (head - seq) * 300 + 4 * SEGMENT >= bytes)
    }
}

type Db = (Flume<Utf8>, Live<Index<String, String>>);

fn open(sim: &Sim, retention: Retention) -> Db {
    let builder = Flume::builder(Utf8).env(sim.env.clone()).set(|all| {
        all.log.segment_bytes = SEGMENT;
        all.log.retention = retention;
        all.log.compaction = Compaction { delay: Duration::ZERO, ..Compaction::default() };
    });
    let db = sim.block_on(builder.open("db")).unwrap();
    let words = Index::new(1, |text: &String| Some(text.clone()));
    let view = sim.block_on(db.view("words", words).into_future()).unwrap();
    (db, view)
}

/// Holds the log, and the view of it, against the model. How many entries are gone.
fn verify(sim: &Sim, (db, view): &Db, model: &Model, retention: &Retention) -> u64 {
    let mut gone = Vec::new();
    let mut left = BTreeSet::new();
    for (seq, number) in model.numbers.iter().enumerate() {
        let Some((text, _)) = number else { continue };
        match sim.block_on(db.get(Seq::new(seq as u64)).into_future()) {
            Ok(found) => {
                assert_eq!(&found, text);
                assert!(!model.deleted.contains(&(seq as u64)), "{seq} was deleted");
                left.insert(text.clone());
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound), "{seq}: {error}");
                gone.push(seq as u64);
            }
        }
    }
    // Not sooner: it goes on while one looks.
    let now = sim.clock.monotonic();
    let head = sim.block_on(db.barrier().into_future()).unwrap().map_or(0, |head| head.get() + 1);
    for &seq in &gone {
        let fair = model.deleted.contains(&seq) || model.may_go(retention, seq, now, head);
        assert!(fair, "{seq} of {head} is gone, and should be there: {retention:?}");
    }
    let reader = sim.block_on(view.read().into_future()).unwrap();
    let seen: BTreeSet<String> = reader.all().keys().map(|key| key.unwrap()).collect();
    // What goes between the two looks is gone from the one that came later.
    assert!(seen.is_subset(&left), "the view has {:?}", seen.difference(&left).next());
    for missing in left.difference(&seen) {
        let seq = model.numbers.iter().position(|number| number.as_ref().is_some_and(|(text, _)| text == missing));
        let error = sim.block_on(db.get(Seq::new(seq.unwrap() as u64)).into_future()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound));
    }
    gone.len() as u64
}

fn any_retention(chance: &mut Choices) -> Retention {
    let mut one = |kind: u64| chance.pick(3) == 0 || kind == 9;
    let (age, entries, bytes) = (one(0), one(0), one(0));
    Retention {
        age: age.then(|| HOUR * (1 + chance.pick(20) as u32)),
        entries: entries.then(|| chance.pick(40)),
        bytes: bytes.then(|| chance.pick(40 << 10)),
    }
}

/// Several lives of a log from one seed. How many entries are gone in the end.
fn live(seed: u64) -> u64 {
    let mut chance = Choices::seeded(seed);
    let (mut sim, mut model, mut gone) = (Sim::new(seed), Model::default(), 0);
    // Settings that were once in force may have dropped what later ones would keep.
    let retention = any_retention(&mut chance);
    for _ in 0..4 {
        let db = open(&sim, retention);
        for _ in 0..chance.pick(40) {
            match chance.pick(7) {
                0..=2 => {
                    let texts: Vec<String> = (0..=chance.pick(9))
                        .map(|nth| {
                            model.text(model.numbers.len() * 100 + nth as usize, 200 + chance.pick(500) as usize)
                        })
                        .collect();
                    let seqs = sim.block_on(db.0.append_all(texts.iter().map(String::as_str)).into_future()).unwrap();
                    let at = sim.clock.monotonic();
                    seqs.into_iter().zip(texts).for_each(|(seq, text)| model.push(seq, text, at));
                }
                3..=4 if !model.numbers.is_empty() => {
                    // Some of a stretch, or all.
                    let from = chance.pick(model.numbers.len() as u64);
                    let (len, share) = (1 + chance.pick(20), chance.pick(4));
                    let stretch = from..(from + len).min(model.numbers.len() as u64);
                    let targets: Vec<u64> = stretch
                        .filter(|seq| model.numbers[*seq as usize].is_some() && chance.pick(4) <= share)
                        .collect();
                    sim.block_on(db.0.delete(targets.iter().copied().map(Seq::new)).into_future()).unwrap();
                    model.deleted.extend(targets);
                }
                5 => sim.advance(HOUR * chance.pick(6) as u32),
                _ => sim.advance(Duration::from_secs(chance.pick(4))),
            }
            verify(&sim, &db, &model, &retention);
        }
        // Given time, no more is kept than should be and a segment.
        sim.advance(Duration::from_secs(200));
        gone = verify(&sim, &db, &model, &retention);
        let head = sim.block_on(db.0.barrier().into_future()).unwrap().map_or(0, |head| head.get() + 1);
        let first = db.0.first().map_or(head, Seq::get);
        // A segment has at most 16 entries of 250 bytes and a batch more, but as many deletions as there are.
        let segment = 16 + 10 + 20;
        if let Some(entries) = retention.entries {
            assert!(head - first <= entries + 2 * segment, "{first} to {head}, and {entries} are to be kept");
        }
        if let Some(bytes) = retention.bytes {
            let kept = model.bytes.last().map_or(0, |last| last - model.bytes.get(first as usize).unwrap_or(last));
            assert!(kept <= bytes + 4 * SEGMENT, "{kept} bytes of entries, and {bytes} are to be kept");
        }
        if let Some(age) = retention.age {
            let is_old = |seq: &u64| {
                let number = model.numbers.get(*seq as usize).and_then(Option::as_ref);
                number.is_some_and(|(_, at)| sim.clock.monotonic() - *at > age)
            };
            let old = (first..head).filter(is_old).count() as u64;
            assert!(old <= 2 * segment, "{old} of the entries from {first} to {head} are older than {age:?}");
        }
        let next = match chance.pick(3) {
            0 => {
                sim.block_on(db.0.close()).unwrap();
                sim.kill()
            }
            1 => sim.kill(),
            _ => sim.crash(&mut chance),
        };
        drop(db);
        sim = next;
    }
    let db = open(&sim, retention);
    verify(&sim, &db, &model, &retention);
    gone
}

#[test]
fn whatever_happens_it_keeps_what_it_should_and_no_more() {
    if let Some(seed) = std::env::var("FLUME_SEED").ok().and_then(|seed| seed.parse().ok()) {
        live(seed);
        return;
    }
    let gone = AtomicU64::new(0);
    let count = soak_or_count(200, |seed| {
        gone.fetch_add(live(seed as u64), Ordering::Relaxed);
    });
    println!("figure: retention_histories cases={count} gone={gone:?}");
    assert!(gone.into_inner() > 1000);
}

/// Guards against entries that are kept for ever because nothing fills the segment that they are in.
#[test]
fn a_log_to_which_little_is_appended_forgets_in_time() {
    let sim = Sim::new(3);
    let retention = Retention { age: Some(24 * HOUR), ..Retention::default() };
    let db = open(&sim, retention);
    for hour in 0..24 * 14 {
        sim.block_on(db.0.append(&format!("hour {hour}")).into_future()).unwrap();
        sim.advance(HOUR);
    }
    let oldest = sim.block_on(async { db.0.scan(..).next().await.unwrap().unwrap() });
    let hours = 24 * 14 - oldest.value["hour ".len()..].parse::<u64>().unwrap();
    assert!((24..=31).contains(&hours), "the oldest entry is {hours} hours old");
    // Nothing is appended any more: what was ended goes on its own.
    sim.advance(48 * HOUR);
    let left = sim.block_on(async {
        let (mut scan, mut left) = (db.0.scan(..), 0);
        while let Some(entry) = scan.next().await {
            entry.unwrap();
            left += 1;
        }
        left
    });
    assert!(left <= 7, "{left} entries of the last segment");
}
