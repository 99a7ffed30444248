//! Guards against a compaction that loses or changes an entry, gives back one that was deleted, or leaves its bytes on the
//! disk; and against a crash, a failure or a reader that it cannot bear.
//!
//! On the simulated disk: histories of appends, batches, deletions, compactions, openings, kills and power cuts from a seed,
//! held against a model, with a reader in another process beside them; and one history in which the machine stops at each
//! call of a compaction. With `FLUME_SOAK` set, as many as go into its minutes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{collections::HashSet, path::Path};

use flumedb::{
    ErrorKind, Seq, Span,
    log::{Batch, Compaction, Durability, Log, LogSettings, ReadRequest, SegmentedLog, SlotKind},
};
use flumedb_sim::{Choices, DIR, Fault, FaultKind, Image, Sim, now, on_all_cores, soak_or, soak_or_count};

/// A number of the log, as the model has it.
#[derive(Clone, Debug, PartialEq)]
enum Number {
    Entry(Vec<u8>),
    Deleted(Vec<u8>),
    Tombstone,
}

/// What was acknowledged.
#[derive(Clone, Default)]
struct Model {
    numbers: Vec<Number>,
    count: usize,
    /// Entries whose deletion was asked for and not answered.
    unsure: Vec<usize>,
}

impl Model {
    fn payload(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = format!("<entry {}>", self.count).into_bytes();
        let mut noise = Choices::seeded(self.count as u64);
        bytes.resize_with(bytes.len() + len, || noise.pick(256) as u8);
        self.count += 1;
        bytes
    }

    fn live(&self) -> Vec<usize> {
        (0..self.numbers.len()).filter(|&at| matches!(self.numbers[at], Number::Entry(_))).collect()
    }

    fn delete(&mut self, targets: &[usize]) {
        for &target in targets {
            if let Number::Entry(payload) = &self.numbers[target] {
                self.numbers[target] = Number::Deleted(payload.clone());
            }
        }
        self.numbers.push(Number::Tombstone);
    }

    /// The log was opened after it had stopped in the middle of something: that has happened or has not.
    fn settle(&mut self, log: &dyn Log) {
        let head = now(log.barrier()).unwrap().map_or(0, |head| head.get() as usize + 1);
        assert!(head >= self.numbers.len(), "the log ends at {head}, but {} were acknowledged", self.numbers.len());
        let unsure = std::mem::take(&mut self.unsure);
        if head > self.numbers.len() {
            assert_eq!(head, self.numbers.len() + 1);
            self.delete(&unsure);
        }
    }

    /// Holds everything that the log shows against what it should.
    fn verify(&self, log: &dyn Log) {
        let begins = || log.first().map_or(self.numbers.len(), |first| first.get() as usize);
        for reverse in [false, true] {
            let mut span = Span::ALL;
            let mut seen = Vec::new();
            loop {
                let chunk = now(log.read(ReadRequest { span, reverse, max_bytes: 1500 })).unwrap();
                for slot in &chunk.slots {
                    let at = slot.seq.get() as usize;
                    seen.push(at);
                    match (&self.numbers[at], slot.kind) {
                        (Number::Entry(payload), SlotKind::Entry) => assert_eq!(chunk.payload(slot), payload, "{at}"),
                        (Number::Deleted(_), SlotKind::Deleted) => {}
                        // One that is erased cannot be told from an entry any more.
                        (Number::Tombstone, SlotKind::Tombstone | SlotKind::Deleted) => {}
                        (number, kind) => {
                            let number = format!("{number:?}");
                            panic!("{at} is {kind:?} and should be {}…", &number[..number.len().min(40)])
                        }
                    }
                }
                let done = chunk.slots.is_empty();
                let next = if reverse {
                    Span { to: chunk.covered.from, ..span }
                } else {
                    Span { from: chunk.covered.to, ..span }
                };
                if done && (reverse || next == span) || next.is_empty() {
                    break;
                }
                span = next;
            }
            if reverse {
                seen.reverse();
            }
            // A reader elsewhere may learn while it reads that the log begins later now.
            assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
            let missed = (0..self.numbers.len()).filter(|at| seen.binary_search(at).is_err());
            let missed: Vec<usize> =
                missed.filter(|&at| at >= begins() || matches!(self.numbers[at], Number::Entry(_))).collect();
            assert!(missed.is_empty(), "reverse: {reverse}, missed {missed:?}");
        }
        let first = begins();
        for (at, number) in self.numbers.iter().enumerate() {
            let got = now(log.get(Seq::new(at as u64)));
            match number {
                Number::Entry(payload) => assert_eq!(got.unwrap(), payload),
                _ => {
                    let kind = got.unwrap_err().kind();
                    assert!(matches!(kind, ErrorKind::Deleted | ErrorKind::NotFound), "{at}: {kind:?}");
                }
            }
        }
        let stat = log.stat().unwrap();
        assert_eq!(stat.entries, self.live().len() as u64, "entries");
        let deleted = self.numbers[first..].iter().filter(|number| matches!(number, Number::Deleted(_))).count();
        assert_eq!(stat.deleted, deleted as u64, "deleted");
    }

