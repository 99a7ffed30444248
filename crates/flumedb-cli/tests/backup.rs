//! Guards against a backup that is not what it says, that is not told to be damaged, or that is put over something else; on
//! the real disk, beside a program that writes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::fs;

use support::{Running, database, files, flume, flume_with, temp};

/// The value behind a name in the lines of a command.
#[track_caller]
fn value<'a>(lines: &'a [String], name: &str) -> &'a str {
    let line = lines.iter().find(|line| line.split_whitespace().next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in {lines:?}"))[name.len()..].trim()
}

#[test]
fn there_and_back_it_is_the_same_database() {
    let dir = temp();
    database(dir.path(), "db", &["1", "\"two\"", "{\"three\":3}"]);
    flume(dir.path(), &["delete", "db", "1"]).fine();
    let lines = flume(dir.path(), &["cat", "db"]).fine();
    let made = flume(dir.path(), &["backup", "db", "kept/backup"]).fine();
    assert_eq!((value(&made, "head"), value(&made, "files")), ("3", "1"));
    let verified = flume(dir.path(), &["verify", "kept/backup"]).fine();
    assert_eq!((value(&verified, "entries"), value(&verified, "deleted"), value(&verified, "ok")), ("2", "1", "yes"));
    assert_eq!(flume(dir.path(), &["cat", "kept/backup"]).fine(), lines, "a backup is a log that can be read");
    let before = files(&dir.path().join("kept"));
    // The lock that shows that nobody writes is no part of it.
    assert!(before.iter().any(|(path, _)| path.ends_with("backup-manifest")), "{before:?}");

    fs::remove_dir_all(dir.path().join("db")).unwrap();
    flume(dir.path(), &["restore", "kept/backup", "db"]).fine();
    assert_eq!(flume(dir.path(), &["cat", "db"]).fine(), lines);
    flume(dir.path(), &["check", "db"]).fine();
    flume_with(dir.path(), &["append", "db"], "4\n").fine();
    assert_eq!(flume(dir.path(), &["since", "db"]).fine(), ["4"]);
    assert_eq!(files(&dir.path().join("kept")), before);
    // And it goes on from there.
    let made = flume(dir.path(), &["backup", "db", "kept/backup"]).fine();
    assert_eq!(value(&made, "head"), "4");
    let json = flume(dir.path(), &["verify", "kept/backup", "--json"]).json();
    assert_eq!((&json["ok"], &json["head"], &json["files"]), (&true.into(), &4.into(), &1.into()), "{json}");
}

#[test]
fn a_running_program_is_backed_up_as_far_as_it_has_acknowledged() {
    let dir = temp();
    let mut writer = Running::start(dir.path(), &["append", "db"]);
    let text = "x".repeat(3000);
    for round in 0..5 {
        let mut last = String::new();
        for number in 0..40 {
            writer.send(&format!("{{\"round\":{round},\"number\":{number},\"text\":\"{text}\"}}\n"));
            last = writer.line();
        }
        let json = flume(dir.path(), &["backup", "db", "backup", "--json"]).json();
        assert!(json["head"].as_u64().unwrap() >= last.parse().unwrap(), "{json}, and {last} was acknowledged");
        flume(dir.path(), &["verify", "backup"]).fine();
        let there = flume(dir.path(), &["cat", "backup"]).fine();
        assert_eq!(there.len() as u64, json["head"].as_u64().unwrap() + 1);
    }
    drop(writer);
    let lines = flume(dir.path(), &["cat", "db"]).fine();
    flume(dir.path(), &["backup", "db", "backup", "--copy"]).fine();
    assert_eq!(flume(dir.path(), &["cat", "backup"]).fine(), lines);
}

#[test]
fn damage_is_told_and_not_restored() {
    let dir = temp();
    database(dir.path(), "db", &["\"first\"", "\"marker\"", "\"last\""]);
    flume(dir.path(), &["backup", "db", "backup"]).fine();
    let backup = dir.path().join("backup");
    let segment = files(&backup).into_iter().find(|(path, _)| path.extension().is_some_and(|ending| ending == "seg"));
    let (segment, whole) = segment.unwrap();
    let told = |bytes: Option<&[u8]>| {
        match bytes {
            Some(bytes) => fs::write(&segment, bytes).unwrap(),
            None => fs::remove_file(&segment).unwrap(),
        }
        let ran = flume(dir.path(), &["verify", "backup"]);
        assert!(ran.err.contains(segment.file_name().unwrap().to_str().unwrap()), "{ran:?}");
        assert_eq!(value(&ran.failed(1), "ok"), "no");
        let json = flume(dir.path(), &["verify", "backup", "--json"]).json();
        assert_eq!(json["ok"], false);
        flume(dir.path(), &["restore", "backup", "restored"]).failed(1);
        assert!(!dir.path().join("restored").exists());
    };
    let mut flipped = whole.clone();
    let at = whole.windows(6).position(|window| window == b"marker").unwrap();
    flipped[at] ^= 1;
    told(Some(&flipped));
    told(Some(&whole[..whole.len() - 9]));
    told(None);
    fs::write(&segment, &whole).unwrap();
    flume(dir.path(), &["verify", "backup"]).fine();
    // A damaged log is not copied over a good backup.
    let (path, _) =
        files(&dir.path().join("db")).into_iter().find(|(_, bytes)| bytes.windows(6).any(|w| w == b"marker")).unwrap();
    let at = fs::read(&path).unwrap().windows(6).position(|window| window == b"marker").unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    flume(dir.path(), &["backup", "db", "backup"]).failed(1);
    flume(dir.path(), &["verify", "backup"]).fine();
}

