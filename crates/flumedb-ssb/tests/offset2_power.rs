//! Guards against an acknowledged entry of an offset2 log that a crash takes, an entry that it makes up, and a log that
//! neither we nor margaret open any more: the power goes at every call on the simulated machine, each run replayed by its
//! seed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod common;

use common::{all, offset2::Dir};
use flumedb::{
    Error, ErrorKind, Seq,
    log::{Batch, Log, SlotKind},
};
use flumedb_sim::{Choices, Fault, FaultKind, Sim};
use flumedb_ssb::Offset2Log;

/// Entries, or that they were deleted.
type State = Vec<Option<Vec<u8>>>;

#[derive(Clone, Debug)]
enum Act {
    Append(Vec<Vec<u8>>),
    Delete(Vec<u64>),
    Replace(u64, Vec<u8>),
}

/// Entries of no bytes, of zeros, and of more than a page.
fn acts() -> Vec<Act> {
    vec![
        Act::Append(vec![b"first".to_vec()]),
        Act::Append(vec![vec![0; 700], b"second".to_vec(), Vec::new()]),
        Act::Delete(vec![0, 2]),
        Act::Append(vec![b"long".repeat(2500), vec![7; 513]]),
        Act::Replace(4, b"short".to_vec()),
        Act::Delete(vec![4]),
        Act::Append(vec![Vec::new()]),
        Act::Append(vec![b"last".to_vec(), vec![0; 9]]),
    ]
}

fn do_one(sim: &Sim, log: &Offset2Log, act: &Act) -> Result<(), Error> {
    match act {
        Act::Append(payloads) => {
            let mut batch = Batch::new();
            payloads.iter().for_each(|payload| batch.push(payload));
            sim.block_on(log.append(batch)).map(drop)
        }
        Act::Delete(seqs) => sim.block_on(log.delete(&seqs.iter().copied().map(Seq::new).collect::<Vec<_>>())),
        Act::Replace(seq, payload) => sim.block_on(log.replace(Seq::new(*seq), payload)),
    }
}

fn apply(state: &mut State, act: &Act) {
    match act {
        Act::Append(payloads) => state.extend(payloads.iter().cloned().map(Some)),
        Act::Delete(seqs) => seqs.iter().for_each(|&seq| state[seq as usize] = None),
        Act::Replace(seq, payload) => {
            let entry = state[*seq as usize].as_mut().unwrap();
            entry.fill(0);
            entry[..payload.len()].copy_from_slice(payload);
        }
    }
}

/// Does what it can. Gives what was acknowledged, and what was being done when it failed.
fn run(sim: &Sim, log: &Offset2Log) -> (State, Option<Act>) {
    let mut state = State::new();
    for act in acts() {
        if do_one(sim, log, &act).is_err() {
            return (state, Some(act));
        }
        apply(&mut state, &act);
    }
    (state, None)
}

fn open(sim: &Sim) -> Result<Offset2Log, Error> {
    Offset2Log::builder().env(sim.env.clone()).create().open("log")
}

fn read_from(sim: &Sim, log: &Offset2Log) -> State {
    let slots = sim.block_on(all(log));
    slots.into_iter().map(|(_, kind, payload)| (kind == SlotKind::Entry).then(|| payload.to_vec())).collect()
}

/// What is there, read without changing it.
fn read(sim: &Sim) -> State {
    let Ok(log) = Offset2Log::builder().env(sim.env.clone()).open("log") else { return State::new() };
    let read = read_from(sim, &log);
    sim.block_on(log.close()).unwrap();
    sim.settle();
    read
}

/// Whether a crash during `act` may leave `found` of `state`.
fn may_be(found: &State, state: &State, act: Option<&Act>) -> bool {
    let same = |seq: usize| found[seq] == state[seq];
    match act {
        None => found == state,
        Some(Act::Append(payloads)) => {
            let more: State = payloads.iter().cloned().map(Some).collect();
            found.starts_with(state) && more.starts_with(&found[state.len()..])
        }
        Some(Act::Delete(seqs)) => {
            let gone = |seq: usize| seqs.contains(&(seq as u64)) && found[seq].is_none();
            found.len() == state.len() && (0..state.len()).all(|seq| same(seq) || gone(seq))
        }
        Some(act @ Act::Replace(replaced, _)) => {
            let mut after = state.clone();
            apply(&mut after, act);
            let mixed = |seq: usize| {
                let (found, old, new) = (found[seq].as_ref(), state[seq].as_ref(), after[seq].as_ref());
                let bytes = found.unwrap().iter().zip(old.unwrap().iter().zip(new.unwrap()));
                *replaced == seq as u64 && bytes.into_iter().all(|(found, (old, new))| [old, new].contains(&found))
            };
            found.len() == state.len() && (0..state.len()).all(|seq| same(seq) || mixed(seq))
        }
    }
}

