//! Guards against an import that takes an entry twice, or not at all, whenever it is killed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::{path::Path, time::Duration};

use support::{Running, copy, flume, flume_with, sample, temp, vector};

/// Lines enough for a good many commits.
fn many(path: &Path) -> Vec<String> {
    let lines: Vec<String> =
        (0..30_000).map(|number| format!("{{\"n\":{number},\"text\":\"{}\"}}", "x".repeat(number % 300))).collect();
    std::fs::write(path, lines.join("\n")).unwrap();
    lines
}

/// Imports `source`, killing the program again and again after ever longer times, until it gets through.
fn import_killed(dir: &Path, source: &str) -> u32 {
    let mut kills = 0;
    loop {
        let mut running = Running::start(dir, &["import", source, "db"]);
        let patience = Duration::from_millis(3) * (kills % 12) + Duration::from_millis(u64::from(kills / 12));
        match running.ends_within(patience) {
            Some(code) => {
                assert_eq!(code, 0);
                return kills;
            }
            None => kills += 1,
        }
        drop(running);
    }
}

#[test]
fn json_lines_are_taken_once_however_often_it_is_killed() {
    let dir = temp();
    let lines = many(&dir.path().join("source.jsonl"));
    let kills = import_killed(dir.path(), "source.jsonl");
    assert!(kills > 2, "{kills} kills test nothing");
    assert_eq!(flume(dir.path(), &["cat", "db", "--values"]).fine(), lines);
    assert!(flume(dir.path(), &["import", "source.jsonl", "db"]).fine()[0].starts_with("imported 0 entries"));
}

#[test]
fn a_log_file_is_taken_once_however_often_it_is_killed() {
    let dir = temp();
    let lines = many(&dir.path().join("source.jsonl"));
    std::fs::write(dir.path().join("log.offset"), b"").unwrap();
    flume_with(dir.path(), &["append", "log.offset"], lines.join("\n")).fine();
    let kills = import_killed(dir.path(), "log.offset");
    assert!(kills > 2, "{kills} kills test nothing");
    assert_eq!(flume(dir.path(), &["cat", "db", "--values"]).fine(), lines);
}

#[test]
fn what_was_added_to_a_source_is_all_that_is_taken_later() {
    let dir = temp();
    let log = copy(dir.path(), "json-32.log");
    let log = log.to_str().unwrap();
    assert_eq!(flume(dir.path(), &["import", log, "db"]).fine(), ["imported 77 entries; db has 77 now"]);
    flume_with(dir.path(), &["append", log], "\"more\"").fine();
    assert_eq!(flume(dir.path(), &["import", "json-32.log", "db"]).fine(), ["imported 1 entries; db has 78 now"]);
    // Another source beside it, and the database as a source itself.
    assert_eq!(flume(dir.path(), &["import", &sample(), "db"]).fine(), ["imported 1000 entries; db has 1078 now"]);
    assert_eq!(flume(dir.path(), &["import", "db", "copy"]).fine(), ["imported 1078 entries; copy has 1078 now"]);
    assert_eq!(flume(dir.path(), &["import", "db", "copy"]).fine(), ["imported 0 entries; copy has 1078 now"]);
    let [one, two] = ["db", "copy"].map(|db| flume(dir.path(), &["cat", db, "--values"]).fine());
    assert_eq!(one, two);
}

#[test]
fn standard_input_goes_on_under_its_name() {
    let dir = temp();
    let import = |text: &str| flume_with(dir.path(), &["import", "-", "db", "--source", "feed"], text);
    assert_eq!(import("1\n2\n").fine(), ["imported 2 entries; db has 2 now"]);
    assert_eq!(import("1\n2\n3\n").fine(), ["imported 1 entries; db has 3 now"]);
    assert_eq!(import("1\n2\n3\n").fine(), ["imported 0 entries; db has 3 now"]);
    // Another stream under that name is refused, a shorter one too.
    for other in ["1\n7\n3\n4\n", "1\n2\n", ""] {
        let ran = import(other);
        assert!(ran.err.contains("--source"), "{ran:?}");
        ran.failed(1);
    }
    assert_eq!(flume(dir.path(), &["cat", "db", "--values"]).fine(), ["1", "2", "3"]);
}

