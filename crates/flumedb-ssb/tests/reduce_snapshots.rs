//! Guards against a flumeview-reduce snapshot, or a list of ssb-db2's private index, that is read wrongly or taken for a right
//! one when it is not: every snapshot of the vectors over their log, and files built by hand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;
mod index_support;

use common::{unhex, vectors};
use flumedb::{Span, log::ReadRequest};
use flumedb_ssb::{
    OffsetLog,
    indexes::{Content, IndexFile, Verdict, check},
};
use index_support::{Listed, folder, rows};
use serde_json::Value;

async fn log() -> Listed {
    let log = OffsetLog::builder().open(vectors().join("views/log.offset")).unwrap();
    let all = common::scan(&log, Span::ALL, false, ReadRequest::SCAN_BYTES).await;
    Listed(all.into_iter().map(|(at, _, payload)| (at, Some(payload.to_vec()))).collect())
}

/// Each view of the vectors with the files that it wrote.
fn views() -> Vec<Value> {
    let files = common::entries("views/reduce");
    let views: Vec<Value> = files.iter().flat_map(|file| common::vector_rows(file["file"].as_str().unwrap())).collect();
    assert!(!views.is_empty());
    views
}

#[tokio::test]
async fn every_snapshot_is_read_as_it_was_written() {
    let log = log().await;
    for view in views() {
        for (text, value) in [("state_file", "value"), ("state_file_after_first", "value_after_first")] {
            let bytes = view[text].as_str().unwrap().as_bytes().to_vec();
            let file = IndexFile::parse("view.json", bytes.clone()).unwrap();
            let Content::Snapshot(snapshot) = file.content() else { panic!("{file:?}") };
            assert_eq!(snapshot.value.as_ref().unwrap().to::<Value>().unwrap(), view[value]);
            assert_eq!(snapshot.version.as_ref().unwrap().to::<Value>().unwrap(), view["version"]);
            let report = check(&folder(&[("view.json", bytes)]), "dir", &log).await.unwrap();
            // Its function is not known, its place in the log is.
            let covered = if text == "state_file" { 190 } else { 120 };
            assert_eq!(
                (report.indexes[0].verdict, report.indexes[0].covered),
                (Verdict::Unknown, Some(covered)),
                "{report:#?}"
            );
            assert!(rows(&report.indexes[0]).is_empty());
        }
    }
}

#[tokio::test]
async fn v17_what_was_deleted_since_may_be_counted() {
    let mut log = log().await;
    log.erase(&[3, 150]);
    for (position, faults) in [(66192, vec!["V17"]), (0, vec![])] {
        let bytes = format!(r#"{{"seq":{position},"version":1,"value":3}}"#).into_bytes();
        let report = check(&folder(&[("count.json", bytes)]), "dir", &log).await.unwrap();
        assert_eq!(rows(&report.indexes[0]), faults, "{report:#?}");
    }
}

#[tokio::test]
async fn a_position_that_is_no_entry_s_is_told_and_so_is_a_file_that_is_none() {
    let log = log().await;
    for (text, verdict) in [
        (r#"{"seq":106479,"version":1,"value":3}"#, Verdict::Unknown),
        (r#"{"seq":-1,"version":1}"#, Verdict::Unknown),
        (r#"{"seq":106480,"version":1,"value":3}"#, Verdict::Ahead),
        (r#"{"seq":7,"version":1,"value":3}"#, Verdict::Wrong),
        (r#"{"seq":-2,"version":1,"value":3}"#, Verdict::Damaged),
        (r#"{"seq":7,"version":1,"val"#, Verdict::Damaged),
        ("", Verdict::Damaged),
        // A view that was destroyed leaves its initial value.
        ("0", Verdict::Unknown),
        (r#"{"some":"thing"}"#, Verdict::Unknown),
    ] {
        let report = check(&folder(&[("count.json", text.into())]), "dir", &log).await.unwrap();
        assert_eq!(report.indexes[0].verdict, verdict, "{text}: {report:#?}");
        assert!(report.indexes[0].reason.is_some() && rows(&report.indexes[0]).is_empty(), "{report:#?}");
    }
}

/// The worked example of the format: 436, [0, 110, 300, 70000].
#[test]
fn the_bytes_of_a_list_of_positions_are_read() {
    let bytes = unhex("b4010000006eac02f0a204");
    let file = IndexFile::parse("encrypted-box2.index", bytes.clone()).unwrap();
    let Content::Numbers(numbers) = file.content() else { panic!("{file:?}") };
    assert_eq!((numbers.since, file.count), (436, Some(4)));
    assert!(numbers.iter().eq([0, 110, 300, 70000]));
    for (bytes, what) in [
        (&bytes[..3], "half a header"),
        (&bytes[..7], "half a number"),
        (&unhex("b401000000006e")[..], "one twice"),
        (&unhex("b40100006e00")[..], "descending"),
        (&unhex("b4010000ffffffffffffffffffff01")[..], "a number without end"),
    ] {
        assert!(IndexFile::parse("decrypted.index", bytes.to_vec()).unwrap().damage.is_some(), "{what}");
    }
}

#[tokio::test]
async fn a_list_names_encrypted_messages_only() {
    let secret = r#"{"value":{"content":"abc.box"}}"#;
    let log = Listed::of([secret, r#"{"value":{"content":{"type":"post"}}}"#, secret, secret]);
    for (covered, list, verdict) in [
        (20, &[0, 20][..], Verdict::Unknown),
        (20, &[0, 10], Verdict::Wrong),
        (20, &[0, 30], Verdict::Wrong),
        (20, &[0, 15], Verdict::Wrong),
        (99, &[0], Verdict::Ahead),
        (15, &[0], Verdict::Wrong),
    ] {
        let bytes = [&i32::to_le_bytes(covered)[..], list].concat();
        let report = check(&folder(&[("decrypted.index", bytes)]), "dir", &log).await.unwrap();
        assert_eq!(report.indexes[0].verdict, verdict, "{covered} {list:?}: {report:#?}");
    }
}
