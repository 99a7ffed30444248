//! Guards against hex that is not the BIPF of the line beside it, and against a bad line that is passed over.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use support::{Running, flume, flume_with, temp};

#[test]
fn json_lines_become_hex_lines_and_come_back() {
    let dir = temp();
    let json = "{\"foo\":true}\n\n [1, \"a\" ,null]\r\n{\"b\":1.0,\"1\":2}\n-2147483648\n1.5";
    let hex = flume_with(dir.path(), &["bipf", "encode"], json).fine();
    let known = ["3518666f6f0e01", "442201000000086106", "750831220200000008622201000000"];
    assert_eq!(hex, [&known[..], &["43000000000000e0c1", "43000000000000f83f"]].concat());
    let upper = hex.join("\n").to_uppercase();
    let back = flume_with(dir.path(), &["bipf", "decode"], upper).fine();
    assert_eq!(back, ["{\"foo\":true}", "[1,\"a\",null]", "{\"1\":2,\"b\":1}", "-2147483648", "1.5"]);
}

#[test]
fn what_json_has_not_is_printed_as_javascript_would() {
    let dir = temp();
    // {"u":undefined,"b":<0a ff>}, an atom, not-a-number
    let hex = "4d08750e020862110aff\n0e03\n43000000000000f87f";
    let lines = flume_with(dir.path(), &["bipf", "decode"], hex).fine();
    assert_eq!(lines, [r#"{"b":{"type":"Buffer","data":[10,255]}}"#, r#"{"type":"Atom","data":3}"#, "null"]);
}

#[test]
fn a_bad_line_is_named_and_those_before_it_are_printed() {
    let dir = temp();
    for (direction, lines, number, printed) in [
        ("encode", "1\n\n{\"a\"\n2", 3, 1),
        ("encode", "1e400", 1, 0),
        ("encode", "1\n2\n\"\u{1}\"\n", 3, 2),
        ("decode", "06\n10", 2, 1),
        ("decode", "06\n0", 2, 1),
        ("decode", "xx", 1, 0),
        ("decode", "0606", 1, 0),
    ] {
        let ran = flume_with(dir.path(), &["bipf", direction], lines);
        assert!(ran.err.contains(&format!("line {number}: ")), "{ran:?}");
        assert_eq!(ran.failed(2).len(), printed, "{lines:?}");
    }
    assert_eq!(flume(dir.path(), &["bipf"]).code, 2, "which way?");
    assert_eq!(flume(dir.path(), &["bipf", "encode"]).fine(), [""; 0], "of nothing, nothing");
}

#[test]
fn a_line_is_answered_before_the_next_one_comes() {
    let dir = temp();
    let mut running = Running::start(dir.path(), &["bipf", "encode"]);
    for (json, hex) in [("1\n", "2201000000"), ("null\n", "06")] {
        running.send(json);
        assert_eq!(running.line(), hex);
    }
}