#[test]
fn another_log_at_the_same_place_is_refused() {
    let dir = temp();
    copy(dir.path(), "json-32.log");
    flume(dir.path(), &["import", "json-32.log", "db"]).fine();
    std::fs::write(dir.path().join("json-32.log"), std::fs::read(vector("deleted-32.log")).unwrap()).unwrap();
    flume(dir.path(), &["import", "json-32.log", "db"]).failed(1);
    assert_eq!(flume(dir.path(), &["since", "db"]).fine(), ["76"]);
    flume(dir.path(), &["import", "json-32.log", "db", "--source", "another"]).fine();
}

#[test]
fn deleting_what_was_imported_from_a_source_does_not_make_it_another() {
    let dir = temp();
    copy(dir.path(), "json-32.log");
    flume(dir.path(), &["import", "json-32.log", "db"]).fine();
    flume(dir.path(), &["delete", "json-32.log", "0", "4321"]).fine();
    assert!(flume(dir.path(), &["import", "json-32.log", "db"]).fine()[0].starts_with("imported 0"));
}

#[test]
fn of_a_torn_source_what_is_whole_is_taken_and_the_rest_when_it_is_there() {
    let dir = temp();
    let path = copy(dir.path(), "json-48.log");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    assert_eq!(flume(dir.path(), &["import", "json-48.log", "db"]).failed(1), ["imported 64 entries; db has 64 now"]);
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(flume(dir.path(), &["import", "json-48.log", "db"]).fine(), ["imported 1 entries; db has 65 now"]);
}

#[test]
fn a_source_that_cannot_be_read_leaves_no_database_behind() {
    let dir = temp();
    std::fs::write(dir.path().join("bad.jsonl"), "{}\nnonsense\n").unwrap();
    std::fs::write(dir.path().join("garbage"), "no log").unwrap();
    flume(dir.path(), &["import", "bad.jsonl", "db"]).failed(2);
    flume(dir.path(), &["import", "garbage", "db"]).failed(1);
    flume_with(dir.path(), &["import", "-", "db", "--source", "x"], "nonsense").failed(2);
    assert!(!dir.path().join("db").exists());
}

#[test]
fn lines_of_flumelog_memory_give_their_values_whatever_the_file_is_called() {
    let dir = temp();
    let numbered = "{\"seq\":0,\"value\":\"a\"}\n{\"seq\":1,\"value\":{\"k\":1}}\n";
    // Lines that only look alike are taken as they are: other numbers, another member.
    let other = numbered.replace(":1,", ":2,");
    let more = numbered.replacen("\"a\"", "\"a\",\"more\":1", 1);
    for (name, lines, format, numbers) in [
        ("memory.jsonl", numbered, None, true),
        ("memory.json", numbered, None, true),
        ("named.jsonl", numbered, Some("memory"), true),
        ("bare.jsonl", numbered, Some("jsonl"), false),
        ("other.jsonl", &other, None, false),
        ("more.jsonl", &more, None, false),
    ] {
        std::fs::write(dir.path().join(name), lines).unwrap();
        let db = format!("{name}.db");
        let mut args = vec!["import", name, &db];
        args.extend(format.into_iter().flat_map(|format| ["--format", format]));
        assert!(flume(dir.path(), &args).fine()[0].starts_with("imported 2 entries"), "{name}");
        assert!(flume(dir.path(), &args).fine()[0].starts_with("imported 0 entries"), "{name}");
        let values = flume(dir.path(), &["cat", &db, "--values"]).fine();
        if numbers {
            assert_eq!(values, ["\"a\"", "{\"k\":1}"], "{name}");
        } else {
            assert_eq!(values, lines.lines().collect::<Vec<_>>(), "{name}");
        }
    }
    flume_with(dir.path(), &["import", "-", "db", "--source", "s", "--format", "memory"], numbered).failed(2);
}
