//! Guards against a backup that is taken for whole and is not, that costs the earlier one when it is interrupted, or that
//! harms the log; and against a restore that leaves half a database. The power goes at each call to the disk of a first
//! backup, of the next one to the same place, and of a restore, and leaves one of several disks; then the same is done again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use flumedb::{
    ErrorKind, Seq,
    log::{Batch, Log, LogSettings, SegmentedLog, Sharing},
};
use flumedb_sim::{Call, Contents, Image, Sim, crashes, on_all_cores, soak_or};

const LOG: &str = "log";
const BACKUP: &str = "kept/backup";
const RESTORED: &str = "kept/restored";

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 4096, ..LogSettings::default() }
}

/// Appends so many entries and deletes one; the last of them nobody waits for.
fn work(sim: &Sim, log: &SegmentedLog, entries: u64) {
    for number in 0..entries {
        let mut batch = Batch::new();
        let seed = log.head().borrow().map_or(0, Seq::get) + number;
        let mut noise = fastrand::Rng::with_seed(seed);
        batch.push(&(0..noise.usize(0..900)).map(|_| noise.u8(..)).collect::<Vec<_>>());
        batch.buffered = number + 1 == entries;
        sim.block_on(log.append(batch)).unwrap();
    }
    let newest = log.head().borrow().unwrap();
    sim.block_on(log.delete(&[newest])).unwrap();
}

fn open(sim: &Sim) -> SegmentedLog {
    SegmentedLog::open(&sim.env, Path::new(LOG), settings()).unwrap()
}

fn contents(sim: &Sim, dir: &str) -> Contents {
    Contents::of(&SegmentedLog::read_only(&sim.env, Path::new(dir)).unwrap()).unwrap()
}

fn back_up(sim: &Sim, sharing: Sharing) -> Option<Seq> {
    SegmentedLog::backup_at(&sim.env, Path::new(LOG), Path::new(BACKUP), sharing, |_, _| ()).unwrap().head
}

/// The disk before each call to it that changes something, and after the last.
fn moments(sim: &Sim, act: impl FnOnce()) -> Vec<Image> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = seen.clone();
    sim.disk.set_hook(Some(Box::new(move |call: Call, image: &Image| {
        if call.changes() {
            into.lock().unwrap().push(image.clone());
        }
    })));
    act();
    sim.disk.set_hook(None);
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.push(sim.disk.image());
    seen
}

/// The log's own files, and what is in them.
fn files(image: &Image) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = image.files().into_iter().filter(|path| path.starts_with(LOG) && !path.ends_with("lock"));
    files.map(|path| (path.clone(), image.read(&path).unwrap())).collect()
}

/// Every disk that a cut at one of these moments may leave.
fn after_each(moments: &[Image], look: impl Fn(Sim, &str) + Sync) {
    let disks = soak_or(64, 6);
    on_all_cores(moments.len(), |number| {
        for (which, image) in crashes(&moments[number], disks, number as u64).into_iter().enumerate() {
            look(Sim::boot(image, 7), &format!("call {number} of {}, disk {which}", moments.len()));
        }
    });
}

/// A machine whose log was written to and is not open, and one on which it goes on.
fn machine(closed: bool) -> Sim {
    let sim = Sim::new(3);
    let log = open(&sim);
    work(&sim, &log, 20);
    if closed {
        sim.block_on(log.close()).unwrap();
    }
    sim.kill()
}

#[test]
fn a_first_backup_is_whole_or_none() {
    for (closed, sharing) in [(true, Sharing::Share), (false, Sharing::Copy)] {
        let sim = machine(closed);
        let expected = contents(&sim, LOG);
        let moments = moments(&sim, || _ = back_up(&sim, sharing));
        assert!(moments.len() > 20, "{} calls", moments.len());
        after_each(&moments, |sim, what| {
            let before = files(&sim.disk.image());
            match SegmentedLog::verify(&sim.env, Path::new(BACKUP)) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{what}: {error}"),
                Ok(verified) if verified.report.is_ok() => {
                    assert_eq!(contents(&sim, BACKUP), expected, "{what}");
                }
                Ok(verified) => {
                    let reason = &verified.report.damage[0].reason;
                    assert!(reason.contains("interrupted"), "{what}: {reason}");
                    let refused = SegmentedLog::restore(&sim.env, BACKUP.as_ref(), RESTORED.as_ref(), |_, _| ());
                    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
                }
            }
            back_up(&sim, sharing);
            let verified = SegmentedLog::verify(&sim.env, Path::new(BACKUP)).unwrap();
            assert!(verified.report.is_ok() && verified.extra.is_empty(), "{what}: {verified:?}");
            assert_eq!(contents(&sim, BACKUP), expected, "{what}");
            assert!(before == files(&sim.disk.image()), "{what}: the log was changed");
        });
    }
}

