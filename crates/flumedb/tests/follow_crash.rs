//! Guards against a reader in another process that sees what the writer has not vouched for, misses what was
//! acknowledged, or is led astray when segments are begun, the writer dies, or the power goes.
//!
//! Every workload of two of twelve operations. After each, one reader that was there from the start and one that comes
//! just then must both see the log as it may be: everything acknowledged, then a prefix of what was asked for.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::path::Path;

use flumedb::log::{Log, LogSettings, SegmentedLog};
use flumedb_sim::{DIR, Model, Op, Script, Sim, now, on_all_cores};

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 4096, ..LogSettings::default() }
}

fn assert_follows(reader: &SegmentedLog, script: &Script, after: Op) {
    let mut model = script.model().clone();
    let read = script.sim.disk.unseen(|| {
        // It looks when it is asked how far the log goes.
        now(reader.barrier()).and_then(|_| model.verify(reader))
    });
    read.unwrap_or_else(|error| panic!("after {after:?}: {error}"));
}

#[test]
fn readers_see_what_the_writer_has_done() {
    let pairs: Vec<[Op; 2]> = Op::ALL.iter().flat_map(|a| Op::ALL.map(|b| [*a, b])).collect();
    on_all_cores(pairs.len(), |pair| {
        let mut script = Script::new(Sim::new(pair as u64), settings(), Model::default());
        script.open().unwrap();
        // With something in it, and more than one segment.
        [Op::Small, Op::Large, Op::Batch].iter().for_each(|op| script.step(*op).unwrap());
        let mut reader = SegmentedLog::read_only(&script.sim.env, Path::new(DIR)).unwrap();
        for op in pairs[pair] {
            // A reader in the same machine never rests, and time passes only when all do.
            if op == Op::Tick {
                drop(reader);
                script.step(op).unwrap();
                reader = SegmentedLog::read_only(&script.sim.env, Path::new(DIR)).unwrap();
            } else {
                script.step(op).unwrap();
            }
            if op == Op::Kill {
                // Its own process was on the same machine.
                reader = SegmentedLog::read_only(&script.sim.env, Path::new(DIR)).unwrap();
            }
            assert_follows(&reader, &script, op);
            let newcomer = SegmentedLog::read_only(&script.sim.env, Path::new(DIR)).unwrap();
            assert_follows(&newcomer, &script, op);
        }
    });
}
