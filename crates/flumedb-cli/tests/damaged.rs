//! Guards against reading that changes a torn or damaged log, keeps what is readable back, or hides what is wrong; and
//! against a query that keeps writers out while it prints.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::path::Path;

use support::{Running, database, files, flume, flume_with, temp};

fn message(number: u32) -> String {
    format!(
        r#"{{"key":"%k{number}","value":{{"author":"@a","sequence":1,"timestamp":{number},"content":{{"type":"post"}}}}}}"#
    )
}

/// Five messages, each in a commit of its own, and their views.
fn messages(dir: &Path) {
    for number in 0..5 {
        database(dir, "db", &[&message(number)]);
    }
    flume(dir, &["rebuild", "db"]).fine();
}

fn segment(dir: &Path) -> std::path::PathBuf {
    let mut segments = files(&dir.join("db")).into_iter().map(|(path, _)| path);
    segments.rfind(|path| path.extension().is_some_and(|ending| ending == "seg")).unwrap()
}

/// Leaves at the end what a stopped writer does.
fn tear(dir: &Path) {
    let path = segment(dir);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([7; 40]);
    std::fs::write(path, bytes).unwrap();
}

/// Damages whichever messages hold this text.
fn damage(dir: &Path, text: &str) {
    let path = segment(dir);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The files of the log itself.
fn log(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    files(&dir.join("db")).into_iter().filter(|(path, _)| !path.starts_with(dir.join("db/views"))).collect()
}

const READING: [&[&str]; 12] = [
    &["query", "db"],
    &["query", "db", "--type", "post"],
    &["query", "db", "--author", "@a", "--count"],
    &["query", "db", "--key", "%k3", "--views", "mine"],
    &["stat", "db"],
    &["stat", "db", "--json"],
    &["views", "db"],
    &["cat", "db"],
    &["cat", "db", "--live", "--limit", "1"],
    &["get", "db", "0"],
    &["since", "db"],
    &["check", "db"],
];

#[test]
fn reading_a_torn_database_says_so_and_changes_nothing() {
    let dir = temp();
    messages(dir.path());
    tear(dir.path());
    let before = log(dir.path());
    for args in READING {
        let ran = flume(dir.path(), args);
        assert_eq!(ran.code, 1, "{args:?}: {ran:?}");
        assert!(ran.err.contains("torn"), "{args:?}: {ran:?}");
        assert!(args[0] == "views" || !ran.lines.is_empty(), "{args:?}: {ran:?}");
        assert_eq!(log(dir.path()), before, "{args:?}");
    }
    assert_eq!(flume(dir.path(), &["query", "db", "--type", "post"]).lines.len(), 5);
    // Who writes cuts, and says so.
    let ran = flume_with(dir.path(), &["append", "db"], message(5));
    assert!(ran.code == 0 && ran.err.contains("cut 40 torn bytes"), "{ran:?}");
    assert_eq!(flume(dir.path(), &["query", "db", "--type", "post"]).fine().len(), 6);
}

#[test]
fn what_a_damaged_database_still_has_is_found_and_printed() {
    let dir = temp();
    messages(dir.path());
    damage(dir.path(), "%k2");
    let before = log(dir.path());
    for question in [&["--type", "post"][..], &["--author", "@a"], &["--since", "0"], &[]] {
        let mut args = vec!["query", "db", "--values"];
        args.extend(question);
        let ran = flume(dir.path(), &args);
        assert_eq!((ran.code, &ran.lines), (1, &[0, 1, 3, 4].map(message).to_vec()), "{ran:?}");
        assert!(ran.err.contains("damaged"), "{ran:?}");
    }
    assert_eq!(flume(dir.path(), &["query", "db", "--key", "%k4"]).lines.len(), 1);
    assert_eq!(log(dir.path()), before);

    let ran = flume(dir.path(), &["import", "db", "other", "--source", "x"]);
    assert!(ran.code == 1 && ran.err.contains("damaged"), "{ran:?}");
    assert_eq!(flume(dir.path(), &["cat", "other", "--values"]).fine(), [0, 1, 3, 4].map(message));

    let mut tail = Running::start(dir.path(), &["tail", "db", "-n", "3", "--values"]);
    assert_eq!([tail.line(), tail.line(), tail.line()], [1, 3, 4].map(message));
}

#[test]
fn a_stretch_of_damage_is_told_of_once() {
    let dir = temp();
    database(dir.path(), "db", &["\"a\"", "\"b\"", "\"marker\"", "\"c\"", "\"d\""]);
    database(dir.path(), "db", &["\"end\""]);
    damage(dir.path(), "marker");
    let ran = flume(dir.path(), &["cat", "db", "--values"]);
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
    assert_eq!(ran.lines.last().unwrap(), "\"end\"");
}

#[test]
fn a_live_reading_ends_at_its_bound() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2"]);
    assert_eq!(flume(dir.path(), &["cat", "db", "--live", "--lte", "0", "--values"]).fine(), ["1"]);
    let mut live = Running::start(dir.path(), &["cat", "db", "--live", "--lte", "2", "--values"]);
    assert_eq!([live.line(), live.line()], ["1", "2"]);
    database(dir.path(), "db", &["3"]);
    assert_eq!(live.line(), "3");
    assert_eq!(live.hang_up(), 0);
}

#[test]
fn a_query_that_prints_keeps_no_writer_out() {
    let dir = temp();
    // More than a pipe takes.
    let text = "x".repeat(4000);
    let lines: String = (0..100)
        .map(|number| format!("{}\n", message(number).replace("\"post\"", &format!("\"post\",\"text\":\"{text}\""))))
        .collect();
    flume_with(dir.path(), &["append", "db"], lines).fine();
    for question in [&["query", "db", "--type", "post"][..], &["query", "db"]] {
        let mut query = Running::start(dir.path(), question);
        assert!(query.line().contains("%k0"));
        let mut writer = Running::start(dir.path(), &["append", "db"]);
        writer.send("1\n");
        assert!(!writer.line().is_empty(), "the writer's place is free");
        assert_eq!(query.hang_up(), 0);
    }
}

#[test]
fn views_of_entries_that_were_lost_are_rebuilt() {
    let dir = temp();
    messages(dir.path());
    let older = log(dir.path());
    database(dir.path(), "db", &[&message(5)]);
    flume(dir.path(), &["rebuild", "db"]).fine();
    for (path, bytes) in older {
        std::fs::write(path, bytes).unwrap();
    }
    let ran = flume(dir.path(), &["query", "db", "--type", "post"]);
    assert!(ran.err.contains("run `flume rebuild`"), "{ran:?}");
    assert_eq!(ran.failed(1).len(), 5, "what the log has is found");
    let ran = flume(dir.path(), &["views", "db"]);
    assert!(ran.err.contains("run `flume rebuild`"), "{ran:?}");
    ran.failed(1);
    assert_eq!(flume(dir.path(), &["rebuild", "db"]).fine().len(), 4);
    assert_eq!(flume(dir.path(), &["query", "db", "--type", "post"]).fine().len(), 5);
}
