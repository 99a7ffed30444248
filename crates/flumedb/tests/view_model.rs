//! Guards against a view whose state, after any history of appends, batches, deletions, reopens, crashes, rebuilds and
//! changes of version, is not what building it from the log in one go would give.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod view_support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flumedb::{
    Env, Error, ErrorKind, Seq, Span,
    log::{Log, ReadRequest, SlotKind},
    view::Live,
};
use proptest::prelude::*;
use view_support::{Call, Probe, Rig, SOON, Seen, TestLog};

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<bool>),
    Delete(Vec<u8>),
    Read,
    ReadAt(u8),
    /// Closes the database and opens it again.
    Reopen {
        version: u32,
    },
    /// Opens it again as after a crash: what was not synced is gone.
    Crash,
    Rebuild,
    /// The view fails at its next call that could.
    Fail,
    /// Adds a view in memory, which must come to the same.
    Add,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => proptest::collection::vec(prop::bool::weighted(0.9), 1..20).prop_map(Op::Append),
        3 => proptest::collection::vec(any::<u8>(), 1..4).prop_map(Op::Delete),
        3 => Just(Op::Read),
        2 => any::<u8>().prop_map(Op::ReadAt),
        1 => (1u32..3).prop_map(|version| Op::Reopen { version }),
        1 => Just(Op::Crash),
        1 => Just(Op::Rebuild),
        1 => Just(Op::Fail),
        1 => Just(Op::Add),
    ]
}

/// The entries that can be read and decoded.
async fn in_log(log: &TestLog) -> BTreeMap<u64, String> {
    let mut items = BTreeMap::new();
    let mut span = Span { from: 0, to: log.head().borrow().map_or(0, |head| head.get() + 1) };
    while !span.is_empty() {
        let chunk = log.read(ReadRequest::forwards(span)).await.unwrap();
        for slot in chunk.slots.iter().filter(|slot| slot.kind == SlotKind::Entry) {
            let text = String::from_utf8(chunk.payload(slot).to_vec()).unwrap();
            if !text.starts_with("bad") {
                items.insert(slot.seq.get(), text);
            }
        }
        span.from = chunk.covered.to;
    }
    items
}

/// A read that mends the view if it was made to fail twice at one place.
async fn read(view: &Live<Probe>, at: Option<Seq>) -> Seen {
    loop {
        let read = at.map_or_else(|| view.read(), |at| view.read_at(at));
        match read.timeout(SOON).await {
            Ok(seen) => return seen,
            Err(error) => {
                assert!(error.kind() == ErrorKind::Faulted && error.to_string().contains("made to fail"), "{error}");
                view.rebuild().await.unwrap();
            }
        }
    }
}

/// Closes the database; if the view was made to fail just then, that may be told.
async fn close(rig: &Rig) {
    if let Err(error) = rig.host.close().await {
        assert!(error.to_string().contains("made to fail"), "{error}");
    }
}

async fn run(ops: Vec<Op>, keeps: bool, retracts: bool) {
    let (log, env) = (TestLog::with(7, 0, 12), Env::memory());
    log.keeps_deleted.store(keeps, Ordering::SeqCst);
    let fails = Arc::<AtomicBool>::default();
    let (mut version, mut count, mut newest) = (1, 0u64, None);
    let open = |version: u32| {
        let rig = Rig::stored(&log, &env);
        let fails = fails.clone();
        let mut probe = Probe::hooked(move |call| match call {
            Call::Sync => Ok(()),
            _ if fails.swap(false, Ordering::SeqCst) => Err(Error::new(ErrorKind::Invalid, "it was made to fail")),
            _ => Ok(()),
        });
        (probe.version, probe.retracts) = (version, retracts);
        let view = rig.add("all", probe);
        (rig, view, Vec::new())
    };
    let (mut rig, mut view, mut more) = open(version);
    for op in ops {
        match op {
            Op::Append(good) => {
                let values: Vec<_> = good
                    .iter()
                    .map(|good| {
                        count += 1;
                        format!("{}{count}", if *good { "" } else { "bad" })
                    })
                    .collect();
                log.push(&values.iter().map(String::as_str).collect::<Vec<_>>()).await;
            }
            Op::Delete(picks) => {
                let items: Vec<_> = in_log(&log).await.into_keys().collect();
                let targets = picks.iter().filter_map(|pick| items.get(*pick as usize % items.len().max(1)));
                log.delete(&targets.map(|&number| Seq::new(number)).collect::<Vec<_>>()).await.unwrap();
            }
            Op::Read => {
                let seen = read(&view, None).await;
                assert_eq!(seen.items, in_log(&log).await);
                assert_eq!(seen.since, *log.head().borrow());
                assert!(seen.since >= newest, "since never moves back");
                newest = seen.since;
            }
            Op::ReadAt(pick) => {
                if let Some(head) = *log.head().borrow() {
                    let seq = Seq::new(u64::from(pick) % (head.get() + 1));
                    assert!(read(&view, Some(seq)).await.since >= Some(seq));
                }
            }
            Op::Reopen { version: next } => {
                close(&rig).await;
                version = next;
                (rig, view, more) = open(version);
            }
            Op::Crash => {
                drop(std::mem::take(&mut more));
                drop(rig);
                (rig, view, more) = open(version);
            }
            Op::Rebuild => view.rebuild().await.unwrap(),
            Op::Fail => fails.store(true, Ordering::SeqCst),
            Op::Add => {
                more.push(rig.add(&format!("more-{}", more.len()), Probe::new()));
            }
        }
    }
    let items = in_log(&log).await;
    assert_eq!(read(&view, None).await.items, items);
    for view in &more {
        assert_eq!(read(view, None).await.items, items);
    }
    close(&rig).await;
    let (rig, view, _) = open(version);
    assert_eq!(read(&view, None).await.items, items);
    close(&rig).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_grew_is_what_is_built_in_one_go(
        ops in proptest::collection::vec(op(), 1..40),
        keeps in any::<bool>(),
        retracts in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        runtime.block_on(run(ops, keeps, retracts));
    }
}
