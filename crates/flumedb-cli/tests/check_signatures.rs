//! Guards against a check that passes a forged message, or gives up at an entry that is none.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use serde_json::{Value, json};
use support::{copy, database, files, flume, sample, temp};

fn messages(count: usize) -> Vec<String> {
    let limit = count.to_string();
    flume(".".as_ref(), &["cat", &sample(), "--values", "--limit", &limit]).fine()
}

#[test]
fn the_sample_is_verified_whatever_it_is_stored_in() {
    let dir = temp();
    let messages = messages(50);
    database(dir.path(), "db", &messages.iter().map(String::as_str).collect::<Vec<_>>());
    let before = files(dir.path());
    for (path, count) in [(&*sample(), 1000), ("db", 50)] {
        let lines = flume(dir.path(), &["check", path, "--signatures"]).fine();
        let counts =
            [format!("verified   {count}"), "wrong      0".into(), "malformed  0".into(), "foreign    0".into()];
        assert_eq!(lines[lines.len() - 4..], counts);
        let ran = flume(dir.path(), &["check", path, "--signatures", "--json"]);
        let expected = json!({"verified": count, "wrong": 0, "malformed": 0, "foreign": 0, "faults": []});
        assert_eq!((ran.code, &ran.json()["signatures"], &*ran.err), (0, &expected, ""));
    }
    assert_eq!(files(dir.path()), before, "checking changed something");
    // Only when asked.
    assert_eq!(flume(dir.path(), &["check", "db", "--json"]).json().get("signatures"), None);
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_is_none_is_passed_over() {
    let dir = temp();
    let messages = messages(3);
    let key = |text: &str| serde_json::from_str::<Value>(text).unwrap()["key"].as_str().unwrap().to_owned();
    let other_key = messages[1].replacen(&key(&messages[1]), &key(&messages[2]), 1);
    let forged = messages[2].replacen("\"sequence\":", "\"sequence\":1", 1);
    let foreign = r#"{"key":"ssb:message/bendybutt-v1/x","value":{"author":"ssb:feed/bendybutt-v1/y"}}"#;
    let mut entries = vec![&*messages[0], &*other_key, "\"a text\"", &*forged, foreign];
    database(dir.path(), "db", &entries);
    let ran = flume(dir.path(), &["check", "db", "--signatures", "--json"]);
    assert_eq!((ran.code, &ran.json()["ok"]), (1, &json!(true)), "{ran:?}");
    let found = &ran.json()["signatures"];
    assert_eq!(found["verified"], 1);
    assert_eq!((&found["wrong"], &found["malformed"], &found["foreign"]), (&json!(2), &json!(1), &json!(1)));
    let faults = found["faults"].as_array().unwrap();
    assert_eq!(faults.iter().map(|fault| &fault["seq"]).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for (fault, reason) in faults.iter().zip([&*key(&messages[1]), "no message", "has not signed it", "bendybutt"]) {
        let said = format!("flume: entry {}: {}", fault["seq"], fault["reason"].as_str().unwrap());
        assert!(said.contains(reason) && ran.err.contains(&said), "{said}; {ran:?}");
    }

    // Entries that are no messages are nothing wrong, and of many only the first are told.
    entries = vec!["1"; 25];
    database(dir.path(), "numbers", &entries);
    let ran = flume(dir.path(), &["check", "numbers", "--signatures", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["signatures"]["malformed"], 25);
    assert_eq!(ran.json()["signatures"]["faults"].as_array().unwrap().len(), 10);
    assert_eq!((ran.err.lines().count(), ran.err.lines().last()), (11, Some("flume: and 15 more")));
}

#[test]
fn what_cannot_be_read_is_told_as_ever() {
    let dir = temp();
    std::fs::write(dir.path().join("garbage"), [7; 300]).unwrap();
    copy(dir.path(), "torn-cut5-32.log");
    for (path, has) in [("garbage", false), ("nothing", false), ("torn-cut5-32.log", true)] {
        let plain = flume(dir.path(), &["check", path, "--json"]);
        let asked = flume(dir.path(), &["check", path, "--json", "--signatures"]);
        assert_eq!((asked.code, &asked.json()["damage"]), (1, &plain.json()["damage"]), "{asked:?}");
        assert_eq!(asked.json().get("signatures").is_some(), has, "{asked:?}");
    }
}
