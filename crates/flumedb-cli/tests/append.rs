//! Guards against an append that says more, or less, than happened.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use support::{Running, copy, database, files, flume, flume_with, temp, vector};

#[test]
fn each_line_becomes_an_entry_and_its_number_is_printed() {
    let dir = temp();
    let lines = flume_with(dir.path(), &["append", "db"], "{\"a\":1}\n\n  [2]  \r\n\"three\"").fine();
    assert_eq!(lines, ["0", "1", "2"]);
    assert_eq!(flume(dir.path(), &["cat", "db", "--values"]).fine(), ["{\"a\":1}", "[2]", "\"three\""]);
    let log = copy(dir.path(), "json-48.log");
    let end = std::fs::metadata(&log).unwrap().len();
    let lines = flume_with(dir.path(), &["append", "json-48.log"], "1\n22\n").fine();
    assert_eq!(lines, [end.to_string(), (end + 15).to_string()]);
    assert_eq!(flume(dir.path(), &["cat", "json-48.log", "--gte", &end.to_string(), "--values"]).fine(), ["1", "22"]);
}

#[test]
fn a_number_is_printed_as_soon_as_its_line_is_there() {
    let dir = temp();
    let mut running = Running::start(dir.path(), &["append", "db"]);
    for number in 0..3 {
        running.send("{}\n");
        assert_eq!(running.line(), number.to_string());
        assert_eq!(
            flume(dir.path(), &["since", "db"]).fine(),
            [number.to_string()],
            "it can be read beside the writer"
        );
    }
}

#[test]
fn a_line_that_is_no_json_changes_nothing() {
    let dir = temp();
    database(dir.path(), "db", &["1"]);
    copy(dir.path(), "json-32.log");
    for target in ["db", "json-32.log"] {
        let before = flume(dir.path(), &["cat", target]).fine();
        for bad in ["{\"a\":1}\n{\n", "nonsense", "1 2", "\u{feff}1", "NaN", "'x'", "{\"a\":01}"] {
            let ran = flume_with(dir.path(), &["append", target], bad);
            assert!(ran.err.contains("is no JSON"), "{ran:?}");
            assert_eq!(ran.failed(2), [""; 0]);
            assert_eq!(flume(dir.path(), &["cat", target]).fine(), before);
        }
        let ran = flume_with(dir.path(), &["append", target], [b'"', 0xff, b'"']);
        ran.failed(2);
    }
}

#[test]
fn a_torn_file_is_cut_before_it_is_appended_to_and_a_damaged_one_is_left_alone() {
    let dir = temp();
    let torn = copy(dir.path(), "torn-cut5-32.log");
    let before = std::fs::read(&torn).unwrap();
    let ran = flume_with(dir.path(), &["append", "torn-cut5-32.log"], "1");
    assert_eq!((ran.code, &ran.lines[..]), (0, &["124".to_owned()][..]), "{ran:?}");
    assert!(ran.err.contains("cut 9 torn bytes"), "{ran:?}");
    assert_eq!(std::fs::read(torn.with_added_extension("torn")).unwrap(), before[124..]);

    let damaged = copy(dir.path(), "json-32.log");
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[99] ^= 1;
    std::fs::write(&damaged, &bytes).unwrap();
    flume_with(dir.path(), &["append", "json-32.log"], "1").failed(1);
    assert_eq!(std::fs::read(&damaged).unwrap(), bytes);
}

#[test]
fn a_place_that_is_none_is_left_alone() {
    let dir = temp();
    std::fs::create_dir(dir.path().join("home")).unwrap();
    std::fs::write(dir.path().join("home/letter"), "dear").unwrap();
    std::fs::write(dir.path().join("text"), "no log at all").unwrap();
    let before = files(dir.path());
    flume_with(dir.path(), &["append", "home"], "1").failed(1);
    flume_with(dir.path(), &["append", "text"], "1").failed(1);
    flume_with(dir.path(), &["append", vector("empty-32.log").to_str().unwrap(), "--format", "nonsense"], "1");
    flume(dir.path(), &["import", vector("json-32.log").to_str().unwrap(), "home"]).failed(1);
    assert_eq!(files(dir.path()), before);
}
