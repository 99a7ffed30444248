//! Guards against appends that are answered twice or never, answered before they are on the disk, or left waiting by an
//! error, whatever the order in which their threads and the writer's meet.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    future::{IntoFuture, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use flumedb::{Env, ErrorKind, Flume, Result, Seq, codec::Utf8, log::SegmentedLog};
use flumedb_loom::{Disk, env, model};
use loom::thread;

type Db = Flume<Utf8>;

fn open(env: &Env) -> Db {
    Flume::builder(Utf8).env(env.clone()).views_in_memory().open("log").blocking().unwrap()
}

/// Appends in a thread of its own.
fn append(db: &Db, text: &'static str) -> thread::JoinHandle<Result<Seq>> {
    let db = db.clone();
    thread::spawn(move || db.append(text).blocking())
}

/// How many entries are in the files of a log, in which nothing is wrong.
fn stored(env: &Env) -> u64 {
    let report = SegmentedLog::check(env, "log".as_ref()).unwrap();
    assert!(report.is_ok(), "{report:?}");
    report.entries
}

#[test]
fn two_appends_are_each_answered_once_and_on_the_disk() {
    model(2, || {
        let disk = Disk::new();
        let env = env(disk.clone());
        let db = open(&env);
        let opened = disk.syncs();
        let other = append(&db, "a");
        let mine = db.append("b").blocking().unwrap();
        assert!(disk.syncs() > opened, "answered before a sync");
        assert_eq!(db.get(mine).blocking().unwrap(), "b", "what is answered can be read");
        let theirs = other.join().unwrap().unwrap();
        assert_eq!(mine.get() + theirs.get(), 1, "{mine} and {theirs}");
        assert_eq!(db.get(theirs).blocking().unwrap(), "a");
        db.close().blocking().unwrap();
        drop(db);
        assert_eq!(stored(&env), 2);
    });
}

#[test]
fn a_failed_sync_frees_everybody() {
    model(2, || {
        let disk = Disk::new();
        let db = open(&env(disk.clone()));
        disk.break_down();
        let other = append(&db, "a");
        let mine = db.append("b").blocking();
        let theirs = other.join().unwrap();
        for outcome in [mine, theirs] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Poisoned);
        }
        assert_eq!(db.append("c").blocking().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(db.sync().blocking().unwrap_err().kind(), ErrorKind::Poisoned);
        assert!(db.close().blocking().is_err());
        assert_eq!(db.append("c").blocking().unwrap_err().kind(), ErrorKind::Poisoned);
    });
}

#[test]
fn an_append_beside_a_close_is_made_or_refused() {
    model(2, || {
        let env = env(Disk::new());
        let db = open(&env);
        let other = append(&db, "a");
        db.close().blocking().unwrap();
        let outcome = other.join().unwrap();
        drop(db);
        match outcome {
            Ok(seq) => assert_eq!((seq, stored(&env)), (Seq::new(0), 1)),
            Err(error) => assert_eq!((error.kind(), stored(&env)), (ErrorKind::Closed, 0)),
        }
    });
}

#[test]
fn whoever_waits_for_room_gets_it_or_is_told() {
    for close in [false, true] {
        // Four threads.
        model(1, move || {
            let env = env(Disk::new());
            // Room for one at a time.
            let db = Flume::builder(Utf8).env(env.clone()).views_in_memory().set(|set| set.log.pending_bytes = 1);
            let db = db.open("log").blocking().unwrap();
            let others = [append(&db, "a"), append(&db, "b")];
            if close {
                db.close().blocking().unwrap();
            }
            let outcomes = others.map(|other| other.join().unwrap());
            let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            for outcome in outcomes {
                match outcome {
                    Ok(seq) => assert!(seq.get() < 2),
                    Err(error) => assert!(close && error.kind() == ErrorKind::Closed, "{error}"),
                }
            }
            if !close {
                db.close().blocking().unwrap();
            }
            drop(db);
            assert_eq!(stored(&env), made as u64);
        });
    }
}

#[test]
fn who_stops_waiting_disturbs_nobody() {
    model(2, || {
        let env = env(Disk::new());
        let db = open(&env);
        let other = append(&db, "a");
        {
            let mut given_up = pin!(db.append("b").into_future());
            let mut polled = false;
            // Polled once, then dropped.
            let polled_once = poll_fn(|cx| {
                if !std::mem::replace(&mut polled, true) {
                    let _ = given_up.as_mut().poll(cx);
                }
                Poll::Ready(())
            });
            loom::future::block_on(polled_once);
        }
        let theirs = other.join().unwrap().unwrap();
        assert_eq!(db.get(theirs).blocking().unwrap(), "a");
        db.close().blocking().unwrap();
        drop(db);
        assert!((1..=2).contains(&stored(&env)));
    });
}

/// The last handle is dropped while another thread waits through its own: its append is answered, and the log ends.
#[test]
fn a_handle_that_goes_takes_nobodys_answer_along() {
    model(2, || {
        let env = env(Disk::new());
        let db = open(&env);
        let other = append(&db, "a");
        drop(db);
        assert_eq!(other.join().unwrap().unwrap(), Seq::new(0));
        assert_eq!(Arc::strong_count(&env.storage), 1);
    });
}
