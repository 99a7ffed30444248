//! Files go both ways between ours and the original JavaScript libraries, as installed from `tests/node`. The failure it
//! guards against: a file that only we can read, or one of theirs that only they can.
//!
//! 2,000 random logs, 500 of each format. Needs `node`, and `npm` the first time; says so where they are missing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "the libraries work on the real disk")]

mod common;
mod originals_support;

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use fastrand::Rng;
use flumedb::{
    Env, Seq,
    env::OpenMode,
    log::{Batch, SlotKind},
};
use flumedb_sim::{Choices, Sim};
use flumedb_ssb::{Format, Framing, any, bipf, open_any};
use originals_support::{Originals, Plan, json};
use serde_json::{Value, json};

/// Logs of each format.
const LOGS: u64 = 500;

/// A format as both sides name it, for the log of this number.
struct Kind {
    ours: Format,
    theirs: Value,
    longest: usize,
    /// Whether what the original does with deletions can be compared.
    deletes: bool,
    /// Whether the format is told from any bytes.
    told: bool,
}

fn offset(number: u64) -> Kind {
    let (framing, width) = [(Framing::Bits32, 32), (Framing::Bits48, 48), (Framing::Bits53, 53)][number as usize % 3];
    let theirs = json!({"format": "offset", "width": width});
    Kind { ours: Format::Offset(framing), theirs, longest: 9000, deletes: true, told: true }
}

/// Its original pads a file in which it deletes, and cannot tell its end afterwards: `docs/compatibility.md`.
fn aligned(number: u64) -> Kind {
    let block = [64, 1024, 4096, 65_536][number as usize % 4];
    let theirs = json!({"format": "aligned", "block": block});
    Kind { ours: Format::Aligned(Some(block)), theirs, longest: block as usize - 10, deletes: false, told: false }
}

fn aaol(number: u64) -> Kind {
    let block = [64, 1024, 65_536][number as usize % 3];
    let theirs = json!({"format": "aaol", "block": block});
    Kind { ours: Format::Aaol(Some(block)), theirs, longest: block as usize - 4, deletes: true, told: false }
}

#[tokio::test]
async fn flumelog_offset() {
    both_ways("flumelog_offset", offset).await;
}

#[tokio::test]
async fn flumelog_aligned_offset() {
    both_ways("flumelog_aligned_offset", aligned).await;
}

#[tokio::test]
async fn async_append_only_log() {
    both_ways("async_append_only_log", aaol).await;
}

async fn both_ways(name: &str, kind: fn(u64) -> Kind) {
    let Some(originals) = Originals::find(name) else { return };
    let dir = tempfile::tempdir().unwrap();
    let logs: Vec<(Kind, Plan)> = (0..LOGS)
        .map(|number| {
            let kind = kind(number);
            let plan = Plan::random(&mut Rng::with_seed(number), kind.longest, kind.deletes);
            (kind, plan)
        })
        .collect();
    let path = |number: usize, whose: &str| dir.path().join(format!("{number}.{whose}"));

    // Ours first, so that the originals can be told which entries to delete.
    let mut jobs = Vec::new();
    for (number, (kind, plan)) in logs.iter().enumerate() {
        let env = Env::memory();
        let seqs = write(&env, kind.ours, plan).await;
        let file = content(&env);
        std::fs::write(path(number, "ours"), &file).unwrap();
        let batches: Vec<Vec<String>> = plan.batches.iter().map(|batch| batch.iter().map(base64).collect()).collect();
        let deleted: Vec<Seq> = plan.deleted.iter().map(|&number| seqs[number]).collect();
        let what = json!({"append": batches, "delete": deleted, "bytes": file.len()});
        jobs.push(job(kind, &path(number, "theirs"), what));
    }
    originals.run(dir.path(), &jobs);
    for (number, (kind, plan)) in logs.iter().enumerate() {
        let [ours, theirs] = ["ours", "theirs"].map(|whose| std::fs::read(path(number, whose)).unwrap());
        assert!(ours == theirs, "{name} {number}: the same appends gave another file");
        let read = read(&path(number, "theirs"), kind).await;
        assert_eq!(payloads(&read), plan.left(), "{name} {number}: ours does not read theirs");
    }

    // Each goes on where the other has ended, and reads it all.
    let mut jobs = Vec::new();
    for (number, (kind, plan)) in logs.iter().enumerate() {
        let file = path(number, "theirs");
        append(&file, kind.ours, &plan.more).await;
        let bytes = std::fs::metadata(&file).unwrap().len();
        let what = json!({"append": [[base64(&plan.more)]], "read": true, "bytes": bytes});
        jobs.push(job(kind, &path(number, "ours"), what));
    }
    let answers = originals.run(dir.path(), &jobs);
    for (number, ((kind, plan), answer)) in logs.iter().zip(answers).enumerate() {
        let [ours, theirs] = ["ours", "theirs"].map(|whose| std::fs::read(path(number, whose)).unwrap());
        assert!(ours == theirs, "{name} {number}: going on gave another file");
        let rows: Vec<(u64, String)> = serde_json::from_value(answer["rows"].clone()).unwrap();
        let read = read(&path(number, "ours"), kind).await;
        let ours: Vec<(u64, String)> = read.iter().map(|(seq, payload)| (*seq, base64(payload))).collect();
        assert_eq!(rows, ours, "{name} {number}: they do not read what we read");
        let mut left = plan.left();
        left.push(&plan.more);
        assert_eq!(payloads(&read), left, "{name} {number}");
    }
}

