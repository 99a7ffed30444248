//! Guards against a full disk that leaves more behind than an error: a log that has to be repaired, reads that fail, a view
//! that does not go on, or views that take the last room so that not even a deletion can be written.
//!
//! On a file system of 16 MiB in memory, filled up 20 times (200 with `FLUME_SOAK` set) and freed again. Wants to mount
//! one, in a namespace of its own if it is not root; says so where it cannot.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on ends")]

mod process_support;

use std::{
    fs::File,
    future::IntoFuture,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use flumedb::{Env, ErrorKind, Flume, Seq, codec::JsonDocs, view::Phase};
use flumedb_sim::{Choices, Sim, soak_or};
use process_support::{Item, Model, Mounted, Views, by_id, in_own_namespace, open};

const SIZE: &str = "16m";

/// So often is one database brought to a full disk.
const TIMES: u64 = 10;

fn free(dir: &Path) -> u64 {
    Env::os().storage.room(dir).unwrap().unwrap().free
}

/// Somebody else's file, which takes all room but some.
struct Ballast(PathBuf);

impl Ballast {
    fn new(dir: &Path, leave: u64) -> Self {
        let path = dir.join("ballast");
        let mut file = File::create(&path).unwrap();
        let piece = vec![1; 64 << 10];
        for _ in 0..free(dir).saturating_sub(leave) / piece.len() as u64 {
            // The database is at work meanwhile, and may have taken what was free.
            if let Err(error) = file.write_all(&piece) {
                assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
                break;
            }
        }
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// What is appended, one batch after the other.
struct Writer<'a> {
    db: &'a Flume<JsonDocs>,
    model: &'a mut Model,
    batch: &'a mut u64,
}

impl Writer<'_> {
    /// Appends batches of `of` until that fails for want of room, `most` at most. Says how many there were.
    fn append(&mut self, of: u64, most: u64) -> u64 {
        for done in 0..most {
            let (life, task, batch) = (0, 0, *self.batch);
            let item = |at| Item { life, task, batch, at, of };
            match self.db.append_all((0..of).map(|at| item(at).text())).blocking() {
                Ok(seqs) => seqs.iter().zip(0..).for_each(|(seq, at)| self.model.see(seq.get(), item(at))),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                    return done;
                }
            }
            *self.batch += 1;
        }
        most
    }

    /// Deletes one of the entries, if there is room to say so. Whether there was.
    fn delete(&mut self, seq: u64) -> bool {
        self.model.may(&[format!("deleting {seq}")]);
        match self.db.delete([Seq::new(seq)]).blocking() {
            Ok(()) => {
                self.model.hear(&[format!("deleted {seq}")]);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                false
            }
        }
    }
}

const FULL: &str = "a_full_disk_loses_nothing_and_needs_no_repair";

#[test]
fn a_full_disk_loses_nothing_and_needs_no_repair() {
    if !in_own_namespace(FULL, true) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let mut chance = Choices::seeded(1);
    let times = soak_or(200, 20);
    let (mut appended, mut opened_full) = (0, 0);
    for begin in (0..times).step_by(TIMES as usize) {
        let disk = Mounted::tmpfs(scratch.path(), SIZE);
        let dir = disk.dir().join("db");
        let (mut model, mut batch) = (Model::default(), 0);
        let mut db = open(&dir).unwrap();
        let mut views = Views::add(&db).unwrap();
        for time in begin..times.min(begin + TIMES) {
            let ballast = Ballast::new(disk.dir(), (64 << 10) + chance.pick(768 << 10));
            let mut writer = Writer { db: &db, model: &mut model, batch: &mut batch };
            writer.append(4, u64::MAX);
            writer.append(1, u64::MAX);
            // Full means full, not broken: it says so again, and all there is can be read.
            writer.append(4, 3);
            let live = writer.model.check(&db);
            assert!(views.stale(), "a view that has no room does not show what it had");
            let newest = *live.keys().next_back().unwrap();
            writer.delete(chance.pick(newest));
            if time % 3 == 2 {
                // However it ends: what could not be stored is said, and not lost.
                if time % 2 == 0 {
                    drop(db.close().blocking());
                }
                drop((views, db));
                model.check(&Flume::read_only(&dir, JsonDocs).blocking().unwrap());
                // To open it may take room that there is not.
                match open(&dir) {
                    Ok(db) => {
                        opened_full += 1;
                        model.check(&db);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}"),
                }
                drop(ballast);
                db = open(&dir).unwrap();
                views = Views::add(&db).unwrap();
            } else {
                drop(ballast);
            }
            let mut writer = Writer { db: &db, model: &mut model, batch: &mut batch };
            assert_eq!(writer.append(3, 20), 20, "there is room, and it says that there is none");
            views.check(&model.check(&db));
        }
        appended += batch;
        db.close().blocking().unwrap();
    }
    println!(
        "{times} times full: {appended} batches appended, nothing repaired; opened {opened_full} times while full"
    );
}

