//! Guards against reading a flumelog-offset file otherwise than it was written: every file that the JavaScript library
//! wrote or recovered, as `MANIFEST.json` lists them. Where ours differs on purpose, the comment names the row of
//! `docs/compatibility.md`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{all, bytes, content, hex, json, machine, manifest, rows, scan, sha256, unhex};
use flumedb::{
    Bytes, Env, ErrorKind, Seq, Span,
    log::{Batch, Log, ReadRequest, SlotKind},
};
use flumedb_ssb::{Framing, OffsetLog};
use serde_json::Value;

const WIDTHS: [(u64, Framing); 3] = [(32, Framing::Bits32), (48, Framing::Bits48), (53, Framing::Bits53)];

/// The files of the manifest with this ending: the name without it, the log that it is about, and that one's framing.
fn about(ending: &str) -> Vec<(String, String, Framing)> {
    let files = manifest();
    let about = files.iter().filter_map(|file| {
        let stem = file["file"].as_str().unwrap().strip_suffix(ending)?;
        let log = file["for"].as_str().map_or(file["file"].as_str().unwrap(), |log| &log["offset/".len()..]);
        let bits = files.iter().find(|file| file["file"] == log).unwrap()["offset_bits"].as_u64();
        let framing = WIDTHS.iter().find(|(width, _)| Some(*width) == bits).map_or(Framing::Basic, |found| found.1);
        Some((stem.to_owned(), log.to_owned(), framing))
    });
    let about: Vec<_> = about.collect();
    assert!(!about.is_empty(), "{ending}");
    about
}

fn open(env: &Env) -> OffsetLog {
    OffsetLog::builder().env(env.clone()).open("log.offset").unwrap()
}

fn open_as(env: &Env, framing: Framing) -> OffsetLog {
    OffsetLog::builder().env(env.clone()).framing(framing).open("log.offset").unwrap()
}

fn opt_seq(value: &Value) -> Option<Seq> {
    value.as_u64().map(Seq::new)
}

/// Compares a log with the rows that tell of it.
async fn expect_rows(log: &OffsetLog, name: &str, rows: &[Value]) {
    let read = all(log).await;
    assert_eq!(read.len(), rows.len(), "{name}");
    for (row, (seq, kind, payload)) in rows.iter().zip(&read) {
        assert_eq!(row["seq"].as_u64(), Some(*seq), "{name} {row}");
        // Row O6: a payload of zeros is deleted, as the streams of the original have it.
        let deleted = row["deleted"] == true || row["streamed"] == false;
        assert_eq!(*kind == SlotKind::Deleted, deleted, "{name} {row}");
        let got = log.get_now(Seq::new(*seq)).unwrap();
        if deleted {
            assert_eq!(got.unwrap_err().kind(), ErrorKind::Deleted, "{name} {row}");
            continue;
        }
        assert_eq!(got.unwrap(), payload, "{name} {row}");
        if let Some(len) = row["len"].as_u64() {
            assert_eq!(payload.len() as u64, len, "{name} {row}");
        }
        for key in ["sha256", "sha256_before"] {
            if let Some(sum) = row[key].as_str() {
                assert_eq!(sha256(payload), sum, "{name} {row}");
            }
        }
        if let Some(text) = row["hex"].as_str() {
            assert_eq!(hex(payload), text, "{name} {row}");
        }
        for value in [&row["value"], &row["get"]["value"]] {
            if !value.is_null() {
                assert_eq!(&serde_json::from_slice::<Value>(payload).unwrap(), value, "{name} {row}");
            }
        }
    }
    for (row, next) in rows.iter().zip(rows.iter().skip(1)) {
        assert_eq!(row["next"], next["seq"], "{name}");
    }
    let last = rows.last().map(|row| Seq::new(row["seq"].as_u64().unwrap()));
    assert_eq!(log.barrier().await.unwrap(), last, "{name}");
    let mut reversed = scan(log, Span::ALL, true, 100).await;
    reversed.reverse();
    assert_eq!(reversed, read, "{name}");
}

#[tokio::test]
async fn every_log_reads_as_its_rows_say_and_its_framing_is_told_from_its_bytes() {
    for (stem, name, framing) in about(".expected.jsonl") {
        let env = machine(&bytes(&name));
        let log = open(&env);
        assert_eq!(log.framing(), Some(framing), "{name}");
        expect_rows(&log, &name, &rows(&format!("{stem}.expected.jsonl"))).await;
        let report = OffsetLog::check(&env, "log.offset", &None).unwrap();
        assert!(report.is_ok(), "{name}: {report:?}");
        assert_eq!(report.format.as_deref(), Some(framing.name()), "{name}");
        assert_eq!(content(&env, "log.offset"), bytes(&name), "reading changed {name}");
    }
}