/// What the original makes of our logs by compaction, and of our compactions that were stopped at any call.
#[tokio::test]
async fn async_append_only_log_compactions() {
    let Some(originals) = Originals::find("async_append_only_log_compactions") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (mut jobs, mut expected) = (Vec::new(), Vec::new());
    for number in 0..100_u64 {
        let kind = aaol(0);
        let mut plan = Plan::random(&mut Rng::with_seed(number), kind.longest, true);
        // With nothing behind the last hole the original does nothing, row L12 again.
        let last = plan.batches.iter().map(Vec::len).sum::<usize>() - 1;
        plan.deleted.retain(|&deleted| deleted != last);
        let env = Env::memory();
        write(&env, kind.ours, &plan).await;
        let before = content(&env);
        any::compact(&env, "log", Some(kind.ours)).unwrap();
        let after = content(&env);
        let mut images = vec![(before.clone(), None)];
        if number < 5 {
            images.extend(stopped(&before, kind.ours));
        }
        for (log, state) in images {
            let file = dir.path().join(jobs.len().to_string());
            std::fs::write(&file, log).unwrap();
            if let Some(state) = state {
                std::fs::write(file.with_extension("compaction"), state).unwrap();
            }
            jobs.push(job(&kind, &file, json!({"compact": true})));
            expected.push((file, after.clone()));
        }
    }
    assert!(jobs.len() > 200, "{}", jobs.len());
    originals.run(dir.path(), &jobs);
    let kind = aaol(0);
    for (file, ours) in expected {
        let theirs = std::fs::read(&file).unwrap();
        assert_eq!(theirs.len(), ours.len(), "{}", file.display());
        // Row L12: deleted entries that no other entry takes the place of stay in theirs.
        std::fs::write(file.with_extension("ours"), ours).unwrap();
        let [ours, theirs] = [read(&file.with_extension("ours"), &kind).await, read(&file, &kind).await];
        assert_eq!(theirs, ours, "{}", file.display());
        assert!(!file.with_extension("compaction").exists());
    }
}

