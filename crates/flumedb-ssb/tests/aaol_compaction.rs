//! Guards against a compaction that loses, doubles or reorders an entry: against the files of the original, cut off at every
//! call on the simulated machine, and gone on with from whatever the original has left behind.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{all, content, entries, put, vector, vector_rows};
use flumedb::{
    Bytes, Env, ErrorKind, Seq,
    env::OpenMode,
    log::{Batch, Log, SlotKind},
};
use flumedb_sim::{Choices, Fault, FaultKind, Sim};
use flumedb_ssb::AaolLog;
use proptest::{collection::vec, prelude::*};

const LOG: &str = "log.bipf";
const STATE: &str = "log.bipf.compaction";

fn machine(content: &[u8]) -> Env {
    let env = Env::memory();
    put(&env, LOG, content);
    env
}

/// The entries that are there, and how many were deleted.
async fn left(env: &Env) -> (Vec<Bytes>, usize) {
    let log = AaolLog::builder().env(env.clone()).open(LOG).unwrap();
    let read = all(&log).await;
    let entries: Vec<Bytes> =
        read.iter().filter(|(_, kind, _)| *kind == SlotKind::Entry).map(|(.., payload)| payload.clone()).collect();
    let deleted = read.len() - entries.len();
    (entries, deleted)
}

