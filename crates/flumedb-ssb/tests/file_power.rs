//! Guards against an acknowledged entry that a power cut or a failing disk takes: appends to files of flumelog-offset and of
//! flumelog-aligned-offset on the simulated machine, each run replayed by its seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod common;

use common::all;
use flumedb::{
    Error, ErrorKind, Span,
    log::{Batch, Log, ReadRequest},
};
use flumedb_sim::{Choices, Fault, FaultKind, Sim};
use flumedb_ssb::{AlignedLog, Framing, OffsetLog};

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

/// A format, and how it is opened.
struct Kind {
    name: &'static str,
    /// To append. The layout is named, because what a first record that is torn, or a file with one block, leaves tells
    /// none.
    open: fn(&Sim) -> Result<Box<dyn Log>, Error>,
    /// To read.
    look: fn(&Sim) -> Result<Box<dyn Log>, Error>,
    /// Whether there may be records behind a damaged place.
    gaps: bool,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "offset",
        open: |sim| {
            Ok(Box::new(
                OffsetLog::builder().env(sim.env.clone()).framing(Framing::Bits32).create().open("log.offset")?,
            ))
        },
        look: |sim| Ok(Box::new(OffsetLog::builder().env(sim.env.clone()).open("log.offset")?)),
        gaps: false,
    },
    Kind {
        name: "aligned",
        open: |sim| {
            Ok(Box::new(AlignedLog::builder().env(sim.env.clone()).block_size(BLOCK).create().open("log.offset")?))
        },
        look: |sim| Ok(Box::new(AlignedLog::builder().env(sim.env.clone()).open("log.offset")?)),
        gaps: true,
    },
];

impl Kind {
    /// Reads what is there up to the first damaged place, without changing it.
    fn read(&self, sim: &Sim) -> Vec<(u64, Vec<u8>)> {
        let Ok(log) = (self.look)(sim) else { return Vec::new() };
        let mut read = Vec::new();
        let mut span = Span { from: 0, to: log.head().borrow().map_or(0, |seq| seq.get() + 1) };
        while !span.is_empty() {
            let chunk = match sim.block_on(log.read(ReadRequest::forwards(span))) {
                Ok(chunk) => chunk,
                Err(error) => {
                    assert!(self.gaps, "{}: {error}", self.name);
                    break;
                }
            };
            read.extend(chunk.slots.iter().map(|slot| (slot.seq.get(), chunk.payload_bytes(slot).to_vec())));
            span.from = chunk.covered.to;
        }
        sim.block_on(log.close()).unwrap();
        sim.settle();
        read
    }
}

/// Appends until it fails or is done. Gives what was acknowledged.
fn append(sim: &Sim, log: &dyn Log, count: u64) -> (Vec<(u64, Vec<u8>)>, Option<Error>) {
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
    for kind in &KINDS {
        let calls = {
            let sim = Sim::new(1);
            let log = (kind.open)(&sim).unwrap();
            append(&sim, &*log, 8);
            sim.disk.calls()
        };
        assert!(calls > 20);
        for at in 0..calls {
            for seed in 0..12 {
                let sim = Sim::new(1);
                sim.disk.power_off_at(Some(at));
                let log = (kind.open)(&sim);
                let acknowledged = log.as_ref().map_or_else(|_| Vec::new(), |log| append(&sim, &**log, 8).0);
                let mut choices = match seed {
                    0 => Choices::none(),
                    1 => Choices::all(),
                    seed => Choices::seeded(seed + at * 100),
                };
                let after = sim.crash(&mut choices);
                drop(log);
                let found = kind.read(&after);
                assert!(
                    found.starts_with(&acknowledged),
                    "{}, call {at}, seed {seed}: {} of {}",
                    kind.name,
                    found.len(),
                    acknowledged.len()
                );
                // What is there can be appended to, or says that whole entries lie behind a gap.
                match (kind.open)(&after) {
                    Ok(log) => {
                        assert!(append(&after, &*log, 1).1.is_none());
                        after.block_on(log.close()).unwrap();
                        after.settle();
                        assert_eq!(kind.read(&after).len(), found.len() + 1);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{}, call {at}, seed {seed}", kind.name),
                }
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    for kind in &KINDS {
        let sim = Sim::new(2);
        let log = (kind.open)(&sim).unwrap();
        let (mut acknowledged, _) = append(&sim, &*log, 3);
        sim.disk.set_fault(Fault { kind: FaultKind::Full, nth: 0, lasting: true });
        let (none, error) = append(&sim, &*log, 1);
        assert_eq!((none.len(), error.unwrap().kind()), (0, ErrorKind::StorageFull));
        assert_eq!(sim.block_on(all(&*log)).len(), acknowledged.len());
        sim.disk.clear_faults();
        let (more, error) = append(&sim, &*log, 5);
        assert!(error.is_none());
        acknowledged.extend(more);
        assert_eq!(kind.read(&sim), acknowledged);
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_it_is_opened_anew() {
    for kind in &KINDS {
        for fault in [FaultKind::Sync, FaultKind::Io] {
            let sim = Sim::new(3);
            let log = (kind.open)(&sim).unwrap();
            let (acknowledged, _) = append(&sim, &*log, 3);
            sim.disk.set_fault(Fault { kind: fault, nth: 0, lasting: false });
            assert!(append(&sim, &*log, 1).1.is_some());
            sim.disk.clear_faults();
            assert_eq!(append(&sim, &*log, 1).1.unwrap().kind(), ErrorKind::Poisoned);
            assert_eq!(sim.block_on(log.delete(&[])).unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(sim.block_on(all(&*log)).len(), acknowledged.len(), "reading goes on");
            let after = sim.crash(&mut Choices::none());
            assert!(kind.read(&after).starts_with(&acknowledged));
            assert!(append(&after, &*(kind.open)(&after).unwrap(), 1).1.is_none());
        }
    }
}

#[test]
fn writes_that_take_only_some_bytes_are_finished() {
    for kind in &KINDS {
        let sim = Sim::new(4);
        sim.disk.set_fault(Fault { kind: FaultKind::Short, nth: 0, lasting: true });
        let (acknowledged, error) = append(&sim, &*(kind.open)(&sim).unwrap(), 5);
        assert!(error.is_none());
        assert_eq!(kind.read(&sim.kill()), acknowledged);
    }
}
