//! Guards against a conversion that is not what its source is, or that is never done, when the program is killed, the
//! names are mixed up, or the source is torn.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::{path::Path, time::Duration};

use support::{Running, copy, files, flume, flume_with, sample, temp, vector};

const FORMATS: [&str; 8] = ["offset32", "offset48", "offset53", "aligned", "aaol", "offset2", "jsonl", "flume"];

#[test]
fn the_sample_goes_to_every_format_and_back() {
    let dir = temp();
    let source = sample();
    let original = std::fs::read(&source).unwrap();
    for format in FORMATS {
        let told = flume(dir.path(), &["convert", &source, format, "--to", format]).fine();
        assert!(told[0].starts_with("converted 1000 entries of"), "{told:?}");
        let back = format!("{format}.back");
        let told_back = flume(dir.path(), &["convert", format, &back, "--to", "offset32"]).fine();
        assert_eq!(told[1], told_back[1], "the same digest");
        assert_eq!(std::fs::read(dir.path().join(&back)).unwrap(), original, "{format}");
        let lines = flume(dir.path(), &["cat", format, "--values"]).fine();
        assert_eq!(lines.len(), 1000);
        assert!(!dir.path().join(format!("{format}.convert")).exists());
    }
}

#[test]
fn messages_become_what_ssb_db2_keeps_and_back() {
    let dir = temp();
    let source = sample();
    let told = flume(dir.path(), &["convert", &source, "log.bipf", "--to", "aaol", "--codec", "bipf"]).fine();
    assert!(told[0].ends_with("log.bipf (aaol:65536)"), "{told:?}");
    let stat = flume(dir.path(), &["stat", "log.bipf"]).fine();
    assert!(stat.contains(&"codec    bipf".to_owned()), "{stat:?}");
    flume(dir.path(), &["convert", "log.bipf", "log.offset", "--to", "offset32", "--codec", "json"]).fine();
    let [text, binary, back] =
        [&source, "log.bipf", "log.offset"].map(|log| flume(dir.path(), &["cat", log, "--values"]).fine());
    assert_eq!(binary, back);
    assert_eq!(text.len(), back.len());
    for (text, back) in text.iter().zip(&back) {
        let [text, back] = [text, back].map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        assert_eq!(text, back);
    }
}

/// Converts `source`, killing the program again and again after ever longer times, until it gets through.
fn convert_killed(dir: &Path, source: &str, to: &str) -> u32 {
    let mut kills = 0;
    loop {
        let mut running = Running::start(dir, &["convert", source, to, "--to", to]);
        let patience = Duration::from_millis(5) * (kills % 20) + Duration::from_millis(u64::from(kills) * 2);
        match running.ends_within(patience) {
            Some(code) => {
                assert_eq!(code, 0);
                return kills;
            }
            None => kills += 1,
        }
        drop(running);
        // Until it is whole that is to be seen.
        if dir.join(to).exists() && !dir.join(format!("{to}.convert")).exists() {
            return kills;
        }
    }
}

#[test]
fn killed_again_and_again_it_gets_through_with_every_entry_once() {
    let dir = temp();
    let lines: Vec<String> =
        (0..20_000).map(|number| format!("{{\"n\":{number},\"text\":\"{}\"}}", "x".repeat(number % 300))).collect();
    std::fs::write(dir.path().join("source.jsonl"), lines.join("\n") + "\n").unwrap();
    for to in ["offset32", "aligned", "aaol", "offset2", "flume", "jsonl"] {
        let kills = convert_killed(dir.path(), "source.jsonl", to);
        assert!(kills > 1, "{to}: {kills} kills test nothing");
        assert_eq!(flume(dir.path(), &["cat", to, "--values"]).fine(), lines, "{to}");
    }
}

#[test]
fn nothing_is_overwritten_and_no_log_is_put_into_itself() {
    let dir = temp();
    copy(dir.path(), "json-32.log");
    flume(dir.path(), &["convert", "json-32.log", "db", "--to", "flume"]).fine();
    let before = files(dir.path());
    for (from, to) in [
        ("json-32.log", "db"),
        ("db", "json-32.log"),
        ("db", "db"),
        ("db", "db/inside"),
        ("db", "./db/../db/inside"),
        ("json-32.log", "json-32.log"),
        ("json-32.log", "."),
        ("json-32.log", ".."),
    ] {
        flume(dir.path(), &["convert", from, to, "--to", "aaol"]).failed(2);
    }
    flume(dir.path(), &["convert", "nothing", "new", "--to", "aaol"]).failed(1);
    flume(dir.path(), &["convert", "json-32.log", "no/such/new", "--to", "aaol"]).failed(1);
    flume(dir.path(), &["convert", "json-32.log", "new", "--to", "level"]).failed(2);
    for args in [["--to", "aligned:9"], ["--to", "nonsense"], ["--codec", "xml"]] {
        assert_eq!(flume(dir.path(), &["convert", "json-32.log", "new", args[0], args[1]]).code, 2);
    }
    // Only its lock may have come, never a byte of a log.
    let after: Vec<_> =
        files(dir.path()).into_iter().filter(|(path, _)| path.extension().is_none_or(|e| e != "lock")).collect();
    assert_eq!(
        after,
        before.into_iter().filter(|(path, _)| path.extension().is_none_or(|e| e != "lock")).collect::<Vec<_>>()
    );
}

#[test]
fn of_a_torn_source_what_is_whole_is_converted_and_a_damaged_one_is_not() {
    let dir = temp();
    let whole = std::fs::read(vector("json-48.log")).unwrap();
    std::fs::write(dir.path().join("torn"), &whole[..whole.len() - 5]).unwrap();
    let told = flume(dir.path(), &["convert", "torn", "new", "--to", "jsonl"]).failed(1);
    assert!(told[0].starts_with("converted 64 entries of torn (offset48) to new (jsonl)"), "{told:?}");
    assert_eq!(flume(dir.path(), &["cat", "new", "--values"]).fine().len(), 64);
    let mut damaged = whole;
    damaged[100] ^= 0xff;
    damaged[2] = 9;
    std::fs::write(dir.path().join("damaged"), &damaged).unwrap();
    flume(dir.path(), &["convert", "damaged", "never", "--to", "jsonl", "--format", "offset48"]).failed(1);
    assert!(!dir.path().join("never").exists());
}

#[test]
fn deleted_entries_are_told_of_and_an_entry_that_does_not_fit_is_named() {
    let dir = temp();
    copy(dir.path(), "json-32.log");
    let numbers: Vec<u64> = flume(dir.path(), &["cat", "json-32.log"])
        .fine()
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    flume(dir.path(), &["delete", "json-32.log", &numbers[3].to_string()]).fine();
    let told = flume(dir.path(), &["convert", "json-32.log", "new", "--to", "aaol:4096"]).fine();
    assert_eq!(
        told[0],
        "converted 76 entries of json-32.log (offset32) to new (aaol:4096); 1 deleted ones were left out"
    );
    let large = format!("1\n\"{}\"\n2\n", "x".repeat(5000));
    flume_with(dir.path(), &["append", "large", "--format", "offset32"], large).fine();
    let ran = flume(dir.path(), &["convert", "large", "small", "--to", "aligned:4096"]);
    assert!(ran.err.contains("entry 13") && ran.err.contains("4086") && ran.err.contains("small.convert"), "{ran:?}");
    ran.failed(2);
}
