//! What a database does for its views: it opens their stores beside the log, keeps them from being read before the gate
//! opens, and says so when they know entries that the log has lost. The failure it guards against: entries that were
//! acknowledged and are gone, which nobody notices because the views are quietly built again from what is left.
#![allow(clippy::unwrap_used, clippy::field_reassign_with_default, reason = "tests panic to fail")]

mod view_support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flumedb::{Env, Error, ErrorKind, Flume, Result, codec::Utf8, view::Live};
use view_support::{Call, Gate, Probe, SOON, TestLog, numbers};

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(SOON, future.into_future()).await.expect("did not happen in time")
}

fn open(env: &Env) -> Result<Flume<Utf8>> {
    Flume::builder(Utf8).env(env.clone()).open("data").blocking()
}

/// A probe that counts what it is given.
fn counting(counter: &Arc<AtomicUsize>) -> Probe {
    let counter = counter.clone();
    Probe::hooked(move |call| {
        counter.fetch_add(usize::from(matches!(call, Call::Apply(..))), Ordering::SeqCst);
        Ok(())
    })
}

#[test]
fn a_view_goes_on_where_it_was_when_the_database_was_closed() -> Result<()> {
    let (env, applied) = (Env::memory(), Arc::default());
    for round in 1..=3u64 {
        let db = open(&env)?;
        let live = db.view("probe", counting(&applied)).blocking()?;
        db.append_all((0..10).map(|number| (10 * (round - 1) + number).to_string())).blocking()?;
        assert_eq!(live.read().blocking()?.items, numbers(round * 10));
        assert_eq!(applied.load(Ordering::SeqCst) as u64, round * 10, "what was taken in is not taken in again");
        db.close().blocking()?;
        assert_eq!(live.read().blocking().unwrap_err().kind(), ErrorKind::Closed);
    }
    // One who only reads does not touch the stores of the one who writes, and builds its own.
    let db = open(&env)?;
    let reader = Flume::builder(Utf8).env(env).read_only("data").blocking()?;
    let live = reader.view("probe", counting(&applied)).blocking()?;
    assert_eq!(live.read().blocking()?.items, numbers(30));
    assert_eq!(applied.load(Ordering::SeqCst), 60);
    db.append("30").blocking()?;
    assert_eq!(live.read().blocking()?.items, numbers(31), "a read sees what the writer has just appended");
    Ok(())
}

#[test]
fn views_in_memory_are_built_at_every_opening() -> Result<()> {
    let (env, applied) = (Env::memory(), Arc::default());
    for round in 1..=2 {
        let db = Flume::builder(Utf8).env(env.clone()).views_in_memory().open("data").blocking()?;
        if round == 1 {
            db.append_all(["0", "1"]).blocking()?;
        }
        assert_eq!(db.view("probe", counting(&applied)).blocking()?.read().blocking()?.items, numbers(2));
        assert_eq!(applied.load(Ordering::SeqCst), 2 * round);
    }
    assert_eq!(env.storage.kind("data/views".as_ref()).unwrap(), None);
    Ok(())
}

