//! Guards against reading or writing an async-append-only-log file otherwise than the JavaScript library does: every file
//! that it wrote, as `MANIFEST.json` lists them. Where ours differs on purpose, the comment names the row of
//! `docs/compatibility.md`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{Read, all, content, entries, put, scan, sha256, vector, vector_rows};
use flumedb::{
    Env, ErrorKind, Seq, Span,
    log::{Batch, Log, ReadRequest, SlotKind},
};
use flumedb_ssb::AaolLog;
use serde_json::Value;

const LOG: &str = "log.bipf";

/// The logs of the vectors: their entries in the manifest.
fn logs() -> Vec<Value> {
    let mut logs = entries("aaol/");
    logs.extend(entries("jitdb/log.bipf"));
    logs.extend(entries("ssb/first3blocks.log.bipf"));
    logs.retain(|file| file["blockSize"].is_u64());
    logs
}

/// The files of the vectors that end like this, with the log that each is about.
fn about(ending: &str) -> Vec<(String, String)> {
    let named = entries("aaol/").into_iter().filter_map(|file| {
        let name = file["file"].as_str().unwrap();
        let log = format!("{}.log", name.strip_suffix(ending)?);
        Some((name.to_owned(), file["for"].as_str().map_or(log, str::to_owned)))
    });
    let named: Vec<_> = named.collect();
    assert!(!named.is_empty(), "{ending}");
    named
}

fn machine(content: &[u8]) -> Env {
    let env = Env::memory();
    put(&env, LOG, content);
    env
}

fn open(env: &Env) -> AaolLog {
    AaolLog::builder().env(env.clone()).open(LOG).unwrap()
}

fn named(env: &Env, size: u64) -> flumedb_ssb::FileLogBuilder<flumedb_ssb::file::One<flumedb_ssb::Aaol>> {
    AaolLog::builder().env(env.clone()).block_size(size as u32)
}

fn seqs(value: &Value) -> Vec<Seq> {
    value.as_array().unwrap().iter().map(|seq| Seq::new(seq.as_u64().unwrap())).collect()
}

fn batch<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> Batch {
    let mut batch = Batch::new();
    payloads.into_iter().for_each(|payload| batch.push(payload));
    batch
}

/// Where the records of `content` lie, by the plainest reading of the format: start, and length of the payload.
fn records(content: &[u8], block: usize) -> Vec<(usize, usize)> {
    let mut records = Vec::new();
    for start in (0..content.len()).step_by(block) {
        let mut at = start;
        while at + 2 <= start + block {
            let size = usize::from(u16::from_le_bytes([content[at], content[at + 1]]));
            if size == 0 {
                break;
            }
            records.push((at, size));
            at += 2 + size;
        }
    }
    records
}

#[tokio::test]
async fn every_log_reads_as_the_manifest_says_and_its_block_size_is_told_from_its_bytes() {
    let logs = logs();
    assert!(logs.len() >= 36, "{}", logs.len());
    for file in logs {
        let name = file["file"].as_str().unwrap();
        let bytes = vector(name);
        let block = file["blockSize"].as_u64().unwrap();
        let env = machine(&bytes);
        let log = open(&env);
        assert_eq!(log.block_size().map(u64::from), Some(block), "{name}");
        let read = all(&log).await;
        let expected = records(&bytes, block as usize);
        assert_eq!(read.len(), expected.len(), "{name}");
        for ((start, size), (seq, kind, payload)) in expected.iter().zip(&read) {
            let written = &bytes[start + 2..start + 2 + size];
            assert_eq!(*start as u64, *seq, "{name}");
            match kind {
                SlotKind::Deleted => assert!(written.iter().all(|&byte| byte == 0), "{name} {seq}"),
                _ => assert_eq!(payload, written, "{name} {seq}"),
            }
        }
        let mut reversed = scan(&log, Span::ALL, true, 100).await;
        reversed.reverse();
        assert_eq!(reversed, read, "{name}");
        let deleted = read.iter().filter(|(_, kind, _)| *kind == SlotKind::Deleted).count() as u64;
        let report = AaolLog::check(&env, LOG, &None).unwrap();
        assert!(report.is_ok(), "{name}: {report:?}");
        assert_eq!((report.entries + report.deleted, report.deleted), (read.len() as u64, deleted), "{name}");
        for (told, ours) in [("records", read.len() as u64), ("deleted", deleted)] {
            assert!(file[told].as_u64().is_none_or(|told| told == ours), "{name} {told}");
        }
        let since = read.last().map(|(seq, ..)| *seq);
        assert!(file["since"].as_u64().is_none() || file["since"].as_u64() == since, "{name}");
        let stats = log.stats();
        // Row L5: the total of the original leaves the last record out.
        let last = expected.last().map_or(0, |(start, size)| start + 2 + size) as u64;
        assert_eq!(stats.total_bytes, last, "{name}");
        if let Some(bytes) = file["stats"]["deletedBytes"].as_u64() {
            assert_eq!(stats.deleted_bytes, bytes, "{name}");
        }
        assert_eq!(content(&env, LOG), bytes, "reading changed {name}");
    }
}

