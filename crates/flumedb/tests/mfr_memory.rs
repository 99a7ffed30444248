//! What a query makes of one value, and what it keeps of many, is bounded, however it is put.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use flumedb::{
    Error, ErrorKind,
    mfr::{Compat, Language, Row},
};
use serde_json::{Value, json};

fn count(memory_bytes: usize, query: &str, input: &[Value]) -> Result<usize, Error> {
    run(memory_bytes, query, input).map(|rows| rows.len())
}

fn run(memory_bytes: usize, query: &str, input: &[Value]) -> Result<Vec<Row>, Error> {
    Language::new().memory_bytes(memory_bytes).parse(query).unwrap().run(input).collect()
}

fn is_refused(error: &Error, parts: &[&str]) {
    assert_eq!((error.kind(), error.limit()), (ErrorKind::LimitExceeded, Some("memory_bytes")), "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

const TWICE: &str = r#"{"$map": {"a": [], "b": []}}"#;

/// Stages that each double what came to them, from the second on.
fn doubled(stages: usize) -> String {
    let stages: Vec<_> = std::iter::repeat_n(TWICE, stages).collect();
    format!("[null, {}]", stages.join(", "))
}

#[test]
fn stages_that_double_a_value_end_with_an_error() {
    let error = count(Language::MEMORY_BYTES, &doubled(30), &[json!(1)]).unwrap_err();
    is_refused(&error, &["at /18/$map in the query", "67108864 bytes"]);
    let inner = doubled(30).replacen("null, ", r#"{"$type": 1}, "#, 1);
    for query in [
        format!(r#"[{{"$map": {inner}}}]"#),
        format!(r#"[{{"$map": {{"in": {inner}}}}}]"#),
        format!(r#"[{{"$filter": {{"$map": {inner}}}}}]"#),
        format!(r#"[{{"$filter": {{"x": {{"$map": {inner}}}}}}}]"#),
        format!(r#"[{{"$reduce": {{"k": {inner}, "n": {{"$count": true}}}}}}]"#),
        format!(r#"[{{"$reduce": {{"$max": {inner}}}}}]"#),
    ] {
        is_refused(&count(1 << 20, &query, &[json!(1)]).unwrap_err(), &["at /0/$", "1048576 bytes"]);
        let originals = Language::new().compat(Compat::Originals).memory_bytes(1 << 20).parse(&query).unwrap();
        is_refused(&originals.run(&[json!(1)]).find_map(Result::err).unwrap(), &["at /0/$"]);
    }
    is_refused(
        &count(1 << 20, &format!(r#"{{"x": {{"$map": {inner}}}}}"#), &[json!(1)]).unwrap_err(),
        &["in the query"],
    );
}

/// What one value came to is no burden for the next, nor is what a stage made for the stage behind the next one.
#[test]
fn what_was_made_of_a_value_is_given_back() {
    let input: Vec<_> = (0..1000).map(|n| json!({"n": n, "text": "x".repeat(100)})).collect();
    let stages = vec![r#"{"$map": {"n": true, "text": true}}"#; 50].join(", ");
    let filter = r#"{"$filter": {"$map": [{"$map": {"n": "n", "text": "text"}}, {"$get": "n"}, {"$is": "number"}]}}"#;
    let reduce = r#"{"$reduce": {"all": {"$count": true}, "n": {"$sum": "n"}, "text": {"$max": "text"}}}"#;
    let made = run(2000, &format!("[{stages}, {filter}, {stages}]"), &input).unwrap();
    assert!(made.iter().map(|row| &row.value).eq(&input));
    let made = run(2000, &format!("[{stages}, {filter}, {reduce}]"), &input).unwrap();
    assert_eq!(made[0].value, json!({"all": 1000, "n": 499_500, "text": "x".repeat(100)}));
}

/// A rule within a rule within a rule takes as long as they are many, not twice as long with each.
#[test]
fn rules_within_rules_are_looked_at_once() {
    let mut rule = json!({"$not": 1});
    for _ in 0..50 {
        rule = json!({"$map": rule, "$type": 1});
    }
    let query = json!([{ "$map": rule }]).to_string();
    assert_eq!(run(1 << 20, &query, &[json!(1)]).unwrap()[0].value, json!(false));
}

/// A group takes what its reducers take, and their names where groups are gathered in a list.
#[test]
fn every_reducer_of_a_group_counts() {
    let input: Vec<_> = (0..1000).map(|n| json!({"n": n})).collect();
    let many = |reducers: usize| {
        let counts: Vec<_> = (0..reducers).map(|n| format!(r#""c{n}": {{"$count": true}}"#)).collect();
        format!(r#"{{"$reduce": {{"k": "n", {}}}}}"#, counts.join(", "))
    };
    assert_eq!(count(1_000_000, &format!("[{}]", many(2)), &input).unwrap(), 1000);
    for query in [many(1000), format!(r#"{{"$reduce": {{"first": {{"$min": "n"}}, "all": {}}}}}"#, many(1000))] {
        is_refused(&count(10_000_000, &format!("[{query}]"), &input).unwrap_err(), &["10000000 bytes", "$reduce"]);
    }
    let name = "x".repeat(100_000);
    let nested = format!(r#"[{{"$reduce": {{"all": {{"$reduce": {{"k": "n", "{name}": {{"$count": true}}}}}}}}}}]"#);
    is_refused(&count(10_000_000, &nested, &input).unwrap_err(), &["10000000 bytes", "$reduce"]);
}
