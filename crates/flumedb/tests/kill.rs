//! Guards against a process that dies and takes acknowledged entries with it, leaves half a batch, or leaves a lock that
//! nobody frees.
//!
//! A child process appends to a log on the real disk and prints each acknowledgement; it is killed (SIGKILL on Unix)
//! after 0 to 60 ms. 500 times on the same log, 5,000 with `FLUME_SOAK` set. This is the death of a process, not a
//! power cut: those are simulated, in `crash_exhaustive.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use flumedb::{
    Env, Seq, Span,
    log::{Batch, Log, LogSettings, ReadRequest, SegmentedLog},
};
use flumedb_sim::{now, soak_or};

/// Where the child works; that it is set makes this process the child.
const DIR: &str = "FLUME_KILL_DIR";
const TEST: &str = "no_acknowledged_entry_is_lost_when_the_process_is_killed";
const ACK: &str = "acknowledged to ";

/// The entry `seq` of a batch of `count` that begins at `first`: it says so itself, and its length and bytes follow.
fn payload(seq: u64, first: u64, count: u64) -> Vec<u8> {
    let mut bytes = [seq, first, count].map(u64::to_le_bytes).concat();
    let noise = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bytes.extend((0..noise % 1500).map(|at| (noise >> (at % 8)) as u8));
    bytes
}

fn field(bytes: &[u8], number: usize) -> u64 {
    u64::from_le_bytes(bytes[number * 8..][..8].try_into().unwrap())
}

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 1 << 18, ..LogSettings::default() }
}

fn next(log: &SegmentedLog) -> u64 {
    now(log.barrier()).unwrap().map_or(0, |head| head.get() + 1)
}

/// Appends for ever, and prints what was acknowledged.
async fn append_for_ever(dir: &Path) {
    let log = SegmentedLog::open(&Env::os(), dir, settings()).unwrap();
    let mut first = next(&log);
    loop {
        let count = 1 + first % 4;
        let mut batch = Batch::new();
        (first..first + count).for_each(|seq| batch.push(&payload(seq, first, count)));
        // Some do not wait for the disk: the system has them, and the death of a process takes nothing from it.
        batch.buffered = first.is_multiple_of(3);
        let seqs = log.append(batch).await.unwrap();
        println!("{ACK}{}", seqs.last().unwrap());
        first += count;
    }
}

/// What one child acknowledged last, having been killed after `patience`.
fn run_child(dir: &Path, patience: Duration) -> Option<Seq> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        // The test's own first line may stand before the first of them.
        let acks = lines.filter_map(|line| line.split(ACK).nth(1)?.parse::<Seq>().ok());
        acks.last()
    });
    // Not a wait for anything: how long it lives is what is varied.
    thread::sleep(patience);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "the child ended by itself");
    reader.join().unwrap()
}

/// Reads everything from `from` on; the number behind the last entry.
fn check(dir: &Path, from: u64) -> u64 {
    let log = SegmentedLog::open(&Env::os(), dir, settings()).unwrap();
    let end = next(&log);
    let mut span = Span { from, to: end };
    while !span.is_empty() {
        let chunk = now(log.read(ReadRequest::forwards(span))).unwrap();
        for (seq, bytes) in chunk.entries() {
            let (first, count) = (field(bytes, 1), field(bytes, 2));
            assert_eq!(bytes, payload(seq.get(), first, count), "entry {seq} has other bytes");
            assert!(first + count <= end, "half a batch");
        }
        span.from = chunk.covered.to;
    }
    end
}

#[test]
fn no_acknowledged_entry_is_lost_when_the_process_is_killed() {
    if let Some(dir) = env::var_os(DIR) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        return runtime.block_on(append_for_ever(&PathBuf::from(dir)));
    }
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("log");
    let (mut end, mut with_acks) = (0, 0);
    let cycles = soak_or(5_000, 500);
    for cycle in 0..cycles {
        let acknowledged = run_child(&dir, Duration::from_micros(cycle * 7919 % 60_000));
        let kept = check(&dir, end);
        if let Some(seq) = acknowledged {
            with_acks += 1;
            assert!(kept > seq.get(), "cycle {cycle}: {seq} was acknowledged, and only {kept} entries are there");
        }
        assert!(kept >= end, "cycle {cycle}: entries of an earlier cycle are gone");
        end = kept;
    }
    assert_eq!(check(&dir, 0), end);
    println!("{cycles} cycles, {with_acks} with acknowledgements, {end} entries");
    assert!(with_acks > cycles / 4, "the children were killed before they did anything");
}