/// The log, and the state beside it, where a power cut has stopped a compaction of ours.
fn stopped(log: &[u8], format: Format) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let machine = || {
        let sim = Sim::new(1);
        let file = sim.env.storage.open("log".as_ref(), OpenMode::CreateNew).unwrap();
        file.write_all(0, log).unwrap();
        file.sync().unwrap();
        sim.env.storage.sync_dir("".as_ref()).unwrap();
        sim
    };
    let calls = {
        let sim = machine();
        let before = sim.disk.calls();
        any::compact(&sim.env, "log", Some(format)).unwrap();
        before..sim.disk.calls()
    };
    let stop = |at| {
        let sim = machine();
        sim.disk.power_off_at(Some(at));
        any::compact(&sim.env, "log", Some(format)).unwrap_err();
        let image = sim.crash(&mut Choices::seeded(at)).disk.image();
        (image.read("log".as_ref()).unwrap(), image.read("log.compaction".as_ref()))
    };
    calls.map(stop).collect()
}

fn job(kind: &Kind, file: &Path, what: Value) -> Value {
    let mut job = kind.theirs.clone();
    job["file"] = file.to_str().unwrap().into();
    job.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    job
}

/// Writes a log to the file `log` of a machine in memory, and tells the name of each entry.
async fn write(env: &Env, format: Format, plan: &Plan) -> Vec<Seq> {
    let log = any::builder().env(env.clone()).format(format).create().open("log").unwrap().log;
    let mut seqs = Vec::new();
    for payloads in &plan.batches {
        let mut batch = Batch::new();
        payloads.iter().for_each(|payload| batch.push(payload));
        seqs.extend(log.append(batch).await.unwrap());
    }
    let deleted: Vec<Seq> = plan.deleted.iter().map(|&number| seqs[number]).collect();
    log.delete(&deleted).await.unwrap();
    log.close().await.unwrap();
    seqs
}

async fn append(path: &Path, format: Format, payload: &[u8]) {
    let log = any::builder().format(format).append().open(path).unwrap().log;
    let mut batch = Batch::new();
    batch.push(payload);
    log.append(batch).await.unwrap();
    log.close().await.unwrap();
}

/// Positions and payloads of what is not deleted.
async fn read(path: &Path, kind: &Kind) -> Vec<(u64, Vec<u8>)> {
    let opened = if kind.told { open_any(path) } else { any::builder().format(kind.ours).open(path) }.unwrap();
    assert_eq!(opened.format, kind.ours);
    let slots = common::all(&*opened.log).await;
    slots
        .into_iter()
        .filter(|(_, kind, _)| *kind == SlotKind::Entry)
        .map(|(seq, _, payload)| (seq, payload.to_vec()))
        .collect()
}

fn payloads(read: &[(u64, Vec<u8>)]) -> Vec<&[u8]> {
    read.iter().map(|(_, payload)| payload.as_slice()).collect()
}

fn content(env: &Env) -> Vec<u8> {
    let file = env.storage.open("log".as_ref(), OpenMode::Read).unwrap();
    file.read(0, file.len().unwrap() as usize).unwrap().to_vec()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Values instead of logs: each side encodes the same texts, and decodes what the other has encoded.
#[test]
fn bipf_values() {
    let Some(originals) = Originals::find("bipf_values") else { return };
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<Vec<String>> = (0..LOGS)
        .map(|number| {
            let mut rng = Rng::with_seed(number);
            (0..rng.usize(1..20)).map(|_| json(&mut rng, 4)).collect()
        })
        .collect();
    let encode = |text: &String| {
        let mut bytes = Vec::new();
        bipf::from_json(text.as_bytes(), &mut bytes).unwrap();
        bytes
    };
    let jobs: Vec<Value> = texts
        .iter()
        .map(|texts| {
            let encoded: Vec<String> = texts.iter().map(|text| base64(encode(text))).collect();
            json!({"format": "bipf", "texts": texts, "encoded": encoded})
        })
        .collect();
    for ((texts, job), answer) in texts.iter().zip(&jobs).zip(originals.run(dir.path(), &jobs)) {
        assert_eq!(answer["encoded"], job["encoded"], "the same values are other bytes: {texts:?}");
        for (text, decoded) in texts.iter().zip(answer["decoded"].as_array().unwrap()) {
            let mut printed = Vec::new();
            bipf::to_json(&encode(text), &mut printed).unwrap();
            assert_eq!(String::from_utf8(printed).unwrap(), decoded.as_str().unwrap(), "{text}");
        }
    }
}