#[test]
fn a_crash_at_any_call_takes_nothing_and_makes_up_nothing() {
    let calls = {
        let sim = Sim::new(1);
        let log = open(&sim).unwrap();
        assert_eq!(run(&sim, &log).1.map(|act| format!("{act:?}")), None);
        sim.disk.calls()
    };
    assert!(calls > 60);
    for at in 0..calls {
        for seed in 0..40 {
            let sim = Sim::new(1);
            sim.disk.power_off_at(Some(at));
            let log = open(&sim);
            let (state, act) = log.as_ref().map_or_else(|_| (State::new(), None), |log| run(&sim, log));
            let after = match seed {
                0 => sim.crash(&mut Choices::none()),
                1 => sim.crash(&mut Choices::all()),
                // The program dies, the machine goes on.
                2 => sim.kill(),
                seed => sim.crash(&mut Choices::seeded(seed + at * 100)),
            };
            drop(log);
            let place = format!("call {at}, seed {seed}, {act:?}");
            let found = read(&after);
            assert!(may_be(&found, &state, act.as_ref()), "{place}: {found:?} of {state:?}");
            // It opens, without being asked, and then margaret opens it.
            let log = open(&after).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(read_from(&after, &log), found, "{place}");
            after.block_on(log.close()).unwrap();
            assert_eq!(Dir::on(&after.env).margaret(), Ok(found.len() as u64), "{place}");
            drop(log);
            let log = open(&after).unwrap();
            assert!(log.recovery().is_none(), "{place}: what was mended stays mended");
            assert!(do_one(&after, &log, &Act::Append(vec![b"more".to_vec()])).is_ok());
            after.block_on(log.close()).unwrap();
            assert_eq!(read(&after).len(), found.len() + 1, "{place}");
        }
    }
}

#[test]
fn a_crash_while_a_torn_log_is_opened_takes_nothing() {
    let mut whole = Dir::of(&["one", "two", "three"]);
    let state = [b"one".to_vec(), b"two".to_vec()].map(Some).to_vec();
    let torn = |sim: &Sim| {
        let mut dir = whole.clone();
        dir.0[0].pop();
        dir.0[1].truncate(19);
        dir.put(&sim.env);
        for name in ["data", "ofst", "jrnl"] {
            let path = format!("log/{name}");
            sim.env.storage.open(path.as_ref(), flumedb::env::OpenMode::Write).unwrap().sync().unwrap();
        }
        sim.env.storage.sync_dir("log".as_ref()).unwrap();
        sim.env.storage.sync_dir("".as_ref()).unwrap();
    };
    let (before, calls) = {
        let sim = Sim::new(1);
        torn(&sim);
        let before = sim.disk.calls();
        let log = open(&sim).unwrap();
        assert!(log.recovery().is_some_and(|recovery| recovery.kept_in.is_some()));
        (before, sim.disk.calls())
    };
    for at in before..calls {
        for seed in 0..40 {
            let sim = Sim::new(1);
            torn(&sim);
            sim.disk.power_off_at(Some(at));
            drop(open(&sim));
            let after = if seed == 0 { sim.kill() } else { sim.crash(&mut Choices::seeded(seed + at * 100)) };
            assert_eq!(read(&after), state, "call {at}, seed {seed}");
            let log = open(&after).unwrap_or_else(|error| panic!("call {at}, seed {seed}: {error}"));
            after.block_on(log.close()).unwrap();
            assert_eq!(Dir::on(&after.env).margaret(), Ok(2), "call {at}, seed {seed}");
        }
    }
    whole.push(b"margaret goes on");
    assert_eq!(whole.margaret(), Ok(4));
}

#[test]
fn what_is_buffered_outlives_the_program() {
    let sim = Sim::new(5);
    let log = open(&sim).unwrap();
    for number in 0..20_u8 {
        let mut batch = Batch::new();
        batch.push(&[number; 30]);
        batch.buffered = true;
        sim.block_on(log.append(batch)).unwrap();
    }
    let after = sim.kill();
    assert_eq!(read(&after).len(), 20);
    assert!(Dir::on(&after.env).margaret().is_err(), "the count was not written yet");
    let log = open(&after).unwrap();
    assert!(log.recovery().is_none(), "nothing was cut");
    after.block_on(log.close()).unwrap();
    assert_eq!(Dir::on(&after.env).margaret(), Ok(20));
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    for nth in 0..2 {
        let sim = Sim::new(2);
        let log = open(&sim).unwrap();
        let act = Act::Append(vec![b"entry".to_vec(), Vec::new()]);
        do_one(&sim, &log, &act).unwrap();
        sim.disk.set_fault(Fault { kind: FaultKind::Full, nth, lasting: true });
        assert_eq!(do_one(&sim, &log, &act).unwrap_err().kind(), ErrorKind::StorageFull, "{nth}");
        assert_eq!(Dir::on(&sim.env).margaret(), Ok(2), "{nth}");
        sim.disk.clear_faults();
        do_one(&sim, &log, &act).unwrap();
        assert_eq!(Dir::on(&sim.env), Dir::of(&["entry", "", "entry", ""]));
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_it_is_opened_anew() {
    for kind in [FaultKind::Sync, FaultKind::Io] {
        for nth in 0..3 {
            let sim = Sim::new(3);
            let log = open(&sim).unwrap();
            let act = Act::Append(vec![b"entry".to_vec()]);
            do_one(&sim, &log, &act).unwrap();
            sim.disk.set_fault(Fault { kind, nth, lasting: false });
            assert!(do_one(&sim, &log, &act).is_err(), "{kind:?} {nth}");
            sim.disk.clear_faults();
            assert_eq!(do_one(&sim, &log, &act).unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(do_one(&sim, &log, &Act::Replace(0, vec![])).unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(read_from(&sim, &log).len(), 1, "reading goes on");
            let after = sim.crash(&mut Choices::none());
            assert!(read(&after).starts_with(&[Some(b"entry".to_vec())]));
            assert!(do_one(&after, &open(&after).unwrap(), &act).is_ok());
        }
    }
}
