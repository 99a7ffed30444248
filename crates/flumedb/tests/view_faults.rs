//! Guards against a view that fails taking others with it, rebuilding for ever, losing an entry, taking one in twice,
//! or leaving its readers to hang.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod view_support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Env, Error, ErrorKind, Result, Seq,
    log::Log,
    view::{HostSettings, Live, Phase},
};
use view_support::{Call, Gate, Probe, Rig, SOON, TestLog, numbers};

/// A probe that fails in `how` at its calls that `when` picks, the first `times` of them; with a count of its opens.
fn failing(
    times: usize,
    when: impl Fn(&Call) -> bool + Send + Sync + 'static,
    how: impl Fn() -> Result<()> + Send + Sync + 'static,
) -> (Probe, Arc<AtomicUsize>) {
    let (opens, left) = (Arc::<AtomicUsize>::default(), AtomicUsize::new(times));
    let counter = opens.clone();
    let probe = Probe::hooked(move |call| {
        if *call == Call::Open {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        let fails =
            when(call) && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails { how() } else { Ok(()) }
    });
    (probe, opens)
}

fn at(number: u64) -> impl Fn(&Call) -> bool {
    move |call| matches!(call, Call::Apply(seq, _) if seq.get() == number)
}

fn error(kind: ErrorKind) -> impl Fn() -> Result<()> {
    move || Err(Error::new(kind, "it was made to fail"))
}

fn fault(view: &Live<Probe>) -> Option<u64> {
    match view.progress().phase {
        Phase::Faulted { at, .. } => at.map(Seq::get),
        phase => panic!("not faulted but {phase:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_once_goes_on() {
    let log = TestLog::with(7, 0, 1 << 20);
    log.fill(100).await;
    let rig = Rig::memory(&log);
    let calls: [fn(&Call) -> bool; 4] = [
        |call| matches!(call, Call::Apply(seq, _) if seq.get() == 42),
        |call| matches!(call, Call::Publish(Some(_))),
        |call| matches!(call, Call::Open),
        |call| matches!(call, Call::Apply(seq, _) if seq.get() == 0),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        for kind in [ErrorKind::Invalid, ErrorKind::Io, ErrorKind::StorageFull, ErrorKind::Corrupt, ErrorKind::Faulted]
        {
            let (probe, opens) = failing(1, call, error(kind));
            let view = rig.add(&format!("{number}-{kind:?}"), probe);
            assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(100), "{number} {kind:?}");
            assert_eq!(opens.load(Ordering::SeqCst), 2);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_twice_at_an_entry_stops_there_and_others_go_on() {
    let log = TestLog::with(7, 0, 1 << 20);
    log.fill(100).await;
    let rig = Rig::memory(&log);
    let (probe, opens) = failing(usize::MAX, at(42), error(ErrorKind::Invalid));
    let (panicking, panicking_opens) = failing(usize::MAX, at(77), || panic!("as it was told to"));
    let (failing, panicking, good) =
        (rig.add("failing", probe), rig.add("panicking", panicking), rig.add("good", Probe::new()));
    for (view, number) in [(&failing, 42), (&panicking, 77)] {
        let error = view.read().timeout(SOON).await.unwrap_err();
        assert_eq!((error.kind(), error.seq()), (ErrorKind::Faulted, Some(Seq::new(number))), "{error}");
        assert_eq!(fault(view), Some(number));
        // Later reads fail at once, whatever they ask for; what there is can still be had.
        assert_eq!(view.read_at(Seq::new(500)).await.unwrap_err().kind(), ErrorKind::Faulted);
        assert!(view.read_stale().is_some());
    }
    assert!(panicking.read().await.unwrap_err().to_string().contains("as it was told to"));
    assert_eq!((opens.load(Ordering::SeqCst), panicking_opens.load(Ordering::SeqCst)), (2, 2), "no loop");
    log.fill(10).await;
    assert_eq!(good.read().timeout(SOON).await.unwrap().items, numbers(110));
    assert_eq!(rig.host.wait_all().await.unwrap_err().kind(), ErrorKind::Faulted);
    rig.host.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_mends_what_was_mended() {
    let log = TestLog::new();
    log.fill(100).await;
    let rig = Rig::memory(&log);
    let (probe, _) = failing(2, at(42), error(ErrorKind::Invalid));
    let view = rig.add("all", probe);
    assert_eq!(view.read().timeout(SOON).await.unwrap_err().kind(), ErrorKind::Faulted);
    view.rebuild().await.unwrap();
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(100));
    view.rebuild().await.unwrap();
    log.fill(1).await;
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(101));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stays_corrupt_stops_the_view() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.fill(10).await;
    let rig = Rig::stored(&log, &env);
    let (probe, opens) = failing(usize::MAX, |call| *call == Call::Open, error(ErrorKind::Corrupt));
    let view = rig.add("all", probe);
    assert_eq!(view.opened().await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(view.read().await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(opens.load(Ordering::SeqCst) <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_or_synced_is_tried_again() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.fill(100).await;
    log.failing_reads.store(3, Ordering::SeqCst);
    log.failing_syncs.store(2, Ordering::SeqCst);
    let rig = Rig::stored(&log, &env);
    let (probe, opens) = failing(0, |_| false, || Ok(()));
    let view = rig.add("all", probe);
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(100));
    assert_eq!(opens.load(Ordering::SeqCst), 1, "the view is not to blame");
    assert_eq!(log.failing_reads.load(Ordering::SeqCst) + log.failing_syncs.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_is_said_and_tried_again() {
    let log = TestLog::new();
    log.fill(10).await;
    let rig = Rig::memory(&log);
    let mended = Arc::new(AtomicBool::new(false));
    let hook = mended.clone();
    let probe = Probe::hooked(move |call| match call {
        Call::Open if !hook.load(Ordering::SeqCst) => Err(Error::new(ErrorKind::Io, "permission denied")),
        _ => Ok(()),
    });
    let view = rig.add("all", probe);
    let opened = tokio::time::timeout(SOON, view.opened()).await.unwrap();
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(view.accept_loss().await.unwrap_err().kind(), ErrorKind::Io, "nobody knows what it covers");
    mended.store(true, Ordering::SeqCst);
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(10));
    view.opened().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_out_and_said() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.fill(10).await;
    let rig = Rig::stored(&log, &env);
    let full = Arc::new(Mutex::new(true));
    let hook = full.clone();
    let view = rig.add(
        "all",
        Probe::hooked(move |call| match call {
            Call::Publish(Some(_)) if *hook.lock().unwrap() => Err(Error::new(ErrorKind::StorageFull, "no room")),
            _ => Ok(()),
        }),
    );
    while !matches!(view.progress().phase, Phase::Retrying { .. }) {
        tokio::task::yield_now().await;
    }
    assert_eq!(view.read().timeout(Duration::from_millis(20)).await.unwrap_err().kind(), ErrorKind::TimedOut);
    *full.lock().unwrap() = false;
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(10));
    rig.host.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_a_full_disk() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.fill(10).await;
    let rig = Rig::stored(&log, &env);
    let (probe, _) = failing(usize::MAX, |call| matches!(call, Call::Publish(Some(_))), error(ErrorKind::StorageFull));
    let view = rig.add("all", probe);
    while !matches!(view.progress().phase, Phase::Retrying { .. }) {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(SOON, rig.host.close()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_do_not_decode_are_counted_or_stop_a_strict_view() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.push(&["a", "bad", "b", "awful", "bad again", "c"]).await;
    for _ in 0..2 {
        let rig = Rig::stored(&log, &env);
        let view = rig.add("all", Probe::new());
        let items: Vec<_> = view.read().timeout(SOON).await.unwrap().items.into_iter().collect();
        assert_eq!(items, [(0, "a".into()), (2, "b".into()), (5, "c".into())]);
        assert_eq!((view.progress().skipped, view.progress().since), (3, Some(Seq::new(5))), "also after a reopen");
        let strict = rig.host.add("strict", Probe::new(), true).unwrap();
        let error = strict.read().timeout(SOON).await.unwrap_err();
        assert_eq!((error.kind(), error.seq()), (ErrorKind::Faulted, Some(Seq::new(1))));
        assert_eq!(strict.read_stale().unwrap().since, Some(Seq::new(0)), "everything before it is there");
        rig.host.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_what_does_not_decode_stops_no_view() {
    let log = TestLog::new();
    let seqs = log.push(&["a", "bad", "awful", "b"]).await;
    let rig = Rig::memory(&log);
    let view = rig.add("all", Probe::new());
    view.read().timeout(SOON).await.unwrap();
    log.delete(&seqs[..3]).await.unwrap();
    let items: Vec<_> = view.read().timeout(SOON).await.unwrap().items.into_iter().collect();
    assert_eq!(items, [(3, "b".into())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_view_keeps_its_name_until_it_has_ended() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.fill(10).await;
    let rig = Rig::stored(&log, &env);
    let gate = Gate::shut();
    let hook = gate.clone();
    rig.add("all", Probe::hooked(move |call| hook.hold(at(3)(call))));
    tokio::task::block_in_place(|| gate.reached());
    {
        let mut removing = std::pin::pin!(rig.host.remove("all"));
        let waker = std::task::Waker::noop();
        assert!(removing.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        let early = rig.host.add("all", Probe::new(), false).err().unwrap();
        assert_eq!(early.kind(), ErrorKind::Invalid, "its store is open still");
        assert!(rig.host.progress().is_empty());
        assert_eq!(rig.host.remove("all").await.unwrap_err().kind(), ErrorKind::NotFound);
        gate.open();
        tokio::time::timeout(SOON, removing).await.unwrap().unwrap();
    }
    let view = rig.add("all", Probe::new());
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_hang_hold_up_nobody_else() {
    let log = TestLog::new();
    let mut settings = HostSettings::default();
    settings.memory = 64 << 10;
    let rig = Rig::with(&log, Env::memory(), settings);
    let gate = Gate::shut();
    let hanging: Vec<_> = (0..5)
        .map(|number| {
            let hook = gate.clone();
            rig.add(&format!("hanging-{number}"), Probe::hooked(move |call| hook.hold(at(3)(call))))
        })
        .collect();
    let good = rig.add("good", Probe::new());
    for round in 1..=20 {
        log.fill(100).await;
        assert_eq!(good.read().timeout(SOON).await.unwrap().items, numbers(round * 100));
    }
    gate.open();
    for view in hanging {
        assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(2_000));
    }
}