#[tokio::test]
async fn every_file_of_the_manifest_is_there_and_used_by_a_test_here() {
    let files = manifest();
    assert!(files.len() >= 71, "{}", files.len());
    for file in &files {
        let name = file["file"].as_str().unwrap();
        assert_eq!(sha256(&bytes(name)), file["sha256"].as_str().unwrap(), "{name}");
        let kinds = [".expected.jsonl", ".streams.jsonl", ".gets.jsonl", ".meta.json", ".cases.jsonl"];
        let used = match name.strip_suffix(".log") {
            None => kinds.iter().any(|kind| name.ends_with(kind)),
            Some(_) if file["bytes"] == 0 || file["recovered"].is_object() || file["appended_seq"].is_u64() => true,
            Some(stem) => {
                let told = files.iter().any(|other| other["for"] == format!("offset/{name}").as_str());
                let before = stem.strip_suffix(".recovered").map(|stem| format!("{stem}.log"));
                let recovered = before.is_some_and(|before| files.iter().any(|file| file["file"] == before.as_str()));
                told || recovered || name.starts_with("zero-length-record")
            }
        };
        assert!(used, "{name} has no test");
    }
}

#[tokio::test]
async fn what_the_original_said_of_its_log_holds() {
    for (stem, log, framing) in about(".meta.json") {
        let meta = json(&format!("{stem}.meta.json"));
        if meta["bad_del"].is_array() {
            // Of a log that was deleted from; below.
            continue;
        }
        let env = machine(&bytes(&log));
        let log = open(&env);
        assert_eq!(log.barrier().await.unwrap(), opt_seq(&meta["since"]));
        assert_eq!(log.stat().unwrap().bytes, meta["file_bytes"].as_u64().unwrap());
        // Appending the same batches writes the same file, and each is told the name of each of its entries (row O1:
        // the original tells all of them the last one).
        let read = all(&log).await;
        let copy = Env::memory();
        let target = OffsetLog::builder().env(copy.clone()).framing(framing).create().open("log.offset").unwrap();
        let mut at = 0;
        for row in meta["batches"].as_array().unwrap() {
            let part = &read[at..at + row["n"].as_u64().unwrap() as usize];
            at += part.len();
            // Row O6: what reads as deleted cannot be appended.
            if part.iter().any(|(_, kind, _)| *kind == SlotKind::Deleted) {
                break;
            }
            let mut batch = Batch::new();
            part.iter().for_each(|(_, _, payload)| batch.push(payload));
            let seqs = target.append(batch).await.unwrap();
            assert!(seqs.iter().map(|seq| seq.get()).eq(part.iter().map(|(seq, _, _)| *seq)));
            assert_eq!(seqs.last().copied(), opt_seq(&row["cb_returned"]));
        }
        target.close().await.unwrap();
        let written = content(&copy, "log.offset");
        assert_eq!(written, content(&env, "log.offset")[..written.len()], "{stem}");
        assert!(stem.starts_with("raw") || written.len() as u64 == meta["file_bytes"].as_u64().unwrap());
    }
}

