//! Guards against an operator who sees nothing move, who disturbs the writer by looking, or who cannot leave.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Running, database, flume, temp};

fn interrupt(process: &Running) {
    let sent = std::process::Command::new("kill").args(["-INT", &process.child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn what_another_process_writes_is_seen_and_ctrl_c_is_a_good_end() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2"]);
    let mut writer = Running::start(dir.path(), &["append", "db"]);
    writer.send("3\n");
    assert_eq!(writer.line(), "2");
    let mut watch = Running::start(dir.path(), &["stat", "db", "--json", "--watch", "0.05"]);
    let mut next = || serde_json::from_str::<Value>(&watch.line()).unwrap();
    let first = next();
    assert_eq!((&first["entries"], &first["head"], &first["entries_per_second"]), (&3.into(), &2.into(), &0.0.into()));
    assert!(first["segments"].as_u64() >= Some(1) && first["unix_us"].as_i64().is_some(), "{first}");
    for number in 3..20 {
        writer.send("4\n");
        assert_eq!(writer.line(), number.to_string());
    }
    let mut fastest = 0.0_f64;
    let seen = (0..200).map(|_| next()).find(|object| {
        fastest = fastest.max(object["entries_per_second"].as_f64().unwrap());
        object["head"] == 19
    });
    assert_eq!(seen.expect("what was appended is seen")["entries"], 20);
    // Seventeen came, and a look is a twentieth of a second after the one before, or more.
    assert!(fastest > 0.0 && fastest <= 17.0 / 0.05, "{fastest} entries a second");
    // An idle writer brings all to the disk, and says so.
    let durable = (0..200).map(|_| next()).find(|object| object["durable"] == 19);
    assert!(durable.is_some(), "the watermark is seen");
    let last = next();
    assert!(last["entries_per_second"].as_f64().is_some() && last["bytes_per_second"].as_f64().is_some());
    interrupt(&watch);
    assert_eq!(watch.ends_within(Duration::from_secs(10)), Some(0));
}

#[test]
fn lines_for_people_have_everything_in_them() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2", "3"]);
    flume(dir.path(), &["rebuild", "db"]).fine();
    flume(dir.path(), &["delete", "db", "1"]).fine();
    let mut watch = Running::start(dir.path(), &["stat", "db", "--watch", "0.02"]);
    let line = watch.line();
    for told in [
        "0 entries/s",
        "0 bytes/s",
        "entries 2",
        "deleted 1",
        "head 3",
        "on disk 3",
        "segments 1",
        "view by-key closed 1 behind",
    ] {
        assert!(line.contains(told), "{told}: {line}");
    }
    interrupt(&watch);
    assert_eq!(watch.ends_within(Duration::from_secs(10)), Some(0));
}

#[test]
fn a_watch_begins_and_ends_well_on_any_log_or_says_what_is_wrong() {
    let dir = temp();
    database(dir.path(), "db", &["1"]);
    flume(dir.path(), &["stat", "nothing", "--watch"]).failed(1);
    let ran = flume(dir.path(), &["stat", "db", "--watch", "-1"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    // Who listens no more ends it.
    let mut watch = Running::start(dir.path(), &["stat", "db", "--watch", "0.01"]);
    watch.line();
    assert_eq!(watch.hang_up(), 0);
}

#[test]
fn kept_tails_and_damaged_files_are_told() {
    let dir = temp();
    database(dir.path(), "db", &["1"]);
    std::fs::create_dir_all(dir.path().join("db/torn")).unwrap();
    std::fs::create_dir_all(dir.path().join("db/damaged")).unwrap();
    std::fs::write(dir.path().join("db/torn/000000-0000000000-96-1700000000.torn"), "abc").unwrap();
    std::fs::write(dir.path().join("db/damaged/0000000000-00000000000000000000-0000.seg"), "defg").unwrap();
    let ran = flume(dir.path(), &["stat", "db", "--json"]);
    let object = ran.json();
    assert_eq!(object["torn"], serde_json::json!({"files": 1, "bytes": 3, "oldest": 1_700_000_000}));
    assert_eq!(object["damaged"], serde_json::json!({"files": 1, "bytes": 4, "oldest": null}));
    let lines = flume(dir.path(), &["stat", "db"]).fine();
    let told = |what: &str| lines.iter().find(|line| line.starts_with(what)).unwrap();
    assert!(told("torn").contains("1 files, 3 bytes, the oldest") && told("torn").contains("days old"), "{lines:?}");
    assert!(told("damaged").contains("1 files, 4 bytes"), "{lines:?}");
}

#[test]
fn events_are_told_on_standard_error_when_asked() {
    let dir = temp();
    database(dir.path(), "db", &["1"]);
    flume(dir.path(), &["rebuild", "db"]).fine();
    let told = |args: &[&str]| {
        let ran = flume(dir.path(), args);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.err
    };
    assert_eq!(told(&["views", "db"]), "");
    let once = told(&["views", "db", "-v"]);
    assert!(once.contains("INFO") && once.contains("opened log=\"db\""), "{once}");
    assert!(!once.contains("DEBUG"), "{once}");
    let twice = told(&["-vv", "views", "db"]);
    assert!(twice.contains("DEBUG") && twice.contains("view=\"by-key\""), "{twice}");
    let with = |value: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flume"));
        let ran = command.args(["views", "db"]).env("FLUME_LOG", value).current_dir(dir.path()).output().unwrap();
        (ran.status.code().unwrap(), String::from_utf8(ran.stderr).unwrap())
    };
    let (code, views) = with("flumedb::view=debug");
    assert!(code == 0 && views.contains("flumedb::view") && !views.contains("flumedb::log"), "{views}");
    let (code, error) = with("flumedb=loudest");
    assert!(code == 2 && error.starts_with("flume: FLUME_LOG is not"), "{error}");
}