const RESERVE: &str = "views_leave_the_last_room_to_the_log";

/// Without a reserve the views' stores take all there is.
#[test]
fn views_leave_the_last_room_to_the_log() {
    if !in_own_namespace(RESERVE, true) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let disk = Mounted::tmpfs(scratch.path(), SIZE);
    let reserve = (16 << 20) / 16;
    let db = open(&disk.dir().join("db")).unwrap();
    let views = Views::add(&db).unwrap();
    let (mut model, mut batch) = (Model::default(), 0);
    let mut writer = Writer { db: &db, model: &mut model, batch: &mut batch };
    writer.append(4, 20);
    // What is left is less than views leave to the log.
    let ballast = Ballast::new(disk.dir(), reserve - (64 << 10));
    let before = free(disk.dir());
    let begun = Instant::now();
    while !is_waiting(&db) {
        assert!(begun.elapsed() < Duration::from_secs(20), "views go on: {:?}", db.progress());
        writer.append(1, 1);
    }
    let appended = writer.append(4, 100);
    assert_eq!(appended, 100, "{before} bytes were free, and the log could not have them");
    assert!(writer.delete(3));
    drop(ballast);
    views.check(&model.check(&db));
    db.close().blocking().unwrap();
}

/// The same where nothing can be mounted: on the simulated disk.
#[test]
fn views_wait_while_the_log_goes_on() {
    let sim = Sim::new(1);
    let open = Flume::builder(JsonDocs).env(sim.env.clone()).open("db");
    let db = sim.block_on(open).unwrap();
    let by_id = sim.block_on(db.view("by-id", by_id()).into_future()).unwrap();
    let append = |batch| {
        let item = Item { life: 0, task: 0, batch, at: 0, of: 1 };
        sim.block_on(db.append(&item.text()).into_future()).unwrap();
        item.id()
    };
    append(0);
    sim.block_on(by_id.read().into_future()).unwrap();
    // A fifteenth of what is used is less than a sixteenth of all.
    let used = sim.disk.image().used_bytes();
    sim.disk.set_capacity(Some(used + used / 16));
    let id = append(1);
    let waited = sim.block_on(by_id.read().timeout(Duration::from_secs(1)).into_future());
    assert_eq!(waited.err().map(|error| error.kind()), Some(ErrorKind::TimedOut));
    assert!(is_waiting(&db), "{:?}", db.progress());
    assert!(by_id.read_stale().is_some());
    append(2);
    sim.disk.set_capacity(Some(used * 2));
    let reader = sim.block_on(by_id.read().into_future()).unwrap();
    assert_eq!(reader.candidates(&id).count(), 1);
    sim.block_on(db.close()).unwrap();
}

fn is_waiting(db: &Flume<JsonDocs>) -> bool {
    db.progress().iter().all(
        |(_, progress)| matches!(&progress.phase, Phase::Retrying { error } if error.kind() == ErrorKind::StorageFull),
    )
}
