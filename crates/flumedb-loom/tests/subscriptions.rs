//! Guards against a subscription that misses an entry, gives one twice, or sleeps on, where the history ends and what comes
//! begins, whatever the order in which it and the writer go.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::sync::Arc;

use flumedb::{Env, ErrorKind, Event, Flume, From, codec::Utf8};
use flumedb_loom::{Disk, env, model};
use loom::thread;

type Db = Flume<Utf8>;

/// On the disk, or in memory.
fn open(env: &Env, stored: bool) -> Db {
    let builder = Flume::builder(Utf8).env(env.clone()).views_in_memory();
    if stored { builder.open("log").blocking().unwrap() } else { builder.memory().unwrap() }
}

fn each(switches: usize, run: impl Fn(Db) + Copy + Send + Sync + 'static) {
    for stored in [false, true] {
        model(switches, move || run(open(&env(Disk::new()), stored)));
    }
}

#[test]
fn history_goes_over_into_what_comes_without_a_seam() {
    each(2, |db| {
        db.append("a").blocking().unwrap();
        let writer = db.clone();
        let writer = thread::spawn(move || {
            writer.append("b").blocking().unwrap();
            writer.append("c").blocking().unwrap();
        });
        let mut feed = db.subscribe(From::Start).blocking();
        for expected in ["a", "b", "c"] {
            assert_eq!(feed.next().unwrap().unwrap().value, expected);
        }
        writer.join().unwrap();
        db.close().blocking().unwrap();
        assert_eq!(feed.next().unwrap().unwrap_err().kind(), ErrorKind::Closed);
        assert!(feed.next().is_none());
    });
}

#[test]
fn caught_up_is_said_once_and_at_the_end_of_history() {
    each(2, |db| {
        db.append("a").blocking().unwrap();
        let writer = db.clone();
        let writer = thread::spawn(move || writer.append("b").blocking().unwrap());
        let mut feed = db.subscribe(From::Start).events().blocking();
        let mut told = Vec::new();
        while told.len() < 3 {
            told.push(match feed.next().unwrap().unwrap() {
                Event::Entry(entry) => entry.value,
                Event::CaughtUp => "|".to_owned(),
                other => panic!("{other:?}"),
            });
        }
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        assert!(told == ["a", "|", "b"] || told == ["a", "b", "|"], "{told:?}");
        writer.join().unwrap();
        db.close().blocking().unwrap();
    });
}

#[test]
fn a_subscription_to_what_comes_gets_what_is_appended_behind_it() {
    each(2, |db| {
        let mut feed = db.subscribe(From::Head).blocking();
        let writer = db.clone();
        let writer = thread::spawn(move || writer.append("a").blocking().unwrap());
        assert_eq!(feed.next().unwrap().unwrap().value, "a");
        writer.join().unwrap();
        db.close().blocking().unwrap();
    });
}

#[test]
fn a_close_ends_whoever_waits() {
    each(2, |db| {
        let feed = db.subscribe(From::Start).blocking();
        let reader = thread::spawn(move || feed.map(|entry| entry.map_err(|error| error.kind())).collect::<Vec<_>>());
        db.append("a").blocking().unwrap();
        db.close().blocking().unwrap();
        let told: Vec<_> = reader.join().unwrap().into_iter().map(|told| told.map(|entry| entry.value)).collect();
        // What was appended may or may not have been seen before the end.
        let (last, before) = told.split_last().unwrap();
        assert_eq!(*last, Err(ErrorKind::Closed));
        assert!(before.is_empty() || before == [Ok("a".to_owned())], "{before:?}");
    });
}

/// Every handle is gone and the subscription is left: it is told that nothing comes any more.
#[test]
fn the_last_handle_ends_whoever_waits() {
    for stored in [false, true] {
        model(2, move || {
            let env = env(Disk::new());
            let db = open(&env, stored);
            let feed = db.subscribe(From::Start).blocking();
            let reader = thread::spawn(move || feed.last().unwrap().map_err(|error| error.kind()));
            drop(db);
            assert_eq!(reader.join().unwrap().map(|entry| entry.value), Err(ErrorKind::Closed));
            assert_eq!(Arc::strong_count(&env.storage), 1, "somebody keeps the machine");
        });
    }
}
