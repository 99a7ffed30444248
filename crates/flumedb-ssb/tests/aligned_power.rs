//! Guards against an acknowledged entry that a power cut or a failing disk takes: appends to a flumelog-aligned-offset file on
//! the simulated machine, each run replayed by its seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod common;

use common::all;
use flumedb::{
    Error, ErrorKind, Span,
    log::{Batch, Log, ReadRequest},
};
use flumedb_sim::{Choices, Fault, FaultKind, Sim};
use flumedb_ssb::AlignedLog;

/// Small enough that most batches go over the end of one.
const BLOCK: u32 = 512;

fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    for part in 0..=number % 3 {
        batch.push(
            format!("{{\"number\":{number},\"part\":{part},\"text\":\"{}\"}}", "x".repeat(number as usize * 37))
                .as_bytes(),
        );
    }
    batch
}

/// The block size is named, because a file with one block tells none.
fn open(sim: &Sim) -> Result<AlignedLog, Error> {
    AlignedLog::builder().env(sim.env.clone()).block_size(BLOCK).create().open("log.offset")
}

/// Reads what is there up to the first damaged place, without changing it.
fn read(sim: &Sim) -> Vec<(u64, Vec<u8>)> {
    let Ok(log) = AlignedLog::builder().env(sim.env.clone()).open("log.offset") else { return Vec::new() };
    let mut read = Vec::new();
    let mut span = Span { from: 0, to: log.head().borrow().map_or(0, |seq| seq.get() + 1) };
    while !span.is_empty()
        && let Ok(chunk) = sim.block_on(log.read(ReadRequest::forwards(span)))
    {
        read.extend(chunk.slots.iter().map(|slot| (slot.seq.get(), chunk.payload_bytes(slot).to_vec())));
        span.from = chunk.covered.to;
    }
    sim.block_on(log.close()).unwrap();
    sim.settle();
    read
}

/// Appends until it fails or is done. Gives what was acknowledged.
fn append(sim: &Sim, log: &AlignedLog, count: u64) -> (Vec<(u64, Vec<u8>)>, Option<Error>) {
    let mut acknowledged = Vec::new();
    for number in 0..count {
        let batch = batch(number);
        let payloads: Vec<Vec<u8>> = batch.payloads().map(<[u8]>::to_vec).collect();
        match sim.block_on(log.append(batch)) {
            Ok(seqs) => acknowledged.extend(seqs.iter().map(|seq| seq.get()).zip(payloads)),
            Err(error) => return (acknowledged, Some(error)),
        }
    }
    (acknowledged, None)
}

#[test]
fn a_power_cut_at_any_call_takes_nothing_that_was_acknowledged() {
    let calls = {
        let sim = Sim::new(1);
        let log = open(&sim).unwrap();
        append(&sim, &log, 8);
        sim.disk.calls()
    };
    assert!(calls > 20);
    for at in 0..calls {
        for seed in 0..12 {
            let sim = Sim::new(1);
            sim.disk.power_off_at(Some(at));
            let log = open(&sim);
            let acknowledged = log.as_ref().map_or_else(|_| Vec::new(), |log| append(&sim, log, 8).0);
            let mut choices = match seed {
                0 => Choices::none(),
                1 => Choices::all(),
                seed => Choices::seeded(seed + at * 100),
            };
            let after = sim.crash(&mut choices);
            drop(log);
            let found = read(&after);
            assert!(
                found.starts_with(&acknowledged),
                "call {at}, seed {seed}: {} of {}",
                found.len(),
                acknowledged.len()
            );
            // What is there can be appended to, or says that whole entries lie behind a gap.
            match open(&after) {
                Ok(log) => {
                    assert!(append(&after, &log, 1).1.is_none());
                    after.block_on(log.close()).unwrap();
                    after.settle();
                    assert_eq!(read(&after).len(), found.len() + 1);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "call {at}, seed {seed}"),
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let sim = Sim::new(2);
    let log = open(&sim).unwrap();
    let (mut acknowledged, _) = append(&sim, &log, 3);
    sim.disk.set_fault(Fault { kind: FaultKind::Full, nth: 0, lasting: true });
    let (none, error) = append(&sim, &log, 1);
    assert_eq!((none.len(), error.unwrap().kind()), (0, ErrorKind::StorageFull));
    assert_eq!(sim.block_on(all(&log)).len(), acknowledged.len());
    sim.disk.clear_faults();
    let (more, error) = append(&sim, &log, 5);
    assert!(error.is_none());
    acknowledged.extend(more);
    assert_eq!(read(&sim), acknowledged);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_it_is_opened_anew() {
    for kind in [FaultKind::Sync, FaultKind::Io] {
        let sim = Sim::new(3);
        let log = open(&sim).unwrap();
        let (acknowledged, _) = append(&sim, &log, 3);
        sim.disk.set_fault(Fault { kind, nth: 0, lasting: false });
        assert!(append(&sim, &log, 1).1.is_some());
        sim.disk.clear_faults();
        assert_eq!(append(&sim, &log, 1).1.unwrap().kind(), ErrorKind::Poisoned);
        assert_eq!(sim.block_on(log.delete(&[])).unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(sim.block_on(all(&log)).len(), acknowledged.len(), "reading goes on");
        let after = sim.crash(&mut Choices::none());
        assert!(read(&after).starts_with(&acknowledged));
        assert!(append(&after, &open(&after).unwrap(), 1).1.is_none());
    }
}

#[test]
fn writes_that_take_only_some_bytes_are_finished() {
    let sim = Sim::new(4);
    sim.disk.set_fault(Fault { kind: FaultKind::Short, nth: 0, lasting: true });
    let (acknowledged, error) = append(&sim, &open(&sim).unwrap(), 5);
    assert!(error.is_none());
    assert_eq!(read(&sim.kill()), acknowledged);
}
