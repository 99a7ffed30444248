//! Guards against retention that fills memory with deletions which cannot be erased yet, that loses more than it may because
//! of that, and that does not go on once there is room.
//!
//! It may have half of the setting `deletions` outstanding, or 2,097,152 where that is less.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod view_support;

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Error, ErrorKind, Flume, Seq,
    codec::Utf8,
    log::{Before, Retention},
};
use flumedb_sim::Sim;
use view_support::{Call, Probe};

/// Entries that are to be kept, and those that are appended.
const KEPT: u64 = 20;
const ALL: u64 = 200;
const LONG: Duration = Duration::from_secs(600);

/// A log that may have so many deletions of its retention outstanding.
fn open(sim: &Sim, most: u64, automatic: bool) -> Flume<Utf8> {
    let builder = Flume::builder(Utf8).env(sim.env.clone()).views_in("views").set(|all| {
        all.log.segment_bytes = 4096;
        all.log.deletions = 2 * most;
        all.log.retention = Retention { entries: Some(KEPT), ..Retention::default() };
        all.log.compaction.automatic = automatic;
        all.log.compaction.delay = Duration::ZERO;
    });
    sim.block_on(builder.open("db").into_future()).unwrap()
}

fn text(nth: u64) -> String {
    format!("{nth} {}", "x".repeat(200))
}

fn append(sim: &Sim, db: &Flume<Utf8>) -> Vec<Seq> {
    (0..ALL).map(|nth| sim.block_on(db.append(&text(nth)).into_future()).unwrap()).collect()
}

/// How many of the entries are gone, which are the first ones.
fn gone(sim: &Sim, db: &Flume<Utf8>, seqs: &[Seq]) -> usize {
    let there = |seq: &Seq| sim.block_on(db.get(*seq).into_future());
    let left: Vec<_> = seqs.iter().map(there).collect();
    let gone = left.iter().take_while(|found| found.is_err()).count();
    for (nth, found) in left.into_iter().enumerate() {
        match found {
            Ok(found) => assert_eq!(found, text(nth as u64)),
            Err(error) => {
                assert!(nth < gone, "{nth} is gone, and what was before it is there");
                assert!(matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound), "{nth}: {error}");
            }
        }
    }
    gone
}

/// What is left once nothing holds it back: what is to be kept, of whose numbers deletions have some, and a segment or two.
fn is_done(gone: usize) -> bool {
    (1..KEPT + 40).contains(&(ALL - gone as u64))
}

/// The limit within a segment, which has sixteen entries or so, and at its end.
#[test]
fn nothing_is_dropped_past_the_limit_until_something_is_erased() {
    for most in [1, 7, 15, 16, 17, 32, 33] {
        let sim = Sim::new(most);
        let mut db = open(&sim, most, false);
        let seqs = append(&sim, &db);
        sim.advance(LONG);
        let mut before = gone(&sim, &db, &seqs);
        assert_eq!(before as u64, most, "up to the limit, and not one more");
        sim.block_on(db.close()).unwrap();
        drop(db);
        db = open(&sim, most, false);
        sim.advance(LONG);
        assert_eq!(gone(&sim, &db, &seqs), before, "those of before it was opened count");
        while !is_done(before) {
            sim.block_on(db.compact().into_future()).unwrap();
            sim.advance(LONG);
            let now = gone(&sim, &db, &seqs);
            assert!(now > before && now - before <= most as usize, "{before}, and then {now} with at most {most} more");
            before = now;
        }
    }
}

/// A view that gets no further keeps what it has not seen from being erased.
#[test]
fn it_goes_on_once_the_views_have_passed() {
    for most in [15, 16, 17] {
        let sim = Sim::new(most);
        let db = open(&sim, most, true);
        let stuck = Arc::new(AtomicBool::new(true));
        let hooked = stuck.clone();
        let probe = Probe::hooked(move |call| match call {
            Call::Apply(..) if hooked.load(Ordering::SeqCst) => Err(Error::new(ErrorKind::StorageFull, "not now")),
            _ => Ok(()),
        });
        let view = sim.block_on(db.view("probe", probe).into_future()).unwrap();
        let seqs = append(&sim, &db);
        sim.advance(LONG);
        assert_eq!(gone(&sim, &db, &seqs) as u64, most, "up to the limit, and not one more");
        stuck.store(false, Ordering::SeqCst);
        sim.advance(LONG);
        let gone = gone(&sim, &db, &seqs);
        assert!(is_done(gone), "{gone} are gone with at most {most} at once");
        let seen = sim.block_on(view.read().into_future()).unwrap();
        let left: Vec<String> = (gone as u64..ALL).map(text).collect();
        assert_eq!(seen.items.values().cloned().collect::<Vec<_>>(), left, "the view has what is left");
    }
}

/// Dropping that somebody asks for has room made for it, whatever is outstanding.
#[test]
fn what_is_asked_for_is_dropped_though_much_is_outstanding() {
    for most in [15, 16, 17] {
        let sim = Sim::new(most);
        let db = open(&sim, most, false);
        let seqs = append(&sim, &db);
        sim.advance(LONG);
        assert_eq!(gone(&sim, &db, &seqs) as u64, most);
        let others = most as usize..most as usize + 4;
        sim.block_on(db.delete(seqs[others].iter().copied()).into_future()).unwrap();
        sim.block_on(db.drop_before(Before::Seq(seqs[ALL as usize - 40])).into_future()).unwrap();
        let gone = gone(&sim, &db, &seqs);
        assert!((ALL as usize - 80..ALL as usize - 39).contains(&gone), "{gone} are gone");
    }
}