    /// Nothing of what was deleted is in any file.
    fn is_erased_from(&self, image: &Image) {
        let mark = |payload: &Vec<u8>| payload[..=payload.iter().position(|&byte| byte == b'>').unwrap()].to_vec();
        let deleted: HashSet<Vec<u8>> = self
            .numbers
            .iter()
            .filter_map(|number| if let Number::Deleted(payload) = number { Some(mark(payload)) } else { None })
            .collect();
        for path in image.files() {
            let bytes = image.read(&path).unwrap();
            for at in bytes.windows(7).enumerate().filter(|(_, window)| window == b"<entry ").map(|(at, _)| at) {
                let Some(end) = bytes[at..].iter().take(20).position(|&byte| byte == b'>') else { continue };
                let found = &bytes[at..=at + end];
                assert!(!deleted.contains(found), "{} is in {}", String::from_utf8_lossy(found), path.display());
            }
        }
    }
}

fn settings() -> LogSettings {
    let compaction = Compaction { automatic: false, ..Compaction::default() };
    // What a power cut tears is kept beside the log, and is no part of this.
    LogSettings { segment_bytes: 4096, torn_files: 0, compaction, ..LogSettings::default() }
}

fn open(sim: &Sim) -> SegmentedLog {
    SegmentedLog::open(&sim.env, Path::new(DIR), settings()).unwrap_or_else(|error| panic!("does not open: {error}"))
}

fn append(sim: &Sim, log: &SegmentedLog, model: &mut Model, sizes: &[usize]) {
    let mut batch = Batch::new();
    let payloads: Vec<Vec<u8>> = sizes.iter().map(|&size| model.payload(size)).collect();
    payloads.iter().for_each(|payload| batch.push(payload));
    sim.block_on(log.append(batch)).unwrap();
    model.numbers.extend(payloads.into_iter().map(Number::Entry));
}

fn delete(sim: &Sim, log: &SegmentedLog, model: &mut Model, targets: &[usize]) {
    let seqs: Vec<Seq> = targets.iter().map(|&target| Seq::new(target as u64)).collect();
    sim.block_on(log.delete(&seqs)).unwrap();
    model.delete(targets);
}

fn some_of(chance: &mut Choices, from: &[usize]) -> Vec<usize> {
    let share = chance.pick(4);
    from.iter().copied().filter(|_| chance.pick(4) <= share).collect()
}

/// Several lives of a log from one seed.
fn live(seed: u64) -> u64 {
    let mut chance = Choices::seeded(seed);
    let (mut sim, mut model, mut erased) = (Sim::new(seed), Model::default(), 0);
    for _ in 0..4 {
        let log = open(&sim);
        model.settle(&log);
        model.verify(&log);
        let reader = SegmentedLog::read_only(&sim.env, Path::new(DIR)).unwrap();
        let mut held = None;
        for _ in 0..chance.pick(14) {
            match chance.pick(8) {
                0..=2 => {
                    let sizes: Vec<usize> = (0..=chance.pick(6)).map(|_| chance.pick(900) as usize).collect();
                    append(&sim, &log, &mut model, &sizes);
                }
                3..=4 => {
                    let targets = some_of(&mut chance, &model.live());
                    if !targets.is_empty() {
                        delete(&sim, &log, &mut model, &targets);
                    }
                }
                5..=6 => {
                    let done = sim.block_on(log.compact()).unwrap();
                    erased += done.erased;
                    model.is_erased_from(&sim.disk.image());
                    assert!(SegmentedLog::check(&sim.env, Path::new(DIR)).unwrap().is_ok());
                }
                _ => {
                    // What a reader holds stays as it is.
                    let chunk = now(log.read(ReadRequest::forwards(Span::ALL))).unwrap();
                    let copy = chunk.bytes.to_vec();
                    held = Some((chunk, copy));
                }
            }
            model.verify(&log);
            now(reader.barrier()).unwrap();
            model.verify(&reader);
            if let Some((chunk, copy)) = &held {
                assert_eq!(&chunk.bytes[..], copy);
            }
        }
        let next = match chance.pick(4) {
            0 => {
                sim.block_on(log.close()).unwrap();
                sim.kill()
            }
            1 => sim.kill(),
            _ => {
                // In the middle of a compaction, or of a deletion and a compaction.
                let targets = some_of(&mut chance, &model.live());
                let mut both = Box::pin(async {
                    if !targets.is_empty() {
                        let seqs: Vec<Seq> = targets.iter().map(|&target| Seq::new(target as u64)).collect();
                        log.delete(&seqs).await?;
                    }
                    log.compact().await.map(drop)
                });
                model.unsure.clone_from(&targets);
                let mut done = false;
                for _ in 0..chance.pick(60) {
                    sim.block_on(std::future::poll_fn(|cx| {
                        done = done || std::future::Future::poll(both.as_mut(), cx).is_ready();
                        std::task::Poll::Ready(())
                    }));
                    sim.threads.step();
                }
                drop(both);
                sim.crash(&mut chance)
            }
        };
        drop((log, reader));
        sim = next;
    }
    let log = open(&sim);
    model.settle(&log);
    model.verify(&log);
    sim.block_on(log.compact()).unwrap();
    model.verify(&log);
    model.is_erased_from(&sim.disk.image());
    erased
}

