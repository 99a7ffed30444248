//! Guards against a check of views that passes a wrong index, condemns a right one, or changes what it looks at.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{files, flume, temp};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../flumedb-ssb/fixtures").join(name)
}

/// A log of flumelog-offset with a hashtable and a snapshot beside it.
fn folder() -> tempfile::TempDir {
    let dir = temp();
    std::fs::create_dir(dir.path().join("flume")).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join("flume").join(name), bytes).unwrap();
    write("log.offset", &std::fs::read(fixture("views/log.offset")).unwrap());
    write("keys.ht", &std::fs::read(fixture("views/ht.ht")).unwrap());
    write("count.json", br#"{"seq":66192,"version":1,"value":120}"#);
    dir
}

#[test]
fn both_spellings_say_the_same() {
    let dir = folder();
    let before = files(dir.path());
    let lines = flume(dir.path(), &["check", "flume/log.offset", "--views", "flume"]).fine();
    assert_eq!(lines, flume(dir.path(), &["check", "--views", "flume", "--log", "flume/log.offset"]).fine());
    let views = [
        "unknown  count.json  120 of 190",
        "         its position is an entry's; the value is folded by a function that is not known here",
        "right    keys.ht  190 of 190  entries by key, hashed by FNV-1a",
    ];
    assert_eq!(lines[lines.len() - 3..], views);
    let format = ["check", "--views", "flume", "--log", "flume/log.offset", "--format", "offset32", "--json"];
    let object = flume(dir.path(), &format).json();
    assert_eq!(
        (&object["ok"], &object["views"]["ok"], &object["views"]["records"]),
        (&json!(true), &json!(true), &json!(190))
    );
    let keys = &object["views"]["indexes"][1];
    assert_eq!(keys["path"], "flume/keys.ht");
    for (field, value) in [("kind", "hashtable"), ("verdict", "right"), ("checksum", "none")] {
        assert_eq!(keys[field], value);
    }
    assert_eq!((&keys["version"], &keys["offset"], &keys["covered"]), (&json!(3), &json!(106479), &json!(190)));
    assert_eq!(files(dir.path()), before, "checking changed something");
}

/// The folder of ssb-db2 with jitdb's in it.
#[test]
fn indexes_of_jitdb_are_held_against_their_log() {
    let dir = fixture("index-faults/shared-name");
    let lines = flume(&dir, &["check", "log.bipf", "--format", "aaol:1024", "--views", "."]).fine();
    let views = [
        "right    seq.index  12 of 12",
        "right    sequence.index  12 of 12",
        "right    timestamp.index  12 of 12",
        "right    value_content_num_.index  12 of 12  value.content.num = \"\"",
        "         V1: ambiguous name: one file serves several queries, and answers one of them rightly",
        "         it also serves value.content.num = null, with other records",
        "         it also serves value.content.num = false, with other records",
        "         it also serves value.content.num = 0, with other records",
        "right    value_content_num_5.index  12 of 12  value.content.num = 5",
        "         V1: ambiguous name: one file serves several queries, and answers one of them rightly",
        "         it also serves value.content.num = \"5\", with other records",
    ];
    assert_eq!(lines[lines.len() - views.len()..], views);
    let dir = fixture("index-faults/last-item");
    let lines = flume(&dir, &["check", "--log", "log.bipf", "--format", "aaol:4096", "--views", "jit"]).failed(1);
    let at = lines.iter().position(|line| line.starts_with("wrong    value_content_tags_hi.index")).unwrap();
    let more =
        ["         missing: 1 record: 2 at 238", "         V8: lists with the value as their last item are left out"];
    assert_eq!(lines[at + 1..], more);
}

#[test]
fn a_wrong_index_is_told_with_its_fault_and_gives_1() {
    let dir = folder();
    // Hides two others in the table.
    let log = fixture("views/log.offset");
    let seqs = flume(dir.path(), &["cat", log.to_str().unwrap()]).fine();
    let seq = serde_json::from_str::<Value>(&seqs[35]).unwrap()["seq"].to_string();
    flume(dir.path(), &["delete", "flume/log.offset", &seq]).fine();
    let lines = flume(dir.path(), &["check", "flume/log.offset", "--views", "flume"]).failed(1);
    let at = lines.iter().position(|line| line.starts_with("wrong    keys.ht  190 of 190")).unwrap();
    let more = [
        "         some entries cannot be found by their key",
        "         missing: 2 records: 11 at 6115, 23 at 12700",
        "         V15: entries behind a deleted one cannot be found",
    ];
    assert_eq!(lines[at + 1..], more);
    let ran = flume(dir.path(), &["check", "flume/log.offset", "--views", "flume", "--json"]);
    let object = ran.json();
    assert_eq!((ran.code, &object["ok"], &object["views"]["ok"]), (1, &json!(true), &json!(false)));
    let keys = &object["views"]["indexes"][1];
    assert_eq!(
        keys["missing"],
        json!({"count": 2, "first": [{"record": 11, "seq": 6115}, {"record": 23, "seq": 12700}]})
    );
    assert_eq!(keys["faults"], json!([{"row": "V15", "what": "entries behind a deleted one cannot be found"}]));
}

#[test]
fn a_damaged_index_gives_1_and_the_rest_is_told() {
    let dir = folder();
    std::fs::write(dir.path().join("flume/keys.ht"), [1; 30]).unwrap();
    let ran = flume(dir.path(), &["check", "flume/log.offset", "--views", "flume"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.lines.iter().any(|line| line == "damaged  keys.ht"), "{ran:?}");
    assert!(ran.lines.iter().any(|line| line.starts_with("unknown  count.json")), "{ran:?}");
    assert!(ran.err.contains("1 of the 2 indexes in flume are not right"), "{ran:?}");
}

#[test]
fn what_is_missing_or_wrongly_asked_is_told() {
    let dir = folder();
    flume(dir.path(), &["check", "flume/log.offset", "--views", "nowhere"]).failed(1);
    flume(dir.path(), &["check", "--views", "flume", "--log", "nowhere"]).failed(1);
    for wrong in [
        &["check"][..],
        &["check", "--views", "flume"],
        &["check", "--log", "flume/log.offset"],
        &["check", "flume/log.offset", "--views", "flume", "--log", "flume/log.offset"],
    ] {
        assert_eq!(flume(dir.path(), wrong).code, 2, "{wrong:?}");
    }
}
