//! Guards against a call to the disk that fails and is not heeded: an acknowledgement for what is not there, a waiter
//! that waits for ever, a second sync that means nothing, a disk that was full once and leaves the log unusable.
//!
//! One workload that does everything a writer does, and in turn every call of it that can fail in a certain way: once,
//! or from then on. Whatever was acknowledged must be there after a new start and after a power cut, and the log must
//! go on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use flumedb::{
    Error, ErrorKind, Seq,
    log::{Batch, Durability, Log, LogSettings, SegmentedLog},
};
use flumedb_sim::{Choices, DIR, Fault, FaultKind, Model, Op, Script, Sim, figure, now, on_all_cores, soak_or};
use futures_util::future::join_all;

const WORK: [Op; 18] = [
    Op::Small,
    Op::Batch,
    Op::Buffered,
    Op::Half,
    Op::Half,
    Op::Note,
    Op::Delete,
    Op::IfHead,
    Op::Tick,
    Op::Buffered,
    Op::Sync,
    Op::Large,
    Op::Reopen,
    Op::Delete,
    Op::Buffered,
    Op::Tick,
    Op::Small,
    Op::Reopen,
];

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 4096, ..LogSettings::default() }
}

fn script(seed: u64) -> Script {
    Script::new(Sim::new(seed), settings(), Model::default())
}

/// Opens the log, does all the work, and stops at the first failure: the step it was, and what it said.
fn work(script: &mut Script, from: usize) -> Option<(usize, Error)> {
    if script.log().is_none()
        && let Err(error) = script.open()
    {
        return Some((from, error));
    }
    (from..WORK.len()).find_map(|step| Some((step, script.step(WORK[step]).err()?)))
}

/// The log must have kept what was acknowledged, after a new start and after a power cut, and go on.
fn assert_kept(script: &Script) {
    let image = script.sim.disk.image();
    let cuts = [Choices::none(), Choices::all(), Choices::seeded(1), Choices::seeded(2)];
    let disks = cuts.map(|mut choices| image.crash(&mut choices));
    for image in disks.into_iter().chain([image]) {
        let mut script = Script::new(Sim::boot(image, 3), settings(), script.model().clone());
        script.open().unwrap();
        script.step(Op::Small).unwrap();
        script.restart(|sim| sim.crash(&mut Choices::none()));
        script.open().unwrap();
    }
}

/// Though the disk works again, nothing is written, and what was acknowledged can be read.
fn assert_poisoned(script: &mut Script) {
    script.sim.disk.clear_faults();
    let Some(log) = script.log() else { return };
    script.model().verify_failed(log).unwrap();
    for op in [Op::Small, Op::Delete, Op::Note] {
        assert_eq!(script.step(op).unwrap_err().kind(), ErrorKind::Poisoned);
    }
}

/// Runs the work with `fault`.
fn run(fault: Fault, seed: u64) {
    let mut script = script(seed);
    script.sim.disk.set_fault(fault);
    let mut from = 0;
    while let Some((step, error)) = work(&mut script, from) {
        let expected = match fault.kind {
            FaultKind::Interrupted | FaultKind::Short => panic!("{:?} shows: {error}", fault.kind),
            FaultKind::Full => ErrorKind::StorageFull,
            // While it is opened, or if what fails is a read.
            FaultKind::Io | FaultKind::SyncDir if error.kind() == ErrorKind::Io => ErrorKind::Io,
            _ if script.log().is_none() && error.kind() == ErrorKind::Io => ErrorKind::Io,
            _ => ErrorKind::Poisoned,
        };
        assert_eq!(error.kind(), expected, "{error}");
        assert_kept(&script);
        if expected == ErrorKind::Poisoned {
            assert_poisoned(&mut script);
            return assert_kept(&script);
        }
        // Nothing is unknown: it goes on where it stopped.
        script.sim.disk.clear_faults();
        from = step;
    }
    assert_kept(&script);
}

/// How many calls of the work can fail in this way.
fn calls(kind: FaultKind) -> u64 {
    let mut script = script(0);
    script.sim.disk.set_fault(Fault { kind, nth: u64::MAX, lasting: false });
    assert!(work(&mut script, 0).is_none());
    script.sim.disk.clear_faults()
}

/// Each such call fails, once and from then on, with so many seeds.
fn sweep(kind: FaultKind, seeds: u64) {
    let calls = calls(kind);
    figure(&format!("sweep_{kind:?}"), seeds * calls * 2);
    assert!(calls > 0);
    on_all_cores((seeds * calls * 2) as usize, |case| {
        let case = case as u64;
        run(Fault { kind, nth: case / 2 % calls, lasting: case % 2 == 1 }, case / 2 / calls);
    });
}

#[test]
fn every_call_fails_with_eio() {
    sweep(FaultKind::Io, soak_or(100, 2));
}

#[test]
fn every_call_that_needs_room_finds_the_disk_full() {
    sweep(FaultKind::Full, soak_or(100, 2));
}