#[test]
fn whatever_happens_the_log_holds_what_it_should() {
    let erased = std::sync::atomic::AtomicU64::new(0);
    if let Some(seed) = std::env::var("FLUME_SEED").ok().and_then(|seed| seed.parse().ok()) {
        live(seed);
        return;
    }
    let count = soak_or_count(300, |seed| {
        erased.fetch_add(live(seed as u64), std::sync::atomic::Ordering::Relaxed);
    });
    println!("figure: compaction_histories cases={count} erased={erased:?}");
    assert!(erased.into_inner() > 1000);
}

/// A log with deletions in every segment and some segments of nothing else.
fn prepared(sim: &Sim) -> (SegmentedLog, Model) {
    let (log, mut model) = (open(sim), Model::default());
    for round in 0..12 {
        append(sim, &log, &mut model, &[700, 0, 30, 1200]);
        append(sim, &log, &mut model, &[500 + round]);
    }
    let targets: Vec<usize> =
        model.live().into_iter().filter(|at| *at < 12 || (20..30).contains(at) || at % 7 == 3).collect();
    delete(sim, &log, &mut model, &targets);
    append(sim, &log, &mut model, &[3000]);
    append(sim, &log, &mut model, &[3000]);
    (log, model)
}

/// Guards against a moment at which neither generation of a segment is whole, or the log seems to have lost its beginning.
#[test]
fn the_power_may_go_at_every_call() {
    let sim = Sim::new(1);
    let (log, model) = prepared(&sim);
    let before = sim.disk.calls();
    sim.block_on(log.compact()).unwrap();
    let calls = sim.disk.calls() - before;
    assert!(calls > 30, "{calls} calls");
    let each = soak_or(20, 2);
    on_all_cores(calls as usize * each, |case| {
        let sim = Sim::new(1);
        let (log, _) = prepared(&sim);
        sim.disk.power_off_at(Some(before + (case / each) as u64));
        drop(sim.block_on(log.compact()));
        let next = sim.crash(&mut Choices::seeded(case as u64));
        drop(log);
        let log = open(&next);
        model.verify(&log);
        assert!(SegmentedLog::check(&next.env, Path::new(DIR)).unwrap().is_ok(), "call {}", case / each);
        next.block_on(log.compact()).unwrap();
        model.verify(&log);
        model.is_erased_from(&next.disk.image());
        let leftovers =
            next.disk.image().files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "new"));
        assert_eq!(leftovers.count(), 0);
    });
    println!("figure: compaction_power_cuts cases={}", calls as usize * each);
}

/// Guards against erasing what a deletion names that a power cut takes back: the entry must be there then.
#[test]
fn what_a_deletion_named_that_was_lost_is_there() {
    let prepared = |sim: &Sim| {
        let settings = LogSettings { durability: Durability::System, ..settings() };
        let (log, mut model) = (SegmentedLog::open(&sim.env, Path::new(DIR), settings).unwrap(), Model::default());
        for round in 0..12 {
            append(sim, &log, &mut model, &[700, 0, 30, 1200, 500 + round]);
        }
        sim.block_on(log.sync(None)).unwrap();
        let kept = model.clone();
        let targets: Vec<usize> = model.live().into_iter().filter(|at| *at < 30 || at % 7 == 3).collect();
        delete(sim, &log, &mut model, &targets);
        (log, kept, model)
    };
    let sim = Sim::new(1);
    let (log, ..) = prepared(&sim);
    let before = sim.disk.calls();
    sim.block_on(log.compact()).unwrap();
    let calls = sim.disk.calls() - before;
    let each = soak_or(20, 2);
    let lost = std::sync::atomic::AtomicU64::new(0);
    on_all_cores(calls as usize * each, |case| {
        let sim = Sim::new(1);
        let (log, kept, model) = prepared(&sim);
        sim.disk.power_off_at(Some(before + (case / each) as u64));
        drop(sim.block_on(log.compact()));
        let mut choices = if case % each == 0 { Choices::none() } else { Choices::seeded(case as u64) };
        let next = sim.crash(&mut choices);
        drop(log);
        let log = open(&next);
        let head = now(log.barrier()).unwrap().map_or(0, |head| head.get() as usize + 1);
        if head < model.numbers.len() {
            lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            kept.verify(&log);
        } else {
            model.verify(&log);
        }
    });
    println!("figure: compaction_of_lost_deletions cases={} lost={lost:?}", calls as usize * each);
    assert!(lost.into_inner() > 0, "the power cut never took the deletion");
}

