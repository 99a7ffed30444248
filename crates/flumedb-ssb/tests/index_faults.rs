//! Guards against a check that does not see what is wrong with an index, or does not name the fault of the original behind
//! it: for each row V… of docs/compatibility.md that leaves its mark, an index file with the mark, written by jitdb itself
//! (`fixtures/index-faults`, made by the script there) or built to be like it; and indexes over random logs, right ones and
//! ones with one record wrong.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod index_support;

use flumedb::Env;
use flumedb_ssb::indexes::{Finding, IndexReport, Place, Verdict, check};
use index_support::{Listed, bitvector, finding, fixtures, folder, jitdb, rows};
use proptest::prelude::*;

/// The check of one folder that jitdb wrote, its log in blocks of `block` bytes.
async fn written(case: &str, block: usize) -> IndexReport {
    let log = std::fs::read(fixtures().join(case).join("log.bipf")).unwrap();
    check(&Env::os(), fixtures().join(case).join("jit"), &Listed::blocks(&log, block)).await.unwrap()
}

/// The records by which an index differs: missing, extra.
fn differs(finding: &Finding) -> (Vec<u32>, Vec<u32>) {
    let records = |places: &[Place]| places.iter().map(|place| place.record).collect();
    (records(&finding.missing.first), records(&finding.extra.first))
}