#[test]
fn every_write_is_interrupted() {
    let calls = calls(FaultKind::Interrupted);
    // Not from then on: that would be a system that does nothing else.
    on_all_cores(calls as usize, |number| {
        run(Fault { kind: FaultKind::Interrupted, nth: number as u64, lasting: false }, 1);
    });
}

#[test]
fn every_write_is_short() {
    sweep(FaultKind::Short, soak_or(100, 2));
}

#[test]
fn every_sync_fails_and_drops_its_pages() {
    // Which of the pages are lost, the seed says.
    sweep(FaultKind::Sync, soak_or(1000, 10));
}

#[test]
fn every_sync_of_a_directory_fails() {
    sweep(FaultKind::SyncDir, soak_or(100, 2));
}

/// Many wait for one sync, and it fails: all of them are told, nobody is told that all is well, and what was
/// acknowledged before is there.
#[test]
fn a_failed_sync_frees_every_waiter() {
    const WAITERS: u64 = 64;
    let told = AtomicU64::new(0);
    on_all_cores(soak_or(10_000, 300), |seed| {
        let sim = Sim::new(seed as u64);
        let log = SegmentedLog::open(&sim.env, Path::new(DIR), settings()).unwrap();
        sim.disk.set_fault(Fault { kind: FaultKind::Sync, nth: seed as u64 % 5, lasting: seed % 2 == 0 });
        let appends = (0..WAITERS).map(|number| {
            let mut batch = Batch::new();
            batch.push(&number.to_le_bytes());
            log.append(batch)
        });
        let answers = sim.block_on(join_all(appends));
        let mut acknowledged = Vec::new();
        for (number, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(seqs) => acknowledged.push((seqs[0], number as u64)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Poisoned);
                    told.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let check = |log: &SegmentedLog| {
            for (seq, number) in &acknowledged {
                assert_eq!(now(log.get(*seq)).unwrap(), number.to_le_bytes()[..]);
            }
        };
        check(&log);
        let head = now(log.barrier()).unwrap().map_or(0, |head: Seq| head.get() + 1);
        assert_eq!(head, acknowledged.len() as u64, "more can be read than is on the disk");
        drop(log);
        let sim = sim.crash(&mut Choices::seeded(seed as u64));
        check(&SegmentedLog::open(&sim.env, Path::new(DIR), settings()).unwrap());
    });
    assert!(told.into_inner() > 0, "no sync failed");
}

/// After a failed sync it is not enough that all that can still be read is on the disk.
#[test]
fn a_later_sync_does_not_say_that_all_is_well() {
    let sim = Sim::new(1);
    let log = SegmentedLog::open(&sim.env, Path::new(DIR), settings()).unwrap();
    let mut batch = Batch::new();
    batch.push(b"buffered");
    batch.buffered = true;
    sim.block_on(log.append(batch)).unwrap();
    sim.disk.set_fault(Fault { kind: FaultKind::Sync, nth: 0, lasting: false });
    for _ in 0..2 {
        assert_eq!(sim.block_on(log.sync(None)).unwrap_err().kind(), ErrorKind::Poisoned);
    }
}

/// What nobody waits for is brought to the disk in the background. If that fails, nobody is told later that it is there.
#[test]
fn a_failed_sync_in_the_background_is_heeded() {
    let sim = Sim::new(1);
    let settings = LogSettings { durability: Durability::System, ..LogSettings::default() };
    let log = SegmentedLog::open(&sim.env, Path::new(DIR), settings).unwrap();
    let append = |size: usize| {
        let mut batch = Batch::new();
        batch.push(&vec![7; size]);
        sim.block_on(log.append(batch))
    };
    sim.disk.set_fault(Fault { kind: FaultKind::Sync, nth: 0, lasting: false });
    let seqs = [3 << 20, 3 << 20, 3 << 20].map(|size| append(size).unwrap()[0]);
    sim.settle();
    assert_eq!(append(1).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(sim.block_on(log.sync(Some(seqs[2]))).unwrap_err().kind(), ErrorKind::Poisoned);
}

/// A disk with less and less room, then with more: what did not fit is refused and leaves nothing behind, and nothing
/// has to be mended.
#[test]
fn a_full_disk_is_only_full() {
    let mut script = script(1);
    script.open().unwrap();
    let mut refused = 0;
    for round in 1..=40 {
        // Closed, it has no room of its own left.
        script.step(Op::Reopen).unwrap();
        let used = script.sim.disk.image().used_bytes();
        script.sim.disk.set_capacity(Some(used + round % 5 * 4096));
        for op in [Op::Batch, Op::Large, Op::Note, Op::Half, Op::Buffered, Op::Tick, Op::Delete] {
            if let Err(error) = script.step(op) {
                assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                refused += 1;
            }
        }
        script.sim.disk.set_capacity(None);
        if round % 3 == 0 {
            script.step(Op::Kill).unwrap();
        }
        script.step(Op::Large).unwrap();
    }
    assert!(refused > 40, "the disk was full only {refused} times");
    assert_kept(&script);
}
