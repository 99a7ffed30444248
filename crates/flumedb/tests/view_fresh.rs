//! Guards against a read that misses an append before it, that shows another position than it was asked for, that never
//! returns, or that outlives the database.

#![allow(clippy::disallowed_methods, reason = "tests use threads of their own")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod view_support;

use std::{
    future::IntoFuture,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use flumedb::{
    Env, ErrorKind, Seq,
    log::Log,
    view::{Checkpoint, Definition, HostSettings, Live, LiveSet, Phase, Run, View, ViewContext},
};
use view_support::{Call, Gate, Probe, Rig, SOON, Seen, TestLog, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_contains_every_append_before_it() {
    let log = TestLog::new();
    let rig = Rig::memory(&log);
    let view = rig.add("all", Probe::new());
    assert_eq!(view.read().await.unwrap(), Seen { since: None, items: numbers(0) });
    for count in 1..200 {
        log.fill(1).await;
        assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(count));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_writers_and_eight_readers_see_their_own_writes() {
    let log = TestLog::new();
    let rig = Rig::memory(&log);
    let view = rig.add("all", Probe::new());
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (log, view) = (log.clone(), view.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..100 {
                let seq = log.push(&["x"]).await[0];
                let seen = view.read().timeout(SOON).await.unwrap();
                assert!(seen.since >= Some(seq) && seen.items.contains_key(&seq.get()));
            }
        }));
        let view = rig.host.add(&format!("v{}", tasks.len()), Probe::new(), false).unwrap();
        tasks.push(tokio::spawn(async move {
            let mut newest = None;
            for _ in 0..100 {
                let seen = view.read().timeout(SOON).await.unwrap();
                assert!(seen.since >= newest, "since never moves back");
                newest = seen.since;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(view.read().await.unwrap().items.len(), 800);
}

/// Writes and reads until the database is closed; counts how often that went well.
async fn write_and_read(log: Arc<TestLog>, view: Live<Probe>, rounds: Arc<AtomicU32>) {
    loop {
        let seq = log.push(&["x"]).await[0];
        match view.read().timeout(SOON).await {
            Ok(seen) => assert!(seen.since >= Some(seq) && seen.items.contains_key(&seq.get())),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                return;
            }
        }
        rounds.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

async fn read_own_writes_until_closed() {
    let log = TestLog::new();
    let rig = Rig::memory(&log);
    let view = rig.add("all", Probe::new());
    let rounds = Arc::<AtomicU32>::default();
    let tasks: Vec<_> =
        (0..8).map(|_| tokio::spawn(write_and_read(log.clone(), view.clone(), rounds.clone()))).collect();
    let mut rebuilds = 0;
    while rebuilds < 30 || rounds.load(Ordering::SeqCst) == 0 {
        view.rebuild().await.unwrap();
        view.read().timeout(SOON).await.unwrap();
        rebuilds += 1;
    }
    rig.host.close().await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_writes_are_read_during_rebuilds_until_the_database_is_closed() {
    read_own_writes_until_closed().await;
}

#[tokio::test(flavor = "current_thread")]
async fn own_writes_are_read_on_a_runtime_of_one_thread_too() {
    read_own_writes_until_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_position_gets_exactly_that() {
    let log = TestLog::with(7, 0, 1 << 20);
    log.fill(100).await;
    let gate = Gate::shut();
    let hook = gate.clone();
    let rig = Rig::memory(&log);
    let view = rig.add("all", Probe::hooked(move |call| hook.hold(*call == Call::Open)));
    // In the list before the view has taken in anything.
    let mut reads: Vec<_> = [0, 17, 18, 50, 99].map(|n| (n, view.read_at(Seq::new(n)).into_future())).into();
    for (_, read) in &mut reads {
        assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    gate.open();
    for (n, read) in reads {
        let seen = tokio::time::timeout(SOON, read).await.unwrap().unwrap();
        assert_eq!(seen, Seen { since: Some(Seq::new(n)), items: numbers(n + 1) });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_several_views_show_one_position() {
    let log = TestLog::new();
    let rig = Rig::memory(&log);
    let (a, b, c) = (rig.add("a", Probe::new()), rig.add("b", Probe::new()), rig.add("c", Probe::new()));
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            for _ in 0..2_000 {
                log.fill(1).await;
                tokio::task::yield_now().await;
            }
        }
    });
    let mut newest = None;
    while newest < Some(Seq::new(1_999)) {
        let before = *log.head().borrow();
        let (in_a, in_b, in_c) = tokio::time::timeout(SOON, (&a, &b, &c).read_all()).await.unwrap().unwrap();
        assert!(in_a == in_b && in_b == in_c, "{:?} {:?} {:?}", in_a.since, in_b.since, in_c.since);
        assert!(in_a.since >= before);
        newest = in_a.since;
    }
    writer.await.unwrap();
    let other = Rig::memory(&log).add("a", Probe::new());
    for refused in [(&a, &other).read_all().await, (&a, &a).read_all().await] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_several_views_have_the_same_entries_though_some_are_deleted_meanwhile() {
    let mut met = 0;
    for _ in 0..20 {
        let log = TestLog::with(7, 0, 1 << 20);
        log.fill(10).await;
        let gate = Gate::shut();
        let hook = gate.clone();
        let rig = Rig::memory(&log);
        let early = rig.add("early", Probe::new());
        early.read().await.unwrap();
        let late = rig.add("late", Probe::hooked(move |call| hook.hold(*call == Call::Open)));
        // Of the first ten: one view has them, and the other comes when one of them has been deleted.
        let mut both = std::pin::pin!((&early, &late).read_all());
        assert!(both.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        log.delete(&[Seq::new(3)]).await.unwrap();
        gate.open();
        let (in_early, in_late) = tokio::time::timeout(SOON, both).await.unwrap().unwrap();
        assert_eq!(in_early, in_late);
        // The other may have found them in memory still, as they were: then both stand before the deletion.
        let is_deleted = in_late.since >= Some(Seq::new(10));
        assert_eq!(in_late.items.len(), if is_deleted { 9 } else { 10 });
        met += u32::from(is_deleted);
        let views = [early.clone(), late.clone()];
        let seen = views.as_slice().read_all().await.unwrap();
        assert_eq!(seen[0], seen[1]);
        assert_eq!((seen[0].since, seen[0].items.len()), (Some(Seq::new(10)), 9));
    }
    assert!(met > 0, "one view never came behind the deletion");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_several_views_come_though_every_entry_is_deleted_at_once() {
    let log = TestLog::with(7, 0, 1 << 20);
    let rig = Rig::memory(&log);
    let (a, b) = (rig.add("a", Probe::new()), rig.add("b", Probe::new()));
    let writer = tokio::spawn({
        let (log, a) = (log.clone(), a.clone());
        async move {
            loop {
                for _ in 0..50 {
                    let seqs = log.push(&["x"]).await;
                    log.delete(&seqs).await.unwrap();
                    tokio::task::yield_now().await;
                }
                // Views take longer for it than a log in memory: one of them is waited for, the other may be behind.
                a.read().await.unwrap();
            }
        }
    });
    let mut newest = None;
    while newest < Some(Seq::new(20_000)) {
        let (in_a, in_b) = tokio::time::timeout(SOON, (&a, &b).read_all()).await.unwrap().unwrap();
        assert_eq!(in_a, in_b);
        newest = in_a.since;
    }
    writer.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_gives_up_in_time_and_later_ones_do_not_suffer() {
    let log = TestLog::new();
    log.fill(3).await;
    let gate = Gate::shut();
    let hook = gate.clone();
    let rig = Rig::memory(&log);
    // Two views that hang take all the threads there were.
    for name in ["a", "b"] {
        let hook = gate.clone();
        let hanging = rig.add(name, Probe::hooked(move |call| hook.hold(matches!(call, Call::Apply(..)))));
        let error = hanging.read().timeout(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    let view = rig.add("c", Probe::hooked(move |call| hook.hold(*call == Call::Apply(Seq::new(3), "3".into()))));
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(3));
    log.fill(1).await;
    let read = view.clone();
    let blocking = std::thread::spawn(move || read.read().timeout(Duration::from_millis(20)).blocking());
    assert_eq!(blocking.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(view.read_stale().unwrap().items, numbers(3));
    gate.open();
    assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_beyond_the_head_waits_for_it_and_holds_up_nobody() {
    let log = TestLog::new();
    let rig = Rig::memory(&log);
    let view = rig.add("all", Probe::new());
    let mut far = view.read_at(Seq::new(9)).into_future();
    assert!(far.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    // One that is dropped while it waits leaves nothing behind.
    drop(tokio::time::timeout(Duration::from_millis(1), view.read_at(Seq::new(4)).into_future()).await);
    for count in 1..10 {
        log.fill(1).await;
        assert_eq!(view.read().timeout(SOON).await.unwrap().items, numbers(count));
    }
    assert!(far.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    log.fill(5).await;
    assert_eq!(tokio::time::timeout(SOON, far).await.unwrap().unwrap().items, numbers(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_reads_that_wait_and_later_ones() {
    let log = TestLog::new();
    let rig = Rig::memory(&log);
    let view = rig.add("all", Probe::new());
    view.read().await.unwrap();
    let waiting = tokio::spawn(view.read_at(Seq::new(5)).into_future());
    let rebuilding = {
        let view = view.clone();
        tokio::spawn(async move { view.read_at(Seq::new(7)).await })
    };
    rig.host.close().await.unwrap();
    for read in [waiting.await.unwrap(), rebuilding.await.unwrap(), view.read().await] {
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(view.rebuild().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(rig.host.add("late", Probe::new(), false).err().unwrap().kind(), ErrorKind::Closed);
    assert!(matches!(view.progress().phase, Phase::Closed));
    drop(rig);
    assert_eq!(view.read().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_host_ends_reads_too() {
    let log = TestLog::new();
    let rig = Rig::memory(&log);
    let view = rig.add("all", Probe::new());
    let mut read = view.read_at(Seq::new(5)).into_future();
    assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(rig);
    assert_eq!(read.await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_build_but_reads_wait_until_the_database_is_ready() {
    let log = TestLog::new();
    log.fill(10).await;
    let rig = Rig::memory(&log);
    rig.host.set_ready(false);
    let view = rig.add("all", Probe::new());
    let mut since = view.watch();
    since.wait_for(|since| *since == Some(Seq::new(9))).await.unwrap();
    assert_eq!(view.read().timeout(Duration::from_millis(20)).await.unwrap_err().kind(), ErrorKind::TimedOut);
    let waiting = tokio::spawn(view.read().timeout(SOON).into_future());
    let all = tokio::spawn({
        let view = view.clone();
        async move { view.read_at(Seq::new(3)).timeout(SOON).await }
    });
    assert_eq!(view.read_stale().unwrap().items, numbers(10));
    rig.host.set_ready(true);
    assert_eq!(waiting.await.unwrap().unwrap().items, numbers(10));
    assert_eq!(all.await.unwrap().unwrap().items, numbers(10));
    rig.host.wait_all().await.unwrap();
    assert!(view.progress().is_live());
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_are_waited_for_together_publish_side_by_side() {
    let log = TestLog::new();
    let mut settings = HostSettings::default();
    settings.publish_every = Duration::from_secs(3_600);
    let rig = Rig::with(&log, Env::memory(), settings);
    let publishing = Arc::new((Mutex::new(0), Condvar::new()));
    for name in ["one", "other"] {
        let publishing = publishing.clone();
        rig.add(
            name,
            Probe::hooked(move |call| {
                if matches!(call, Call::Publish(Some(_))) {
                    let (count, changed) = &*publishing;
                    let mut count = count.lock().unwrap();
                    *count += 1;
                    changed.notify_all();
                    let (_count, waited) = changed.wait_timeout_while(count, SOON, |count| *count < 2).unwrap();
                    assert!(!waited.timed_out(), "one waits until the other has published");
                }
                Ok(())
            }),
        );
    }
    log.fill(10).await;
    rig.host.wait_all().await.unwrap();
}

/// A view that says it takes a hundred bytes for each entry until it publishes, and notes how many it had then.
#[derive(Default)]
struct Heavy {
    pending: usize,
    published: Arc<Mutex<Vec<usize>>>,
}

impl View for Heavy {
    type Item = String;
    type Reader = ();

    fn definition(&self) -> Definition {
        Definition::new("heavy", 1, "")
    }

    fn open(&mut self, _cx: &ViewContext<String>) -> flumedb::Result<Option<Checkpoint>> {
        Ok(None)
    }

    fn apply(&mut self, run: &Run<String>) -> flumedb::Result<()> {
        self.pending += run.len();
        Ok(())
    }

    fn publish(&mut self, _at: &Checkpoint) -> flumedb::Result<()> {
        self.published.lock().unwrap().extend(Some(self.pending).filter(|pending| *pending > 0));
        self.pending = 0;
        Ok(())
    }

    fn pending_bytes(&self) -> Option<usize> {
        Some(100 * self.pending)
    }
}

/// How many entries each publish had of a view that caught up with so many, where a thousand are as many as it may keep.
async fn publishes_of(entries: u64) -> Vec<usize> {
    let log = TestLog::new();
    log.fill(entries).await;
    let mut settings = HostSettings::default();
    settings.publish_every = Duration::from_secs(3_600);
    settings.pending_bytes = 100_000;
    let rig = Rig::with(&log, Env::memory(), settings);
    let heavy = Heavy::default();
    let published = heavy.published.clone();
    let view = rig.host.add("heavy", heavy, false).unwrap();
    let mut since = view.watch();
    since.wait_for(|since| *since == Some(Seq::new(entries - 1))).await.unwrap();
    view.read().timeout(SOON).await.unwrap();
    published.lock().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_publishes_when_it_has_much_but_not_right_before_it_has_caught_up() {
    // A piece of the log is some twenty entries.
    assert_eq!(publishes_of(900).await, [900]);
    assert_eq!(publishes_of(1_150).await, [1_150], "a quarter more, rather than twice");
    let twice = publishes_of(1_500).await;
    assert!(matches!(*twice, [1_000..1_100, 400..=500]), "{twice:?}");
    let again = publishes_of(2_200).await;
    assert!(matches!(*again, [1_000..1_100, 1_100..=1_200]), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_sees_every_entry_come_in_at_once() {
    let log = TestLog::new();
    let mut settings = HostSettings::default();
    settings.publish_every = Duration::from_secs(3_600);
    let rig = Rig::with(&log, Env::memory(), settings);
    let view = rig.add("all", Probe::new());
    let mut since = view.watch();
    for n in 0..20 {
        log.fill(1).await;
        since.wait_for(|since| *since == Some(Seq::new(n))).await.unwrap();
        assert_eq!(view.read_stale().unwrap().items, numbers(n + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_must_name_directories_and_be_there_once() {
    let log = TestLog::new();
    let rig = Rig::memory(&log);
    rig.add("by-key", Probe::new());
    for name in ["by-key", "BY-KEY", "", "a/b", "..", "a b", "\u{e9}"] {
        assert_eq!(rig.host.add(name, Probe::new(), false).err().unwrap().kind(), ErrorKind::Invalid, "{name:?}");
    }
}
