//! Guards against a call to the system that fails and is not heeded, on the real kernel: an append is acknowledged that a
//! new start does not find, a failed sync is forgotten, a full disk leaves a log that has to be repaired, somebody waits
//! for ever.
//!
//! `strace` makes one call of a child fail: each kind of call, each way it fails, at several places in what the child does
//! (at every place with `FLUME_SOAK` set). `io_faults.rs` does the same on the simulated disk; this holds it to what Linux
//! and the standard library do. Where there is no strace it says so.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends, on the real disk"
)]

mod process_support;

use std::path::Path;

use flumedb_sim::{on_all_cores, soak_or};
use process_support::{Child, Model, Steps, by_id, is_there, job, open_small, skipped, steps, try_run};

const TEST: &str = "a_failed_call_is_told_and_loses_nothing";

/// A way in which a call fails.
struct Failure {
    call: &'static str,
    error: &'static str,
    /// Only once, or from then on.
    lasting: bool,
    /// Of a child with a view.
    views: bool,
    /// What the child may say of it, besides what comes after a poisoned log.
    told_as: &'static [&'static str],
}

/// A call that may fail and nobody is told, because nothing is lost by it.
struct Passed {
    call: &'static str,
    error: &'static str,
    /// Not if it goes on failing.
    once: bool,
    views: bool,
    /// What its line in the trace has, with the path of the file.
    of: &'static [&'static str],
}

const PASSED: &[Passed] = &[
    // The head page is news for readers elsewhere, and a full disk is no reason to fail an append that has room.
    Passed { call: "pwrite64", error: "ENOSPC", once: false, views: false, of: &["/head>"] },
    // A commit of nothing vouches for those before it, which are on the disk without it.
    Passed { call: "pwrite64", error: "ENOSPC", once: false, views: false, of: &[".seg>", "..., 64, "] },
    // A step ahead may be too much for a disk that has room for the commit, which is asked for next.
    Passed { call: "fallocate", error: "ENOSPC", once: true, views: false, of: &[".seg>"] },
    // A view opens its store again and goes on, and what it says of itself beside it is news.
    Passed { call: "rename", error: "EIO", once: true, views: true, of: &["/views/"] },
    // However long it lasts, what a view says of itself beside its store is news.
    Passed { call: "rename", error: "EIO", once: false, views: true, of: &[".status.new\""] },
    // A view opens its store again and goes on.
    Passed { call: "fsync", error: "EIO", once: true, views: true, of: &["/views/"] },
];

impl Failure {
    /// Whether nobody need be told of this failed call.
    fn may_pass(&self, line: &str) -> bool {
        PASSED.iter().any(|passed| {
            (passed.call, passed.error, passed.views) == (self.call, self.error, self.views)
                && !(passed.once && self.lasting)
                && passed.of.iter().all(|part| line.contains(part))
        })
    }
}

/// The calls that were made to fail. Where another thread's call came between, the trace has the beginning and the end of
/// one in two lines.
fn failed(trace: &str) -> Vec<String> {
    let thread = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let mut begun = std::collections::HashMap::new();
    let mut failed = Vec::new();
    for line in trace.lines() {
        if line.contains("<unfinished ...>") {
            begun.insert(thread(line), line);
        } else if line.contains("INJECTED") {
            let begin = begun.get(&thread(line)).filter(|_| line.contains("resumed>")).copied().unwrap_or_default();
            failed.push(format!("{begin}{line}"));
        }
    }
    failed
}

const fn once(call: &'static str, error: &'static str, told_as: &'static [&'static str]) -> Failure {
    Failure { call, error, lasting: false, views: false, told_as }
}

const fn from_then_on(call: &'static str, error: &'static str, told_as: &'static [&'static str]) -> Failure {
    Failure { lasting: true, ..once(call, error, told_as) }
}

/// The syscall of a directory's sync is `fsync`; files are synced with `fdatasync`.
const FAILURES: &[Failure] = &[
    once("pwrite64", "EIO", &["Poisoned", "Io"]),
    once("pwrite64", "ENOSPC", &["StorageFull"]),
    from_then_on("pwrite64", "ENOSPC", &["StorageFull", "Io"]),
    once("fallocate", "ENOSPC", &["StorageFull"]),
    from_then_on("fallocate", "ENOSPC", &["StorageFull"]),
    once("fdatasync", "EIO", &["Poisoned", "Io"]),
    once("fdatasync", "ENOSPC", &["Poisoned", "Io", "StorageFull"]),
    from_then_on("fdatasync", "EIO", &["Poisoned", "Io"]),
    once("ftruncate", "EIO", &["Poisoned", "Io"]),
    // Of a segment that is written anew without what was deleted.
    once("rename", "EIO", &["Poisoned", "Io"]),
    once("rename", "ENOSPC", &["StorageFull"]),
    once("fsync", "EIO", &["Poisoned", "Io"]),
    from_then_on("fsync", "EIO", &["Poisoned", "Io"]),
    Failure { views: true, ..once("rename", "EIO", &["TimedOut", "Io", "Faulted"]) },
    Failure { views: true, ..from_then_on("rename", "EIO", &["TimedOut", "Io", "Faulted"]) },
    Failure { views: true, ..once("fsync", "EIO", &["Poisoned", "Io", "TimedOut", "Faulted"]) },
];

