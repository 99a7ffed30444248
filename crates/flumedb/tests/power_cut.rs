//! Guards against a power cut that a real file system answers otherwise than the simulated disk: what was acknowledged is
//! lost, the log has to be repaired by hand, or a view knows more than the log.
//!
//! The database is on a file system in a file. While a child works on it that file is copied, as it is at one moment; the
//! copy is mounted (its journal is replayed, as after a power cut), and everything must be there that was acknowledged
//! before the copy was begun. Wants root and a loop device; says so where there is none. 10 cuts, 1,000 with `FLUME_SOAK`
//! set, on each of the file systems that can be made here.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on ends")]

mod process_support;

use std::{path::Path, thread, time::Duration};

use flumedb_sim::{Choices, soak_or};
use process_support::{Child, Image, Load, Model, Mounted, Views, in_own_namespace, job, open, run, skipped, work};

const TEST: &str = "what_was_acknowledged_is_there_after_the_power_was_cut";

/// So many cuts in the life of one database.
const CUTS: u64 = 10;

#[derive(Default)]
struct Totals {
    cuts: u64,
    acknowledged: u64,
    torn: u64,
}

/// Stops a process for as long as it is there.
struct Stopped(String);

impl Stopped {
    fn new(child: &Child) -> Self {
        let id = child.id().to_string();
        run(&["kill", "-STOP", &id]);
        Self(id)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        run(&["kill", "-CONT", &self.0]);
    }
}

/// Copies the file below a file system that is at work.
fn cut(image: &Image, to: &Path, child: &Child) -> Image {
    image.copy_at_once(to).unwrap_or_else(|_| {
        // Where that takes time it has to hold still.
        let _stopped = Stopped::new(child);
        image.copy_slowly(to).unwrap()
    })
}

/// What a database on the copy must be.
fn check(dir: &Path, model: &mut Model, totals: &mut Totals) {
    let db = open(&dir.join("db")).unwrap();
    let views = Views::add(&db).unwrap();
    views.check(&model.check(&db));
    totals.cuts += 1;
    totals.acknowledged += model.acknowledged;
    totals.torn += u64::from(db.recovery().is_some());
    db.close().blocking().unwrap();
}

/// One database, which loses its power `cuts` times.
fn live(dir: &Path, image: &Image, cuts: u64, chance: &mut Choices, totals: &mut Totals) {
    let disk = image.mount(&dir.join("disk")).unwrap();
    let child = Child::start(TEST, &[disk.dir().join("db").to_str().unwrap()]);
    for number in 0..cuts {
        // The first may come while the database is made.
        if number > 0 {
            child.hear("open").expect("the child opens the database");
        }
        thread::sleep(Duration::from_micros(chance.pick(60_000)));
        let mut model = Model::default();
        model.hear(&child.said());
        let copy = cut(image, &dir.join("copy.img"), &child);
        let mounted = copy.mount(&dir.join("copy")).unwrap();
        // What it has heard by now was said before.
        model.may(&child.said());
        check(mounted.dir(), &mut model, totals);
        drop(mounted);
        copy.remove();
    }
    child.kill();
}

#[test]
fn what_was_acknowledged_is_there_after_the_power_was_cut() {
    if let Some(job) = job() {
        work(Path::new(&job[0]), Load { life: 0, buffered: false });
    }
    if !in_own_namespace(TEST, false) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let memory = Mounted::tmpfs(scratch.path(), "3g");
    // A file system that copies a file at one moment, if there is one.
    let below = Image::create("xfs", &memory.dir().join("below.img")).and_then(|image| {
        run(&["truncate", "-s", "2G", memory.dir().join("below.img").to_str().unwrap()]);
        let mounted = image.mount(&memory.dir().join("below"))?;
        run(&["xfs_growfs", mounted.dir().to_str().unwrap()]);
        Ok(mounted)
    });
    if below.is_err() {
        skipped("copies at one moment", "there is no mkfs.xfs; the writer is stopped instead while its disk is copied");
    }
    let dir = below.as_ref().map_or(memory.dir(), Mounted::dir);
    let mut chance = Choices::seeded(1);
    for (kind, cuts) in [("ext4", soak_or(600, 6)), ("xfs", soak_or(200, 2)), ("btrfs", soak_or(200, 2))] {
        if !Image::can_be(kind) {
            skipped(&format!("power cuts on {kind}"), &format!("there is no mkfs.{kind}"));
            continue;
        }
        let fresh = Image::create(kind, &dir.join("fresh.img")).unwrap();
        match fresh.mount(&dir.join("disk")) {
            Ok(mounted) => drop(mounted),
            Err(error) => {
                skipped(&format!("power cuts on {kind}"), &error);
                continue;
            }
        }
        let mut totals = Totals::default();
        for begin in (0..cuts).step_by(CUTS as usize) {
            let image = fresh.copy_slowly(&dir.join("disk.img")).unwrap();
            live(dir, &image, CUTS.min(cuts - begin), &mut chance, &mut totals);
            image.remove();
        }
        fresh.remove();
        let Totals { cuts, acknowledged, torn } = totals;
        println!("{kind}: {cuts} cuts, {acknowledged} entries acknowledged before them, {torn} torn tails");
        assert!(acknowledged > 0, "nothing was acknowledged before any cut");
    }
}
