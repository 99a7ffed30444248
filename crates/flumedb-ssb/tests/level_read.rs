//! Guards against entries of a flumelog-level directory that an import loses without a word: what flumelog-level and LevelDB
//! wrote (fixtures/level/write.js) is read in full, and whatever is damaged or missing is told of.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::path::{Path, PathBuf};

use flumedb::{Bytes, Env, ErrorKind, Result, Seq, env::OpenMode};
use flumedb_ssb::LevelEntries;
use proptest::prelude::*;
use serde_json::Value;

const DIR: &str = "dir";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/level").join(name)
}

/// Its files and what is in them.
fn files(name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(fixture(name)).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect();
    files.sort();
    files
}

/// A machine in memory with a directory of these files.
fn machine(files: &[(String, Vec<u8>)]) -> Env {
    let env = Env::memory();
    env.storage.create_dir_all(DIR.as_ref()).unwrap();
    for (name, bytes) in files {
        let file = env.storage.open(&Path::new(DIR).join(name), OpenMode::CreateNew).unwrap();
        file.write_all(0, bytes).unwrap();
    }
    env
}

type Found = Vec<Result<(Seq, Bytes)>>;

fn read(files: &[(String, Vec<u8>)]) -> Result<(Found, bool)> {
    let entries = LevelEntries::open(&machine(files), DIR.as_ref())?;
    let torn = entries.torn_tail().is_some();
    Ok((entries.collect(), torn))
}

/// All of it, with nothing wrong.
fn whole(files: &[(String, Vec<u8>)]) -> Vec<(Seq, Bytes)> {
    let (found, torn) = read(files).unwrap();
    assert!(!torn);
    found.into_iter().map(Result::unwrap).collect()
}

fn change(files: &mut [(String, Vec<u8>)], name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    change(&mut files.iter_mut().find(|(file, _)| file == name).unwrap().1);
}

#[test]
fn every_entry_is_read_and_nothing_is_changed() {
    for name in ["log", "tables"] {
        let rows = std::fs::read_to_string(fixture(&format!("{name}.expected.jsonl"))).unwrap();
        let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
        let before = files(name);
        let env = Env::os();
        assert!(LevelEntries::is_at(&env, &fixture(name)).unwrap());
        let found: Vec<_> = LevelEntries::open(&env, &fixture(name)).unwrap().map(Result::unwrap).collect();
        assert_eq!(found.len(), rows.len());
        for ((seq, value), row) in found.iter().zip(&rows) {
            assert_eq!(format!("{:016x}", seq.get()), row["key"], "{row}");
            assert_eq!(f64::from_bits(seq.get()), row["time"].as_f64().unwrap(), "{row}");
            assert_eq!(common::sha256(value), row["sha256"], "{row}");
            serde_json::from_slice::<Value>(value).unwrap();
        }
        let report = LevelEntries::check(&env, &fixture(name)).unwrap();
        assert!(report.is_ok(), "{report:?}");
        assert_eq!((report.entries, report.head), (rows.len() as u64, found.last().map(|(seq, _)| *seq)));
        assert_eq!(report.bytes, before.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
        assert_eq!(files(name), before);
    }
    assert!(!LevelEntries::is_at(&Env::os(), &fixture("")).unwrap());
    let error = LevelEntries::open(&Env::os(), &fixture("")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
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
        let (found, torn) = read(&files).unwrap();
        let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
        assert_eq!(found, entries[..found.len()], "{cut}");
        assert!((80..=last).contains(&found.len()), "{cut}");
        last = found.len();
        between_records += u32::from(!torn);
    }
    assert_eq!(last, 80);
    assert!(between_records < 10);
    // Space that was set aside for more.
    let mut files = all.clone();
    change(&mut files, "000009.log", |bytes| bytes.resize(200_000, 0));
    assert_eq!(whole(&files), entries);
}

#[test]
fn no_damage_is_passed_over_without_a_word() {
    let all = files("log");
    let entries = whole(&all);
    for at in 0..all.len() {
        for byte in 0..all[at].1.len() {
            let mut files = all.clone();
            files[at].1[byte] ^= 1 << (byte % 8);
            let Ok((found, torn)) = read(&files) else { continue };
            let told = torn || found.iter().any(Result::is_err);
            let found: Vec<_> = found.into_iter().filter_map(Result::ok).collect();
            assert!(found == entries || told, "{} at {byte}", all[at].0);
            assert!(found.iter().all(|entry| entries.contains(entry)), "{} at {byte}", all[at].0);
        }
    }
}

#[test]
fn behind_damage_it_goes_on() {
    let mut files = files("tables");
    let entries = whole(&files);
    change(&mut files, "000007.ldb", |bytes| bytes[100] ^= 1);
    let (found, _) = read(&files).unwrap();
    let errors: Vec<_> = found.iter().filter_map(|entry| entry.as_ref().err()).collect();
    assert_eq!(errors.len(), 1);
    let damage = errors[0].damage().unwrap();
    assert!(damage.file.ends_with("000007.ldb") && damage.offset == 0 && damage.bytes > 100, "{damage:?}");
    let lost = entries.len() - (found.len() - 1);
    assert!(lost > 0 && lost < 30, "{lost}");
    let env = machine(&files);
    let report = LevelEntries::check(&env, DIR.as_ref()).unwrap();
    assert_eq!((report.damage.as_slice(), report.is_ok()), (std::slice::from_ref(damage), false));

    // A table that is gone.
    files.retain(|(name, _)| name != "000009.ldb");
    let (found, _) = read(&files).unwrap();
    let errors: Vec<String> = found.iter().filter_map(|entry| entry.as_ref().err()).map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2);
    assert!(errors[1].contains("000009.ldb") && errors[1].contains("not there"), "{errors:?}");
}

#[test]
fn what_is_no_directory_of_flumelog_level_is_told_so() {
    let without = |name: &str| {
        let mut files = files("log");
        files.retain(|(file, _)| file != name);
        LevelEntries::open(&machine(&files), DIR.as_ref()).err().unwrap().kind()
    };
    assert_eq!(without("CURRENT"), ErrorKind::NotFound);
    assert_eq!(without("MANIFEST-000007"), ErrorKind::NotFound);
    for current in ["", "MANIFEST-000007", "../secret\n", "MANIFEST-../x\n", "MANIFEST-\u{660}\n"] {
        let mut files = files("log");
        change(&mut files, "CURRENT", |bytes| *bytes = current.into());
        let error = LevelEntries::open(&machine(&files), DIR.as_ref()).err().unwrap();
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
        drop(read(&files));
    }
}
