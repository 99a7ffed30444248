//! Guards against lines that another program cannot rely on: `flume cat`, sentence by sentence of its contract, on log
//! files and on databases.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::path::Path;

use support::{Running, copy, database, flume, flume_with, temp, vector};

/// The same four entries in a log file and in a database, one of them deleted.
fn both(dir: &Path) -> Vec<(&'static str, [u64; 4])> {
    let values = [r#"{"n":1.50}"#, r#""two""#, "[3, 4]", "null"];
    database(dir, "db", &values);
    std::fs::write(dir.join("log"), b"").unwrap();
    let seqs = flume_with(dir, &["append", "log"], values.join("\n")).fine();
    let numbers: Vec<u64> = seqs.iter().map(|seq| seq.parse().unwrap()).collect();
    for (name, seq) in [("db", "1"), ("log", &*seqs[1])] {
        flume(dir, &["delete", name, seq]).fine();
    }
    vec![("db", [0, 1, 2, 3]), ("log", numbers.try_into().unwrap())]
}

#[test]
fn a_line_an_entry_with_the_payload_s_own_json_text() {
    let dir = temp();
    for (name, [one, _, three, four]) in both(dir.path()) {
        let lines = flume(dir.path(), &["cat", name]).fine();
        let expected = [
            format!(r#"{{"seq":{one},"value":{{"n":1.50}}}}"#),
            format!(r#"{{"seq":{three},"value":[3, 4]}}"#),
            format!(r#"{{"seq":{four},"value":null}}"#),
        ];
        assert_eq!(lines, expected, "{name}");
    }
}

#[test]
fn bounds_are_filters_and_any_number_is_legal() {
    let dir = temp();
    for (name, seqs) in both(dir.path()) {
        let [one, two, three, four] = seqs;
        let live = [one, three, four];
        let far = "99999999999999999999999999";
        let bounds = [-1_i128, 0, 1, i128::from(two), i128::from(three), i128::from(four) + 1, far.parse().unwrap()];
        for bound in bounds {
            for (flag, keeps) in [
                ("--gt", (|seq, bound| seq > bound) as fn(i128, i128) -> bool),
                ("--gte", |seq, bound| seq >= bound),
                ("--lt", |seq, bound| seq < bound),
                ("--lte", |seq, bound| seq <= bound),
            ] {
                let lines = flume(dir.path(), &["cat", name, flag, &bound.to_string()]).fine();
                let mut expected: Vec<String> = live
                    .iter()
                    .filter(|seq| keeps(i128::from(**seq), bound))
                    .map(|seq| format!("{{\"seq\":{seq},"))
                    .collect();
                let starts = |lines: &[String], expected: &[String]| {
                    lines.len() == expected.len()
                        && lines.iter().zip(expected).all(|(line, start)| line.starts_with(start))
                };
                assert!(starts(&lines, &expected), "{name} {flag} {bound}: {lines:?}");
                let lines = flume(dir.path(), &["cat", name, flag, &bound.to_string(), "--reverse"]).fine();
                expected.reverse();
                assert!(starts(&lines, &expected), "{name} {flag} {bound} --reverse: {lines:?}");
            }
        }
        let both =
            flume(dir.path(), &["cat", name, "--gt", "0", "--gte", "-5", "--lte", &four.to_string(), "--lt", far]);
        assert_eq!(both.fine().len(), 2, "{name}");
    }
}

#[test]
fn a_limit_counts_what_is_printed_and_zero_prints_nothing() {
    let dir = temp();
    for (name, [_, two, three, _]) in both(dir.path()) {
        assert_eq!(flume(dir.path(), &["cat", name, "--limit", "0"]).fine(), [""; 0]);
        assert_eq!(
            flume(dir.path(), &["cat", name, "--limit", "2"]).fine()[1],
            format!("{{\"seq\":{three},\"value\":[3, 4]}}")
        );
        let deleted = flume(dir.path(), &["cat", name, "--limit", "2", "--deleted"]).fine();
        assert_eq!(deleted[1], format!("{{\"seq\":{two},\"deleted\":true}}"));
        assert_eq!(flume(dir.path(), &["cat", name, "--deleted", "--reverse"]).fine().len(), 4);
        assert_eq!(flume(dir.path(), &["cat", name]).fine().len(), 3, "no default limit");
    }
}

#[test]
fn what_is_no_json_is_base64() {
    let dir = temp();
    let raw = vector("raw-32.log");
    let raw = raw.to_str().unwrap();
    let lines = flume(dir.path(), &["cat", raw, "--limit", "3"]).fine();
    assert_eq!(lines[1..], [r#"{"seq":267,"base64":"lWzl8ZP3jJg="}"#, r#"{"seq":287,"base64":"iQ=="}"#]);
    let json = vector("json-32.log");
    let json = json.to_str().unwrap();
    assert_eq!(flume(dir.path(), &["cat", json, "--gt", "99", "--limit", "1"]).fine(), [r#"{"seq":121,"value":null}"#]);
    let lines = flume(dir.path(), &["cat", json, "--gt", "99", "--limit", "1", "--raw"]).fine();
    assert_eq!(lines, [r#"{"seq":121,"base64":"bnVsbA=="}"#]);
    let lines = flume(dir.path(), &["cat", json, "--gt", "99", "--limit", "1", "--raw", "--values"]).fine();
    assert_eq!(lines, [r#""bnVsbA==""#]);
    // A bare value that would read back as another entry is not printed, and that is said.
    let ran = flume(dir.path(), &["cat", raw, "--values"]);
    assert_eq!((ran.code, ran.lines.len()), (1, 0));
    assert!(ran.err.contains("42 entries are no JSON"), "{ran:?}");
}

#[test]
fn bare_values_read_back_as_the_same_entries() {
    let dir = temp();
    let source = vector("json-53.log");
    let lines = flume(dir.path(), &["cat", source.to_str().unwrap(), "--values"]).fine();
    let text = lines.join("\n");
    flume_with(dir.path(), &["append", "appended"], &text).fine();
    flume_with(dir.path(), &["import", "-", "imported", "--source", "x"], &text).fine();
    for db in ["appended", "imported"] {
        assert_eq!(flume(dir.path(), &["cat", db, "--values"]).fine(), lines, "{db}");
    }
}

#[test]
fn a_value_with_line_breaks_is_one_line_of_the_same_value() {
    let dir = temp();
    let payload = "{\n  \"big\": 100000000000000000000000000000000001,\r\n  \"text\": \"a b\\nc\"\n}";
    let framed = [&(payload.len() as u32).to_be_bytes(), payload.as_bytes(), &(payload.len() as u32).to_be_bytes()];
    let mut log = framed.concat();
    let end = log.len() as u32 + 4;
    log.extend(end.to_be_bytes());
    std::fs::write(dir.path().join("log"), log).unwrap();
    let lines = flume(dir.path(), &["cat", "log", "--values"]).fine();
    assert_eq!(lines, [r#"{"big":100000000000000000000000000000000001,"text":"a b\nc"}"#]);
}

#[test]
fn a_torn_file_is_printed_as_far_as_it_is_whole() {
    let dir = temp();
    for bits in ["32", "48", "53"] {
        let name = format!("torn-cut5-{bits}.log");
        let path = copy(dir.path(), &name);
        let lines = flume(dir.path(), &["cat", &name]).failed(1);
        assert_eq!(lines.len(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(vector(&name)).unwrap());
        assert_eq!(flume(dir.path(), &["since", &name]).failed(1).len(), 1);
    }
}

#[test]
fn a_torn_or_damaged_database_is_printed_as_far_as_it_can_be_read() {
    let dir = temp();
    let segment = |db: &str| {
        let found = support::files(&dir.path().join(db)).into_iter().map(|(path, _)| path);
        found.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "seg")).unwrap()
    };
    for value in ["1", "2", "3"] {
        database(dir.path(), "torn", &[value]);
        database(dir.path(), "cut", &[value]);
    }
    let mut bytes = std::fs::read(segment("torn")).unwrap();
    bytes.extend([7; 100]);
    std::fs::write(segment("torn"), bytes).unwrap();
    let bytes = std::fs::read(segment("cut")).unwrap();
    std::fs::write(segment("cut"), &bytes[..bytes.len() - 5]).unwrap();
    for db in ["torn", "cut"] {
        assert_eq!(flume(dir.path(), &["cat", db, "--values"]).failed(1), ["1", "2", "3"], "{db}");
        assert_eq!(flume(dir.path(), &["since", db]).failed(1), ["2"], "{db}");
        assert_eq!(flume(dir.path(), &["check", db, "--json"]).failed(1).len(), 1, "{db}");
    }
    let lines = flume(dir.path(), &["repair", "torn"]).fine();
    assert!(lines[0].starts_with("cut 100 torn bytes"), "{lines:?}");
    assert_eq!(flume(dir.path(), &["cat", "torn", "--values"]).fine(), ["1", "2", "3"]);
    flume(dir.path(), &["repair", "cut"]).failed(1);
    assert_eq!(flume(dir.path(), &["query", "cut", "--type", "post"]).failed(1), [""; 0]);
}

#[test]
fn live_goes_on_and_stops_at_its_bounds() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2"]);
    let mut running = Running::start(dir.path(), &["cat", "db", "--live", "--gte", "1", "--lt", "4", "--values"]);
    assert_eq!(running.line(), "2");
    database(dir.path(), "db", &["3", "4", "5"]);
    assert_eq!([running.line(), running.line(), running.line()], ["3", "4", ""]);
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    let mut running = Running::start(dir.path(), &["cat", "db", "--live", "--limit", "6", "--deleted"]);
    for _ in 0..5 {
        running.line();
    }
    flume(dir.path(), &["delete", "db", "0"]).fine();
    assert_eq!(running.line(), r#"{"seq":0,"deleted":true}"#);
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn whoever_stops_listening_is_no_failure() {
    let dir = temp();
    let mut running = Running::start(dir.path(), &["cat", &support::sample()]);
    assert!(running.line().starts_with("{\"seq\":0,"));
    assert_eq!(running.hang_up(), 0);
}