#[tokio::test]
async fn every_row_about_a_record_holds() {
    let mut rows_read = 0;
    let mut expected = entries("aaol/");
    expected.extend(entries("jitdb/log.expected.jsonl"));
    expected.retain(|file| file["file"].as_str().unwrap().ends_with(".expected.jsonl"));
    for file in expected {
        let log = open(&machine(&vector(file["for"].as_str().unwrap())));
        let read = all(&log).await;
        let rows = vector_rows(file["file"].as_str().unwrap());
        assert_eq!(rows.len(), read.len());
        for (row, (seq, kind, payload)) in rows.iter().zip(&read) {
            assert_eq!(row["offset"].as_u64(), Some(*seq), "{row}");
            if let Some(deleted) = row["deleted"].as_bool() {
                assert_eq!(*kind == SlotKind::Deleted, deleted, "{row}");
            }
            if let Some(sum) = row["sha256"].as_str() {
                assert_eq!(sha256(payload), sum, "{row}");
                assert!(row["len"].as_u64().is_none_or(|len| len == payload.len() as u64), "{row}");
            }
            rows_read += 1;
        }
    }
    assert!(rows_read >= 909, "{rows_read}");
    // The copy in the repository goes without the messages.
    let Some(file) = entries("ssb/first3blocks.log.bipf").pop() else { return };
    let messages = all(&open(&machine(&vector(file["file"].as_str().unwrap())))).await;
    assert_eq!(file["records"].as_u64(), Some(messages.len() as u64));
    for (row, (seq, _, payload)) in vector_rows("ssb/first240.expected.jsonl").iter().zip(&messages) {
        assert_eq!(row["boff"].as_u64(), Some(*seq));
        assert_eq!(row["blen"].as_u64(), Some(payload.len() as u64));
        assert_eq!(row["bipf16"].as_str().unwrap(), &sha256(payload)[..16]);
    }
}

#[tokio::test]
async fn every_file_of_the_manifest_is_there_and_used_by_a_test() {
    for file in entries("aaol/") {
        let name = file["file"].as_str().unwrap();
        assert_eq!(sha256(&vector(name)), file["sha256"].as_str().unwrap(), "{name}");
        let kinds = [".expected.jsonl", ".streams.jsonl", ".gets.jsonl", ".log.stats", "damage.cases.jsonl"];
        let used = kinds.into_iter().chain(["fit.cases.jsonl", "empty.meta.json"]).any(|kind| name.ends_with(kind))
            || name.ends_with(".log") && file["blockSize"].is_u64()
            || ["aaol/holes/", "aaol/interrupted/"].iter().any(|folder| name.starts_with(folder));
        assert!(used, "{name} has no test");
    }
    assert_eq!(serde_json::from_slice::<Value>(&vector("aaol/empty.meta.json")).unwrap()["since"], -1);
}

