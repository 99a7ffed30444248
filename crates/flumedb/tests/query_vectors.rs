//! Query sets against what flumeview-query 8.0.0 answered to the same queries with the same indexes: as the originals have
//! it, all rows in the same order and the same index chosen; and without that, exactly the differences that are listed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use std::{fs, path::PathBuf};

use flumedb::{
    Flume,
    codec::JsonDocs,
    mfr::{Compat, Language},
    views::{IndexOn, Query},
};
use serde_json::{Value, json};

fn vectors() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    if !dir.is_dir() {
        eprintln!("skipped: no vectors at {}", dir.display());
        return None;
    }
    Some(dir)
}

const INDEXES: &str = r#"[
    {"key": "log", "value": ["timestamp"]},
    {"key": "ats", "value": [["value", "author"], ["value", "sequence"]], "exact": false},
    {"key": "typ", "value": [["value", "content", "type"], "timestamp"]},
    {"key": "nam", "value": ["name", "n"], "exact": false},
    {"key": "cha", "value": [["value", "content", "channel"], "timestamp"]},
    {"key": "cit", "value": ["city"]}
]"#;

struct Originals {
    set: Query<JsonDocs>,
    cases: Vec<(String, Value)>,
}

impl Originals {
    fn load() -> Option<Self> {
        let dir = vectors()?;
        let db = Flume::memory(JsonDocs).unwrap();
        let input = fs::read_to_string(dir.join("mfr/input.jsonl")).unwrap();
        db.append_all(input.lines()).blocking().unwrap();
        let set = Query::open(&db, "originals", IndexOn::parse_list(INDEXES).unwrap()).blocking().unwrap();
        let cases = fs::read_to_string(dir.join("query/queries.jsonl")).unwrap();
        let cases = cases.lines().map(|line| (line.to_owned(), serde_json::from_str(line).unwrap()));
        Some(Self { set, cases: cases.collect() })
    }

    /// The rows, by their `i` where they are records, and which index was used with which scores.
    fn ask(&self, case: &Value, compat: Compat) -> (Vec<Value>, Value) {
        let opts = &case["opts"];
        let query = opts.get("query").cloned().unwrap_or_else(|| json!([]));
        let query = Language::new().compat(compat).parse(&query.to_string()).unwrap();
        let ask = || {
            let mut ask = self.set.ask(&query);
            if opts["reverse"] == true {
                ask = ask.reverse();
            }
            match opts["limit"].as_u64() {
                Some(limit) => ask.limit(limit),
                None => ask,
            }
        };
        let rows = ask().rows().blocking().map(|row| {
            let row = row.unwrap();
            if row.seq.is_some() { row.value["i"].clone() } else { row.value }
        });
        let rows = rows.collect();
        let explain = ask().explain().blocking().unwrap();
        (rows, json!({"index": explain.index, "scores": explain.scores, "reverse": explain.reverse}))
    }
}

fn expected(case: &Value) -> (Vec<Value>, Value) {
    let rows = case.get("expected_i").or_else(|| case.get("expected")).unwrap().as_array().unwrap().clone();
    let explain = &case["explain"];
    let scores = explain.get("scores").cloned().unwrap_or_else(|| json!({}));
    let index = explain.get("index").cloned().unwrap_or(Value::Null);
    (rows, json!({"index": index, "scores": scores, "reverse": explain["reverse"]}))
}

#[test]
fn rows_and_choices_are_those_of_the_original_in_compat_mode() {
    let Some(originals) = Originals::load() else { return };
    for (line, case) in &originals.cases {
        assert_eq!(originals.ask(case, Compat::Originals), expected(case), "{line:.200}");
    }
}

/// Where we differ on purpose: what, whether the rows or only the choice, and which queries.
fn difference(query: &Value) -> Option<(&'static str, bool)> {
    let text = query.to_string();
    if text.contains("\"city\":\"Berlin\"") || text.contains("\"city\":{\"$prefix\"") {
        Some(("entries with the same values are all found", true))
    } else if text.contains("$in") {
        Some(("$in uses an index, and rows come in its order", true))
    } else if *query == json!({"name": "alice", "n": {"$gt": 0}}) {
        Some(("an object is a filter, not only a range with its edges", true))
    } else if text.contains("$sort") {
        Some(("what is sorted at the end is found through an index, too", false))
    } else {
        None
    }
}

#[test]
fn exactly_the_queries_differ_that_are_listed() {
    let Some(originals) = Originals::load() else { return };
    let mut reasons = std::collections::BTreeSet::new();
    for (line, case) in &originals.cases {
        let (ours, theirs) = (originals.ask(case, Compat::Corrected), expected(case));
        match difference(&case["opts"]["query"]) {
            None => assert_eq!(ours, theirs, "{line:.200}"),
            Some((why, rows)) => {
                assert_eq!((ours.0 != theirs.0, ours != theirs), (rows, true), "{why}: {line:.200}");
                reasons.insert(why);
            }
        }
    }
    assert_eq!(reasons.len(), 4);
}
