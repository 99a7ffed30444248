//! Guards against reading a flumelog-aligned-offset file otherwise than it was written: every file that the JavaScript
//! library wrote, as `MANIFEST.json` lists them. Where ours differs on purpose, the comment names the row of
//! `docs/compatibility.md`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{Read, all, content, entries, machine, scan, sha256, unhex, vector, vector_rows};
use flumedb::{
    Bytes, Env, ErrorKind, Seq, Span,
    log::{Batch, Log, ReadRequest, SlotKind},
};
use flumedb_ssb::{Aligned, AlignedLog};
use serde_json::Value;

fn bytes(name: &str) -> Vec<u8> {
    vector(&format!("aligned/{name}"))
}

fn rows(name: &str) -> Vec<Value> {
    vector_rows(&format!("aligned/{name}"))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

/// The entries of the manifest, by the names of the files in their folder.
fn files() -> Vec<(String, Value)> {
    let name = |file: &Value| file["file"].as_str().unwrap()["aligned/".len()..].to_owned();
    entries("aligned/").into_iter().map(|file| (name(&file), file)).collect()
}

fn open(content: &[u8]) -> AlignedLog {
    AlignedLog::builder().env(machine(content)).open("log.offset").unwrap()
}

fn writer(env: &Env, block: u32) -> AlignedLog {
    AlignedLog::builder().env(env.clone()).block_size(block).create().open("log.offset").unwrap()
}

/// The block size in the name of a vector.
fn block(name: &str) -> u32 {
    let digits = name.rsplit("-b").next().unwrap();
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// The names of the vectors that end like this.
fn named(ending: &str) -> Vec<(String, Value)> {
    let found: Vec<_> = files().into_iter().filter(|(name, _)| name.ends_with(ending)).collect();
    assert!(!found.is_empty(), "no vector ends with {ending}");
    found
}

fn batch(payloads: &[Bytes]) -> Batch {
    let mut batch = Batch::new();
    payloads.iter().for_each(|payload| batch.push(payload));
    batch
}

fn seqs(read: &Read) -> Vec<u64> {
    read.iter().map(|(seq, ..)| *seq).collect()
}

#[tokio::test]
async fn every_log_reads_as_its_rows_say_and_its_blocks_are_told_from_its_bytes() {
    for (expected, _) in named(".expected.jsonl") {
        let name = expected.replace(".expected.jsonl", ".log");
        let (bytes, rows) = (bytes(&name), rows(&expected));
        let env = machine(&bytes);
        let log = AlignedLog::builder().env(env.clone()).open("log.offset").unwrap();
        let full = bytes.len() > block(&name) as usize;
        assert_eq!(log.block_size(), Some(if full { block(&name) } else { Aligned::DEFAULT }), "{name}");
        let read = all(&log).await;
        assert_eq!(read.len(), rows.len(), "{name}");
        for (row, (seq, kind, payload)) in rows.iter().zip(&read) {
            assert_eq!(row["seq"].as_u64(), Some(*seq), "{name} {row}");
            let got = log.get_now(Seq::new(*seq)).unwrap();
            assert_eq!(*kind == SlotKind::Deleted, row["deleted"] == true, "{name} {row}");
            if *kind == SlotKind::Deleted {
                assert_eq!(got.unwrap_err().kind(), ErrorKind::Deleted, "{name} {row}");
                continue;
            }
            assert_eq!(got.unwrap(), payload, "{name} {row}");
            assert_eq!(row["len"].as_u64(), Some(payload.len() as u64), "{name} {row}");
            if let Some(sum) = row["sha256"].as_str() {
                assert_eq!(sha256(payload), sum, "{name} {row}");
            }
            for value in [&row["value"], &row["get"]["value"]] {
                assert!(value.is_null() || serde_json::from_slice::<Value>(payload).unwrap() == *value, "{name} {row}");
            }
        }
        let mut reversed = scan(&log, Span::ALL, true, 100).await;
        reversed.reverse();
        assert_eq!(reversed, read, "{name}");
        let report = AlignedLog::check(&env, "log.offset", &None).unwrap();
        assert!(report.is_ok(), "{name}: {report:?}");
        assert_eq!(content(&env, "log.offset"), bytes, "reading changed {name}");
    }
}

#[tokio::test]
async fn every_file_of_the_manifest_is_there_and_used_by_a_test_here() {
    let kinds = ["json-b", "raw-b", "deleted-b", "deleted-tail-b", "torn-base-b", "torn-b", "fit.", "empty."];
    assert!(files().len() >= 35, "{}", files().len());
    for (name, file) in files() {
        assert_eq!(sha256(&bytes(&name)), file["sha256"].as_str().unwrap(), "{name}");
        assert!(kinds.iter().any(|kind| name.starts_with(kind)), "{name} has no test");
    }
    // A file that is not there is an empty log, and reading makes none.
    assert_eq!(json("empty.meta.json")["open_result"]["since"], -1);
    let missing = AlignedLog::builder().env(Env::memory()).open("log.offset");
    assert_eq!(missing.err().unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_same_appends_write_the_same_file_and_each_is_told_its_own_name() {
    for (name, _) in named(".meta.json").into_iter().filter(|(name, _)| !name.starts_with("empty")) {
        let (meta, stem) = (json(&name), name.strip_suffix(".meta.json").unwrap());
        let whole = bytes(&format!("{stem}.log"));
        let original = open(&whole);
        assert_eq!(original.barrier().await.unwrap().map(Seq::get), meta["since_reported_on_reopen"].as_u64());
        let read = all(&original).await;
        let env = Env::memory();
        let log = writer(&env, block(stem));
        let mut at = 0;
        for row in meta["batches"].as_array().unwrap() {
            let part = &read[at..at + row["n"].as_u64().unwrap() as usize];
            at += part.len();
            let payloads: Vec<Bytes> = part.iter().map(|(_, _, payload)| payload.clone()).collect();
            let told = log.append(batch(&payloads)).await.unwrap();
            assert!(told.iter().map(|seq| seq.get()).eq(part.iter().map(|(seq, ..)| *seq)), "{name}");
            // Row A1: where the block ended, the original is told its end, not the record behind it.
            let (last, said) = (told.last().unwrap().get(), row["append_cb"].as_u64().unwrap());
            assert!(said == last || said < last && last % u64::from(block(stem)) == 0, "{name} {row}: {last}");
        }
        assert_eq!(at, read.len());
        log.close().await.unwrap();
        assert_eq!(content(&env, "log.offset"), whole, "{name}");

        // And one more after opening it again, as the original wrote it.
        let appended = format!("{stem}.appended.log");
        let Some((_, told)) = named(".appended.log").into_iter().find(|(name, _)| *name == appended) else { continue };
        let appended = bytes(&appended);
        let added = all(&open(&appended)).await.pop().unwrap();
        let log = writer(&env, block(stem));
        assert_eq!(log.append(batch(&[added.2])).await.unwrap()[0].get(), added.0);
        log.close().await.unwrap();
        assert_eq!(content(&env, "log.offset"), appended, "{name}");
        assert_eq!(told["appended_seq"].as_u64(), Some(added.0));
    }
}

#[tokio::test]
async fn bounds_are_filters_in_both_directions() {
    for (name, _) in named(".streams.jsonl") {
        let log = open(&bytes(&name.replace(".streams.jsonl", ".log")));
        for row in rows(&name) {
            let opts = &row["opts"];
            let from = opts["gte"].as_u64().or(opts["gt"].as_i64().map(|gt| (gt + 1) as u64)).unwrap_or(0);
            let to = opts["lt"].as_u64().or(opts["lte"].as_u64().map(|lte| lte + 1)).unwrap_or(u64::MAX);
            let reverse = opts["reverse"] == true;
            for max_bytes in [1, 300, ReadRequest::SCAN_BYTES] {
                // Row A2: a limit is none in the original.
                let mut read = seqs(&scan(&log, Span { from, to }, reverse, max_bytes).await);
                // Row A3: backwards from the first record of a block the original leaves that one out.
                let skipped =
                    opts["lte"].as_u64().filter(|lte| reverse && *lte > 0 && lte % u64::from(block(&name)) == 0);
                read.retain(|seq| Some(*seq) != skipped);
                assert_eq!(row["count"].as_u64(), Some(read.len() as u64), "{name} {row}");
                match row["seqs"].as_array() {
                    Some(listed) => assert_eq!(Value::from(read), Value::from(listed.clone()), "{name} {row}"),
                    None => {
                        let joined = read.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
                        let sum = row["seqs"]["sha256_of_comma_joined"].as_str().unwrap();
                        assert_eq!(sha256(joined.as_bytes()), sum, "{name} {row}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_number_that_is_no_record_is_not_found() {
    for (name, _) in named(".gets.jsonl") {
        let log = open(&bytes(&name.replace(".gets.jsonl", ".log")));
        for row in rows(&name) {
            let payload = match (row["get"].as_u64(), row["getPrevious"].as_u64()) {
                (Some(seq), _) => log.get_now(Seq::new(seq)).unwrap().unwrap(),
                (None, before) => {
                    let read = scan(&log, Span { from: 0, to: before.unwrap() }, true, 1).await;
                    assert_eq!(Some(read[0].0), row["expect_seq"].as_u64(), "{name} {row}");
                    read[0].2.clone()
                }
            };
            match row["sha256"].as_str() {
                Some(sum) => assert_eq!(sha256(&payload), sum, "{name} {row}"),
                None => assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), row["value"], "{name} {row}"),
            }
        }
        // Row A4: the original follows whatever length it finds there.
        let starts = seqs(&all(&log).await);
        for seq in (0..3000).filter(|seq| !starts.contains(seq)) {
            assert_eq!(log.get_now(Seq::new(seq)).unwrap().unwrap_err().kind(), ErrorKind::NotFound, "{name} {seq}");
        }
    }
}

#[tokio::test]
async fn a_block_ends_where_the_original_ends_it() {
    for row in named("fit.cases.jsonl").iter().flat_map(|(name, _)| rows(name)) {
        let (size, len) = (row["block"].as_u64().unwrap() as u32, row["len"].as_u64().unwrap());
        let env = Env::memory();
        let log = writer(&env, size);
        let first = log.append(batch(&[vec![7; len as usize].into()])).await;
        if len + 10 > u64::from(size) {
            // Row A5: the original ends an empty block, writes the record past what the next one may hold, and overwrites
            // its last bytes. What it wrote is read, but not written.
            assert_eq!(first.unwrap_err().kind(), ErrorKind::Invalid, "{row}");
            let written = oversized(size, len as u32);
            assert_eq!(sha256(&written), row["sha256"].as_str().unwrap(), "{row}");
            let env = machine(&written);
            let log = writer(&env, size);
            let read = all(&log).await;
            assert_eq!(seqs(&read), [u64::from(size), 2 * u64::from(size)], "{row}");
            assert_eq!(read[0].2, vec![7; len as usize]);
            assert!(log.report().unwrap().is_ok());
            log.append(batch(&["x".into()])).await.unwrap();
            assert_eq!(all(&log).await.len(), 3);
            // The same, where it is the last record of the file.
            let env = machine(&written[..2 * size as usize]);
            let log = writer(&env, size);
            log.append(batch(&["next".into()])).await.unwrap();
            assert_eq!(content(&env, "log.offset"), written, "{row}");
            continue;
        }
        let told = log.append(batch(&["next".into()])).await.unwrap()[0].get();
        // Row A1 again.
        let offsets = [0, if told == u64::from(size) { len + 4 } else { told }];
        assert_eq!(first.unwrap()[0].get(), 0);
        assert_eq!(row["offsets"], Value::from(offsets.to_vec()), "{row}");
        let written = content(&env, "log.offset");
        assert_eq!(Some(written.len() as u64), row["size"].as_u64());
        assert!(written.ends_with(&unhex(row["hex_tail"].as_str().unwrap())), "{row}");
        assert_eq!(sha256(&written), row["sha256"].as_str().unwrap(), "{row}");
    }
}

/// What the original writes for a record that is up to four bytes too large, and "next".
fn oversized(size: u32, len: u32) -> Vec<u8> {
    let mark = ((size - 1) as u16).to_le_bytes();
    let mut out = mark.to_vec();
    out.resize(size as usize, 0);
    let (block, length) = (out.len(), (len as u16).to_le_bytes());
    out.extend(length.iter().chain(&vec![7; len as usize]).chain(&length).chain(&mark));
    out.resize(2 * block, 0);
    out[2 * block - 4..].copy_from_slice(&(len + 4).to_le_bytes());
    out.extend(*b"\x04\0next\x04\0");
    out
}

#[tokio::test]
async fn deleting_writes_what_the_original_writes() {
    for (name, told) in named(".log").into_iter().filter(|(name, _)| name.starts_with("deleted-b")) {
        let (after, rows) = (bytes(&name), rows(&name.replace(".log", ".expected.jsonl")));
        let env = machine(&bytes(&name.replace("deleted", "torn-base")));
        let log = writer(&env, block(&name));
        let deleted = rows.iter().filter(|row| row["deleted"] == true);
        let targets: Vec<Seq> = deleted.map(|row| Seq::new(row["seq"].as_u64().unwrap())).collect();
        log.delete(&targets).await.unwrap();
        assert_eq!(content(&env, "log.offset"), after, "{name}");
        assert_eq!(log.stat().unwrap().deleted, targets.len() as u64);
        let bad = log.delete(&[targets[0], Seq::new(1)]).await.unwrap_err();
        assert_eq!(bad.kind(), ErrorKind::NotFound);
        assert_eq!(log.barrier().await.unwrap().map(Seq::get), told["since"].as_u64());
    }
}

#[tokio::test]
async fn a_deletion_in_the_last_block_does_not_hide_what_comes_after() {
    for (name, told) in named(".log").into_iter().filter(|(name, _)| name.starts_with("deleted-tail-b")) {
        let (padded, size) = (bytes(&name), block(&name));
        let base = bytes(&name.replace("deleted-tail", "torn-base"));
        let target = Seq::new(told["deleted_seq"].as_u64().unwrap());
        // Row A6: the original pads the file to the end of the block and opens it with a head that is no record.
        let env = machine(&base);
        let log = writer(&env, size);
        log.delete(&[target]).await.unwrap();
        let ours = content(&env, "log.offset");
        assert_eq!(ours, padded[..base.len()], "{name}");
        let whole = all(&log).await;

        let log = open(&padded);
        assert_eq!(log.block_size(), Some(size));
        assert_eq!(all(&log).await, whole);
        assert_eq!(log.barrier().await.unwrap().map(Seq::get), whole.last().map(|(seq, ..)| *seq), "{name}");
        assert!(log.report().unwrap().is_ok(), "{name}");
        // Appending goes on where the records end, in a file that looks as if it had never been padded.
        let env = machine(&padded);
        let log = writer(&env, size);
        assert!(log.recovery().is_none());
        assert_eq!(content(&env, "log.offset"), ours, "{name}");
        let seq = log.append(batch(&["more".into()])).await.unwrap()[0];
        assert_eq!(seq.get(), base.len() as u64);

        // The original appends behind the padding, and never gets there again.
        let mut behind = padded.clone();
        behind.extend(*b"\x04\0more\x04\0");
        let env = machine(&behind);
        let log = AlignedLog::builder().env(env.clone()).open("log.offset").unwrap();
        assert_eq!(log.block_size(), Some(size));
        assert_eq!(log.barrier().await.unwrap(), Some(Seq::new(padded.len() as u64)), "{name}");
        assert!(log.report().unwrap().is_ok());
        let read = all(&log).await;
        assert_eq!((&read[..whole.len()], &read[whole.len()].2[..]), (&whole[..], &b"more"[..]));
        // Opening to append ends the block properly, so that the original gets there, too.
        drop(writer(&env, size));
        let ended = content(&env, "log.offset");
        assert_eq!(ended[..ours.len()], ours, "{name}");
        assert_eq!(ended[padded.len()..], behind[padded.len()..], "{name}");
        assert_eq!(ended[ours.len()..ours.len() + 2], ((size - 1) as u16).to_le_bytes(), "{name}");
        let place = (ours.len() % size as usize) as u32;
        assert_eq!(ended[padded.len() - 4..padded.len()], place.to_le_bytes(), "{name}");
        assert_eq!(all(&open(&ended)).await, read);
    }
}

#[tokio::test]
async fn a_file_cut_at_any_byte_keeps_its_whole_records() {
    for (name, _) in named(".log").into_iter().filter(|(name, _)| name.starts_with("torn-base-b")) {
        let (base, size) = (bytes(&name), block(&name));
        let read = all(&open(&base)).await;
        let cases = rows(&name.replace("torn-base", "torn").replace(".log", ".cases.jsonl"));
        let ends: Vec<(u64, usize)> =
            read.iter().map(|(seq, _, payload)| (*seq, *seq as usize + payload.len() + 4)).collect();
        // Row A7: the original throws at most of these, and takes a length out of a payload at the others.
        assert!(cases.iter().all(|case| case["throws"].is_object() || case["since"].as_i64().unwrap() < 0));
        for len in 0..=base.len() {
            let whole = ends.iter().take_while(|(_, end)| *end <= len).count();
            let good = whole.checked_sub(1).map_or(0, |last| ends[last].1);
            let env = machine(&base[..len]);
            let log = AlignedLog::builder().env(env.clone()).block_size(size).open("log.offset").unwrap();
            assert_eq!(all(&log).await, read[..whole], "{name} {len}");
            drop(log);
            let report = AlignedLog::check(&env, "log.offset", &Some(size)).unwrap();
            assert!(report.damage.is_empty(), "{name} {len}: {report:?}");
            // A block that is ended and has none behind it is whole, too.
            let ended = len % size as usize == 0 && len > 0;
            let torn = (good != len && !ended).then_some((good as u64, (len - good) as u64));
            assert_eq!(report.torn_tail.map(|tail| (tail.offset, tail.bytes)), torn, "{name} {len}");
            assert_eq!(content(&env, "log.offset"), base[..len], "reading changed the file");
            let log = writer(&env, size);
            assert_eq!(log.recovery().map(|recovery| recovery.dropped_bytes), torn.map(|(_, bytes)| bytes));
            assert_eq!(content(&env, "log.offset"), base[..good], "{name} {len}");
            if torn.is_some() {
                assert_eq!(content(&env, "log.offset.torn"), base[good..len], "{name} {len}");
            }
            // The rest appended again gives the same file.
            let rest: Vec<Bytes> = read[whole..].iter().map(|(_, _, payload)| payload.clone()).collect();
            if len % 97 == 0 {
                log.append(batch(&rest)).await.unwrap();
                log.close().await.unwrap();
                assert_eq!(content(&env, "log.offset"), base, "{name} {len}");
            }
        }
    }
}
