//! Guards against a log of go-ssb whose messages stay bytes: they are printed, found and verified as messages.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::path::Path;

use flumedb::{
    codec::JsonDoc,
    log::{Batch, Log},
};
use flumedb_ssb::{Offset2Log, message::multi::Multi};
use serde_json::Value;
use support::{flume, flume_with, sample, temp};

/// A log of go-ssb with the first messages of the sample; and these.
fn repository(dir: &Path, count: usize) -> Vec<Value> {
    let limit = count.to_string();
    let lines = flume(dir, &["cat", &sample(), "--values", "--limit", &limit]).fine();
    let log = Offset2Log::builder().create().open(dir.join("go")).unwrap();
    let mut batch = Batch::new();
    for line in &lines {
        let message = Multi::from_document(&JsonDoc::parse(line.clone()).unwrap()).unwrap();
        batch.push(&message.encode().unwrap());
    }
    pollster::block_on(log.append(batch)).unwrap();
    pollster::block_on(log.close()).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn its_messages_are_printed_found_and_verified() {
    let dir = temp();
    let messages = repository(dir.path(), 60);
    for path in ["go", "db"] {
        let stat = flume(dir.path(), &["stat", path, "--json"]);
        if path == "go" {
            assert_eq!(stat.json()["format"], "offset2", "{stat:?}");
            flume(dir.path(), &["import", "go", "db"]).fine();
        }
        let printed = flume(dir.path(), &["cat", path, "--values"]).fine();
        assert_eq!(printed.len(), messages.len());
        for (line, message) in printed.iter().zip(&messages) {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["key"], &line["value"]), (&message["key"], &message["value"]));
        }
        let lines = flume(dir.path(), &["check", path, "--signatures"]).fine();
        assert!(lines.contains(&"verified   60".to_owned()), "{lines:?}");
        let raw = flume(dir.path(), &["cat", path, "--raw", "--limit", "1"]).fine();
        assert!(raw[0].contains("\"base64\":\"AYaC"), "{raw:?}");

        let key = messages[7]["key"].as_str().unwrap();
        let ran = flume(dir.path(), &["query", path, "--key", key, "--values"]);
        assert_eq!((ran.code, &*ran.lines), (0, &printed[7..8]), "{ran:?}");
        let author = messages[7]["value"]["author"].as_str().unwrap();
        let by = messages.iter().filter(|message| message["value"]["author"] == author).count();
        let ran = flume(dir.path(), &["query", path, "--author", author, "--count"]);
        assert_eq!((ran.code, &*ran.lines[0]), (0, &*by.to_string()), "{ran:?}");
    }
}

#[test]
fn what_is_appended_becomes_what_go_ssb_reads() {
    let dir = temp();
    repository(dir.path(), 3);
    let line = flume(dir.path(), &["cat", &sample(), "--values", "--reverse", "--limit", "1"]).fine().remove(0);
    assert_eq!(flume_with(dir.path(), &["append", "go"], format!("{line}\n")).fine(), ["3"]);
    let raw = flume(dir.path(), &["get", "go", "3", "--raw"]).fine();
    assert!(raw[0].contains("\"base64\":\"AYaC"), "{raw:?}");
    assert!(flume(dir.path(), &["check", "go", "--signatures"]).fine().contains(&"verified   4".to_owned()));
    // What is no message is none in that form.
    flume_with(dir.path(), &["append", "go"], "{\"key\":\"%1\"}\n").failed(2);
    assert_eq!(flume(dir.path(), &["since", "go"]).fine(), ["3"]);
}