#[test]
fn nothing_is_written_over() {
    let dir = temp();
    database(dir.path(), "db", &["1"]);
    database(dir.path(), "other", &["2"]);
    fs::create_dir(dir.path().join("full")).unwrap();
    fs::write(dir.path().join("full/file"), "mine").unwrap();
    fs::write(dir.path().join("file"), "mine").unwrap();
    flume(dir.path(), &["backup", "db", "backup"]).fine();
    let before = files(dir.path());
    for args in [
        &["backup", "db", "other"][..],
        &["backup", "db", "full"],
        &["backup", "db", "file"],
        &["backup", "db", "db"],
        &["backup", "other", "backup"],
        &["backup", "backup", "new"],
        &["restore", "backup", "db"],
        &["restore", "backup", "full"],
        &["restore", "backup", "backup"],
    ] {
        flume(dir.path(), args).failed(2);
    }
    for args in [
        &["backup", "nothing", "new"][..],
        &["backup", "file", "new"],
        &["restore", "db", "new"],
        &["verify", "db"],
        &["verify", "nothing"],
    ] {
        flume(dir.path(), args).failed(1);
    }
    flume_with(dir.path(), &["append", "backup"], "3\n").failed(2);
    let after = files(dir.path());
    assert_eq!(before.len(), after.len());
    assert!(before == after, "something was written");
    assert!(!dir.path().join("new").exists());
}

#[test]
fn a_slow_check_says_what_a_quick_one_says() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2", "3"]);
    let quick = flume(dir.path(), &["check", "db"]).fine();
    assert_eq!(flume(dir.path(), &["check", "db", "--rate", "100"]).fine(), quick);
    fs::write(dir.path().join("lines"), "1\n").unwrap();
    flume(dir.path(), &["check", "lines", "--rate", "1"]).failed(2);
}

#[test]
fn the_views_that_a_database_keeps_are_held_against_its_log() {
    let dir = temp();
    flume(dir.path(), &["import", &support::sample(), "db"]).fine();
    // So that every kind of view is there that is made here.
    let posts = r#"{"op":"equal","path":"value.content.type","value":"post"}"#;
    flume(dir.path(), &["query", "db", "--where", posts, "--sort", "timestamp", "--limit", "1"]).fine();
    let votes = r#"[{"$filter":{"value":{"content":{"type":"vote"}}}},{"$reduce":{"$count":true}}]"#;
    flume(dir.path(), &["query", "db", "--mfr", votes]).fine();
    flume(dir.path(), &["sql", "db", "SELECT count(*) FROM messages"]).fine();
    let lines = flume(dir.path(), &["check", "db", "--views"]).fine();
    for name in ["by-key", "by-author", "by-type", "by-time", "bitmaps-values-", "bitmaps-numbers-", "query-ty", "sql"]
    {
        assert!(lines.iter().any(|line| line.starts_with(&format!("right    {name}"))), "{name}: {lines:?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("unknown")), "{lines:?}");
    let before = files(&dir.path().join("db/views"));
    flume(dir.path(), &["check", "db", "--views"]).fine();
    assert!(files(&dir.path().join("db/views")) == before, "it changed something");

    // Keys that are others now, wherever they stand; a store that does not open; one that was cut.
    let (path, whole) =
        before.iter().find(|(path, _)| path.to_string_lossy().contains("by-type-") && path.ends_with("store")).unwrap();
    let mut other = whole.clone();
    let places: Vec<usize> = (0..whole.len() - 4).filter(|at| &whole[*at..*at + 4] == b"post").collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| other[*at] ^= 1);
    let mut headless = whole.clone();
    headless[0] ^= 1;
    for (what, damaged) in [("keys", &other[..]), ("head", &headless), ("cut", &whole[..whole.len() / 2])] {
        fs::write(path, damaged).unwrap();
        let before = files(&dir.path().join("db/views"));
        let ran = flume(dir.path(), &["check", "db", "--views"]);
        assert!(ran.lines.iter().any(|line| line.starts_with("wrong    by-type")), "{what}: {ran:?}");
        assert_eq!(ran.lines.iter().filter(|line| line.starts_with("wrong")).count(), 1, "{what}: {ran:?}");
        ran.failed(1);
        let json = flume(dir.path(), &["check", "db", "--views", "--json"]).json();
        let view = json["views"].as_array().unwrap().iter().find(|view| view["name"] == "by-type").unwrap().clone();
        assert!(view["ok"] == false && view["reason"].is_string(), "{what}: {json}");
        assert!(files(&dir.path().join("db/views")) == before, "{what}: it changed something");
    }
    flume(dir.path(), &["rebuild", "db", "by-type"]).fine();
    flume(dir.path(), &["check", "db", "--views"]).fine();
}
