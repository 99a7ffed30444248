//! Guards against a check that misses what is wrong, changes what it looks at, or answers something no program can read.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use serde_json::json;
use support::{copy, database, files, flume, temp, vector};

#[test]
fn the_object_has_every_field_whatever_is_there() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2"]);
    flume(dir.path(), &["delete", "db", "0"]).fine();
    for name in ["json-32.log", "legacy-basic.log", "torn-cut5-53.log", "empty-32.log", "deleted-48.log"] {
        copy(dir.path(), name);
    }
    std::fs::write(dir.path().join("garbage"), [7; 300]).unwrap();
    std::fs::create_dir(dir.path().join("directory")).unwrap();
    let before = files(dir.path());
    for (path, code, format, entries, deleted, head) in [
        ("db", 0, json!("flume"), 1, 1, json!(2)),
        ("json-32.log", 0, json!("offset32"), 77, 0, json!(4321)),
        ("legacy-basic.log", 0, json!("offset-basic"), 20, 0, json!(671)),
        ("torn-cut5-53.log", 1, json!("offset53"), 5, 0, json!(109)),
        ("empty-32.log", 0, json!("offset32"), 0, 0, json!(null)),
        ("deleted-48.log", 0, json!("offset48"), 23, 8, json!(3709)),
        ("garbage", 1, json!(null), 0, 0, json!(null)),
        ("directory", 1, json!(null), 0, 0, json!(null)),
        ("nothing", 1, json!(null), 0, 0, json!(null)),
    ] {
        let ran = flume(dir.path(), &["check", path, "--json"]);
        assert_eq!(ran.code, code, "{ran:?}");
        let object = ran.json();
        let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
        let mut expected = ["format", "entries", "deleted", "bytes", "head", "ok", "torn_tail", "damage"];
        let in_order = ran.lines[0].match_indices("\":").count() >= expected.len();
        expected.sort_unstable();
        assert!(in_order && keys.iter().all(|key| expected.contains(&key.as_str())) && keys.len() == 8, "{object}");
        assert_eq!(object["format"], format, "{object}");
        assert_eq!(object["entries"], entries, "{object}");
        assert_eq!(object["deleted"], deleted, "{object}");
        assert_eq!(object["head"], head, "{object}");
        assert_eq!(object["ok"], code == 0, "{object}");
        assert_eq!(ran.err.is_empty(), code == 0, "{ran:?}");
        // Without --json the same, for people.
        assert_eq!(flume(dir.path(), &["check", path]).code, code);
    }
    assert_eq!(files(dir.path()), before, "checking changed something");
}

#[test]
fn a_torn_tail_is_told_with_its_place() {
    let dir = temp();
    copy(dir.path(), "torn-cut5-32.log");
    let object = flume(dir.path(), &["check", "torn-cut5-32.log", "--json"]).json();
    assert_eq!(object["torn_tail"], json!({"file": "torn-cut5-32.log", "offset": 124, "bytes": 9}));
    assert_eq!(object["damage"], json!([]));
}

#[test]
fn damage_is_told_with_its_place_and_reason() {
    let dir = temp();
    let path = copy(dir.path(), "json-32.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[99] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let object = flume(dir.path(), &["check", "json-32.log", "--json"]).json();
    assert_eq!((&object["torn_tail"], &object["entries"]), (&json!(null), &json!(1)));
    let damage = &object["damage"][0];
    assert_eq!((&damage["file"], &damage["offset"], &damage["bytes"]), (&json!("json-32.log"), &json!(99), &json!(22)));
    assert!(damage["reason"].as_str().unwrap().contains("75 whole records follow at byte 121"), "{damage}");
}

#[test]
fn a_damaged_database_is_told_of_and_read_around() {
    let dir = temp();
    for value in ["\"first\"", "\"marker\"", "\"last\""] {
        database(dir.path(), "db", &[value]);
    }
    let (path, mut bytes) = files(&dir.path().join("db"))
        .into_iter()
        .find(|(_, bytes)| bytes.windows(6).any(|window| window == b"marker"))
        .unwrap();
    let at = bytes.windows(6).position(|window| window == b"marker").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let ran = flume(dir.path(), &["check", "db", "--json"]);
    assert_eq!((ran.code, &ran.json()["ok"]), (1, &json!(false)), "{ran:?}");
    assert!(!ran.json()["damage"].as_array().unwrap().is_empty(), "{ran:?}");
    let ran = flume(dir.path(), &["cat", "db", "--values"]);
    assert_eq!((ran.code, &ran.lines[..]), (1, &["\"first\"".to_owned(), "\"last\"".to_owned()][..]), "{ran:?}");
    assert!(ran.err.contains("damaged"), "{ran:?}");
    flume(dir.path(), &["get", "db", "1"]).failed(1);
}

#[test]
fn every_name_of_a_format_is_understood() {
    let dir = temp();
    for (file, format) in [
        ("json-32.log", "offset32"),
        ("json-48.log", "offset48"),
        ("json-53.log", "offset53"),
        ("legacy-basic.log", "offset-basic"),
    ] {
        let path = vector(file);
        let named = flume(dir.path(), &["check", path.to_str().unwrap(), "--format", format, "--json"]);
        assert_eq!(named.json()["format"], format);
    }
    database(dir.path(), "db", &["1"]);
    assert_eq!(flume(dir.path(), &["check", "db", "--format", "flume", "--json"]).json()["format"], "flume");
}