#[tokio::test]
async fn bounds_are_filters() {
    for (name, log) in about(".streams.jsonl") {
        let bytes = vector(&log);
        let log = open(&machine(&bytes));
        let starts: Vec<u64> = all(&log).await.into_iter().map(|(seq, ..)| seq).collect();
        for row in vector_rows(&name) {
            let opts = &row["opts"];
            let from = opts["gte"].as_i64().or(opts["gt"].as_i64().map(|gt| gt + 1)).unwrap_or(0).max(0) as u64;
            let to = opts["lt"].as_i64().or(opts["lte"].as_i64().map(|lte| lte + 1)).map_or(u64::MAX, |to| to as u64);
            let mut limit = opts["limit"].as_u64().map_or(usize::MAX, |limit| limit as usize);
            for max_bytes in [1, 700, ReadRequest::SCAN_BYTES] {
                let read = scan(&log, Span { from, to }, false, max_bytes).await;
                let mut found: Vec<u64> = read.iter().map(|(seq, ..)| *seq).collect();
                // Row L2: the original gives one more if the last one it may give is the last of its block.
                let of_block = |seq: &u64| starts.iter().rfind(|start| *start / 65_536 == seq / 65_536) == Some(seq);
                if limit < found.len() && of_block(&found[limit - 1]) {
                    limit += 1;
                }
                found.truncate(limit);
                assert_eq!(row["count"].as_u64(), Some(found.len() as u64), "{row}");
                let offsets = &row["offsets"];
                if let Some(listed) = offsets.as_array() {
                    assert_eq!(Value::from(found), Value::from(listed.clone()), "{row}");
                } else if let Some(sum) = offsets["sha256_of_comma_joined"].as_str() {
                    let joined = found.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
                    assert_eq!(sha256(joined.as_bytes()), sum, "{row}");
                }
                if let Some(sizes) = row["sizes"].as_array() {
                    let ours: Vec<usize> = read.iter().map(|(_, _, payload)| payload.len() + 2).collect();
                    assert_eq!(Value::from(ours), Value::from(sizes.clone()), "{row}");
                }
            }
        }
        assert_eq!(bytes.len() % 65_536, 0);
    }
}

