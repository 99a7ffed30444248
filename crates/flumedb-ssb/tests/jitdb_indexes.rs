//! Guards against an index of jitdb that is read wrongly, damage in one that is not noticed, and a check that takes a right
//! index for a wrong one: every index file that jitdb wrote, held against the log that it is over and against jitdb's own
//! answers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
mod index_support;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use common::{hex, sha256, vectors};
use flumedb::{Env, codec::Field};
use flumedb_sim::{SECTOR, figure, on_all_cores};
use flumedb_ssb::indexes::{Checker, Checksum, Content, IndexFile, Verdict, escape, read_dir};
use index_support::{Listed, bitvector, finding, folder, rows};
use proptest::prelude::*;
use serde_json::Value;

/// The index files of the manifest: name and manifest row.
fn manifest() -> BTreeMap<String, Value> {
    let manifest: Value = serde_json::from_slice(&std::fs::read(vectors().join("MANIFEST.json")).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap().clone().into_iter();
    let named = files.map(|file| (file["file"].as_str().unwrap().to_owned(), file));
    named.filter(|(name, _)| name.starts_with("jitdb/")).collect()
}

fn log() -> Listed {
    let block = manifest()["jitdb/log.bipf"]["blockSize"].as_u64().unwrap() as usize;
    Listed::blocks(&std::fs::read(vectors().join("jitdb/log.bipf")).unwrap(), block)
}

fn json(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(vectors().join("jitdb").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The index files of each directory of the vectors.
fn directories() -> BTreeMap<String, Vec<String>> {
    let mut directories = BTreeMap::<String, Vec<String>>::new();
    for name in manifest().into_keys().filter(|name| name.matches('/').count() == 2) {
        let (dir, file) = name.rsplit_once('/').unwrap();
        directories.entry(dir.to_owned()).or_default().push(file.to_owned());
    }
    assert!(!directories.is_empty());
    directories
}

fn even(field: Option<&Field<'_>>) -> bool {
    matches!(field, Some(Field::Integer(number)) if number % 2 == 0)
}

#[test]
fn every_file_is_read_and_its_bytes_are_as_written() {
    let manifest = manifest();
    for (dir, names) in directories() {
        let files = read_dir(&Env::os(), vectors().join(&dir)).unwrap();
        assert_eq!(files.len(), names.len(), "{dir}: each file is an index");
        for file in files {
            let name = format!("{dir}/{}", file.path.file_name().unwrap().to_str().unwrap());
            assert_eq!((file.checksum, &file.damage, file.version), (Checksum::Right, &None, Some(1)), "{name}");
            let bytes = std::fs::read(&file.path).unwrap();
            assert_eq!(sha256(&bytes), manifest[&name]["sha256"], "{name}");
        }
    }
}

/// Each file has a checksum: cut after any byte, with any bit flipped, or with a sector of zeros, it is told.
#[test]
fn every_damage_is_told() {
    let cases = AtomicU64::new(0);
    for (dir, names) in directories() {
        for name in names {
            let sound = std::fs::read(vectors().join(&dir).join(&name)).unwrap();
            let told = |bytes: Vec<u8>, what: &str| {
                let whole = |file: &IndexFile| file.damage.is_none() && file.checksum == Checksum::Right;
                let parsed = IndexFile::parse(&name, bytes);
                assert!(!parsed.as_ref().is_some_and(whole), "{dir}/{name} {what}: {parsed:?}");
                cases.fetch_add(1, Ordering::Relaxed);
            };
            (0..sound.len()).for_each(|len| told(sound[..len].to_vec(), &format!("cut to {len}")));
            on_all_cores(sound.len() * 8, |bit| {
                let mut bytes = sound.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                told(bytes, &format!("bit {bit}"));
            });
            for start in (0..sound.len()).step_by(SECTOR as usize) {
                let mut bytes = sound.clone();
                let end = sound.len().min(start + SECTOR as usize);
                bytes[start..end].fill(0);
                if bytes != sound {
                    told(bytes, &format!("zeros from {start} on"));
                }
            }
        }
    }
    figure("every_damage_is_told", cases.into_inner());
}

#[tokio::test]
async fn every_index_is_right_over_its_log() {
    let log = log();
    for (dir, names) in directories() {
        let report =
            Checker::new().predicate("even", even).check(&Env::os(), vectors().join(&dir), &log).await.unwrap();
        assert!(report.is_ok(), "{report:#?}");
        assert_eq!((report.records, report.deleted, report.indexes.len()), (400, 12, names.len()));
        for finding in &report.indexes {
            let whole = finding.covered == Some(400);
            assert_eq!(finding.verdict, if whole { Verdict::Right } else { Verdict::Behind }, "{finding:#?}");
            assert_eq!(whole, dir.ends_with("full"), "{finding:#?}");
            assert_eq!(finding.reason, None, "{finding:#?}");
            // Where lists and single values stand at one path, V1 has one file for both questions.
            let shared = finding.file.path.ends_with("value_content_tags_a.index");
            assert_eq!(rows(finding), if shared { vec!["V1"] } else { vec![] }, "{finding:#?}");
        }
        let holds = |name| finding(&report, name).holds.as_deref().unwrap();
        assert_eq!(holds("value_content_type_post.index"), r#"value.content.type = "post""#);
        assert_eq!(holds("value_content_tags_a.index"), r#""a" in value.content.tags"#);
        assert_eq!(holds("value_content_root__absent.index"), "value.content.root is absent");
        assert_eq!(holds("value_sequence__pred_even.index"), "even(value.sequence)");
        assert_eq!(holds("value_author.32prefix"), "four bytes of value.author from byte 0 on");
        assert_eq!(
            holds("value_content_channel__map.32prefixmap"),
            "four bytes of value.content.channel from byte 0 on"
        );
        assert_eq!(
            holds("value_author_@UvlqDFbyx2FtHAFqvsPIInFNNr2tnWM6xQKN8GCKaQNRA=x2Eed25519.index"),
            r#"value.author = "@UvlqDFby/tHAFqvsPIInFNNr2tnWM6xQKN8GCKaQNRA=.ed25519""#
        );
        // Without its function a predicate cannot be judged.
        let report = Checker::new().check(&Env::os(), vectors().join(&dir), &log).await.unwrap();
        assert_eq!(finding(&report, "value_sequence__pred_even.index").verdict, Verdict::Unknown);
    }
}

/// jitdb's answers while it wrote the files, before the deletions.
#[test]
fn bitvectors_hold_what_jitdb_answered() {
    let mut compared = 0;
    for (dir, step) in [("index-half", "first half"), ("index-full", "all messages appended (none deleted)")] {
        for row in json("incremental.jsonl").iter().filter(|row| row["step"] == step) {
            let query = &row["query"];
            let path = query["path"].as_str().unwrap_or_default().replace('.', "_");
            let name = match query["op"].as_str() {
                Some("equal" | "includes") if query["opts"].is_null() => {
                    format!("{path}_{}", escape(query["value"].as_str().unwrap()).unwrap())
                }
                Some("absent") => format!("{path}__absent"),
                Some("predicate") => format!("{path}__pred_{}", query["fn"].as_str().unwrap()),
                _ => continue,
            };
            let path = vectors().join("jitdb").join(dir).join(format!("{name}.index"));
            let file = IndexFile::parse(&path, std::fs::read(&path).unwrap()).unwrap();
            let Content::Bits(bits) = file.content() else { panic!("{file:?}") };
            let held: Vec<u32> = bits.iter().collect();
            assert!(held.iter().all(|record| bits.contains(*record)));
            assert_eq!(row["total"], held.len(), "{name}");
            if let Some(seqs) = row["seqs"].as_array() {
                let mut seqs: Vec<u64> = seqs.iter().map(|seq| seq.as_u64().unwrap()).collect();
                seqs.sort_unstable();
                assert!(held.iter().map(|record| u64::from(*record)).eq(seqs), "{name}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared}");
}

/// The index that jitdb makes for a query, by its name.
fn name_of(query: &Value) -> Option<String> {
    let path = query["path"].as_str()?.replace('.', "_");
    Some(match query["op"].as_str()? {
        "absent" => format!("{path}__absent.index"),
        "predicate" => format!("{path}__pred_{}.index", escape(query["fn"].as_str()?)?),
        "equal" | "includes" if query["opts"]["prefix"].is_null() => {
            let value = match query.get("value") {
                None | Some(Value::Null | Value::Bool(false)) => String::new(),
                Some(Value::Number(number)) if number.as_f64() == Some(0.0) => String::new(),
                Some(Value::String(text)) => escape(text)?,
                Some(other) => escape(&other.to_string())?,
            };
            format!("{path}_{value}.index")
        }
        _ => return None,
    })
}

/// Each answer of jitdb, as the index that it would have saved.
#[tokio::test]
async fn every_answer_of_jitdb_is_right() {
    let log = log();
    let checker = Checker::new()
        .predicate("even", even)
        .predicate("isString", |field| matches!(field, Some(Field::Text(_))))
        .predicate("len>20", |field| matches!(field, Some(Field::Text(text)) if text.encode_utf16().count() > 20));
    let (mut right, mut faulty) = (0, 0);
    for row in json("queries.jsonl") {
        let (Some(name), Some(answer)) = (name_of(&row["query"]), row["asc"].as_array()) else { continue };
        let answer: Vec<u32> = answer.iter().map(|seq| seq.as_u64().unwrap() as u32).collect();
        // jitdb saves no index without hits.
        if answer.is_empty() {
            continue;
        }
        let end = log.0.last().unwrap().0 as u32;
        let env = folder(&[(&name, bitvector(1, end, &answer))]);
        let found = checker.check(&env, "dir", &log).await.unwrap().indexes.remove(0);
        if row["query"]["op"] == "includes" && row["query"]["value"].is_null() {
            // Every list with null has it last, so that what jitdb found are the single values.
            assert_eq!((found.verdict, rows(&found)), (Verdict::Right, vec!["V1", "V8"]), "{row}: {found:#?}");
            assert_eq!(found.holds.as_deref(), Some("value.content.tags = null"));
            faulty += 1;
        } else if row["query"]["path"] == "value.content" {
            // What is text there is encrypted, and may be something else to who has the key.
            assert_eq!(found.verdict, Verdict::Unknown, "{row}: {found:#?}");
        } else {
            assert_eq!(found.verdict, Verdict::Right, "{row}: {found:#?}");
            right += 1;
        }
    }
    assert!(right >= 40 && faulty > 0, "{right} {faulty}");
}

/// Row V1: the answers that jitdb gave from files shared by several queries, as those files.
#[tokio::test]
async fn v1_every_shared_answer_is_told() {
    let (log, queries) = (log(), json("index-name-collision.jsonl"));
    assert!(!queries.is_empty());
    for row in &queries {
        let records = |field: &str| {
            let seqs = row[field].as_array().unwrap();
            seqs.iter().map(|seq| seq.as_u64().unwrap() as u32).collect::<Vec<_>>()
        };
        let name = name_of(&row["query"]).unwrap();
        let text = |row: &Value| format!("{} = {}", row["query"]["path"].as_str().unwrap(), row["query"]["value"]);
        for (field, own) in [("result_on_fresh_index_dir", true), ("result_on_shared_index_dir", false)] {
            let env = folder(&[(&name, bitvector(1, log.0.last().unwrap().0 as u32, &records(field)))]);
            let found = Checker::new().check(&env, "dir", &log).await.unwrap().indexes.remove(0);
            assert_eq!((found.verdict, rows(&found)), (Verdict::Right, vec!["V1"]), "{row}: {found:#?}");
            // The file is the first query's of this name.
            let first = queries.iter().find(|row| name_of(&row["query"]).unwrap() == name).unwrap();
            let holds = if own { text(row) } else { text(first) };
            assert_eq!(found.holds, Some(holds.clone()), "{row}: {found:#?}");
            let others = queries.iter().filter(|row| name_of(&row["query"]).unwrap() == name).map(text);
            assert!(others.filter(|other| *other != holds).all(|other| found.serves.contains(&other)), "{found:#?}");
        }
    }
}

#[test]
fn each_flipped_bit_and_each_cut_is_damage() {
    for (dir, names) in directories() {
        for name in names {
            let path = vectors().join(&dir).join(&name);
            let bytes = std::fs::read(&path).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(IndexFile::parse(&path, bytes).unwrap().damage.is_some(), "{name}, bit {bit}");
            }
            for len in 0..bytes.len() {
                let file = IndexFile::parse(&path, bytes[..len].to_vec()).unwrap();
                assert!(file.damage.is_some(), "{name}, {len} bytes");
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_file_is_a_row_and_the_others_are_checked() {
    let dir = vectors().join("jitdb/index-full");
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    for (name, bytes) in &mut files {
        if name == "value_content_type_post.index" {
            bytes[20] ^= 1;
        }
    }
    let env = folder(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>());
    let report = Checker::new().check(&env, "dir", &log()).await.unwrap();
    assert!(!report.is_ok());
    let damaged: Vec<_> = report.indexes.iter().filter(|finding| !finding.verdict.is_ok()).collect();
    assert_eq!(damaged.len(), 1, "{damaged:#?}");
    assert_eq!((damaged[0].verdict, damaged[0].file.checksum), (Verdict::Damaged, Checksum::Wrong));
}

/// The worked example of the format: five records.
#[test]
fn the_bytes_of_the_example_are_read() {
    let parse = |name: &str, bytes: &str| IndexFile::parse(name, common::unhex(&bytes.replace(' ', ""))).unwrap();
    let words = |file: &IndexFile| match file.content() {
        Content::Words(words) => words.iter().collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let positions = "01000000 b6010000 05000000 c67bf8b6 00000000 6e000000 dc000000 48010000 b6010000 0000";
    let file = parse("seq.index", positions);
    assert_eq!((file.checksum, file.offset, file.count), (Checksum::Right, Some(438), Some(5)));
    assert_eq!(words(&file), [0, 110, 220, 328, 438]);
    let times = "01000000 b6010000 05000000 a1c546f6 0000000000408f40 0000000000488f40 0000000000508f40 0000000000588f40 \
                 0000000000608f40 00000000";
    let file = parse("timestamp.index", times);
    let Content::Doubles(doubles) = file.content() else { panic!("{file:?}") };
    assert!(doubles.iter().eq([1000.0, 1001.0, 1002.0, 1003.0, 1004.0]));
    assert_eq!((doubles.len(), doubles.get(4), doubles.get(5)), (5, Some(1004.0), None));
    let prefixes = "01000000 b6010000 05000000 c1104640 61626364 61626364 7a7a7a7a 61626364 02000000 0000";
    assert_eq!(
        words(&parse("root.32prefix", prefixes)),
        [1_684_234_849, 1_684_234_849, 2_054_847_098, 1_684_234_849, 2]
    );
    let text = r#"{"2":[4],"1684234849":[0,1,3],"2054847098":[2]}"#;
    let map = format!("01000000 b6010000 05000000 97c5211c {}", hex(text.as_bytes()));
    let file = parse("rootm__map.32prefixmap", &map);
    let Content::PrefixMap(map) = file.content() else { panic!("{file:?}") };
    let mut rows = Vec::new();
    map.visit(&mut |prefix, record| rows.push((prefix, record)));
    assert_eq!(rows, [(2, 4), (1_684_234_849, 0), (1_684_234_849, 1), (1_684_234_849, 3), (2_054_847_098, 2)]);
}

/// What jitdb 7.0.7 called the index of each value.
#[test]
fn values_have_the_names_that_jitdb_gives_them() {
    for (value, name) in [
        ("a\"b", "ab"),
        ("a'b", "a'b"),
        ("a\\b", "ab"),
        ("a\nb", "anb"),
        ("a\tb", "atb"),
        ("a\0b", "a0b"),
        ("a\u{0}0", "ax000"),
        ("a\u{1}b", "ax01b"),
        ("a\u{7f}b", "ax7Fb"),
        ("a\u{a0}b", "axA0b"),
        ("naïve", "naxEFve"),
        ("日本", "u65E5u672C"),
        ("🦀", "uD83EuDD80"),
        ("a.b/c?d<e>f:g*h|i", "ax2Ebx2Fcx3Fdx3Cex3Efx3Agx2Ahx7Ci"),
        ("a_b", "a_b"),
        ("..", "x2Ex2E"),
        ("a$`{}b", "a$`{}b"),
        ("a&b=+~^%#@!;,()[]", "a&b=+~^%#@!;,()[]"),
        ("\u{2028}", "u2028"),
        ("\u{b}\u{8}\u{c}\r", "x0Bbfr"),
        ("\u{80}ÿ", "x80xFF"),
        (" lead", " lead"),
        ("trail ", "trail"),
        ("1e+21", "1e+21"),
        ("@abc/d+e=.ed25519", "@abcx2Fd+e=x2Eed25519"),
    ] {
        assert_eq!(escape(value).as_deref(), Some(name), "{value:?}");
    }
    assert_eq!(escape("a:b"), escape("ax3Ab"), "V1");
    assert_eq!(escape(&"y".repeat(300)), None, "no file has this name");
}

proptest! {
    /// With its checksum switched off, whatever was changed is judged, and each file has its row.
    #[test]
    fn changed_files_are_judged(changes in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index, u8)>(), 1..30)) {
        let dir = vectors().join("jitdb/index-full");
        let names = directories().remove("jitdb/index-full").unwrap();
        let read = |name: &String| (name.clone(), std::fs::read(dir.join(name)).unwrap());
        let mut files: Vec<(String, Vec<u8>)> = names.iter().map(read).collect();
        for (file, at, byte) in changes {
            let bytes = &mut file.get_mut(&mut files).1;
            *at.get_mut(bytes) = byte;
            bytes[12..16].fill(0);
        }
        let env = folder(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let report = runtime.block_on(Checker::new().predicate("even", even).check(&env, "dir", &log())).unwrap();
        prop_assert_eq!(report.indexes.len(), files.len());
        for finding in &report.indexes {
            let named = finding.missing.count + finding.extra.count > 0;
            prop_assert!(finding.verdict == Verdict::Wrong || !named, "{:#?}", finding);
            prop_assert!(finding.verdict.is_ok() || named || finding.reason.is_some(), "{:#?}", finding);
        }
    }

    #[test]
    fn no_bytes_are_too_strange(
        name in prop::sample::select(vec![
            "seq.index", "timestamp.index", "sequence.index", "a_b.index", "a__absent.index", "a.32prefix",
            "a__map.32prefixmap", "keys.ht", "view.json", "decrypted.index", "encrypted-box.index", "post-compact-reindex",
        ]),
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        unchecked: bool,
    ) {
        if unchecked && bytes.len() >= 16 {
            // Past the checksum, with a small count.
            bytes[9..16].fill(0);
        }
        let env = folder(&[(name, bytes)]);
        let log = Listed::of([r#"{"key":"%a","timestamp":2,"value":{"timestamp":1,"sequence":1}}"#, "7", "{}"]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let report = runtime.block_on(Checker::new().check(&env, "dir", &log)).unwrap();
        prop_assert_eq!(report.indexes.len(), 1);
        prop_assert!(serde_json::to_string(&report).unwrap().contains(name));
    }
}
