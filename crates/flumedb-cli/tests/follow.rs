//! Guards against a follower that misses what another process appends.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use support::{Running, database, flume, flume_with, temp};

#[test]
fn tail_begins_with_the_newest_and_follows_another_process() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2", "3"]);
    std::fs::write(dir.path().join("log"), b"").unwrap();
    flume_with(dir.path(), &["append", "log"], "1 \n2\n3").fine();
    for name in ["db", "log"] {
        let mut tail = Running::start(dir.path(), &["tail", name, "-n", "2", "--values"]);
        assert_eq!([tail.line(), tail.line()], ["2", "3"]);
        for number in 4..8 {
            flume_with(dir.path(), &["append", name], format!("{number}\n[{number}]\n")).fine();
            assert_eq!([tail.line(), tail.line()], [number.to_string(), format!("[{number}]")], "{name}");
        }
    }
}

#[test]
fn tail_of_an_empty_log_waits_for_the_first_entry() {
    let dir = temp();
    flume_with(dir.path(), &["append", "db"], "").fine();
    let mut tail = Running::start(dir.path(), &["tail", "db"]);
    database(dir.path(), "db", &["\"first\""]);
    assert_eq!(tail.line(), r#"{"seq":0,"value":"first"}"#);
    flume(dir.path(), &["delete", "db", "0"]).fine();
    assert_eq!(tail.line(), r#"{"seq":0,"deleted":true}"#);
}

#[test]
fn one_writer_and_two_followers_see_the_same() {
    let dir = temp();
    flume_with(dir.path(), &["append", "db"], "").fine();
    let mut followers = [(); 2].map(|()| Running::start(dir.path(), &["cat", "db", "--live", "--limit", "300"]));
    let mut writer = Running::start(dir.path(), &["append", "db"]);
    for number in 0..300 {
        writer.send(&format!("{{\"n\":{number}}}\n"));
    }
    for follower in &mut followers {
        for number in 0..300 {
            assert_eq!(follower.line(), format!("{{\"seq\":{number},\"value\":{{\"n\":{number}}}}}"));
        }
    }
}
