//! Guards against a fold that copies its whole state to show one entry, that differs from folding the log by hand, or
//! that does not come back after a reopen.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod view_support;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Bytes, Env, ErrorKind, Seq,
    env::OpenMode,
    log::Log,
    view::{Entries, Host, HostSettings, Live, Phase},
    views::Reduce,
};
use serde::{Deserialize, Serialize};
use view_support::{SOON, TestLog};

/// A large state that counts how often it is copied.
#[derive(Default, Serialize, Deserialize)]
struct Counted {
    counts: HashMap<u64, u64>,
    #[serde(skip)]
    copies: Arc<AtomicUsize>,
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.copies.fetch_add(1, Ordering::SeqCst);
        Self { counts: self.counts.clone(), copies: self.copies.clone() }
    }
}

fn host(log: &Arc<TestLog>, env: &Env, dir: Option<&str>) -> Host<u64> {
    let mut settings = HostSettings::default();
    settings.dir = dir.map(PathBuf::from);
    settings.sync_every = Duration::ZERO;
    let entries = Entries::new(log.clone(), |bytes: &Bytes| Ok(std::str::from_utf8(bytes).unwrap().parse().unwrap()));
    Host::new(env.clone(), entries, "u64/1".into(), settings)
}

type Sum = Reduce<u64, u64, fn(&mut u64, &u64)>;

fn sum(version: u32) -> Sum {
    Reduce::new(version, 0, |sum, n| *sum += n)
}

fn total(count: u64) -> u64 {
    (0..count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn showing_an_entry_does_not_copy_the_state() {
    let log = TestLog::with(7, 0, 1 << 20);
    let host = host(&log, &Env::memory(), None);
    let copies = Arc::<AtomicUsize>::default();
    let initial = Counted { counts: (0..1_000_000).map(|n| (n, 0)).collect(), copies: copies.clone() };
    let view = Reduce::new(1, initial, |state: &mut Counted, n: &u64| *state.counts.entry(*n).or_default() += 1);
    let view: Live<Reduce<u64, Counted, _>> = host.add("counts", view, false).unwrap();
    log.fill(1).await;
    view.read().await.unwrap();
    let before = copies.load(Ordering::SeqCst);
    for n in 1..500 {
        log.fill(1).await;
        let seen = view.read().timeout(SOON).await.unwrap();
        assert_eq!((seen.since(), seen.counts.get(&n)), (Some(Seq::new(n)), Some(&1)));
    }
    // One for the second of the two states; a reader may still be on its way out when the next entry comes.
    let copied = copies.load(Ordering::SeqCst) - before;
    assert!(copied <= 10, "{copied} copies for 500 entries");

    // A reader that is held costs one copy, not one an entry.
    let (held, before) = (view.read().await.unwrap(), copies.load(Ordering::SeqCst));
    for _ in 0..200 {
        log.fill(1).await;
        view.read().timeout(SOON).await.unwrap();
    }
    let copied = copies.load(Ordering::SeqCst) - before;
    assert!((1..=10).contains(&copied), "{copied} copies beside a reader that is held");
    assert_eq!((held.counts.get(&499), held.counts.get(&500)), (Some(&1), Some(&0)));
    assert!((0..700).all(|n| view.read_stale().unwrap().counts.get(&n) == Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_states_take_in_everything_once() {
    let log = TestLog::with(7, 0, 40);
    let host = host(&log, &Env::memory(), None);
    let view = host.add("sum", sum(1), false).unwrap();
    let mut held = Vec::new();
    for (step, count) in [1, 5, 1, 70, 2, 1, 1, 300, 1].into_iter().cycle().take(90).enumerate() {
        log.fill(count).await;
        let seen = view.read().timeout(SOON).await.unwrap();
        assert_eq!(*seen, total(seen.since().unwrap().get() + 1));
        if step % 4 == 0 {
            held.push(seen);
        }
    }
    assert!(held.iter().all(|seen| **seen == total(seen.since().unwrap().get() + 1)), "what is held never changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_where_it_was_after_a_reopen() {
    let (log, env) = (TestLog::new(), Env::memory());
    for round in 1..5 {
        let host = host(&log, &env, Some("/views"));
        let view = host.add("sum", sum(1), false).unwrap();
        view.opened().await.unwrap();
        assert_eq!(*view.read_stale().unwrap(), total((round - 1) * 100), "what was stored is shown at once");
        log.fill(100).await;
        assert_eq!(*view.read().await.unwrap(), total(round * 100));
        host.close().await.unwrap();
    }
    let host = host(&log, &env, Some("/views"));
    let next = host.add("sum", Reduce::new(2, 0, |sum: &mut u64, n: &u64| *sum += n * 2), false).unwrap();
    assert_eq!(*next.read().await.unwrap(), total(400) * 2, "another version is another view");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_built_anew() {
    let (log, env) = (TestLog::new(), Env::memory());
    log.fill(50).await;
    let first = host(&log, &env, Some("/views"));
    first.add("sum", sum(1), false).unwrap().read().await.unwrap();
    first.close().await.unwrap();
    let dir = env.storage.list(Path::new("/views")).unwrap().remove(0);
    let path = Path::new("/views").join(dir).join("state");
    let whole = env.storage.open(&path, OpenMode::Read).unwrap();
    let whole = whole.read(0, whole.len().unwrap() as usize).unwrap();
    for at in 0..whole.len() {
        let file = env.storage.open(&path, OpenMode::Write).unwrap();
        file.set_len(whole.len() as u64).unwrap();
        file.write_all(0, &whole).unwrap();
        match at % 2 {
            0 => file.write_all(at as u64, &[whole[at] ^ 4]).unwrap(),
            _ => file.set_len(at as u64).unwrap(),
        }
        let host = host(&log, &env, Some("/views"));
        let view = host.add("sum", sum(1), false).unwrap();
        assert_eq!(*view.read().timeout(SOON).await.unwrap(), total(50), "byte {at}");
        host.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_builds_it_anew_and_a_panic_in_the_fold_stops_it() {
    let log = TestLog::new();
    let host = host(&log, &Env::memory(), None);
    let view = host.add("sum", sum(1), false).unwrap();
    let fold = |sum: &mut u64, n: &u64| *sum += 100 / (30 - n);
    let frail = host.add("frail", Reduce::new(1, 0, fold), false).unwrap();
    log.fill(20).await;
    assert_eq!(*view.read().await.unwrap(), total(20));
    log.delete(&[Seq::new(3), Seq::new(19)]).await.unwrap();
    assert_eq!(*view.read().timeout(SOON).await.unwrap(), total(20) - 22);
    frail.read().timeout(SOON).await.unwrap();
    log.push(&["30"]).await;
    assert_eq!(frail.read().timeout(SOON).await.unwrap_err().kind(), ErrorKind::Faulted);
    assert!(matches!(frail.progress().phase, Phase::Faulted { at: Some(at), .. } if at == Seq::new(21)));
    assert_eq!(*view.read().timeout(SOON).await.unwrap(), total(20) - 22 + 30);
}
