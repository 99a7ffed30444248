//! Guards against a flumeview-hashtable file that is read wrongly, whose damage is not noticed, or whose lost entries are not
//! told of: the files that it wrote, over the log that they are over and against its own answers, and files built by hand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
mod index_support;

use common::{unhex, vectors};
use flumedb::{
    Env, Seq,
    log::{Log, ReadRequest},
};
use flumedb_sim::{figure, on_all_cores, soak_or};
use flumedb_ssb::{
    OffsetLog,
    indexes::{Checker, Content, Hashtable, IndexFile, Verdict, check},
};
use index_support::{Listed, folder, rows};
use proptest::prelude::*;
use serde_json::Value;

/// The hashtables of the manifest.
fn files() -> Vec<(String, Value)> {
    let manifest: Value = serde_json::from_slice(&std::fs::read(vectors().join("MANIFEST.json")).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap().clone().into_iter();
    let named = files.map(|file| (file["file"].as_str().unwrap().to_owned(), file));
    let files: Vec<_> = named.filter(|(name, _)| name.ends_with(".ht")).collect();
    assert!(!files.is_empty());
    files
}

fn json(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(vectors().join("views").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn log() -> Listed {
    let log = OffsetLog::builder().open(vectors().join("views/log.offset")).unwrap();
    let all = common::scan(&log, flumedb::Span::ALL, false, ReadRequest::SCAN_BYTES).await;
    assert_eq!(log.head().borrow().map(Seq::get), all.last().map(|(at, ..)| *at));
    Listed(all.into_iter().map(|(at, _, payload)| (at, Some(payload.to_vec()))).collect())
}

fn parse(bytes: &[u8]) -> Hashtable {
    let file = IndexFile::parse("keys.ht", bytes.to_vec()).unwrap();
    let Content::Hashtable(table) = file.content() else { panic!("{file:?}") };
    table.clone()
}

#[tokio::test]
async fn every_file_finds_every_entry_that_it_covers() {
    let log = log().await;
    for (name, row) in files() {
        let bytes = std::fs::read(vectors().join(&name)).unwrap();
        let table = parse(&bytes);
        if let Some(version) = row["version"].as_u64() {
            assert_eq!(u64::from(table.version), version, "{name}");
        }
        let since = u64::from(table.since.unwrap());
        let covered = log.0.iter().filter(|(at, _)| *at <= since).count();
        let report = check(&folder(&[("keys.ht", bytes)]), "dir", &log).await.unwrap();
        let finding = &report.indexes[0];
        let whole = covered == log.0.len();
        assert_eq!(finding.verdict, if whole { Verdict::Right } else { Verdict::Behind }, "{name}: {finding:#?}");
        assert_eq!((finding.covered, finding.file.count), (Some(covered as u64), Some(covered as u64)), "{name}");
        assert_eq!(finding.holds.as_deref(), Some("entries by key, hashed by FNV-1a"), "{name}");
        assert!(finding.faults.is_empty(), "{name}: {finding:#?}");
    }
}

/// The file has no checksum, but the log has what it should find: a slot with any bit flipped, and a file cut after any
/// byte, is told. So is what it says of itself, unless it is of another version or only says that it covers less.
#[test]
fn every_damage_is_told() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = runtime().block_on(log());
    let sound = std::fs::read(vectors().join("views/ht.ht")).unwrap();
    let verdict = |bytes: Vec<u8>| {
        let report = runtime().block_on(check(&folder(&[("keys.ht", bytes)]), "dir", &log)).unwrap();
        report.indexes[0].verdict
    };
    assert_eq!(verdict(sound.clone()), Verdict::Right);
    let step = soak_or(1, 5);
    on_all_cores(sound.len() / step, |number| {
        let len = number * step;
        assert!(!verdict(sound[..len].to_vec()).is_ok(), "cut to {len}");
    });
    on_all_cores(sound.len() * 8 / step, |number| {
        let bit = number * step;
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let verdict = verdict(bytes);
        // Its version is the program's own; after that it says how far it goes.
        let is_fair = bit < 32 || (bit < 64 && verdict != Verdict::Right) || !verdict.is_ok();
        assert!(is_fair, "bit {bit}: {verdict}");
    });
    figure("every_damage_is_told", (sound.len() * 9 / step) as u64);
}

/// Row V16: the original answers with the position plus 1, as the file holds it.
#[test]
fn the_file_holds_the_positions_that_it_answered_with() {
    let table = parse(&std::fs::read(vectors().join("views/ht.ht")).unwrap());
    let positions: Vec<u32> = table.tables.iter().flat_map(|table| table.iter()).flatten().collect();
    let answers: Vec<u64> =
        json("hashtable.jsonl").iter().filter_map(|row| row["value_returned_as_3rd_cb_arg"].as_u64()).collect();
    assert!(answers.len() >= 30);
    for answer in answers {
        assert!(positions.iter().any(|position| u64::from(*position) + 1 == answer), "{answer}");
    }
}

/// The entries deleted in the vectors hide no other; each alone, some do.
#[tokio::test]
async fn v15_what_a_deleted_entry_hides() {
    let whole = log().await;
    let deleted: Vec<usize> = json("deleted.jsonl")
        .iter()
        .filter_map(|row| row["deleted_seq"].as_u64())
        .map(|seq| whole.0.iter().position(|(at, _)| *at == seq).unwrap())
        .collect();
    assert_eq!(deleted.len(), 6);
    let bytes = std::fs::read(vectors().join("views/ht.ht")).unwrap();
    let fnv =
        |key: &str| key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut hiding = 0;
    for lost in (0..whole.0.len()).map(|record| vec![record]).chain([deleted]) {
        let mut log = whole.clone();
        log.erase(&lost);
        // What the original does: from the newest table to the oldest, from where the hash leads on.
        let stuck = |key: &str| {
            for table in parse(&bytes).tables.iter().rev() {
                let slots: Vec<_> = table.iter().collect();
                let mut at = fnv(key) as usize % slots.len();
                while let Some(position) = slots[at] {
                    match &log.0.iter().find(|(place, _)| *place == u64::from(position)).unwrap().1 {
                        None => return true,
                        Some(body) if serde_json::from_slice::<Value>(body).unwrap()["key"] == key => return false,
                        Some(_) => at = (at + 1) % slots.len(),
                    }
                }
            }
            panic!("{key} is not there");
        };
        let keys =
            log.0.iter().filter_map(|(at, body)| Some((*at, serde_json::from_slice::<Value>(body.as_ref()?).unwrap())));
        let hidden: Vec<u64> =
            keys.filter(|(_, entry)| stuck(entry["key"].as_str().unwrap())).map(|(at, _)| at).collect();
        let report = check(&folder(&[("keys.ht", bytes.clone())]), "dir", &log).await.unwrap();
        let finding = &report.indexes[0];
        let told: Vec<u64> = finding.missing.first.iter().map(|place| place.seq.unwrap().get()).collect();
        assert_eq!(
            (finding.missing.count, &told[..]),
            (hidden.len() as u64, &hidden[..hidden.len().min(5)]),
            "{lost:?}"
        );
        assert_eq!(finding.verdict, if hidden.is_empty() { Verdict::Right } else { Verdict::Wrong });
        assert_eq!(rows(finding), if hidden.is_empty() { vec![] } else { vec!["V15"] });
        hiding += usize::from(!hidden.is_empty());
    }
    assert!(hiding > 0);
}

/// The worked example of the format: 4 slots, hashes a = 1, b = 5, c = 9, positions 0, 23, 46.
const EXAMPLE: &str = "00000001 0000002f 00000004 00000002 00000000 00000001 00000018 00000000 00000008 00000001 00000000 \
                       0000002f 00000000 00000000 00000000 00000000 00000000 00000000";

fn example() -> (Vec<u8>, Listed) {
    let entry = |key: &str| Some(format!(r#"{{"key":"{key}"}}"#).into_bytes());
    (unhex(&EXAMPLE.replace(' ', "")), Listed(vec![(0, entry("a")), (23, entry("b")), (46, entry("c"))]))
}

#[tokio::test]
async fn the_bytes_of_the_example_are_read() {
    let (bytes, log) = example();
    let table = parse(&bytes);
    assert_eq!((table.version, table.since, table.tables.len()), (1, Some(46), 2));
    assert!(table.tables[0].iter().eq([None, Some(0), Some(23), None]));
    let known = |key: &str| u32::from(key.as_bytes()[0] - b'a') * 4 + 1;
    let checker = Checker::new().hash("mine", known);
    let report = checker.check(&folder(&[("keys.ht", bytes.clone())]), "dir", &log).await.unwrap();
    assert_eq!(report.indexes[0].verdict, Verdict::Right, "{report:#?}");
    assert_eq!(report.indexes[0].holds.as_deref(), Some("entries by key, hashed by mine"));
    // Without its hash there is nothing against it, and no more to say.
    let strange = |key: &str| if key == "a" { 3 } else { 0 };
    let unknown = Checker::default().hash("another", strange);
    let report = unknown.check(&folder(&[("keys.ht", bytes)]), "dir", &log).await.unwrap();
    assert_eq!(report.indexes[0].verdict, Verdict::Unknown, "{report:#?}");
}

#[tokio::test]
async fn what_is_no_entry_or_twice_there_is_wrong() {
    let (bytes, log) = example();
    for (slot, value) in [(6, 2_u32), (6, 1), (11, 24)] {
        let mut bytes = bytes.clone();
        bytes[slot * 4..][..4].copy_from_slice(&value.to_be_bytes());
        let report = check(&folder(&[("keys.ht", bytes)]), "dir", &log).await.unwrap();
        assert_eq!(report.indexes[0].verdict, Verdict::Wrong, "{report:#?}");
    }
    let mut longer = log.clone();
    longer.0.push((69, Some(b"{}".to_vec())));
    let report = check(&folder(&[("keys.ht", bytes.clone())]), "dir", &longer).await.unwrap();
    assert_eq!(report.indexes[0].covered, Some(3));
    let shorter = Listed(log.0[..2].to_vec());
    let report = check(&folder(&[("keys.ht", bytes)]), "dir", &shorter).await.unwrap();
    assert_eq!(report.indexes[0].verdict, Verdict::Ahead);
}

#[test]
fn lengths_and_counts_that_do_not_fit_are_damage() {
    let (bytes, _) = example();
    for len in (0..bytes.len()).filter(|len| ![8, 32].contains(len)) {
        let file = IndexFile::parse("keys.ht", bytes[..len].to_vec()).unwrap();
        assert!(file.damage.is_some(), "{len} bytes: {file:?}");
    }
    for word in [2, 3, 8, 9] {
        let mut bytes = bytes.clone();
        bytes[word * 4 + 3] ^= 1;
        assert!(IndexFile::parse("keys.ht", bytes).unwrap().damage.is_some(), "word {word}");
    }
    // As many tables as one likes, and slots without end.
    let many = [0_u32, 0]
        .into_iter()
        .chain([1, 0, 0].into_iter().cycle().take(99))
        .flat_map(u32::to_be_bytes)
        .collect::<Vec<_>>();
    assert!(IndexFile::parse("keys.ht", many).unwrap().damage.is_some());
    let endless = [1_u32, 1, u32::MAX, 1, 1].into_iter().flat_map(u32::to_be_bytes).collect::<Vec<_>>();
    assert!(IndexFile::parse("keys.ht", endless).unwrap().damage.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever was changed is damage, or judged: a slot with another position loses its entry.
    #[test]
    fn a_changed_slot_is_told(at in 0..190_usize, to in prop::option::of(0..190_usize)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let log = runtime.block_on(log());
        let mut bytes = std::fs::read(vectors().join("views/ht.ht")).unwrap();
        let slot = |record: usize| (log.0[record].0 as u32 + 1).to_be_bytes();
        let place = (8..bytes.len()).step_by(4).find(|place| bytes[*place..place + 4] == slot(at)).unwrap();
        bytes[place..place + 4].copy_from_slice(&to.map_or([0; 4], slot));
        let report = runtime.block_on(check(&folder(&[("keys.ht", bytes)]), "dir", &log)).unwrap();
        let verdict = match to {
            None => Verdict::Damaged,
            Some(to) if to == at => Verdict::Right,
            Some(_) => Verdict::Wrong,
        };
        prop_assert_eq!(report.indexes[0].verdict, verdict, "{:#?}", report);
    }

    /// A table as the original fills it finds every entry, whatever the hashes.
    #[test]
    fn a_table_filled_by_the_rules_is_right(hashes in prop::collection::vec(0..40_u32, 1..60)) {
        let log = Listed::of((0..hashes.len()).map(|at| format!(r#"{{"key":"{at}"}}"#)));
        let mut tables = vec![vec![0_u32; 4]];
        for (at, hash) in hashes.iter().enumerate() {
            let newest = tables.last_mut().unwrap();
            if newest.iter().filter(|slot| **slot > 0).count() * 2 >= newest.len() {
                let slots = newest.len() * 2;
                tables.push(vec![0; slots]);
            }
            let newest = tables.last_mut().unwrap();
            let mut slot = *hash as usize % newest.len();
            while newest[slot] > 0 {
                slot = (slot + 1) % newest.len();
            }
            newest[slot] = at as u32 * 10 + 1;
        }
        let end = (hashes.len() as u32 - 1) * 10 + 1;
        let words = tables.iter().flat_map(|table| {
            let taken = table.iter().filter(|slot| **slot > 0).count();
            [table.len() as u32, taken as u32].into_iter().chain(table.iter().copied())
        });
        let bytes: Vec<u8> = [1, end].into_iter().chain(words).flat_map(u32::to_be_bytes).collect();
        let known = hashes.clone();
        let checker = Checker::default().hash("random", move |key| known[key.parse::<usize>().unwrap()]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let report = runtime.block_on(checker.check(&folder(&[("keys.ht", bytes)]), "dir", &log)).unwrap();
        prop_assert_eq!(report.indexes[0].verdict, Verdict::Right, "{:#?}", report);
    }
}

#[test]
fn a_machine_without_the_directory_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(check(&Env::memory(), "nowhere", &Listed::default())).unwrap_err();
    assert_eq!(error.kind(), flumedb::ErrorKind::NotFound);
}
