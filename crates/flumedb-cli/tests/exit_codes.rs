//! Guards against a script that cannot tell what happened: 0 fine; 1 the data is torn or damaged, or what was asked for
//! does not exist; 2 wrong usage; 3 the system failed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use support::{Running, copy, database, flume, flume_with, temp, vector};

#[test]
fn what_does_not_exist_is_1() {
    let dir = temp();
    database(dir.path(), "db", &["1"]);
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    for command in ["cat", "since", "check", "repair", "stat", "tail"] {
        flume(dir.path(), &[command, "nothing"]).failed(1);
        flume(dir.path(), &[command, "empty"]).failed(1);
    }
    flume(dir.path(), &["import", "nothing", "db"]).failed(1);
    flume(dir.path(), &["delete", "db", "0", "7"]).failed(1);
    flume(dir.path(), &["delete", "db", "-1"]).failed(1);
    assert_eq!(flume(dir.path(), &["cat", "db"]).fine().len(), 1, "nothing was deleted");
}

#[test]
fn get_prints_the_line_of_an_entry() {
    let dir = temp();
    database(dir.path(), "db", &["{\"a\": 1}", "2"]);
    flume(dir.path(), &["delete", "db", "1"]).fine();
    assert_eq!(flume(dir.path(), &["get", "db", "0"]).fine(), [r#"{"seq":0,"value":{"a": 1}}"#]);
    assert_eq!(flume(dir.path(), &["get", "db", "0", "--raw"]).fine(), [r#"{"seq":0,"base64":"eyJhIjogMX0="}"#]);
    assert_eq!(flume(dir.path(), &["get", "db", "1"]).failed(1), [r#"{"seq":1,"deleted":true}"#]);
    for none in ["2", "3", "-1", "99999999999999999999999999"] {
        assert_eq!(flume(dir.path(), &["get", "db", none]).failed(1), [""; 0], "{none}");
    }
    let deleted = vector("deleted-32.log");
    let deleted = deleted.to_str().unwrap();
    assert_eq!(flume(dir.path(), &["get", deleted, "0"]).failed(1), [r#"{"seq":0,"deleted":true}"#]);
    assert_eq!(flume(dir.path(), &["get", deleted, "1"]).failed(1), [""; 0], "inside of a record");
}

#[test]
fn since_prints_the_number_or_nothing() {
    let dir = temp();
    assert_eq!(flume(dir.path(), &["since", vector("json-32.log").to_str().unwrap()]).fine(), ["4321"]);
    assert_eq!(flume(dir.path(), &["since", vector("empty-48.log").to_str().unwrap()]).failed(1), [""; 0]);
    flume_with(dir.path(), &["append", "db"], "").fine();
    assert_eq!(flume(dir.path(), &["since", "db"]).failed(1), [""; 0]);
    database(dir.path(), "db", &["1", "2"]);
    assert_eq!(flume(dir.path(), &["since", "db"]).fine(), ["1"]);
}

#[test]
fn wrong_usage_is_2() {
    let dir = temp();
    database(dir.path(), "db", &["1"]);
    let log = copy(dir.path(), "json-32.log");
    let log = log.to_str().unwrap();
    for args in [
        &[][..],
        &["nonsense"],
        &["cat"],
        &["cat", "db", "--gt", "x"],
        &["cat", "db", "--limit", "-1"],
        &["cat", "db", "--live", "--reverse"],
        &["cat", log, "--format", "nonsense"],
        &["cat", log, "--format", "offset48"],
        &["cat", log, "--format", "flume"],
        &["cat", "db", "--format", "offset32"],
        &["get", "db", "x"],
        &["delete", "db"],
        &["import", "-", "db"],
        &["import", "db", log],
    ] {
        let ran = flume(dir.path(), args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.lines.is_empty() && !ran.err.is_empty(), "{args:?}: {ran:?}");
    }
    for args in [&["--help"][..], &["--version"], &["cat", "--help"]] {
        assert!(!flume(dir.path(), args).fine().is_empty());
    }
}

#[test]
fn a_system_that_fails_is_3() {
    let dir = temp();
    let log = copy(dir.path(), "json-32.log");
    for (path, target) in [("db", "db"), (log.to_str().unwrap(), "json-32.log")] {
        // Somebody else writes.
        let mut writer = Running::start(dir.path(), &["append", path]);
        writer.send("1\n");
        writer.line();
        flume_with(dir.path(), &["append", target], "2").failed(3);
        flume(dir.path(), &["delete", target, "0"]).failed(3);
        flume(dir.path(), &["repair", target]).failed(3);
        // Reading goes on beside it.
        assert!(!flume(dir.path(), &["cat", target]).fine().is_empty());
    }
    let ran = support::flume_into(dir.path(), &["cat", log.to_str().unwrap()], "/dev/full");
    ran.failed(3);
}
