//! Guards against a backup that is right on the simulated disk only: here it is made on a real one, again and again, while a
//! process writes to the log and is killed now and then; files are shared, and nothing that is done to one copy shows in another.

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
};

use flumedb::{
    Env, Seq,
    log::{Batch, Log, LogSettings, SegmentedLog, Sharing},
};
use flumedb_sim::{Contents, now, soak_or};

/// Where the child works; that it is set makes this process the child.
const DIR: &str = "FLUME_BACKUP_DIR";
const TEST: &str = "beside_a_process_that_writes_and_is_killed";
const ACK: &str = "acknowledged to ";

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 1 << 17, ..LogSettings::default() }
}

async fn append_for_ever(dir: &Path) {
    let log = SegmentedLog::open(&Env::os(), dir, settings()).unwrap();
    let mut number = now(log.barrier()).unwrap().map_or(0, |head| head.get() + 1);
    loop {
        let mut batch = Batch::new();
        for _ in 0..3 {
            batch.push(&vec![number as u8; 50 + (number * 37 % 2000) as usize]);
            number += 1;
        }
        let seqs = log.append(batch).await.unwrap();
        if number.is_multiple_of(60) {
            log.delete(&seqs[..1]).await.unwrap();
            number += 1;
        }
        println!("{ACK}{}", seqs[2]);
    }
}

fn contents(dir: &Path) -> Contents {
    Contents::of(&SegmentedLog::read_only(&Env::os(), dir).unwrap()).unwrap()
}

#[test]
fn beside_a_process_that_writes_and_is_killed() {
    if let Some(dir) = env::var_os(DIR) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        return runtime.block_on(append_for_ever(&PathBuf::from(dir)));
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let env = Env::os();
    for cycle in 0..soak_or(200, 2) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(DIR, at("log"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let sharing = if cycle % 2 == 0 { Sharing::Share } else { Sharing::Copy };
        for _ in 0..5 {
            let mut acks = lines.by_ref().map_while(Result::ok);
            let ack = acks.by_ref().filter_map(|line| line.split(ACK).nth(1)?.parse::<Seq>().ok()).nth(20);
            let done = SegmentedLog::backup_at(&env, &at("log"), &at("backup"), sharing, |_, _| ()).unwrap();
            assert!(done.head >= ack, "{:?} of {ack:?}", done.head);
            let verified = SegmentedLog::verify(&env, &at("backup")).unwrap();
            assert!(verified.report.is_ok() && verified.extra.is_empty(), "{verified:?}");
            assert_eq!(verified.report.head, done.head);
            let log = SegmentedLog::read_only(&env, &at("log")).unwrap();
            assert_eq!(log.proof(done.head.unwrap()).unwrap(), done.proof, "it is no prefix of the log");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        SegmentedLog::backup_at(&env, &at("log"), &at("backup"), sharing, |_, _| ()).unwrap();
        assert_eq!(contents(&at("backup")), contents(&at("log")));
    }

    let before = contents(&at("log"));
    let full = SegmentedLog::backup_at(&env, &at("log"), &at("copied"), Sharing::Copy, |_, _| ()).unwrap();
    assert_eq!(full.copied, full.files);
    SegmentedLog::restore(&env, &at("backup"), &at("restored"), |_, _| ()).unwrap();
    let log = SegmentedLog::open(&env, &at("restored"), settings()).unwrap();
    assert_eq!(log.recovery(), None);
    assert_eq!(Contents::of(&log).unwrap(), before);
    let mut batch = Batch::new();
    batch.push(b"only here");
    assert_eq!(now_or_later(log.append(batch)), [Seq::new(before.slots.len() as u64)]);
    now_or_later(log.close());
    assert_eq!(contents(&at("log")), before);
    for backup in ["backup", "copied"] {
        assert!(SegmentedLog::verify(&env, &at(backup)).unwrap().report.is_ok(), "{backup}");
        assert_eq!(contents(&at(backup)), before);
    }
}

fn now_or_later<T>(future: impl Future<Output = flumedb::Result<T>>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future).unwrap()
}