fn child(dir: &Path, views: bool, strace: &[&str]) -> Child {
    let kind = if views { "views" } else { "log" };
    Child::start_under(strace, TEST, &[dir.to_str().unwrap(), kind])
}

/// Runs the child to its end, with a trace.
fn traced(dir: &Path, views: bool, call: &str, inject: Option<&str>) -> (Vec<String>, String) {
    let trace = dir.with_extension("trace");
    let filter = format!("trace={call}");
    let mut words = vec!["strace", "-f", "-y", "--seccomp-bpf", "-qq", "-o", trace.to_str().unwrap(), "-e", &filter];
    words.extend(inject.into_iter().flat_map(|inject| ["-e", inject]));
    let child = child(dir, views, &words);
    child.hear("end").unwrap_or_else(|| panic!("{inject:?}: the child does not come to its end: {:?}", child.said()));
    (child.end(), std::fs::read_to_string(trace).unwrap())
}

/// How many of such calls one thread makes at most: strace counts them by thread.
fn calls(scratch: &Path, call: &str, views: bool) -> u64 {
    let (said, trace) = traced(&scratch.join(format!("count-{call}-{views}")), views, call, None);
    assert!(!said.iter().any(|line| line.starts_with("failed")), "it fails by itself: {said:?}");
    let mut threads = std::collections::HashMap::<&str, u64>::new();
    for line in trace.lines().filter(|line| line.contains(&format!("{call}("))) {
        *threads.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    threads.into_values().max().unwrap_or(0)
}

/// Whatever was told, a new start without strace finds what was acknowledged, and goes on.
fn check(dir: &Path, said: &[String], case: &str) {
    let mut model = Model::default();
    model.hear(said);
    for round in 0..2 {
        let db = open_small(dir).unwrap_or_else(|error| panic!("{case}: it does not open again: {error}"));
        let live = model.check(&db);
        let by_id = db.view("by-id", by_id()).blocking().unwrap();
        let reader = by_id.read().blocking().unwrap();
        for (seq, item) in live {
            assert!(
                reader.candidates(&item.id()).any(|found| found.unwrap().get() == seq),
                "{case}: a view lacks {seq}"
            );
        }
        let item = process_support::Item { life: 1, task: 0, batch: round, at: 0, of: 1 };
        let seq = db.append(&item.text()).blocking().unwrap();
        model.see(seq.get(), item);
        db.close().blocking().unwrap();
    }
}

fn run(scratch: &Path, failure: &Failure, number: u64) -> bool {
    let Failure { call, error, lasting, views, told_as } = *failure;
    let from_then_on = if lasting { "+" } else { "" };
    let case = format!("{call} {number}{from_then_on} {error}");
    let dir = scratch.join(case.replace([' ', '+'], "-") + if views { "-views" } else { "" });
    let inject = format!("inject={call}:error={error}:when={number}{from_then_on}");
    let (said, trace) = traced(&dir, views, call, Some(&inject));
    let told: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix("failed ")).collect();
    let mut poisoned = false;
    for line in &told {
        let (_, kind) = line.split_once(' ').unwrap();
        poisoned |= kind == "Poisoned";
        assert!(told_as.contains(&kind) || poisoned, "{case}: {kind} is told of it: {told:?}");
    }
    let injected = trace.contains("INJECTED");
    let unheeded: Vec<String> = failed(&trace).into_iter().filter(|line| !failure.may_pass(line)).collect();
    assert!(unheeded.is_empty() || !told.is_empty(), "{case}: nobody is told of {unheeded:?}");
    check(&dir, &said, &case);
    std::fs::remove_dir_all(&dir).unwrap();
    injected
}

#[test]
fn a_failed_call_is_told_and_loses_nothing() {
    if let Some(job) = job() {
        steps(Path::new(&job[0]), Steps { views: job[1] == "views", buffered: false });
    }
    if !is_there("strace") {
        return skipped(TEST, "strace is not on this machine");
    }
    if let Err(error) = try_run(&["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"]) {
        return skipped(TEST, &format!("strace does not work here ({error})"));
    }
    let scratch = tempfile::tempdir().unwrap();
    let scratch = scratch.path();
    let mut cases = Vec::new();
    for failure in FAILURES {
        let calls = calls(scratch, failure.call, failure.views);
        assert!(calls > 0, "{} is never called", failure.call);
        let places = soak_or(calls, 3).min(calls);
        // Spread over all of them, the first and the last included.
        let numbers = (0..places).map(|place| 1 + place * (calls - 1) / (places - 1).max(1));
        cases.extend(numbers.map(|number| (failure, number)));
    }
    let injected = std::sync::atomic::AtomicUsize::new(0);
    on_all_cores(cases.len(), |case| {
        let (failure, number) = cases[case];
        injected.fetch_add(usize::from(run(scratch, failure, number)), std::sync::atomic::Ordering::Relaxed);
    });
    let injected = injected.into_inner();
    println!("{} cases, of which {injected} came to the call that was to fail", cases.len());
    assert!(injected * 4 > cases.len() * 3, "too few calls were made to fail");
}