#[test]
fn the_next_backup_leaves_the_one_before_whole_until_it_is_whole_itself() {
    for sharing in [Sharing::Share, Sharing::Copy] {
        let sim = machine(true);
        let first = contents(&sim, LOG);
        back_up(&sim, sharing);
        let log = open(&sim);
        work(&sim, &log, 25);
        drop(log);
        let sim = sim.kill();
        let second = contents(&sim, LOG);
        let moments = moments(&sim, || _ = back_up(&sim, sharing));
        let restored = |sim: &Sim, what: &str| {
            let restored = SegmentedLog::restore(&sim.env, BACKUP.as_ref(), RESTORED.as_ref(), |_, _| ());
            let head = restored.unwrap_or_else(|error| panic!("{what}: {error}")).head;
            let found = contents(sim, RESTORED);
            assert!(found == first || found == second, "{what}: neither the one nor the other");
            assert_eq!(head.map(|head| head.get() as usize + 1), Some(found.slots.len()), "{what}");
        };
        after_each(&moments, |sim, what| {
            let verified = SegmentedLog::verify(&sim.env, Path::new(BACKUP)).unwrap();
            assert!(verified.report.is_ok(), "{what}: {verified:?}");
            restored(&sim, what);
            back_up(&sim, sharing);
            let verified = SegmentedLog::verify(&sim.env, Path::new(BACKUP)).unwrap();
            assert!(verified.report.is_ok() && verified.extra.is_empty(), "{what}: {verified:?}");
            assert_eq!(contents(&sim, BACKUP), second, "{what}");
        });
    }
}

#[test]
fn a_restore_is_whole_or_not_opened() {
    let sim = machine(true);
    back_up(&sim, Sharing::Share);
    let expected = contents(&sim, LOG);
    let moments = moments(&sim, || {
        SegmentedLog::restore(&sim.env, BACKUP.as_ref(), RESTORED.as_ref(), |_, _| ()).unwrap();
    });
    assert!(moments.len() > 20, "{} calls", moments.len());
    after_each(&moments, |sim, what| {
        if SegmentedLog::is_at(&sim.env, Path::new(RESTORED)).unwrap() {
            match SegmentedLog::open(&sim.env, Path::new(RESTORED), settings()) {
                Ok(log) => {
                    assert_eq!(Contents::of(&log).unwrap(), expected, "{what}");
                    return;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}"),
            }
            let read = SegmentedLog::read_only(&sim.env, Path::new(RESTORED)).err().map(|error| error.kind());
            assert_eq!(read, Some(ErrorKind::Invalid), "{what}");
        }
        SegmentedLog::restore(&sim.env, BACKUP.as_ref(), RESTORED.as_ref(), |_, _| ()).unwrap();
        let log = SegmentedLog::open(&sim.env, Path::new(RESTORED), settings()).unwrap();
        assert_eq!(log.recovery(), None, "{what}");
        assert_eq!(Contents::of(&log).unwrap(), expected, "{what}");
        work(&sim, &log, 12);
        drop(log);
        assert!(SegmentedLog::check(&sim.env, Path::new(RESTORED)).unwrap().is_ok(), "{what}");
        // What is written to the one is in neither of the others.
        assert!(SegmentedLog::verify(&sim.env, Path::new(BACKUP)).unwrap().report.is_ok(), "{what}");
        assert_eq!(contents(&sim, LOG), expected, "{what}");
    });
}
