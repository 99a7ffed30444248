//! Guards against a beginning of a log that cannot be dropped from the command line, or of which too much goes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::path::Path;

use flumedb::{Flume, codec::Raw, log::Durability};
use support::{flume, flume_with, temp};

/// A database of so many entries in short segments.
fn database(path: &Path, entries: u64) {
    let builder = Flume::builder(Raw).set(|all| {
        all.log.segment_bytes = 4096;
        all.log.durability = Durability::System;
    });
    let db = builder.open(path).blocking().unwrap();
    for number in 0..entries {
        db.append(format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(500)).as_bytes()).blocking().unwrap();
    }
    db.close().blocking().unwrap();
}

#[test]
fn what_is_before_an_entry_goes_in_whole_segments() {
    let dir = temp();
    database(&dir.path().join("db"), 100);
    let first = flume(dir.path(), &["stat", "db", "--json"]).json()["first"].as_u64();
    assert_eq!(first, Some(0));
    let lines = flume(dir.path(), &["compact", "db", "--before", "50"]).fine();
    let first = flume(dir.path(), &["stat", "db", "--json"]).json()["first"].as_u64().unwrap();
    assert!((40..=50).contains(&first), "it begins at {first}");
    assert!(lines[0].starts_with("dropped ") && lines[0].ends_with(&format!("the log begins at {first}")), "{lines:?}");
    assert!(lines[1].starts_with(&format!("took out {first} deleted entries; ")), "{lines:?}");
    assert_eq!(flume(dir.path(), &["get", "db", "50"]).code, 0);
    let told = flume(dir.path(), &["stat", "db"]).fine();
    assert!(told.iter().any(|line| line.starts_with(&format!("first    {first}"))), "{told:?}");
    // Nothing is so old.
    let lines = flume(dir.path(), &["compact", "db", "--older-than", "2w"]).fine();
    assert_eq!(lines[0], format!("dropped 0 whole segments; the log begins at {first}"));
    // And all of it is older than nothing, but for what is appended to.
    flume(dir.path(), &["compact", "db", "--older-than", "0s"]).fine();
    let stat = flume(dir.path(), &["stat", "db", "--json"]).json();
    assert!(stat["first"].as_u64() > Some(90), "{stat}");
    assert!(flume(dir.path(), &["check", "db"]).code == 0);
}

#[test]
fn what_cannot_be_is_said_and_changes_nothing() {
    let dir = temp();
    database(&dir.path().join("db"), 3);
    for age in ["yesterday", "-3d", "", "1y", "1mo"] {
        let ran = flume(dir.path(), &["compact", "db", &format!("--older-than={age}")]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("give 90d, 12h, 2w") && ran.err.contains("365d for a year"), "{ran:?}");
    }
    flume(dir.path(), &["compact", "db", "--older-than", "365d"]).fine();
    assert_eq!(flume(dir.path(), &["compact", "db", "--before", "1", "--older-than", "1d"]).code, 2);
    flume_with(dir.path(), &["append", "log.offset", "--format", "offset32"], "1\n2\n").fine();
    let ran = flume(dir.path(), &["compact", "log.offset", "--before", "1"]);
    assert!(ran.code != 0 && ran.err.contains("flume convert"), "{ran:?}");
    flume(dir.path(), &["compact", "nothing", "--before", "1"]).failed(1);
    assert_eq!(flume(dir.path(), &["cat", "log.offset", "--values"]).fine(), ["1", "2"]);
}