#[tokio::test]
async fn reads_wait_until_the_gate_opens_and_views_do_not() -> Result<()> {
    let db = Flume::builder(Utf8).gated().memory()?;
    db.append("0").await?;
    let applied = Arc::default();
    let live = db.view("probe", counting(&applied)).await?;
    let waiting = live.read().timeout(Duration::from_millis(20)).await;
    assert_eq!(waiting.unwrap_err().kind(), ErrorKind::TimedOut);
    let mut since = live.watch();
    soon(since.wait_for(|since| *since == db.head())).await.unwrap();
    assert_eq!(applied.load(Ordering::SeqCst), 1, "the view was built meanwhile");

    let read = tokio::spawn(live.read().into_future());
    let all = db.clone();
    let all = tokio::spawn(async move { all.wait_all().await });
    tokio::task::yield_now().await;
    assert!(!read.is_finished() && !all.is_finished());
    db.open_gate();
    assert_eq!(soon(read).await.unwrap()?.items, numbers(1));
    soon(all).await.unwrap()?;
    let late = db.view("late", Probe::new()).await?;
    assert_eq!(soon(late.read()).await?.items, numbers(1), "it stays open");

    let gated = Flume::builder(Utf8).gated().memory()?;
    let live = gated.view("probe", Probe::new()).await?;
    let read = tokio::spawn(live.read().into_future());
    tokio::task::yield_now().await;
    gated.close().await?;
    assert_eq!(soon(read).await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    Ok(())
}

#[tokio::test]
async fn a_view_that_knows_entries_which_the_log_has_lost_says_so() -> Result<()> {
    let env = Env::memory();
    let with = async |entries| {
        let log = TestLog::with(7, 0, 64);
        log.fill(entries).await;
        let db = Flume::builder(Utf8).env(env.clone()).views_in("views").with_log(log).await?;
        let (view, other): (Result<Live<Probe>>, _) =
            (db.view("probe", Probe::new()).await, db.view("other", other()).await?);
        assert_eq!(other.read().await?.items, numbers(entries), "other views go on");
        Ok::<_, flumedb::Error>((db, view))
    };
    fn other() -> Probe {
        let mut probe = Probe::new();
        // So that nothing of it is stored: it knows no more than the log.
        probe.hook = Arc::new(|call| match call {
            Call::Sync => Err(flumedb::Error::new(ErrorKind::Io, "no disk for this one")),
            _ => Ok(()),
        });
        probe
    }

    let (db, view) = with(5).await?;
    view?.read().await?;
    assert!(db.close().await.is_err(), "the other view could not store what it had");
    drop(db);

    let (db, view) = with(3).await?;
    let lost = view.err().expect("entries were lost");
    assert_eq!(lost.kind(), ErrorKind::Corrupt);
    assert!(lost.to_string().contains("\"probe\""), "it names the view: {lost}");
    // The same again, as nothing was changed; and then as the user says.
    let again = db.view("probe", Probe::new()).await;
    assert_eq!(again.err().map(|error| error.kind()), Some(ErrorKind::Corrupt));
    let view = db.view("probe", Probe::new()).accept_loss().await?;
    assert_eq!(soon(view.read()).await?.items, numbers(3));
    Ok(())
}

#[tokio::test]
async fn dropping_the_last_handle_stops_its_views() -> Result<()> {
    let gate = Gate::shut();
    let db = Flume::memory(Utf8)?;
    let held = gate.clone();
    let live = db.view("probe", Probe::hooked(move |call| held.hold(matches!(call, Call::Apply(..))))).await?;
    db.append("0").await?;
    let read = tokio::spawn(live.read().into_future());
    gate.reached();
    // The drop waits for the step that the view is in, and not for all it would still do.
    let dropped = tokio::task::spawn_blocking(move || drop(db));
    gate.open();
    soon(dropped).await.unwrap();
    let read = soon(read).await.unwrap();
    assert!(read.as_ref().map_or_else(|error| error.kind() == ErrorKind::Closed, |seen| seen.items == numbers(1)));
    assert_eq!(live.read().await.unwrap_err().kind(), ErrorKind::Closed);
    Ok(())
}

#[tokio::test]
async fn a_view_whose_store_cannot_be_opened_is_not_added() -> Result<()> {
    let db = Flume::memory(Utf8)?;
    let denied = Probe::hooked(|call| match call {
        Call::Open => Err(Error::new(ErrorKind::Io, "permission denied")),
        _ => Ok(()),
    });
    assert_eq!(soon(db.view("probe", denied)).await.err().map(|error| error.kind()), Some(ErrorKind::Io));
    assert!(db.progress().is_empty());
    let live = db.view("probe", Probe::new()).await?;
    db.append("0").await?;
    assert_eq!(soon(live.read()).await?.items, numbers(1), "the name is free again");
    Ok(())
}

#[test]
fn two_databases_do_not_write_into_one_directory_of_views() -> Result<()> {
    let env = Env::memory();
    let with = || Flume::builder(Utf8).env(env.clone()).views_in("views").with_log(TestLog::new()).blocking();
    let (one, two) = (with()?, with()?);
    assert_eq!(env.storage.kind("views".as_ref()).unwrap(), None, "nothing is made before there is a view");
    let live = one.view("probe", Probe::new()).blocking()?;
    let refused = two.view("other", Probe::new()).blocking().err().expect("the directory is taken");
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    assert!(two.progress().is_empty());
    one.close().blocking()?;
    two.view("other", Probe::new()).blocking()?;
    // Whoever still holds a view of a database that is gone does not keep the directory.
    drop(two);
    with()?.view("probe", Probe::new()).blocking()?;
    drop(live);
    Ok(())
}

#[tokio::test]
async fn two_views_need_two_names() -> Result<()> {
    let db = Flume::memory(Utf8)?;
    let _probe = db.view("probe", Probe::new()).await?;
    assert_eq!(db.view("probe", Probe::new()).await.err().map(|error| error.kind()), Some(ErrorKind::Invalid));
    assert_eq!(db.view("../probe", Probe::new()).await.err().map(|error| error.kind()), Some(ErrorKind::Invalid));
    let names: Vec<String> = db.progress().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["probe"]);
    Ok(())
}
