//! Guards against entries of a flumelog-level directory that an import loses without a word: what flumelog-level and LevelDB
//! wrote (fixtures/level/write.js) is read in full, and whatever is damaged or missing is told of.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::path::{Path, PathBuf};

use flumedb::{
    Bytes, Env, ErrorKind, Result, Seq, Span,
    env::OpenMode,
    log::{Log, ReadRequest},
};
use flumedb_ssb::LevelLog;
use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::Value;

const DIR: &str = "dir";

type Files = Vec<(String, Vec<u8>)>;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/level").join(name)
}

/// Its files and what is in them.
fn files(name: &str) -> Files {
    let entries = std::fs::read_dir(fixture(name)).unwrap().map(|entry| entry.unwrap());
    let mut files: Files =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect();
    files.sort();
    files
}

/// A log in memory of these files.
fn open(files: &Files) -> Result<LevelLog> {
    let env = Env::memory();
    env.storage.create_dir_all(DIR.as_ref()).unwrap();
    for (name, bytes) in files {
        let file = env.storage.open(&Path::new(DIR).join(name), OpenMode::CreateNew).unwrap();
        file.write_all(0, bytes).unwrap();
    }
    LevelLog::builder().env(env).open(DIR)
}

type Found = Vec<Result<(Seq, Bytes)>>;

/// All that is there, from one end to the other, past what cannot be read.
fn walk(log: &LevelLog, reverse: bool, max_bytes: usize) -> Found {
    let end = log.head().borrow().map_or(0, |head| head.get() + 1);
    let (mut span, mut found) = (Span { from: 0, to: end }, Vec::new());
    while !span.is_empty() {
        match log.read(ReadRequest { span, reverse, max_bytes }).now_or_never().unwrap() {
            Ok(chunk) => {
                assert!(!chunk.covered.is_empty(), "{chunk:?}");
                found.extend(chunk.slots.iter().map(|slot| Ok((slot.seq, chunk.payload_bytes(slot)))));
                if reverse {
                    span.to = chunk.covered.from;
                } else {
                    span.from = chunk.covered.to;
                }
            }
            Err(error) => {
                let seq = error.seq().unwrap().get();
                assert!(span.contains(seq), "{error}");
                found.push(Err(error));
                if reverse {
                    span.to = seq;
                } else {
                    span.from = seq + 1;
                }
            }
        }
    }
    found
}

/// The entries, and whether anything was said to be wrong.
fn read(files: &Files) -> Result<(Vec<(Seq, Bytes)>, bool)> {
    let log = open(files)?;
    let found = walk(&log, false, 1 << 20);
    let told = found.iter().any(Result::is_err);
    let report = log.report()?;
    assert_eq!(report.entries, found.iter().filter(|entry| entry.is_ok()).count() as u64);
    assert!(!told || !report.is_ok());
    Ok((found.into_iter().filter_map(Result::ok).collect(), !report.is_ok()))
}

/// All of it, with nothing wrong.
fn whole(files: &Files) -> Vec<(Seq, Bytes)> {
    let (found, told) = read(files).unwrap();
    assert!(!told);
    found
}

fn change(files: &mut Files, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    change(&mut files.iter_mut().find(|(file, _)| file == name).unwrap().1);
}