fn there(env: &Env, path: &str) -> bool {
    env.storage.kind(path.as_ref()).unwrap().is_some()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[tokio::test]
async fn a_compacted_log_is_what_the_original_makes_of_it() {
    for row in vector_rows("aaol/holes/summary.jsonl") {
        let before = vector(row["before"].as_str().unwrap());
        let env = machine(&before);
        let (entries, deleted) = left(&env).await;
        assert_eq!(row["deleted"].as_u64(), Some(deleted as u64));
        let done = AaolLog::compact(&env, LOG, &Some(1024)).unwrap();
        assert_eq!((done.removed, done.bytes_before), (deleted as u64, before.len() as u64));
        assert!(!there(&env, STATE));
        if deleted > 0 {
            assert_eq!(content(&env, "log.bipf.stats"), br#"{"deletedBytes":0}"#);
        }
        assert_eq!(done.bytes_after, content(&env, LOG).len() as u64);
        let pattern = row["pattern"].as_str().unwrap();
        let log = AaolLog::builder().env(env.clone()).block_size(1024).append().open(LOG).unwrap();
        let mut batch = Batch::new();
        let original = vector(row["after"].as_str().unwrap());
        let after = AaolLog::builder().env(machine(&original)).open(LOG).unwrap();
        let Some((.., payload)) = all(&after).await.pop() else { panic!("{pattern}") };
        // Row L12: nothing is left behind the hole, and the original leaves the hole; with nothing left at all it throws.
        if matches!(pattern, "last" | "all-but-first" | "all") {
            assert!(original.len() as u64 >= done.bytes_after);
            let expected = if pattern == "all" { 0 } else { entries.len() };
            assert_eq!(left(&env).await, (entries[..expected].to_vec(), 0));
            continue;
        }
        batch.push(&payload);
        let appended = log.append(batch).await.unwrap();
        assert_eq!(row["result"]["appended_offset"].as_u64(), Some(appended[0].get()), "{pattern}");
        log.close().await.unwrap();
        assert_eq!(content(&env, LOG), original, "{pattern}");
    }
    let env = machine(&vector("aaol/deleted-64k.log"));
    AaolLog::compact(&env, LOG, &None).unwrap();
    assert_eq!(content(&env, LOG), vector("aaol/compacted-64k.log"));
    assert_eq!(content(&env, "log.bipf.stats"), vector("aaol/compacted-64k.log.stats"));
}

/// The crash images of the original: log, state, and what they are called.
fn images() -> Vec<(Vec<u8>, Vec<u8>, String)> {
    let images = entries("aaol/interrupted/").into_iter().filter_map(|file| {
        let name = file["file"].as_str().unwrap().strip_suffix(".compaction")?.to_owned();
        Some((vector(&name), vector(&format!("{name}.compaction")), name))
    });
    images.collect()
}

#[tokio::test]
async fn what_the_original_left_is_finished_by_the_next_writer() {
    let (expected, last) = (vector("aaol/interrupted/final.log"), vector("aaol/interrupted/start.log"));
    let (entries, _) = left(&machine(&last)).await;
    let images = images();
    assert!(images.len() >= 5);
    for (log, state, name) in images {
        let crashed = || {
            let env = machine(&log);
            put(&env, STATE, &state);
            env
        };
        let env = crashed();
        let refused = AaolLog::builder().env(env.clone()).open(LOG).err().unwrap();
        assert!(refused.to_string().contains("flume repair log.bipf"), "{name}: {refused}");
        let report = AaolLog::check(&env, LOG, &None).unwrap();
        assert!(report.damage.iter().any(|damage| damage.reason.contains("compaction")), "{name}: {report:?}");
        assert_eq!((content(&env, LOG), content(&env, STATE)), (log.clone(), state.clone()), "{name}");
        let finish: [&dyn Fn(&Env); 3] = [
            &|env| drop(AaolLog::builder().env(env.clone()).append().open(LOG).unwrap()),
            &|env| assert!(AaolLog::repair(env, LOG, &None, false).unwrap().finished.is_some()),
            &|env| assert!(AaolLog::compact(env, LOG, &None).is_ok()),
        ];
        for finish in finish {
            let env = crashed();
            finish(&env);
            assert_eq!(content(&env, LOG), expected, "{name}");
            assert!(!there(&env, STATE), "{name}");
            assert!(AaolLog::check(&env, LOG, &None).unwrap().is_ok(), "{name}");
            assert_eq!(left(&env).await.0, entries, "{name}");
        }
    }
}

/// The state says that a block is done, and the block has not reached the disk. The original loses entries by that.
#[tokio::test]
async fn a_state_that_is_ahead_of_the_log_loses_nothing() {
    let expected = vector("aaol/interrupted/final.log");
    let images = images();
    let row = vector_rows("aaol/interrupted/summary.jsonl").pop().unwrap();
    assert!(row["image"].as_str().unwrap().starts_with("REORDERED") && row["lost"].as_u64().unwrap() > 0);
    let (log, state) = (&images[0].0, &images[1].1);
    let env = machine(log);
    put(&env, STATE, state);
    // Row L13: the block is as it was, so it is filled once more.
    drop(AaolLog::builder().env(env.clone()).append().open(LOG).unwrap());
    assert_eq!(content(&env, LOG), expected);

    // Two blocks behind, and what is missing cannot be told: nothing is changed unless that is asked for.
    let env = machine(log);
    put(&env, STATE, &images[2].1);
    let refused = AaolLog::builder().env(env.clone()).append().open(LOG).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("--skip-damage"), "{refused}");
    assert_eq!(AaolLog::repair(&env, LOG, &None, false).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!((&content(&env, LOG), &content(&env, STATE)), (log, &images[2].1));
    let repair = AaolLog::repair(&env, LOG, &None, true).unwrap();
    assert!(repair.finished.is_none() && repair.damage.len() == 1);
    assert_eq!(repair.kept_in, [std::path::Path::new("log.bipf.compaction.damaged")]);
    assert!(!there(&env, STATE));
    assert_eq!((content(&env, LOG), content(&env, "log.bipf.compaction.damaged")), (log.clone(), images[2].1.clone()));
    assert!(AaolLog::check(&env, LOG, &None).unwrap().is_ok());
}

#[tokio::test]
async fn what_is_no_state_of_this_log_changes_nothing() {
    let log = vector("aaol/interrupted/start.log");
    let state = images().remove(0).1;
    // The original was stopped before all of its first state was on the disk; nothing else has changed then.
    for stub in [Vec::new(), vec![0; 20], vec![0; state.len()], state[..19].to_vec(), state[..700].to_vec()] {
        let env = machine(&log);
        put(&env, STATE, &stub);
        drop(AaolLog::builder().env(env.clone()).append().open(LOG).unwrap());
        assert_eq!(content(&env, LOG), log, "{}", stub.len());
        assert!(!there(&env, STATE));
    }
    let mut other = state.clone();
    // One that cuts off what has not been moved, too.
    let cuts = |last| [(8, last), (9, 0), (10, 0), (11, 0)];
    let single = [(0, 2), (4, 1), (9, 1), (12, 77), (16, 1), (19, 200), (20, 255)].map(|change| [change; 4]);
    for changes in single.into_iter().chain([cuts(0), cuts(5), cuts(8)]) {
        other.clone_from(&state);
        changes.iter().for_each(|&(at, byte)| other[at] = byte);
        let at = changes[0];
        let env = machine(&log);
        put(&env, STATE, &other);
        let refused = AaolLog::builder().env(env.clone()).append().open(LOG).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{at:?}: {refused}");
        assert_eq!((content(&env, LOG), content(&env, STATE)), (log.clone(), other.clone()), "{at:?}");
    }
    other.clone_from(&state);
    other.push(0);
    let env = machine(&log);
    put(&env, STATE, &other);
    assert!(AaolLog::builder().env(env.clone()).append().open(LOG).is_err());
    assert_eq!(content(&env, LOG), log);
}

/// Row L14. The failure: a view that goes on with what it has seen, because what is there now looks the same.
#[tokio::test]
async fn a_compacted_log_is_another_log_to_views_and_to_readers() {
    let env = Env::memory();
    let log = AaolLog::builder().env(env.clone()).block_size(64).create().open(LOG).unwrap();
    let mut batch = Batch::new();
    ["tick", "tock", "tick"].iter().for_each(|payload| batch.push(payload.as_bytes()));
    let seqs = log.append(batch).await.unwrap();
    let (identity, proof) = (log.identity(), log.proof(seqs[2]).unwrap());
    log.delete(&seqs[1..2]).await.unwrap();
    log.close().await.unwrap();
    drop(log);
    let reader = AaolLog::builder().env(env.clone()).open(LOG).unwrap();
    assert_eq!(reader.identity(), identity);
    AaolLog::compact(&env, LOG, &Some(64)).unwrap();
    assert_eq!(reader.barrier().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(reader.get(seqs[0]).await.unwrap_err().kind(), ErrorKind::Closed);
    let log = AaolLog::builder().env(env.clone()).block_size(64).append().open(LOG).unwrap();
    let mut batch = Batch::new();
    batch.push(b"tick");
    // The same bytes at the same places as when the view has seen them.
    assert_eq!(log.append(batch).await.unwrap()[0], seqs[2]);
    assert_ne!(log.proof(seqs[2]).unwrap(), proof);
    assert_ne!(log.identity(), identity);
    log.close().await.unwrap();
    drop(log);
    // Nothing to do is nothing done.
    let identity = AaolLog::builder().env(env.clone()).open(LOG).unwrap().identity();
    let done = AaolLog::compact(&env, LOG, &Some(64)).unwrap();
    assert_eq!((done.removed, done.bytes_after), (0, 64));
    assert_eq!(AaolLog::builder().env(env.clone()).open(LOG).unwrap().identity(), identity);
    // Nor while somebody writes.
    let writer = AaolLog::builder().env(env.clone()).block_size(64).append().open(LOG).unwrap();
    assert_eq!(AaolLog::compact(&env, LOG, &Some(64)).unwrap_err().kind(), ErrorKind::Locked);
    drop(writer);
    assert_eq!(AaolLog::compact(&env, "nothing", &None).unwrap_err().kind(), ErrorKind::NotFound);
}

/// A log in blocks of `block` bytes with these payloads, of which those marked are deleted.
fn written(block: u32, payloads: &[(Vec<u8>, bool)]) -> Vec<u8> {
    let env = Env::memory();
    let log = AaolLog::builder().env(env.clone()).block_size(block).create().open(LOG).unwrap();
    let mut batch = Batch::new();
    payloads.iter().for_each(|(payload, _)| batch.push(payload));
    let seqs = run(log.append(batch)).unwrap();
    let deleted: Vec<Seq> =
        seqs.into_iter().zip(payloads).filter(|(_, (_, deleted))| *deleted).map(|(seq, _)| seq).collect();
    run(log.delete(&deleted)).unwrap();
    run(log.close()).unwrap();
    content(&env, LOG)
}

fn log_with_holes() -> impl Strategy<Value = (u32, Vec<(Vec<u8>, bool)>)> {
    let payload = (1..60_usize, 1..=255_u8, any::<u8>(), any::<bool>());
    let payload = payload.prop_map(|(size, first, byte, deleted)| {
        let mut payload = vec![byte; size];
        payload[0] = first;
        (payload, deleted)
    });
    (prop::sample::select(&[64_u32, 100, 257][..]), vec(payload, 1..40))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_left_stays_in_order_and_nothing_else((block, payloads) in log_with_holes()) {
        let env = machine(&written(block, &payloads));
        let before = content(&env, LOG);
        AaolLog::compact(&env, LOG, &Some(block)).unwrap();
        let expected: Vec<Bytes> =
            payloads.iter().filter(|(_, deleted)| !deleted).map(|(payload, _)| Bytes::copy_from_slice(payload)).collect();
        let after = content(&env, LOG);
        prop_assert!(after.len() <= before.len());
        if expected.is_empty() {
            prop_assert!(after.is_empty());
        } else {
            prop_assert_eq!(run(left(&env)), (expected, 0));
        }
        prop_assert!(AaolLog::check(&env, LOG, &Some(block)).unwrap().is_ok());
        // Again changes nothing.
        AaolLog::compact(&env, LOG, &Some(block)).unwrap();
        prop_assert_eq!(content(&env, LOG), after);
    }

    #[test]
    fn any_state_beside_a_log_is_survived((block, payloads) in log_with_holes(), numbers in [0..4_u32, 0..3, 0..3, 0..5, 0..300], tail in vec(any::<u8>(), 0..20)) {
        let log = written(block, &payloads);
        let mut state: Vec<u8> = numbers.iter().enumerate().flat_map(|(at, number)| {
            let number = match at { 0 => 1, 1 => number * block, 2 if *number > 0 => u32::MAX, _ => *number };
            number.to_le_bytes()
        }).collect();
        let start = (numbers[4] / block * block) as usize;
        state.extend_from_slice(log.get(start..start + block as usize).unwrap_or(&log[..block as usize]));
        let at = state.len() - tail.len();
        if numbers[0] == 0 {
            state[at..].copy_from_slice(&tail);
        }
        for skip_damage in [false, true] {
            let env = machine(&log);
            put(&env, STATE, &state);
            match AaolLog::repair(&env, LOG, &Some(block), skip_damage) {
                Ok(_) => prop_assert!(AaolLog::check(&env, LOG, &Some(block)).unwrap().is_ok()),
                Err(_) => prop_assert_eq!(content(&env, LOG), log.clone()),
            }
        }
    }
}

/// A simulated machine with this log on its disk.
fn sim(content: &[u8]) -> Sim {
    let sim = Sim::new(7);
    let file = sim.env.storage.open(LOG.as_ref(), OpenMode::CreateNew).unwrap();
    file.write_all(0, content).unwrap();
    file.sync().unwrap();
    sim.env.storage.sync_dir("".as_ref()).unwrap();
    sim
}

#[test]
fn a_power_cut_at_any_call_changes_nothing_about_the_outcome() {
    let payload =
        |number: usize| (format!("{number:04}-{}", "x".repeat(number * 7 % 90)).into_bytes(), number % 3 == 1);
    let payloads: Vec<_> = (0..60).map(payload).collect();
    let log = written(128, &payloads);
    let (calls, expected) = {
        let sim = sim(&log);
        let before = sim.disk.calls();
        AaolLog::compact(&sim.env, LOG, &Some(128)).unwrap();
        (before..sim.disk.calls(), content(&sim.env, LOG))
    };
    assert!(calls.clone().count() > 60 && expected.len() < log.len());
    for at in calls {
        for seed in 0..10 {
            let sim = sim(&log);
            sim.disk.power_off_at(Some(at));
            let cut = AaolLog::compact(&sim.env, LOG, &Some(128)).is_err();
            let mut choices = match seed {
                0 => Choices::none(),
                1 => Choices::all(),
                seed => Choices::seeded(seed + at * 100),
            };
            let mut after = sim.crash(&mut choices);
            assert!(cut, "call {at}");
            if seed % 2 == 1 {
                // And once more while it goes on.
                let calls = after.disk.calls() + at / 2;
                after.disk.power_off_at(Some(calls));
                let _ = AaolLog::compact(&after.env, LOG, &Some(128));
                after = after.crash(&mut choices);
            }
            AaolLog::compact(&after.env, LOG, &Some(128)).unwrap_or_else(|error| panic!("{at} {seed}: {error}"));
            assert_eq!(content(&after.env, LOG), expected, "call {at}, seed {seed}");
            assert!(!there(&after.env, STATE));
        }
    }
}

#[test]
fn a_disk_that_fails_stops_it_and_it_goes_on_later() {
    let payloads: Vec<_> = (1..60_u8).map(|number| (vec![number; 40], number % 4 == 0)).collect();
    let log = written(128, &payloads);
    let expected = {
        let env = machine(&log);
        AaolLog::compact(&env, LOG, &Some(128)).unwrap();
        content(&env, LOG)
    };
    for kind in [FaultKind::Full, FaultKind::Sync, FaultKind::Io] {
        for nth in 0..30 {
            let sim = sim(&log);
            sim.disk.set_fault(Fault { kind, nth, lasting: true });
            let failed = AaolLog::compact(&sim.env, LOG, &Some(128)).is_err();
            sim.disk.clear_faults();
            if failed {
                AaolLog::compact(&sim.env, LOG, &Some(128)).unwrap();
            }
            assert_eq!(content(&sim.env, LOG), expected, "{kind:?} {nth}");
        }
    }
}