#[tokio::test]
async fn a_number_that_is_no_record_is_not_found() {
    for (name, log) in about(".gets.jsonl") {
        let log = open(&machine(&vector(&log)));
        for row in vector_rows(&name) {
            let Some(seq) = row["get"].as_u64() else { continue };
            let got = log.get_now(Seq::new(seq)).unwrap();
            match (row["sha256"].as_str(), row["error"]["code"].as_str()) {
                (Some(sum), _) => assert_eq!(sha256(&got.unwrap()), sum, "{row}"),
                (None, Some("ERR_AAOL_DELETED_RECORD")) => {
                    assert_eq!(got.unwrap_err().kind(), ErrorKind::Deleted, "{row}")
                }
                _ => assert_eq!(got.unwrap_err().kind(), ErrorKind::NotFound, "{row}"),
            }
        }
        // Row L3: the original gives garbage where no record starts.
        assert_eq!(log.get_now(Seq::new(3)).unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn appending_the_same_entries_writes_the_same_file() {
    for file in logs() {
        let (name, block) = (file["file"].as_str().unwrap(), file["blockSize"].as_u64().unwrap());
        // A compaction leaves blocks before the first one that it changes less full than appends do.
        if name.ends_with(".after.log") || name.contains("interrupted/0") {
            continue;
        }
        let original = vector(name);
        let read: Read = all(&open(&machine(&original))).await;
        // What was deleted is filled in with something else, and then deleted.
        let sizes = records(&original, block as usize);
        let payloads: Vec<Vec<u8>> = read
            .iter()
            .zip(&sizes)
            .map(|((_, kind, payload), (_, size))| match kind {
                SlotKind::Deleted => vec![b'x'; *size],
                _ => payload.to_vec(),
            })
            .collect();
        for step in [1, 7, payloads.len().max(1)] {
            let env = Env::memory();
            let log = named(&env, block).create().open(LOG).unwrap();
            let mut told = Vec::new();
            for part in payloads.chunks(step) {
                told.extend(log.append(batch(part.iter().map(Vec::as_slice))).await.unwrap());
            }
            assert!(told.iter().map(|seq| seq.get()).eq(read.iter().map(|(seq, ..)| *seq)), "{name}");
            let deleted = read.iter().filter(|(_, kind, _)| *kind == SlotKind::Deleted);
            let deleted: Vec<Seq> = deleted.map(|(seq, ..)| Seq::new(*seq)).collect();
            log.delete(&deleted).await.unwrap();
            log.close().await.unwrap();
            assert_eq!(content(&env, LOG), original, "{name} {step}");
        }
    }
}

#[tokio::test]
async fn records_land_where_the_original_puts_them() {
    for case in about("fit.cases.jsonl").iter().flat_map(|(name, _)| vector_rows(name)) {
        let block = case["blockSize"].as_u64().unwrap();
        let env = Env::memory();
        let log = named(&env, block).create().open(LOG).unwrap();
        let payload = |len: u64| vec![b'x'; len as usize];
        let answer = match case["appendTransaction"].as_array() {
            Some(lens) => {
                let before = case["after_record_of"].as_u64().unwrap();
                if before > 0 {
                    log.append(batch([payload(before).as_slice()])).await.unwrap();
                }
                let payloads: Vec<Vec<u8>> = lens.iter().map(|len| payload(len.as_u64().unwrap())).collect();
                log.append_whole(batch(payloads.iter().map(Vec::as_slice))).await
            }
            None => log.append(batch([payload(case["len"].as_u64().unwrap()).as_slice(), b"last"])).await,
        };
        if case["throws"].is_object() {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Invalid, "{case}");
            assert!(case["size"].is_null());
            continue;
        }
        assert_eq!(answer.unwrap(), seqs(&case["offsets"]), "{case}");
        if let Some(size) = case["size"].as_u64() {
            assert_eq!(content(&env, LOG).len() as u64, size, "{case}");
        }
    }
}

#[tokio::test]
async fn deleting_writes_what_the_original_writes_and_counts_each_entry_once() {
    let (before, after) = (vector("aaol/base-64k.log"), vector("aaol/deleted-64k.log"));
    let env = machine(&before);
    let log = AaolLog::builder().env(env.clone()).append().open(LOG).unwrap();
    let proof = log.proof(log.barrier().await.unwrap().unwrap()).unwrap();
    let rows = vector_rows("aaol/deleted-64k.expected.jsonl");
    let targets: Vec<Seq> =
        rows.iter().filter(|row| row["deleted"] == true).map(|row| Seq::new(row["offset"].as_u64().unwrap())).collect();
    let error = log.delete(&[targets[0], Seq::new(3)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(content(&env, LOG), before, "a deletion that is refused changes nothing");
    log.delete(&targets[..5]).await.unwrap();
    log.delete(&targets).await.unwrap();
    // Row L5: the original counts an entry again that is deleted again.
    log.delete(&targets[..5]).await.unwrap();
    assert_eq!(content(&env, LOG), after);
    assert_eq!(content(&env, "log.bipf.stats"), vector("aaol/deleted-64k.log.stats"));
    assert_eq!(log.stats().deleted_bytes, 43_946);
    assert_eq!(log.stat().unwrap().deleted, targets.len() as u64);
    log.close().await.unwrap();
    // A stored view must notice that what it holds was deleted.
    let log = AaolLog::builder().env(env.clone()).append().open(LOG).unwrap();
    assert_ne!(log.proof(log.barrier().await.unwrap().unwrap()).unwrap(), proof);
    // A count that got lost is right again with the next deletion.
    env.storage.remove("log.bipf.stats".as_ref()).unwrap();
    let left = all(&log).await.into_iter().find(|(_, kind, _)| *kind == SlotKind::Entry).unwrap();
    log.delete(&[Seq::new(left.0)]).await.unwrap();
    let deleted = 43_946 + 2 + left.2.len();
    assert_eq!(content(&env, "log.bipf.stats"), format!("{{\"deletedBytes\":{deleted}}}").as_bytes());
}

#[tokio::test]
async fn what_is_deleted_is_counted_as_the_original_counts_it() {
    for (name, log) in about(".log.stats") {
        let stats: Value = serde_json::from_slice(&vector(&name)).unwrap();
        let counted = open(&machine(&vector(&log))).stats().deleted_bytes;
        assert_eq!(stats["deletedBytes"].as_u64(), Some(counted), "{name}");
    }
}

#[tokio::test]
async fn damage_is_reported_and_loses_no_whole_record() {
    let cases = about("damage.cases.jsonl");
    let cases = cases.iter().flat_map(|(name, log)| vector_rows(name).into_iter().map(move |case| (case, log)));
    for (case, log) in cases {
        let base = vector(log);
        let whole = records(&base, 1024);
        let mut damaged = base.clone();
        // Up to where the records are as they were, and the blocks of which something was changed.
        let (mut sound, mut block) = (base.len(), usize::MAX);
        if let Some(len) = case["truncate_to"].as_u64() {
            damaged.truncate(len as usize);
            sound = len as usize;
        } else if let Some(zeros) = case["append_zeros"].as_u64() {
            damaged.resize(base.len() + zeros as usize, 0);
        } else if let Some(bytes) = case["append_byte3"].as_u64() {
            damaged.resize(base.len() + bytes as usize, 3);
        } else if let Some(write) = case["write_u16le"].as_array() {
            let at = write[0].as_u64().unwrap() as usize;
            damaged[at..at + 2].copy_from_slice(&(write[1].as_u64().unwrap() as u16).to_le_bytes());
            (sound, block) = (at, at / 1024);
        } else if let Some(fill) = case["fill_ff"].as_array() {
            // Rows L8: there is no checksum, so payloads that were changed cannot be noticed.
            let at = fill[0].as_u64().unwrap() as usize;
            damaged[at..at + fill[1].as_u64().unwrap() as usize].fill(0xff);
        } else {
            panic!("a case of a new kind: {case}");
        }
        let readable: Vec<u64> = whole
            .iter()
            .filter(|&&(start, size)| start + 2 + size <= damaged.len() && (start < sound || start / 1024 != block))
            .map(|&(start, _)| start as u64)
            .collect();
        let env = machine(&damaged);
        let log = named(&env, 1024).open(LOG).unwrap();
        let read: Vec<u64> = all(&log).await.into_iter().map(|(seq, ..)| seq).collect();
        assert_eq!(read, readable, "{case}");
        let report = AaolLog::check(&env, LOG, &Some(1024)).unwrap();
        // Row L7: a length that is no multiple of the block size is noticed, and so are blocks of zeros.
        let cut_at_a_block = case["truncate_to"].as_u64().is_some_and(|len| len.is_multiple_of(1024));
        let unseen = cut_at_a_block || case["fill_ff"].is_array();
        assert_eq!(report.is_ok(), unseen, "{case} {report:?}");
        drop(log);
        assert_eq!(content(&env, LOG), damaged, "looking changed the file: {case}");

        // Rows L6 and L7: the original forgets whole records, or appends what nobody will ever see.
        let log = named(&env, 1024).append().open(LOG).unwrap();
        let recovery = log.recovery();
        assert_eq!(recovery.is_some(), !report.is_ok(), "{case}");
        if let Some(kept) = recovery.and_then(|recovery| recovery.kept_in) {
            // Row L9.
            assert!(!content(&env, kept.to_str().unwrap()).is_empty());
        }
        let added = log.append(batch([&b"after"[..]])).await.unwrap();
        let mut expected = readable;
        expected.push(added[0].get());
        log.close().await.unwrap();
        let log = named(&env, 1024).open(LOG).unwrap();
        let read: Vec<u64> = all(&log).await.into_iter().map(|(seq, ..)| seq).collect();
        assert_eq!(read, expected, "{case}");
        assert!(AaolLog::check(&env, LOG, &None).unwrap().is_ok(), "{case}");
        assert_eq!(content(&env, LOG).len() % 1024, 0, "{case}");
    }
}
