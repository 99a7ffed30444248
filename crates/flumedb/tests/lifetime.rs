//! A database is open as long as somebody has a handle, and then it is free, whoever still reads. The failure it guards
//! against: a lock that stays because a forgotten stream holds the log, or a call that waits for a database that is gone.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests panic to fail, and need threads of their own"
)]

use std::sync::{Arc, mpsc};

use flumedb::{
    Env, ErrorKind, Flume, From, Result,
    codec::{Codec, Utf8},
    log::{Log, MemoryLog},
    views::Reduce,
};
use futures_util::FutureExt;

fn open(env: &Env) -> Result<Flume<Utf8>> {
    Flume::builder(Utf8).env(env.clone()).open("data").blocking()
}

fn values<C: Codec<Item = String>>(db: &Flume<C>) -> Result<Vec<String>> {
    db.scan(..).blocking().map(|entry| Ok(entry?.value)).collect()
}

#[test]
fn one_handle_writes_at_a_time_and_any_number_read() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    db.append("a").blocking()?;
    assert_eq!(open(&env).unwrap_err().kind(), ErrorKind::Locked);

    let reader = Flume::builder(Utf8).env(env.clone()).read_only("data").blocking()?;
    let mut feed = reader.subscribe(From::Start).blocking();
    assert_eq!(feed.next().unwrap()?.value, "a");
    db.append("b").blocking()?;
    assert_eq!(feed.next().unwrap()?.value, "b", "it follows what the writer adds");
    reader.barrier().blocking()?;
    assert_eq!(values(&reader)?, ["a", "b"]);
    assert_eq!(reader.append("c").blocking().unwrap_err().kind(), ErrorKind::Unsupported);

    let missing = Flume::builder(Utf8).env(env).read_only("nothing").blocking();
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    Ok(())
}

#[test]
fn dropping_the_last_handle_frees_the_lock_though_others_still_read() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    let seq = db.append("a").blocking()?;
    let other = db.clone();
    let mut feed = db.subscribe(From::Start).blocking();
    let mut scan = db.scan(..).blocking();
    drop(db);
    assert_eq!(other.get(seq).blocking()?, "a", "a clone is as good");
    drop(other);

    let db = open(&env).expect("the lock is free");
    assert_eq!(values(&db)?, ["a"]);
    assert_eq!(feed.next().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(feed.next().is_none());
    assert_eq!(scan.next().map(|entry| entry.unwrap_err().kind()), Some(ErrorKind::Closed));
    Ok(())
}

#[test]
fn a_closed_database_says_so_to_all_its_handles() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    let seq = db.append("a").blocking()?;
    db.append("b").buffered().blocking()?;
    let other = db.clone();
    db.close().blocking()?;
    let closed = ErrorKind::Closed;
    assert_eq!(other.append("c").blocking().unwrap_err().kind(), closed);
    assert_eq!(other.get(seq).blocking().unwrap_err().kind(), closed);
    assert_eq!(other.delete([seq]).blocking().unwrap_err().kind(), closed);
    assert_eq!(other.scan(..).blocking().next().unwrap().unwrap_err().kind(), closed);
    other.close().blocking()?;
    // The lock is free while handles are still there.
    assert_eq!(values(&open(&env)?)?, ["a", "b"]);
    Ok(())
}

#[test]
fn closing_ends_what_waits() -> Result<()> {
    let db = open(&Env::memory())?;
    let (waits, waiting) = mpsc::channel();
    let mut events = db.subscribe(From::Head).events().blocking();
    let waiter = std::thread::spawn(move || {
        assert_eq!(events.next().unwrap()?, flumedb::Event::CaughtUp);
        waits.send(()).unwrap();
        events.next().unwrap().map(drop)
    });
    waiting.recv().unwrap();
    db.close().blocking()?;
    assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    Ok(())
}

#[test]
fn a_consumer_is_remembered_by_the_log() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    let seqs = db.append_all(["a", "b", "c"]).blocking()?;
    db.ack("mailer", seqs[1]).blocking()?;
    drop(db);
    let db = open(&env)?;
    assert_eq!(db.subscribe(From::Stored("mailer")).blocking().next().unwrap()?.value, "c");
    Ok(())
}

#[test]
fn an_item_without_a_representation_appends_nothing_of_its_batch() -> Result<()> {
    #[derive(Clone)]
    struct Short;
    impl Codec for Short {
        type Input = str;
        type Item = String;
        fn identity(&self) -> String {
            "short".into()
        }
        fn encode(&self, input: &str, out: &mut Vec<u8>) -> Result<()> {
            // What a failing encoder has written already must not get into the log either.
            out.extend_from_slice(input.as_bytes());
            let refuse = || Err(flumedb::Error::new(ErrorKind::Invalid, "too long"));
            if input.len() > 3 { refuse() } else { Ok(()) }
        }
        fn decode(&self, bytes: &flumedb::Bytes) -> Result<String> {
            Utf8.decode(bytes)
        }
    }
    let db = Flume::memory(Short)?;
    assert_eq!(db.append_all(["a", "b", "long"]).blocking().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(db.append_all([] as [&str; 0]).blocking()?, []);
    assert_eq!(db.head(), None);
    db.append_all(vec!["c".to_owned()]).blocking()?;
    assert_eq!(values(&db)?, ["c"]);
    let twice = db.append("d").if_head(None).if_none(|_| true, None).blocking();
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::Invalid, "two conditions are not silently one");
    Ok(())
}

#[test]
fn a_condition_tests_no_more_than_it_is_allowed_to() -> Result<()> {
    let db = Flume::builder(Utf8).set(|settings| settings.condition_limit = 2).memory()?;
    let seqs = db.append_all(["a", "b", "c"]).blocking()?;
    let past = db.append("d").if_none(|text| text == "x", None).blocking();
    assert_eq!(past.unwrap_err().kind(), ErrorKind::Conflict);
    db.append("d").if_none(|text| text == "x", seqs[0]).blocking()?;
    Ok(())
}

/// What a database held is free once all its handles, and all that read from it, are gone.
#[test]
fn nothing_is_left_of_a_database_that_nobody_holds() -> Result<()> {
    let left = |use_it: fn(&Flume<Utf8>) -> Result<()>| -> Result<bool> {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new(&Env::memory())?);
        let held = Arc::downgrade(&log);
        let db = Flume::with_log(log, Utf8).blocking()?;
        db.append("a").blocking()?;
        use_it(&db)?;
        drop(db);
        Ok(held.upgrade().is_some())
    };
    assert!(!left(|_| Ok(()))?);
    assert!(!left(|db| db.scan(..).blocking().next().unwrap().map(drop))?);
    assert!(!left(|db| {
        let mut feed = db.subscribe(From::Start);
        while let Some(entry) = feed.next().now_or_never() {
            entry.unwrap()?;
        }
        Ok(())
    })?);
    assert!(!left(|db| {
        let live = db.view("count", Reduce::new(1, 0, |count: &mut u64, _: &String| *count += 1)).blocking()?;
        live.read().blocking().map(drop)
    })?);
    assert!(!left(|db| db.close().blocking())?);
    Ok(())
}