/// Guards against a generation that is trusted because it is newer: it counts only if it is whole.
#[test]
fn of_two_generations_the_newer_counts_if_it_is_whole() {
    let sim = Sim::new(4);
    let (log, model) = prepared(&sim);
    let before = sim.disk.image();
    sim.block_on(log.compact()).unwrap();
    sim.block_on(log.close()).unwrap();
    drop(log);
    let after = sim.disk.image();
    let segments = |image: &Image| {
        image.files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "seg")).collect::<Vec<_>>()
    };
    let (old, new) = (segments(&before), segments(&after));
    for newer in new.iter().filter(|path| path.to_string_lossy().ends_with("-0001.seg")) {
        let older = Path::new(&newer.to_string_lossy().replace("-0001.seg", "-0000.seg")).to_owned();
        assert!(old.contains(&older));
        for damaged in [false, true] {
            let mut image = after.clone();
            image.write(&older, &before.read(&older).unwrap()).unwrap();
            if damaged {
                let mut bytes = after.read(newer).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                image.write(newer, &bytes).unwrap();
            }
            let sim = Sim::boot(image, 5);
            let log = open(&sim);
            let kept = if damaged { &older } else { newer };
            let gone = if damaged { newer } else { &older };
            let now_there = segments(&sim.disk.image());
            assert!(now_there.contains(kept) && !now_there.contains(gone), "damaged: {damaged}, {}", newer.display());
            if !damaged {
                model.verify(&log);
            }
        }
    }
}

/// Guards against a compaction that cannot write its copy and takes the log down with it.
#[test]
fn a_disk_that_fails_costs_the_compaction_and_no_more() {
    for kind in [FaultKind::Full, FaultKind::Short, FaultKind::Io, FaultKind::Interrupted] {
        for nth in 0..40 {
            let sim = Sim::new(2);
            let (log, mut model) = prepared(&sim);
            sim.disk.set_fault(Fault { kind, nth, lasting: false });
            let compacted = sim.block_on(log.compact());
            model.verify(&log);
            if compacted.is_err() && kind == FaultKind::Full {
                append(&sim, &log, &mut model, &[10]);
                sim.block_on(log.compact()).unwrap();
                model.is_erased_from(&sim.disk.image());
            }
            let next = sim.kill();
            drop(log);
            model.verify(&open(&next));
        }
    }
}

/// Space must be that of what is alive: a million numbers of which nothing is left are a few hundred bytes.
#[test]
fn what_is_gone_takes_no_room() {
    let sim = Sim::new(3);
    let settings = LogSettings { segment_bytes: 256 << 10, ..settings() };
    let log = SegmentedLog::open(&sim.env, Path::new(DIR), settings).unwrap();
    let append = |count: usize, text: &str| {
        let mut batch = Batch::new();
        (0..count).for_each(|_| batch.push(text.as_bytes()));
        sim.block_on(log.append(batch)).unwrap()
    };
    append(1, "the first stays");
    let mut gone: Vec<Seq> = (0..100).flat_map(|_| append(1000, "a short entry")).collect();
    append(1, "one in between stays");
    gone.extend((0..100).flat_map(|_| append(1000, "a short entry")));
    append(1, "and the last");
    for some in gone.chunks(1 << 16) {
        sim.block_on(log.delete(some)).unwrap();
    }
    let done = sim.block_on(log.compact()).unwrap();
    assert_eq!(done.erased, 200_000);
    let stat = log.stat().unwrap();
    assert_eq!((stat.entries, stat.deleted), (3, 200_000));
    assert!(stat.bytes < 64 << 10, "{done:?}, and then {} bytes", stat.bytes);
    assert_eq!(log.first(), Some(Seq::new(0)));
    sim.block_on(log.delete(&[Seq::new(0)])).unwrap();
    let done = sim.block_on(log.compact()).unwrap();
    assert!(done.dropped > 0, "{done:?}");
    assert!(log.first().unwrap() > Seq::new(1000));
    assert_eq!(now(log.get(Seq::new(0))).unwrap_err().kind(), ErrorKind::NotFound);
    // What is not there any more was deleted: to delete it again is no mistake.
    sim.block_on(log.delete(&[Seq::new(0), Seq::new(5)])).unwrap();
}