#[test]
fn every_entry_is_read_and_nothing_is_changed() {
    for name in ["log", "tables"] {
        let rows = std::fs::read_to_string(fixture(&format!("{name}.expected.jsonl"))).unwrap();
        let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
        let before = files(name);
        let log = LevelLog::open(fixture(name)).unwrap();
        let found: Vec<_> = walk(&log, false, 1 << 20).into_iter().map(Result::unwrap).collect();
        assert_eq!(found.len(), rows.len());
        for ((seq, value), row) in found.iter().zip(&rows) {
            assert_eq!(format!("{:016x}", seq.get()), row["key"], "{row}");
            assert_eq!(f64::from_bits(seq.get()), row["time"].as_f64().unwrap(), "{row}");
            assert_eq!(common::sha256(value), row["sha256"], "{row}");
            assert_eq!(log.get_now(*seq).unwrap().unwrap(), value, "{row}");
            serde_json::from_slice::<Value>(value).unwrap();
        }
        let report = LevelLog::check(&Env::os(), fixture(name), &()).unwrap();
        assert!(report.is_ok(), "{report:?}");
        assert_eq!((report.entries, report.head), (rows.len() as u64, found.last().map(|(seq, _)| *seq)));
        assert_eq!(report.bytes, before.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
        assert_eq!(log.first(), found.first().map(|(seq, _)| *seq));
        assert_eq!(files(name), before);

        // In pieces of any size, and backwards.
        for max_bytes in [0, 100, 1000, 5000, 1 << 20] {
            let forwards: Vec<_> = walk(&log, false, max_bytes).into_iter().map(Result::unwrap).collect();
            let mut backwards: Vec<_> = walk(&log, true, max_bytes).into_iter().map(Result::unwrap).collect();
            backwards.reverse();
            assert!(forwards == found && backwards == found, "{max_bytes}");
        }
    }
}

#[test]
fn numbers_that_are_none_are_not_found_and_nothing_is_written() {
    let log = LevelLog::open(fixture("tables")).unwrap();
    let first = log.first().unwrap();
    // Deleted, between two, before the first, behind the last.
    for time in [1.6e12, 1_600_000_000_000.25, 1_600_000_000_000.6, 0.0, 1.7e12] {
        let error = log.get_now(Seq::new(f64::to_bits(time))).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{time}");
    }
    assert_eq!(log.get_now(Seq::new(u64::MAX)).unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    let error = LevelLog::builder().append().open(fixture("tables")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(log.delete(&[first]).now_or_never().unwrap().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_log_that_was_cut_has_the_entries_before_the_cut() {
    let all = files("log");
    let entries = whole(&all);
    let len = all.iter().find(|(name, _)| name == "000009.log").unwrap().1.len();
    let (mut last, mut between_records) = (usize::MAX, 0);
    for cut in (0..=len).rev().step_by(37) {
        let mut files = all.clone();
        change(&mut files, "000009.log", |bytes| bytes.truncate(cut));
        let (found, told) = read(&files).unwrap();
        assert_eq!(found, entries[..found.len()], "{cut}");
        assert!((80..=last).contains(&found.len()), "{cut}");
        last = found.len();
        between_records += u32::from(!told);
    }
    assert_eq!(last, 80);
    assert!(between_records < 10);
    // Space that was set aside for more.
    let mut files = all.clone();
    change(&mut files, "000009.log", |bytes| bytes.resize(200_000, 0));
    assert_eq!(whole(&files), entries);
    // Zeros in front of records are none.
    let mut files = all.clone();
    change(&mut files, "000009.log", |bytes| bytes[..512].fill(0));
    assert!(read(&files).unwrap() == (entries[..80].to_vec(), true));
}

#[test]
fn no_damage_is_passed_over_without_a_word() {
    let all = files("log");
    let entries = whole(&all);
    for at in 0..all.len() {
        for byte in (0..all[at].1.len()).step_by(3) {
            let mut files = all.clone();
            files[at].1[byte] ^= 1 << (byte % 8);
            let Ok((found, told)) = read(&files) else { continue };
            assert!(found == entries || told, "{} at {byte}", all[at].0);
            assert!(found.iter().all(|entry| entries.contains(entry)), "{} at {byte}", all[at].0);
        }
    }
}

#[test]
fn behind_damage_it_goes_on_both_ways() {
    let mut files = files("tables");
    let entries = whole(&files);
    let expect = |files: &Files, stretches: usize, most: usize| {
        let log = open(files).unwrap();
        let split = |found: Found| -> (Vec<_>, Vec<_>) {
            let (read, errors): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
            (
                read.into_iter().map(Result::unwrap).collect(),
                errors.into_iter().map(|error| error.unwrap_err()).collect(),
            )
        };
        let (read, errors) = split(walk(&log, false, 1 << 20));
        let (mut backwards, _) = split(walk(&log, true, 1 << 20));
        backwards.reverse();
        assert_eq!(read, backwards);
        assert_eq!(errors.len(), stretches, "{errors:?}");
        let lost = entries.len() - read.len();
        assert!(lost > 0 && lost <= most, "{lost}");
        let damage: Vec<_> = errors.iter().map(|error| error.damage().unwrap().clone()).collect();
        assert_eq!(log.report().unwrap().damage, damage);
        assert!(errors.iter().all(|error| log.get_now(error.seq().unwrap()).unwrap().is_err()));
        damage
    };
    change(&mut files, "000007.ldb", |bytes| bytes[100] ^= 1);
    let damage = expect(&files, 1, 20);
    assert!(damage[0].file.ends_with("000007.ldb") && damage[0].offset == 0 && damage[0].bytes > 100, "{damage:?}");

    // A table that is gone.
    files.retain(|(name, _)| name != "000009.ldb");
    let damage = expect(&files, 2, 200);
    let gone = damage.iter().find(|damage| damage.file.ends_with("000009.ldb")).unwrap();
    assert!(gone.reason.contains("not there"), "{damage:?}");
}

#[test]
fn what_is_no_directory_of_flumelog_level_is_told_so() {
    let without = |name: &str| {
        let mut files = files("log");
        files.retain(|(file, _)| file != name);
        open(&files).err().unwrap().kind()
    };
    assert_eq!(without("CURRENT"), ErrorKind::NotFound);
    assert_eq!(without("MANIFEST-000007"), ErrorKind::Corrupt);
    // Behind its first list of tables there is another, without which LevelDB does not open it either.
    let mut cut = files("log");
    change(&mut cut, "MANIFEST-000007", |bytes| bytes.truncate(74));
    assert_eq!(open(&cut).err().unwrap().kind(), ErrorKind::Corrupt);
    for current in ["", "MANIFEST-000007", "../secret\n", "MANIFEST-../x\n", "MANIFEST-\u{660}\n"] {
        let mut files = files("log");
        change(&mut files, "CURRENT", |bytes| *bytes = current.into());
        let error = open(&files).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{current:?}: {error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(at in 0_usize..4, len in 0_usize..4000, bytes: Vec<u8>, place in 0_usize..4000) {
        let mut files = files("log");
        let at = at % files.len();
        let content = &mut files[at].1;
        let end = (place + bytes.len()).min(content.len());
        let start = place.min(end);
        content.splice(start..end, bytes);
        content.truncate(len.max(start));
        if let Ok(log) = open(&files) {
            drop((walk(&log, false, 1000), walk(&log, true, 1000), log.report()));
        }
    }
}