#[tokio::test]
async fn bounds_are_filters_in_both_directions() {
    for (stem, log, _) in about(".streams.jsonl") {
        let log = open(&machine(&bytes(&log)));
        let starts: Vec<u64> = all(&log).await.into_iter().map(|(seq, ..)| seq).collect();
        let streams = rows(&format!("{stem}.streams.jsonl"));
        assert!(!streams.is_empty());
        for row in streams {
            let opts = &row["opts"];
            let bound = |names: &[&str]| names.iter().find_map(|name| opts[*name].as_i64());
            let from = bound(&["gte", "min"]).or(bound(&["gt"]).map(|gt| gt + 1)).unwrap_or(0).max(0) as u64;
            let to = bound(&["lt"]).or(bound(&["lte"]).map(|lte| lte + 1)).map_or(u64::MAX, |to| to.max(0) as u64);
            let reverse = opts["reverse"] == true;
            // Row O4: a limit below one is none in the original.
            let limit = opts["limit"].as_i64().filter(|&limit| limit > 0).map_or(usize::MAX, |limit| limit as usize);
            for max_bytes in [1, 300, ReadRequest::SCAN_BYTES] {
                let read = scan(&log, Span { from, to }, reverse, max_bytes).await;
                let mut seqs: Vec<u64> = read.iter().map(|(seq, ..)| *seq).collect();
                seqs.truncate(limit);
                // Row O2: with an upper `lte` that is no record the original gives the record after it, too.
                let over = opts["lte"].as_u64().filter(|lte| !starts.contains(lte) && !reverse && seqs.len() < limit);
                if let Some(lte) = over {
                    seqs.extend(starts.iter().find(|&&start| start > lte));
                }
                assert_eq!(row["count"].as_u64(), Some(seqs.len() as u64), "{row}");
                if opts["seqs"] == false {
                    continue;
                }
                match row["seqs"].as_array() {
                    Some(listed) => assert_eq!(Value::from(seqs), Value::from(listed.clone()), "{row}"),
                    None => {
                        let joined = seqs.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
                        let sum = row["seqs"]["sha256_of_comma_joined"].as_str().unwrap();
                        assert_eq!(sha256(joined.as_bytes()), sum, "{row}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_number_that_is_no_record_is_not_found() {
    for (stem, log, _) in about(".gets.jsonl") {
        let log = open(&machine(&bytes(&log)));
        for row in rows(&format!("{stem}.gets.jsonl")) {
            // Row O3: the original throws, hangs, or reads garbage where there is no record. Nothing is below 0.
            let Some(seq) = row["get"].as_u64() else { continue };
            let got = log.get_now(Seq::new(seq)).unwrap();
            if row["is_record_start"] == true {
                assert_eq!(serde_json::from_slice::<Value>(&got.unwrap()).unwrap(), row["value"], "{row}");
            } else {
                assert_eq!(got.unwrap_err().kind(), ErrorKind::NotFound, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn deleting_writes_what_the_original_writes() {
    let mut appended = 0;
    for (stem, log, framing) in about(".meta.json") {
        let (after, meta) = (bytes(&log), json(&format!("{stem}.meta.json")));
        if !meta["bad_del"].is_array() {
            continue;
        }
        let rows = rows(&format!("{stem}.expected.jsonl"));
        // The original file is not there, so what was deleted is filled in with something else.
        let mut before = after.clone();
        for row in rows.iter().filter(|row| row["deleted"] == true) {
            let start = row["seq"].as_u64().unwrap() as usize + 4;
            before[start..start + row["len"].as_u64().unwrap() as usize].fill(b'x');
        }
        let env = machine(&before);
        let log = OffsetLog::builder().env(env.clone()).framing(framing).append().open("log.offset").unwrap();
        let targets: Vec<Seq> =
            rows.iter().filter(|row| row["deleted"] == true).filter_map(|row| opt_seq(&row["seq"])).collect();
        let proof = log.proof(log.barrier().await.unwrap().unwrap()).unwrap();
        log.delete(&targets).await.unwrap();
        log.delete(&targets[..1]).await.unwrap();
        assert_eq!(content(&env, "log.offset"), after);
        assert_eq!(log.stat().unwrap().deleted, targets.len() as u64);
        assert_eq!(log.stat().unwrap().entries, (rows.len() - targets.len()) as u64);
        for target in &targets {
            assert_eq!(log.get_now(*target).unwrap().unwrap_err().kind(), ErrorKind::Deleted);
        }
        // Row O5: a bad deletion changes nothing, and says so once.
        for bad in meta["bad_del"].as_array().unwrap() {
            let error = log.delete(&[targets[0], opt_seq(&bad["del"]).unwrap()]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        assert_eq!(content(&env, "log.offset"), after);
        log.close().await.unwrap();
        // A stored view must notice that what it holds was deleted.
        let log = OffsetLog::builder().env(env.clone()).append().open("log.offset").unwrap();
        let head = log.barrier().await.unwrap().unwrap();
        assert_eq!(Some(head), opt_seq(&meta["since_after_reopen"]));
        assert_ne!(log.proof(head).unwrap(), proof);
        assert_eq!(log.stat().unwrap().deleted, targets.len() as u64);
        // Row O7: the original lists deleted records when asked for their names alone; a log tells of every number.
        let listed: Vec<u64> = all(&log).await.into_iter().map(|(seq, ..)| seq).collect();
        assert_eq!(Value::from(listed), meta["stream_values_false_seqs"]);

        let mut batch = Batch::new();
        batch.push(br#"{"after":"delete"}"#);
        let seqs = log.append(batch).await.unwrap();
        let name = format!("{}.log", stem.replacen("deleted-", "deleted-append-", 1));
        let told = manifest().into_iter().find(|file| file["file"] == name.as_str()).unwrap();
        assert_eq!(seqs.first().copied(), opt_seq(&told["appended_seq"]));
        assert_eq!(content(&env, "log.offset"), bytes(&name));
        appended += 1;
    }
    assert_eq!(manifest().iter().filter(|file| file["appended_seq"].is_u64()).count(), appended);
}

#[tokio::test]
async fn an_empty_file_is_an_empty_log() {
    for (_, name, framing) in about(".log").into_iter().filter(|(_, name, _)| bytes(name).is_empty()) {
        let env = machine(&bytes(&name));
        let log = open_as(&env, framing);
        assert_eq!(log.barrier().await.unwrap(), None);
        assert_eq!(log.first(), None);
        assert!(all(&log).await.is_empty());
        assert!(OffsetLog::check(&env, "log.offset", &None).unwrap().is_ok());
    }
}

#[tokio::test]
async fn each_of_many_concurrent_appends_is_told_its_own_name() {
    let concurrent = about(".expected.jsonl").into_iter().filter(|(stem, ..)| stem.starts_with("concurrent"));
    for (stem, name, framing) in concurrent {
        let rows = rows(&format!("{stem}.expected.jsonl"));
        let env = Env::memory();
        let log = OffsetLog::builder().env(env.clone()).framing(framing).create().open("log.offset").unwrap();
        let original = all(&open(&machine(&bytes(&name)))).await;
        let appends: Vec<_> = original
            .iter()
            .map(|(_, _, payload): &(u64, SlotKind, Bytes)| {
                let mut batch = Batch::new();
                batch.push(payload);
                log.append(batch)
            })
            .collect();
        for (seqs, row) in futures_util::future::join_all(appends).await.into_iter().zip(&rows) {
            // Row O1: `append_callback_returned` is the last of the group for nearly all of them.
            assert_eq!(seqs.unwrap(), [opt_seq(&row["seq"]).unwrap()]);
        }
        assert_eq!(content(&env, "log.offset"), bytes(&name));
    }
}

#[tokio::test]
async fn an_entry_of_no_bytes_is_an_entry() {
    // Row O8: the original writes it and can never read past it.
    for (_, name, _) in about(".log").into_iter().filter(|(stem, ..)| stem.starts_with("zero-length-record")) {
        let log = open(&machine(&bytes(&name)));
        let read = all(&log).await;
        assert_eq!(
            read.iter().map(|(_, kind, payload)| (*kind, payload.len())).collect::<Vec<_>>()[1],
            (SlotKind::Entry, 0)
        );
        assert_eq!(read.len(), 3);
        assert_eq!(log.get_now(Seq::new(read[1].0)).unwrap().unwrap(), "");
    }
}

/// Starts and ends of the records of an undamaged file, told by a reader that knows nothing but the layout.
fn records(bytes: &[u8], framing: Framing) -> Vec<(usize, usize)> {
    let overhead = 8 + match framing {
        Framing::Basic => 0,
        Framing::Bits32 => 4,
        Framing::Bits48 => 6,
        Framing::Bits53 => 8,
    };
    let (mut records, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let end = at + overhead + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        records.push((at, end));
        at = end;
    }
    records
}

/// Opens `damaged`, which begins with the first `whole` records of `base`, and sees that they are all that is there, that
/// the rest is reported, and that opening to append keeps what it cuts.
async fn expect_prefix(damaged: &[u8], framing: Framing, whole: &[(usize, usize)], what: &str) {
    let env = machine(damaged);
    let log = open_as(&env, framing);
    let read = all(&log).await;
    let starts: Vec<u64> = whole.iter().map(|&(start, _)| start as u64).collect();
    assert_eq!(read.iter().map(|(seq, ..)| *seq).collect::<Vec<_>>(), starts, "{what}");
    for ((start, end), (_, _, payload)) in whole.iter().zip(&read) {
        assert_eq!(payload, &damaged[start + 4..start + 4 + (end - start - damaged_overhead(framing))], "{what}");
    }
    drop(log);
    let good = whole.last().map_or(0, |&(_, end)| end);
    let report = OffsetLog::check(&env, "log.offset", &Some(framing)).unwrap();
    assert_eq!(report.entries + report.deleted, whole.len() as u64, "{what}");
    assert_eq!(report.is_ok(), good == damaged.len(), "{what}: {report:?}");
    let first_bad =
        report.damage.first().map(|damage| damage.offset).or(report.torn_tail.as_ref().map(|tail| tail.offset));
    assert_eq!(first_bad, (!report.is_ok()).then_some(good as u64), "{what}: {report:?}");
    assert_eq!(content(&env, "log.offset"), damaged, "reading changed the file: {what}");

    let opened = OffsetLog::builder().env(env.clone()).framing(framing).append().open("log.offset");
    if report.damage.is_empty() {
        let recovery = opened.unwrap().recovery();
        assert_eq!(content(&env, "log.offset"), damaged[..good], "{what}");
        if report.torn_tail.is_some() {
            assert_eq!(recovery.unwrap().dropped_bytes, (damaged.len() - good) as u64, "{what}");
            assert_eq!(content(&env, "log.offset.torn"), damaged[good..], "{what}");
        }
    } else {
        assert_eq!(opened.err().unwrap().kind(), ErrorKind::Corrupt, "{what}");
        assert_eq!(content(&env, "log.offset"), damaged, "{what}");
    }
}

fn damaged_overhead(framing: Framing) -> usize {
    records(&[0; 64], framing).first().unwrap().1
}

#[tokio::test]
async fn a_file_cut_at_any_byte_keeps_its_whole_records() {
    for (stem, log, framing) in about(".cases.jsonl") {
        let base = bytes(&log);
        let records = records(&base, framing);
        let cases = rows(&format!("{stem}.cases.jsonl"));
        if cases[0]["truncate_to"].is_null() {
            // Of garbage; below.
            continue;
        }
        assert_eq!(cases.len(), base.len() + 1);
        for case in cases {
            let len = case["truncate_to"].as_u64().unwrap() as usize;
            let whole: Vec<_> = records.iter().copied().filter(|&(_, end)| end <= len).collect();
            // Row O9: the original throws at a file whose first record is torn; where it opens one, it agrees.
            if case["outcome"] == "opened" {
                assert_eq!(case["records"].as_u64(), Some(whole.len() as u64), "{case}");
            } else {
                assert!(whole.is_empty(), "{case}");
            }
            expect_prefix(&base[..len], framing, &whole, &case.to_string()).await;
        }
    }
    for file in manifest().iter().filter(|file| file["recovered"].is_object()) {
        let name = file["file"].as_str().unwrap();
        let env = machine(&bytes(name));
        drop(OffsetLog::builder().env(env.clone()).append().open("log.offset").unwrap());
        let recovered = content(&env, "log.offset");
        assert_eq!(recovered, bytes(&name.replace(".log", ".recovered.log")), "{name}");
        assert_eq!(file["recovered"]["sha256_after"], sha256(&recovered).as_str(), "{name}");
    }
}

#[tokio::test]
async fn garbage_is_never_taken_for_an_entry() {
    for (stem, log, framing) in about(".cases.jsonl") {
        let base = bytes(&log);
        let base_records = records(&base, framing);
        let cases = rows(&format!("{stem}.cases.jsonl"));
        if !cases[0]["truncate_to"].is_null() {
            continue;
        }
        for case in cases {
            let (mut damaged, mut whole) = (base.clone(), base_records.clone());
            if let Some(tail) = case["append_hex"].as_str() {
                damaged.extend(unhex(tail));
                // Row O10: these the original takes for records, or half takes; only the first two and the empty one are.
                if matches!(case["name"].as_str().unwrap(), "valid-extra-record" | "two-torn" | "zero-length-record") {
                    let size = u32::from_be_bytes(damaged[base.len()..base.len() + 4].try_into().unwrap()) as usize;
                    whole.push((base.len(), base.len() + size + damaged_overhead(framing)));
                }
            } else if let Some(at) = case["replace_at"].as_u64().map(|at| at as usize) {
                damaged[at] = case["byte"].as_u64().unwrap() as u8;
                // Row O11: a changed payload cannot be seen, there is no checksum; changed framing ends the chain there.
                let payload = |&(start, end): &(usize, usize)| start + 4..end + 4 - damaged_overhead(framing);
                if damaged != base && !base_records.iter().any(|record| payload(record).contains(&at)) {
                    whole.retain(|&(_, end)| end <= at);
                }
            } else {
                // Row O9 again: what holds no record at all.
                damaged = match case["zeros"].as_u64() {
                    Some(zeros) => vec![0; zeros as usize],
                    None => unhex(case["whole_hex"].as_str().unwrap()),
                };
                whole.clear();
                let env = machine(&damaged);
                assert_eq!(open(&env).framing(), None, "{case}");
                let report = OffsetLog::check(&env, "log.offset", &None).unwrap();
                assert!(!report.is_ok() && report.format.is_none(), "{case}");
            }
            expect_prefix(&damaged, framing, &whole, &case.to_string()).await;
        }
    }
}
