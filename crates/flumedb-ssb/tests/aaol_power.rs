//! Guards against an acknowledged entry that a power cut or a failing disk takes, and a batch that is there by half: an
//! async-append-only-log file on the simulated machine, each run replayed by its seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod common;

use common::{all, readable};
use flumedb::{
    Error, ErrorKind,
    log::{Batch, Log},
};
use flumedb_sim::{Choices, Fault, FaultKind, Sim};
use flumedb_ssb::AaolLog;

/// Blocks larger than a sector, so that a disk can write a part of one.
const BLOCK: u32 = 2048;

fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    for part in 0..=number % 3 {
        let text = "x".repeat(number as usize * 57 % 600);
        batch.push(format!("{{\"number\":{number},\"part\":{part},\"text\":\"{text}\"}}").as_bytes());
    }
    batch
}

/// The size is named, because what a first block that is torn leaves tells none.
fn open(sim: &Sim) -> Result<AaolLog, Error> {
    AaolLog::builder().env(sim.env.clone()).block_size(BLOCK).create().open("log.bipf")
}

/// Reads everything that is there, without changing it.
fn read(sim: &Sim) -> Vec<(u64, Vec<u8>)> {
    let Ok(log) = AaolLog::builder().env(sim.env.clone()).block_size(BLOCK).open("log.bipf") else { return Vec::new() };
    let read = sim.block_on(readable(&log)).0.into_iter().map(|(seq, _, payload)| (seq, payload.to_vec())).collect();
    sim.block_on(log.close()).unwrap();
    sim.settle();
    read
}

/// Appends until it fails or is done. Gives what was acknowledged.
fn append(sim: &Sim, log: &AaolLog, count: u64, whole: bool) -> (Vec<(u64, Vec<u8>)>, Option<Error>) {
    let mut acknowledged = Vec::new();
    for number in 0..count {
        let batch = batch(number);
        let payloads: Vec<Vec<u8>> = batch.payloads().map(<[u8]>::to_vec).collect();
        let answer = if whole { sim.block_on(log.append_whole(batch)) } else { sim.block_on(log.append(batch)) };
        match answer {
            Ok(seqs) => acknowledged.extend(seqs.iter().map(|seq| seq.get()).zip(payloads)),
            Err(error) => return (acknowledged, Some(error)),
        }
    }
    (acknowledged, None)
}

/// Rows L1 and L11.
#[test]
fn a_power_cut_at_any_call_takes_nothing_that_was_acknowledged() {
    const COUNT: u64 = 12;
    for whole in [false, true] {
        let calls = {
            let sim = Sim::new(1);
            let log = open(&sim).unwrap();
            append(&sim, &log, COUNT, whole);
            sim.disk.calls()
        };
        assert!(calls > 30);
        for at in 0..calls {
            for seed in 0..12 {
                let sim = Sim::new(1);
                sim.disk.power_off_at(Some(at));
                let log = open(&sim);
                let acknowledged = log.as_ref().map_or_else(|_| Vec::new(), |log| append(&sim, log, COUNT, whole).0);
                let mut choices = match seed {
                    0 => Choices::none(),
                    1 => Choices::all(),
                    seed => Choices::seeded(seed + at * 100),
                };
                let after = sim.crash(&mut choices);
                drop(log);
                let found = read(&after);
                let told = format!("call {at}, seed {seed}, whole {whole}");
                assert!(found.starts_with(&acknowledged), "{told}: {} of {}", found.len(), acknowledged.len());
                if whole {
                    // What was not acknowledged is there as a whole or not at all, with all its bytes.
                    let mut payloads = found.iter().map(|(_, payload)| payload.clone());
                    for number in 0..COUNT {
                        let batch: Vec<Vec<u8>> = batch(number).payloads().map(<[u8]>::to_vec).collect();
                        let there: Vec<Vec<u8>> = payloads.by_ref().take(batch.len()).collect();
                        assert!(there.is_empty() || there == batch, "{told}: batch {number}");
                    }
                }
                // What is there can be appended to, or says that whole entries lie behind a gap.
                match open(&after) {
                    Ok(log) => {
                        assert!(append(&after, &log, 1, whole).1.is_none());
                        after.block_on(log.close()).unwrap();
                        after.settle();
                        assert_eq!(read(&after).len(), found.len() + 1, "{told}");
                        let report = AaolLog::check(&after.env, "log.bipf", &Some(BLOCK)).unwrap();
                        assert!(report.is_ok(), "{told}: {report:?}");
                    }
                    Err(error) => assert!(error.kind() == ErrorKind::Corrupt && !whole, "{told}: {error}"),
                }
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    for whole in [false, true] {
        let sim = Sim::new(2);
        let log = open(&sim).unwrap();
        let (mut acknowledged, _) = append(&sim, &log, 3, whole);
        sim.disk.set_fault(Fault { kind: FaultKind::Full, nth: 0, lasting: true });
        let (none, error) = append(&sim, &log, 1, whole);
        assert_eq!((none.len(), error.unwrap().kind()), (0, ErrorKind::StorageFull));
        assert_eq!(sim.block_on(all(&log)).len(), acknowledged.len());
        sim.disk.clear_faults();
        let (more, error) = append(&sim, &log, 5, whole);
        assert!(error.is_none());
        acknowledged.extend(more);
        assert_eq!(read(&sim), acknowledged);
    }
}

/// The count of deleted bytes is beside the log, and a log does not fail for it.
#[test]
fn a_count_that_cannot_be_written_stops_nothing() {
    let sim = Sim::new(3);
    let log = open(&sim).unwrap();
    let (acknowledged, _) = append(&sim, &log, 5, false);
    let seqs: Vec<flumedb::Seq> = acknowledged.iter().map(|(seq, _)| flumedb::Seq::new(*seq)).collect();
    sim.block_on(log.delete(&seqs[..1])).unwrap();
    // One write and one sync are the deletion; what comes then is the count.
    sim.disk.set_fault(Fault { kind: FaultKind::Full, nth: 1, lasting: true });
    sim.block_on(log.delete(&seqs[1..2])).unwrap();
    sim.disk.clear_faults();
    assert!(append(&sim, &log, 1, false).1.is_none());
    sim.block_on(log.delete(&seqs[2..3])).unwrap();
    let gone: usize = acknowledged[..3].iter().map(|(_, payload)| payload.len() + 2).sum();
    let count = sim.disk.image().read("log.bipf.stats".as_ref()).unwrap();
    assert_eq!(count, format!("{{\"deletedBytes\":{gone}}}").as_bytes());
}
