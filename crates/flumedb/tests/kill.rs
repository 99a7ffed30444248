//! Guards against a process that dies and takes acknowledged entries with it, leaves half a batch, lets what was deleted
//! come back, leaves a view that shows something else than the log or has to be built anew, or a lock that nobody frees.
//!
//! A child process works on a database on the real disk with several writers, deletions, compaction, readers and views at
//! once, and says what was acknowledged; another process follows it. It is killed (SIGKILL on Unix) after 0 to 60 ms: 300 times,
//! 20,000 with `FLUME_SOAK` set. This is the death of a process, not a power cut: see `power_cut.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends; threads are its own"
)]

mod process_support;

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use flumedb::{ErrorKind, Flume, From, codec::JsonDocs};
use flumedb_sim::{Choices, soak_or};
use process_support::{Child, Item, Load, Model, Views, job, open, work};

const TEST: &str = "nothing_is_lost_when_the_process_is_killed";

/// So many databases are worked on at a time; what takes time is mostly the disk.
const LANES: u64 = 4;

/// So often is one database killed before the next.
const LIVES: u64 = 40;

#[derive(Default)]
struct Totals {
    acknowledged: AtomicU64,
    deleted: AtomicU64,
    compacted: AtomicU64,
    followed: AtomicU64,
    torn: AtomicU64,
    /// Children whose views caught up, and who read entries.
    asked: AtomicU64,
    read: AtomicU64,
    /// Entries that the index took in here.
    shown: AtomicU64,
}

/// A reader in this process of what another writes, until that is over.
struct Follower {
    reader: Flume<JsonDocs>,
    thread: JoinHandle<Vec<(u64, Item)>>,
}

impl Follower {
    fn start(dir: &Path) -> Option<Self> {
        let reader = match Flume::read_only(dir, JsonDocs).blocking() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            reader => reader.unwrap(),
        };
        let feed = reader.subscribe(From::Start).blocking();
        let thread = thread::spawn(move || {
            let mut seen = Vec::new();
            for entry in feed {
                match entry {
                    Ok(entry) => seen.push((entry.seq.get(), Item::of(&entry.value))),
                    Err(error) if error.kind() == ErrorKind::Closed => break,
                    // It was deleted while it was read.
                    Err(error) if error.kind() == ErrorKind::Deleted => {}
                    Err(error) => panic!("a follower fails: {error}"),
                }
            }
            seen
        });
        Some(Self { reader, thread })
    }

    fn end(self) -> Vec<(u64, Item)> {
        self.reader.close().blocking().unwrap();
        self.thread.join().unwrap()
    }
}

/// One child's life, and a look at what it left.
fn live(dir: &Path, model: &mut Model, life: u64, chance: &mut Choices, closed_at: &mut u64, totals: &Totals) {
    let child = Child::start(TEST, &[dir.to_str().unwrap(), &life.to_string()]);
    // Killed while it opens, or when it has done this much, however slow the machine is.
    let follower = match chance.pick(4) {
        0 => None,
        way => {
            let follower = child.hear("open").and_then(|_| Follower::start(dir));
            child.wait_until_said(if way == 1 { 0 } else { chance.pick(40) as usize }, Duration::from_secs(2));
            follower
        }
    };
    // Not a wait for anything: how long it lives is what is varied.
    thread::sleep(Duration::from_micros(chance.pick(60_000)));
    let said = child.kill();
    model.hear(&said);
    for (line, counter) in [("asked", &totals.asked), ("read", &totals.read)] {
        counter.fetch_add(u64::from(said.iter().any(|said| said == line)), Ordering::Relaxed);
    }
    for (seq, item) in follower.map(Follower::end).unwrap_or_default() {
        model.see(seq, item);
        totals.followed.fetch_add(1, Ordering::Relaxed);
    }

    // At once, and without being told to repair anything.
    let db = open(dir).unwrap();
    let views = Views::add(&db).unwrap();
    let deleted = model.deletions();
    let live = model.check(&db);
    views.check(&live);
    totals.torn.fetch_add(u64::from(db.recovery().is_some()), Ordering::Relaxed);
    // A view that was on the disk when the database was closed takes in no more than what came since, and takes back no
    // more than what was deleted since.
    let end = db.head().map_or(0, |head| head.get() + 1);
    let (shown, most) = (views.shown(), end - *closed_at + deleted);
    assert!(shown <= most, "the index was shown {shown} entries where {most} are new: it was built anew");
    totals.shown.fetch_add(shown, Ordering::Relaxed);
    if chance.pick(2) == 0 {
        db.close().blocking().unwrap();
        *closed_at = end;
        model.forget_deletions();
    }
}

#[test]
fn nothing_is_lost_when_the_process_is_killed() {
    if let Some(job) = job() {
        work(Path::new(&job[0]), Load { life: job[1].parse().unwrap(), buffered: true });
    }
    let lives = soak_or(20_000, 300) / LANES;
    let totals = Totals::default();
    thread::scope(|scope| {
        for lane in 0..LANES {
            let totals = &totals;
            scope.spawn(move || {
                let mut chance = Choices::seeded(lane);
                for begin in (0..lives).step_by(LIVES as usize) {
                    let scratch = tempfile::tempdir().unwrap();
                    let (dir, mut model, mut closed_at) = (scratch.path().join("db"), Model::default(), 0);
                    for life in begin..lives.min(begin + LIVES) {
                        live(&dir, &mut model, life, &mut chance, &mut closed_at, totals);
                    }
                    totals.acknowledged.fetch_add(model.acknowledged, Ordering::Relaxed);
                    totals.deleted.fetch_add(model.deleted, Ordering::Relaxed);
                    totals.compacted.fetch_add(model.compacted, Ordering::Relaxed);
                }
            });
        }
    });
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (acknowledged, deleted, followed) = (of(&totals.acknowledged), of(&totals.deleted), of(&totals.followed));
    let (compacted, asked, read, shown) =
        (of(&totals.compacted), of(&totals.asked), of(&totals.read), of(&totals.shown));
    println!(
        "{} kills: {acknowledged} entries acknowledged, {deleted} deleted, {followed} followed, {compacted} segments \
         compacted; views caught up in {asked} children, {read} read, {shown} entries were shown to views here; {} torn tails",
        lives * LANES,
        of(&totals.torn)
    );
    assert!(acknowledged > lives * LANES && deleted > 0 && followed > 0, "the children were killed before they worked");
    // Else what is said above of compaction, readers and views is said of nothing.
    assert!(compacted > 0, "nothing was compacted before a child was killed");
    assert!(
        asked > 0 && shown > 0,
        "no view was built: {asked} caught up in children, {shown} entries were shown here"
    );
    assert!(read > 0, "no child read an entry");
}