#[tokio::test]
async fn v1_one_file_for_several_queries() {
    let report = written("shared-name", 1024).await;
    let falsy = finding(&report, "value_content_num_.index");
    assert_eq!((falsy.verdict, rows(falsy)), (Verdict::Right, vec!["V1"]), "{falsy:#?}");
    assert_eq!(falsy.holds.as_deref(), Some(r#"value.content.num = """#));
    assert_eq!(falsy.serves, ["value.content.num = null", "value.content.num = false", "value.content.num = 0"]);
    let five = finding(&report, "value_content_num_5.index");
    assert_eq!((five.verdict, rows(five)), (Verdict::Right, vec!["V1"]), "{five:#?}");
    assert_eq!(five.holds.as_deref(), Some("value.content.num = 5"));
    assert_eq!(five.serves, [r#"value.content.num = "5""#]);
}

#[tokio::test]
async fn v1_one_file_with_the_answers_of_two_queries() {
    let report = written("mixed-queries", 1024).await;
    assert!(!report.is_ok());
    let mixed = finding(&report, "value_content_num_.index");
    assert_eq!((mixed.verdict, rows(mixed)), (Verdict::Wrong, vec!["V1"]), "{mixed:#?}");
    assert_eq!(mixed.serves, [r#"value.content.num = """#, "value.content.num = null"]);
    assert!(mixed.reason.as_ref().unwrap().contains("before 10 it holds"), "{mixed:#?}");
}

#[tokio::test]
async fn v5_what_an_older_version_selected() {
    let report = written("old-version", 1024).await;
    let raised = finding(&report, "value_content_type_post.index");
    assert_eq!((raised.verdict, rows(raised)), (Verdict::Wrong, vec!["V5"]), "{raised:#?}");
    // Votes whose kind was post.
    assert_eq!((raised.missing.count, differs(raised).1), (0, vec![3, 6, 9, 15, 18]));
}

#[tokio::test]
async fn v7_a_value_that_stops_the_scan() {
    let report = written("short-value", 1024).await;
    let stuck = finding(&report, "value_content_channel.32prefix");
    assert_eq!((stuck.verdict, rows(stuck)), (Verdict::Behind, vec!["V7"]), "{stuck:#?}");
    assert_eq!(stuck.holds.as_deref(), Some("four bytes of value.content.channel from byte 2 on"));
    assert_eq!(stuck.reason.as_deref(), Some("jitdb throws at record 3, whose value has 5 bytes"));
}

#[tokio::test]
async fn v8_a_short_last_item() {
    let report = written("last-item", 4096).await;
    let hi = finding(&report, "value_content_tags_hi.index");
    assert_eq!((hi.verdict, rows(hi), differs(hi)), (Verdict::Wrong, vec!["V8"], (vec![2], vec![])), "{hi:#?}");
    assert_eq!(hi.holds.as_deref(), Some(r#""hi" in value.content.tags"#));
    let null = finding(&report, "value_content_tags_.index");
    assert_eq!(
        (null.verdict, rows(null), differs(null)),
        (Verdict::Wrong, vec!["V8"], (vec![4, 5], vec![])),
        "{null:#?}"
    );
}

/// Lists and objects have prefixes, too; what is undefined has one and is not absent, but equal to nothing.
#[tokio::test]
async fn what_is_undefined_is_as_jitdb_has_it() {
    let report = written("undefined", 1024).await;
    for (name, holds) in [
        ("value_content_root.32prefix", "four bytes of value.content.root from byte 0 on"),
        ("value_content_root__map.32prefixmap", "four bytes of value.content.root from byte 0 on"),
        ("value_content_root__absent.index", "value.content.root is absent"),
        ("value_content_root_.index", "value.content.root = undefined"),
        ("value_content_root_x.index", r#""x" in value.content.root"#),
    ] {
        let finding = finding(&report, name);
        assert_eq!((finding.verdict, finding.holds.as_deref()), (Verdict::Right, Some(holds)), "{finding:#?}");
    }
}

/// Posts and votes in turns.
fn turns(count: usize) -> Listed {
    let kind = |at: usize| if at.is_multiple_of(2) { "post" } else { "vote" };
    Listed::of((0..count).map(|at| {
        format!(r#"{{"timestamp":{at},"value":{{"timestamp":7,"sequence":{at},"content":{{"type":"{}"}}}}}}"#, kind(at))
    }))
}

#[tokio::test]
async fn v9_a_log_past_4_gib() {
    let mut log = turns(4);
    log.0[3].0 = 5 << 30;
    let env = folder(&[
        ("value_content_type_post.index", bitvector(1, 20, &[0, 2])),
        ("seq.index", jitdb(1, 20, 3, &words(&[0, 10, 20]))),
    ]);
    let report = check(&env, "dir", &log).await.unwrap();
    for finding in &report.indexes {
        assert_eq!((finding.verdict, rows(finding)), (Verdict::Behind, vec!["V9"]), "{finding:#?}");
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[tokio::test]
async fn v10_a_numbering_that_started_again() {
    let log = turns(6);
    let shifted = words(&[0, 10, 40, 50, 40, 50]);
    let env = folder(&[
        ("seq.index", jitdb(1, 50, 6, &shifted)),
        ("value_content_type_post.index", bitvector(1, 15, &[0])),
        ("value_content_type_vote.index", bitvector(1, 60, &[1])),
    ]);
    let report = check(&env, "dir", &log).await.unwrap();
    let seq = finding(&report, "seq.index");
    assert_eq!((seq.verdict, rows(seq), differs(seq).1), (Verdict::Wrong, vec!["V10"], vec![2, 3]), "{seq:#?}");
    assert_eq!(seq.extra.first[0].seq.unwrap().get(), 20);
    assert_eq!(seq.reason.as_deref(), Some("positions of records 2 further on stand for some records"));
    let nowhere = finding(&report, "value_content_type_post.index");
    assert_eq!((nowhere.verdict, rows(nowhere)), (Verdict::Wrong, vec!["V10"]), "{nowhere:#?}");
    assert_eq!(finding(&report, "value_content_type_vote.index").verdict, Verdict::Ahead);
}

/// As it happened: after twelve records the numbering went on from 0, over what was there.
#[tokio::test]
async fn v10_everything_is_shifted() {
    let kinds = ["post", "vote", "vote", "about", "post", "post", "vote"];
    let kind = |at: u32| kinds[at as usize % kinds.len()];
    let log = Listed::of((0..20).map(|at| format!(r#"{{"value":{{"content":{{"type":"{}"}}}}}}"#, kind(at))));
    let positions: Vec<u32> = (0..8).map(|at| (at + 12) * 10).chain((8..12).map(|at| at * 10)).collect();
    let posts = (0..12).filter(|at| kind(*at) == "post" || *at < 8 && kind(*at + 12) == "post").collect::<Vec<u32>>();
    let env = folder(&[
        ("seq.index", jitdb(1, 190, 12, &words(&positions))),
        ("value_content_type_post.index", bitvector(1, 190, &posts)),
        ("value_content_type_about.index", bitvector(1, 190, &[3, 10])),
    ]);
    let report = check(&env, "dir", &log).await.unwrap();
    for name in ["seq.index", "value_content_type_post.index"] {
        let finding = finding(&report, name);
        assert_eq!((finding.verdict, rows(finding)), (Verdict::Wrong, vec!["V10"]), "{finding:#?}");
    }
    // Wrong in another way.
    let about = finding(&report, "value_content_type_about.index");
    assert_eq!((about.verdict, rows(about)), (Verdict::Wrong, vec![]), "{about:#?}");
}

#[tokio::test]
async fn v11_a_count_with_deleted_records_behind() {
    let report = written("counts-deleted", 1024).await;
    assert!(report.is_ok(), "{report:#?}");
    for (name, verdict, faults) in [
        ("seq.index", Verdict::Right, vec![]),
        ("timestamp.index", Verdict::Behind, vec!["V11"]),
        ("sequence.index", Verdict::Behind, vec!["V11"]),
        ("value_content_type_post.index", Verdict::Right, vec![]),
        ("value_author.32prefix", Verdict::Right, vec![]),
    ] {
        let finding = finding(&report, name);
        assert_eq!((finding.verdict, rows(finding)), (verdict, faults), "{finding:#?}");
    }
}

#[tokio::test]
async fn v14_a_count_one_too_small() {
    let env = folder(&[
        ("seq.index", jitdb(1, 30, 3, &words(&[0, 10, 20]))),
        ("sequence.index", jitdb(1, 30, 2, &words(&[0, 1]))),
    ]);
    let report = check(&env, "dir", &turns(4)).await.unwrap();
    let small = finding(&report, "seq.index");
    assert_eq!((small.verdict, rows(small)), (Verdict::Wrong, vec!["V14"]), "{small:#?}");
    let smaller = finding(&report, "sequence.index");
    assert_eq!((smaller.verdict, rows(smaller)), (Verdict::Wrong, vec![]), "{smaller:#?}");
}

/// An index over what the key shows is not wrong.
#[tokio::test]
async fn what_is_encrypted_cannot_be_judged() {
    let mut log = Listed::of([
        r#"{"value":{"content":{"type":"post"}}}"#,
        r#"{"value":{"content":"abcd.box"}}"#,
        r#"{"value":{"content":{"type":"vote"}}}"#,
        r#"{"value":{"content":{"type":"post"}}}"#,
        "no document",
    ]);
    log.erase(&[3]);
    let env = folder(&[("value_content_type_post.index", bitvector(1, 40, &[0, 1, 4]))]);
    let report = check(&env, "dir", &log).await.unwrap();
    assert_eq!((report.indexes[0].verdict, report.indexes[0].untold), (Verdict::Right, 3), "{report:#?}");
    let env = folder(&[("value_content_type_post.index", bitvector(1, 40, &[0, 1, 2]))]);
    let report = check(&env, "dir", &log).await.unwrap();
    assert_eq!((report.indexes[0].verdict, differs(&report.indexes[0])), (Verdict::Wrong, (vec![], vec![2])));
}

#[tokio::test]
async fn what_names_only_deleted_records_is_unknown() {
    let mut log = turns(4);
    log.erase(&[1, 2]);
    for name in ["value_content_type_.index", "value_content_type_post.index", "value_content_type__absent.index"] {
        let env = folder(&[(name, bitvector(1, 30, &[1, 2]))]);
        let finding = check(&env, "dir", &log).await.unwrap().indexes.remove(0);
        // One post is left.
        let verdict = if name.contains("post") { Verdict::Wrong } else { Verdict::Unknown };
        assert_eq!(finding.verdict, verdict, "{finding:#?}");
    }
}

#[tokio::test]
async fn what_cannot_be_worked_out_is_unknown() {
    let env = folder(&[
        ("meta_private_true.index", bitvector(1, 30, &[1])),
        ("value_content_type__pred_mine.index", bitvector(1, 30, &[1])),
        ("value_nothing.32prefix", jitdb(1, 30, 4, &words(&[1, 2, 3, 4]))),
        ("post-compact-reindex", vec![]),
        ("manifest.json", b"{}".to_vec()),
        ("seq.index~", vec![1]),
        ("notes.txt", vec![1]),
    ]);
    let report = check(&env, "dir", &turns(4)).await.unwrap();
    assert_eq!(report.indexes.len(), 5, "{report:#?}");
    assert!(
        report.indexes.iter().all(|finding| finding.verdict == Verdict::Unknown && finding.reason.is_some()),
        "{report:#?}"
    );
}

/// A name with an underscore in a field's name, and a field of the items of a list.
#[tokio::test]
async fn names_are_read_in_every_way() {
    let log = Listed::of([
        r#"{"value":{"content":{"my_key":"a_b","mentions":[{"link":"x"},{"link":"y"}]}}}"#,
        r#"{"value":{"content":{"my_key":"a","mentions":[{"link":"y"}]}}}"#,
    ]);
    let env = folder(&[
        ("value_content_my_key_a_b.index", bitvector(1, 10, &[0])),
        ("value_content_mentions_link_y.index", bitvector(1, 10, &[0, 1])),
        ("value_content_mentions_0_link_x.index", bitvector(1, 10, &[0])),
        ("value_content_mentions_y.index", bitvector(1, 10, &[0, 1])),
    ]);
    let report = check(&env, "dir", &log).await.unwrap();
    let holds: Vec<_> = report.indexes.iter().map(|finding| finding.holds.as_deref().unwrap_or("nothing")).collect();
    assert!(report.indexes.iter().all(|finding| finding.verdict == Verdict::Right), "{report:#?}");
    assert_eq!(
        holds,
        [
            r#"value.content.mentions.0.link = "x""#,
            r#""y" in value.content.mentions.link"#,
            r#""y" in value.content.mentions.link"#,
            r#"value.content.my_key = "a_b""#
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A prefix index is right at the place that it was made with, and one wrong number is found, as array and as map.
    #[test]
    fn one_wrong_prefix_is_found(
        // Enough to tell the place from the others.
        long in prop::collection::vec("[a-z]{9,12}", 6..12),
        rest in prop::collection::vec(prop::option::of("[a-z]{0,4}|[a-z]{9,12}"), 0..40),
        place in 0..4_usize,
        wrong in any::<prop::sample::Index>(),
        by in 1..u32::MAX,
    ) {
        let channels: Vec<Option<String>> = long.into_iter().map(Some).chain(rest).collect();
        let text = |channel: &Option<String>| match channel {
            Some(channel) => format!(r#"{{"value":{{"content":{{"channel":"{channel}"}}}}}}"#),
            None => r#"{"value":{"content":{}}}"#.to_owned(),
        };
        let log = Listed::of(channels.iter().map(text));
        let prefix = |channel: &Option<String>| {
            let bytes = channel.as_deref().unwrap_or_default().as_bytes();
            let bytes = if bytes.len() > 4 { &bytes[place..place + 4] } else { bytes };
            u32::from_le_bytes([0, 1, 2, 3].map(|at| bytes.get(at).copied().unwrap_or_default()))
        };
        let right: Vec<u32> = channels.iter().map(prefix).collect();
        let count = channels.len() as u32;
        let map = |prefixes: &[u32]| {
            let mut map = std::collections::BTreeMap::<String, Vec<usize>>::new();
            for (record, prefix) in prefixes.iter().enumerate().filter(|(_, prefix)| **prefix != 0) {
                map.entry(prefix.to_string()).or_default().push(record);
            }
            serde_json::to_vec(&map).unwrap()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let check = |prefixes: &[u32]| {
            let env = folder(&[
                ("value_content_channel.32prefix", jitdb(1, count * 10 - 10, count, &words(prefixes))),
                ("value_content_channel__map.32prefixmap", jitdb(1, count * 10 - 10, count, &map(prefixes))),
            ]);
            runtime.block_on(check(&env, "dir", &log)).unwrap().indexes
        };
        let indexes = check(&right);
        prop_assert!(indexes.iter().all(|finding| finding.verdict == Verdict::Right), "{:#?}", indexes);
        let at = wrong.index(right.len());
        let mut prefixes = right.clone();
        prefixes[at] = prefixes[at].wrapping_add(by);
        for finding in check(&prefixes) {
            prop_assert_eq!(finding.verdict, Verdict::Wrong);
            let (mut missing, extra) = differs(&finding);
            missing.extend(extra);
            prop_assert_eq!(missing, [at as u32]);
        }
    }

    /// What is right is right, behind or not; one record wrong is wrong, and it is that one.
    #[test]
    fn one_wrong_record_is_found(
        records in prop::collection::vec((prop::option::of(0..4_usize), any::<bool>()), 2..80),
        covered in any::<prop::sample::Index>(),
        wrong in any::<prop::sample::Index>(),
    ) {
        let kinds = ["post", "vote", "about", ""];
        let text = |kind: &Option<usize>| match kind {
            Some(kind) => format!(r#"{{"value":{{"content":{{"type":"{}"}}}}}}"#, kinds[*kind]),
            None => r#"{"value":{"content":{}}}"#.to_owned(),
        };
        let mut log = Listed::of(records.iter().map(|(kind, _)| text(kind)));
        let deleted: Vec<usize> = (0..records.len()).filter(|at| records[*at].1).collect();
        log.erase(&deleted);
        let covered = covered.index(records.len()) + 1;
        let wrong = wrong.index(covered);
        let offset = (covered as u32 - 1) * 10;
        for (kind, name) in kinds.iter().enumerate() {
            let name = format!("value_content_type_{name}.index");
            let mut bits: Vec<u32> = (0..covered as u32).filter(|at| records[*at as usize].0 == Some(kind)).collect();
            // Something has to tell what the index is over.
            let told = (0..records.len()).any(|at| records[at].0 == Some(kind) && !records[at].1);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let check = |bits: &[u32]| {
                let env = folder(&[(name.as_str(), bitvector(1, offset, bits))]);
                runtime.block_on(check(&env, "dir", &log)).unwrap().indexes.remove(0)
            };
            let right = check(&bits);
            let named = bits.is_empty() || bits.iter().any(|at| !records[*at as usize].1);
            let judged = named && (0..covered).any(|at| !records[at].1);
            if told && judged {
                prop_assert_eq!(right.verdict, if covered < records.len() { Verdict::Behind } else { Verdict::Right });
            }
            if told && !records[wrong].1 && kind != 3 {
                let at = wrong as u32;
                let missing = bits.contains(&at);
                if missing { bits.retain(|bit| *bit != at) } else { bits.push(at) }
                let found = check(&bits);
                prop_assert_eq!(found.verdict, Verdict::Wrong);
                let expected = if missing { (vec![at], vec![]) } else { (vec![], vec![at]) };
                prop_assert_eq!(differs(&found), expected);
            }
        }
    }
}
