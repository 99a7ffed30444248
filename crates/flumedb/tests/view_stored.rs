//! Guards against a stored view that is trusted though it is another's, that loses or repeats entries across a reopen,
//! that hides lost entries, or that outruns the log on the disk.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod view_support;

use std::{
    future::IntoFuture,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use flumedb::{Env, ErrorKind, Seq, env::OpenMode, log::Log, view::Phase};
use view_support::{Call, Gate, Probe, Rig, SOON, TestLog, numbers};

/// A probe that counts what it applies.
fn counting() -> (Probe, Arc<AtomicUsize>) {
    let count = Arc::<AtomicUsize>::default();
    let counter = count.clone();
    let probe = Probe::hooked(move |call| {
        if matches!(call, Call::Apply(..)) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    (probe, count)
}

/// Runs a view to the head and says how many entries it applied for that.
async fn catch_up(log: &Arc<TestLog>, env: &Env, version: u32, expect: u64) -> usize {
    let rig = Rig::stored(log, env);
    let (mut probe, count) = counting();
    probe.version = version;
    let view = rig.add("all", probe);
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(expect));
    rig.host.close().await.unwrap();
    count.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_from_its_checkpoint_and_each_version_has_its_own() {
    let (log, env) = (TestLog::new(), Env::memory());
    assert_eq!(catch_up(&log, &env, 1, 0).await, 0, "an empty log is no reason not to store");
    log.fill(100).await;
    assert_eq!(catch_up(&log, &env, 1, 100).await, 100);
    assert_eq!(catch_up(&log, &env, 1, 100).await, 0);
    log.fill(10).await;
    assert_eq!(catch_up(&log, &env, 1, 110).await, 10);
    assert_eq!(catch_up(&log, &env, 2, 110).await, 110);
    assert_eq!(catch_up(&log, &env, 1, 110).await, 0, "the older program finds its view as it left it");

    let rig = Rig::stored(&log, &env);
    rig.add("all", Probe::new());
    // Beside each store lies what the view says of itself.
    let names = env.storage.list(Path::new("/views")).unwrap();
    assert_eq!(names.iter().filter(|name| !name.ends_with(".status")).count(), 2);
    assert_eq!(rig.host.prune().unwrap().len(), 1);
    drop(rig);
    assert_eq!(catch_up(&log, &env, 1, 110).await, 0);
    assert_eq!(catch_up(&log, &env, 2, 110).await, 110);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_another_log_is_built_anew() {
    let env = Env::memory();
    let logs = [TestLog::with(7, 0, 64), TestLog::with(8, 0, 64), TestLog::with(8, 1, 64)];
    for log in &logs {
        log.fill(20).await;
        assert_eq!(catch_up(log, &env, 1, 20).await, 20);
    }
    assert_eq!(catch_up(&logs[2], &env, 1, 20).await, 0);
    assert_eq!(catch_up(&logs[1], &env, 1, 20).await, 20, "a copy that went its own way is another log");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_proof_nothing_is_stored() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.proves.store(false, Ordering::SeqCst);
    log.fill(20).await;
    assert_eq!(catch_up(&log, &env, 1, 20).await, 20);
    assert_eq!(catch_up(&log, &env, 1, 20).await, 20);
    assert_eq!(env.storage.list(Path::new("/views")).unwrap(), [""; 0], "not even a store's directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_entries_are_said_and_not_built_over_until_that_is_accepted() {
    let env = Env::memory();
    let log = TestLog::new();
    log.fill(100).await;
    catch_up(&log, &env, 1, 100).await;
    let shorter = TestLog::new();
    shorter.fill(60).await;
    let rig = Rig::stored(&shorter, &env);
    let (probe, count) = counting();
    let view = rig.add("all", probe);
    let other = rig.add("other", Probe::new());
    let error = view.opened().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("\"all\""), "{error}");
    assert_eq!(view.read().await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(matches!(view.progress().phase, Phase::Faulted { .. }));
    assert_eq!(other.read().await.unwrap().items, numbers(60));
    assert_eq!(count.load(Ordering::SeqCst), 0, "nothing was touched");
    view.accept_loss().await.unwrap();
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(60));
    other.accept_loss().await.unwrap();
    assert_eq!(other.read_stale().unwrap().items, numbers(60), "nothing to accept");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_on_the_disk_before_a_view_that_is_stored_knows_of_it() {
    let (log, env) = (TestLog::new(), Env::memory());
    let rig = Rig::stored(&log, &env);
    let watched = log.clone();
    let view = rig.add(
        "all",
        Probe::hooked(move |call| {
            if let Call::Publish(since) = call {
                assert!(*since <= *watched.synced_to.lock().unwrap(), "published {since:?}");
            }
            Ok(())
        }),
    );
    for count in 1..50 {
        log.fill(1).await;
        assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(count));
    }
    // What is only in memory may run ahead.
    let memory = Rig::memory(&log);
    log.fill(1).await;
    rig.host.close().await.unwrap();
    let synced = *log.synced_to.lock().unwrap();
    log.fill(1).await;
    assert_eq!(memory.add("all", Probe::new()).read().await.unwrap().since, Some(Seq::new(50)));
    assert_eq!(*log.synced_to.lock().unwrap(), synced);
}

/// A tombstone that a power cut takes must not have kept an entry from a view that is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_on_the_disk_before_a_view_that_passed_over_the_entry_is() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.fill(100).await;
    log.delete(&[Seq::new(5)]).await.unwrap();
    let rig = Rig::stored(&log, &env);
    let watched = log.clone();
    let (gate, hook) = (Gate::shut(), Arc::new(Mutex::new(Vec::new())));
    let (opening, published) = (gate.clone(), hook.clone());
    let view = rig.add(
        "all",
        Probe::hooked(move |call| {
            if let Call::Publish(Some(since)) = call {
                published.lock().unwrap().push((since.get(), *watched.synced_to.lock().unwrap()));
            }
            opening.hold(*call == Call::Open)
        }),
    );
    let mut read = view.read_at(Seq::new(50)).into_future();
    assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    gate.open();
    assert_eq!(read.await.unwrap().since, Some(Seq::new(50)));
    let published = hook.lock().unwrap().clone();
    assert!(published.iter().any(|&(since, _)| since == 50));
    assert!(published.iter().all(|&(_, synced)| synced == Some(Seq::new(100))), "{published:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_cannot_be_read_is_built_over() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.fill(20).await;
    catch_up(&log, &env, 1, 20).await;
    let dir = Path::new("/views").join(env.storage.list(Path::new("/views")).unwrap().remove(0));
    let file = env.storage.open(&dir.join("state"), OpenMode::Write).unwrap();
    file.write_all(4, &[0xc1]).unwrap();
    assert_eq!(catch_up(&log, &env, 1, 20).await, 20);
    assert_eq!(catch_up(&log, &env, 1, 20).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_taken_back_once_whenever_it_is_met() {
    for keeps in [true, false] {
        let (log, env) = (TestLog::with(7, 0, 8), Env::memory());
        log.keeps_deleted.store(keeps, Ordering::SeqCst);
        let retracted = Arc::new(Mutex::new(Vec::new()));
        let probe = || {
            let seen = retracted.clone();
            Probe::hooked(move |call| {
                if let Call::Retract(seq, item) = call {
                    seen.lock().unwrap().push((seq.get(), item.is_some()));
                }
                Ok(())
            })
        };
        log.fill(20).await;
        let rig = Rig::stored(&log, &env);
        let view = rig.add("all", probe());
        view.read().await.unwrap();
        log.delete(&[Seq::new(5)]).await.unwrap();
        let mut expect = numbers(20);
        expect.remove(&5);
        assert_eq!(view.read().timeout(SOON).await.unwrap().items, expect);
        assert_eq!(view.progress().since, Some(Seq::new(20)), "a tombstone takes a number");
        rig.host.close().await.unwrap();
        // While nobody follows.
        log.delete(&[Seq::new(6), Seq::new(7)]).await.unwrap();
        expect.retain(|number, _| ![6, 7].contains(number));
        let rig = Rig::stored(&log, &env);
        let view = rig.add("all", probe());
        assert_eq!(view.read().timeout(SOON).await.unwrap().items, expect);
        // One that comes late never saw any of them.
        let seen = std::mem::take(&mut *retracted.lock().unwrap());
        assert_eq!(rig.add("late", probe()).read().await.unwrap().items, expect);
        assert_eq!(*retracted.lock().unwrap(), []);
        match keeps {
            true => assert_eq!(seen, [(5, true), (6, true), (7, true)]),
            false => assert_eq!(seen, [(5, false), (6, false)], "built anew, and then all of it is gone"),
        }
    }
}
