//! Guards against a power cut, at any moment and whatever the disk kept of what was not synced, that takes an entry that
//! was acknowledged, brings back one that was deleted, leaves half a batch, or shows something that nobody appended.
//!
//! Every workload of up to three of twelve operations, on a log of tiny segments. The crash point is each call to the
//! disk of the last operation (the calls before are those of a shorter workload), and for each up to 64 disks that a
//! power cut may leave. After each, the log must open, hold what it must, take an append, and hold that too after
//! another cut. For some disks the power goes again during recovery, at each of its calls.
//!
//! With `FLUME_SOAK` set, the power goes again during every recovery, not of two disks only.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use flumedb::log::{LogSettings, SegmentedLog};
use flumedb_sim::{
    Call, Choices, DIR, Image, Model, Observer, Op, Script, Sim, crashes, figure, on_all_cores, soak_or,
};

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 4096, ..LogSettings::default() }
}

/// How far to go.
#[derive(Clone, Copy)]
struct Limits {
    /// Disks for each crash point.
    disks: usize,
    /// Of those, disks on which the power goes again during recovery.
    again: usize,
}

/// A moment at which the power may go: the disk, and what must be on it.
type Moment = (Image, Model);

/// Runs `act` on a script, and gives every moment of it.
fn moments(script: &mut Script, act: impl FnOnce(&mut Script)) -> Vec<Moment> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observer: Observer = {
        let seen = seen.clone();
        Arc::new(Mutex::new(move |call: Call, image: &Image, model: &Model| {
            if call.changes() {
                seen.lock().unwrap().push((image.clone(), model.clone()));
            }
        }))
    };
    script.observe(observer);
    act(script);
    let mut moments = std::mem::take(&mut *seen.lock().unwrap());
    moments.push((script.sim.disk.image(), script.model().clone()));
    moments
}

/// Says which case it was if the test fails in it.
struct Case(String);

impl Drop for Case {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in {}", self.0);
        }
    }
}

#[derive(Default)]
struct Figures {
    workloads: AtomicU64,
    moments: AtomicU64,
    disks: AtomicU64,
}

fn explore(workload: &[Op], limits: Limits, figures: &Figures) {
    let mut script = Script::new(Sim::new(1), settings(), Model::default());
    let moments = match workload.split_last() {
        None => moments(&mut script, |script| script.open().unwrap()),
        Some((last, before)) => {
            script.open().unwrap();
            before.iter().for_each(|op| script.step(*op).unwrap());
            moments(&mut script, |script| script.step(*last).unwrap())
        }
    };
    figures.workloads.fetch_add(1, Ordering::Relaxed);
    figures.moments.fetch_add(moments.len() as u64, Ordering::Relaxed);
    for (number, (image, model)) in moments.iter().enumerate() {
        for (which, crashed) in crashes(image, limits.disks, number as u64).into_iter().enumerate() {
            let _case = Case(format!("{workload:?}, crash point {number}, disk {which}"));
            figures.disks.fetch_add(1, Ordering::Relaxed);
            survive(crashed, model, (which < limits.again).then_some(figures));
        }
    }
}

/// Opens the log after a crash, first to read and then to write, appends, and crashes again.
fn survive(image: Image, model: &Model, again: Option<&Figures>) {
    let mut script = Script::new(Sim::boot(image, 2), settings(), model.clone());
    if SegmentedLog::is_at(&script.sim.env, Path::new(DIR)).unwrap() {
        match SegmentedLog::read_only(&script.sim.env, Path::new(DIR)) {
            Ok(reader) => model.clone().verify(&reader).unwrap(),
            // The power went while the log was made.
            Err(error) => assert_eq!(model.next(), 0, "{error}"),
        }
    }
    if let Some(figures) = again {
        let mut tried = HashSet::new();
        for (number, (image, model)) in moments(&mut script, |script| script.open().unwrap()).into_iter().enumerate() {
            let _case = Case(format!("recovery, crash point {number}"));
            for crashed in [&mut Choices::none(), &mut Choices::seeded(number as u64)].map(|ways| image.crash(ways)) {
                if tried.insert(crashed.fingerprint()) {
                    figures.disks.fetch_add(1, Ordering::Relaxed);
                    survive(crashed, &model, None);
                }
            }
        }
    } else {
        script.open().unwrap();
    }
    // As long as an entry that may have been cut: what was behind that one must not come back behind this one.
    script.step(Op::Buffered).unwrap();
    script.step(Op::Sync).unwrap();
    script.restart(|sim| sim.crash(&mut Choices::none()));
    script.open().unwrap();
}

#[test]
fn every_crash_of_every_short_workload() {
    let limits = Limits { disks: 64, again: soak_or(64, 2) };
    let mut workloads = vec![Vec::new()];
    for a in Op::ALL {
        workloads.push(vec![a]);
        for b in Op::ALL {
            workloads.push(vec![a, b]);
            workloads.extend(Op::ALL.map(|c| vec![a, b, c]));
        }
    }
    let figures = Figures::default();
    on_all_cores(workloads.len(), |number| explore(&workloads[number], limits, &figures));
    let Figures { workloads, moments, disks } = figures;
    println!("{workloads:?} workloads, {moments:?} crash points, {disks:?} disks");
    figure("every_crash_of_every_short_workload", disks.into_inner());
    assert_eq!(workloads.into_inner(), 1 + 12 + 144 + 1728);
}

/// What a segment says of earlier ones (which entries are deleted) may take several sectors, and the power may go when
/// only some of them are on the disk.
#[test]
fn many_deletions_outlive_a_crash_while_a_segment_is_begun() {
    let figures = Figures::default();
    on_all_cores(8, |number| {
        let mut workload = [Op::Small, Op::Delete].repeat(20 + 5 * number);
        workload.extend([Op::Half, Op::Half, Op::Large]);
        explore(&workload, Limits { disks: 64, again: 2 }, &figures);
    });
    assert!(figures.disks.into_inner() > 500);
}
