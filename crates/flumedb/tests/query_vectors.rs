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
        let [gte, lte] =
            [explain.ranges.first().map(|range| &range.from), explain.ranges.last().map(|range| &range.to)];
        let explain = json!({
            "index": explain.index, "scores": explain.scores, "reverse": explain.reverse,
            "gte": gte, "lte": lte, "ranges": explain.ranges.len(),
        });
        (rows, explain)
    }
}

/// The end of a range as ours shows it: without the marks for what is before or behind everything, and with the last code
/// point where the originals have the last of UTF-16.
fn end(theirs: &Value) -> Value {
    let Some(values) = theirs.as_array() else { return Value::Null };
    let mut values = values.clone();
    while values.last().is_some_and(|last| last.is_null() || last.get("$undefined").is_some()) {
        values.pop();
    }
    let value = |value: Value| match value.as_str().and_then(|text| text.strip_suffix('\u{ffff}')) {
        Some(prefix) => json!(format!("{prefix}\u{10ffff}")),
        None => value,
    };
    values.into_iter().map(value).collect()
}

fn expected(case: &Value) -> (Vec<Value>, Value) {
    let rows = case.get("expected_i").or_else(|| case.get("expected")).unwrap().as_array().unwrap().clone();
    let explain = &case["explain"];
    let scores = explain.get("scores").cloned().unwrap_or_else(|| json!({}));
    let index = explain.get("index").cloned().unwrap_or(Value::Null);
    let (gte, lte) = (end(&explain["gte"]), end(&explain["lte"]));
    let ranges = usize::from(!index.is_null());
    let explain = json!({
        "index": index, "scores": scores, "reverse": explain["reverse"], "gte": gte, "lte": lte, "ranges": ranges,
    });
    (rows, explain)
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

/// Where we have another range on purpose, by the rule and the row of `docs/compatibility.md`.
const OTHERS: [(&str, &str); 8] = [
    (r#"{"$prefix":["a",1]}"#, "Q6"),
    (r#"{"$eq":4}"#, "Q7"),
    (r#"{"$is":"string"}"#, "Q22"),
    (r#"{"$is":"boolean"}"#, "Q22"),
    (r#"["a",{"$gt":1}]"#, "Q22"),
    ("[1,2]", "Q22"),
    (r#"[{"$prefix":"q"},5]"#, "Q22"),
    (r#"["bob",{"$prefix":"bobby"}]"#, "Q22"),
];

/// What map-filter-reduce makes of a rule, against the range that ours looks at in an index of one path.
#[test]
fn bounds_of_rules() {
    let Some(dir) = vectors() else { return };
    let db = Flume::memory(JsonDocs).unwrap();
    db.append(r#"{"x":1}"#).blocking().unwrap();
    let on = IndexOn::parse_list(r#"[{"key":"x","value":["x"]}]"#).unwrap();
    let set = Query::open(&db, "x", on).blocking().unwrap();
    let (mut same, mut others) = (0, Vec::new());
    for line in fs::read_to_string(dir.join("mfr/bounds.jsonl")).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let query = json!([{"$filter": {"x": case["rule"]}}]).to_string();
        let query = Language::new().compat(Compat::Originals).parse(&query).unwrap();
        let explain = set.ask(&query).explain().blocking().unwrap();
        let range = explain.ranges.first().map(|range| [json!(range.from), json!(range.to)]);
        let ours = (explain.scores.get("x").copied().unwrap_or_default(), range);

        let [is_exact, is_range] = ["isExact", "isRange"].map(|is| case[is] == true);
        // Null is before everything in a range, and itself where it is what is asked for.
        let bound = |side: &Value| if is_exact { json!([side]) } else { end(&json!([side])) };
        let range = (is_exact || is_range).then(|| [bound(&case["lower"]), bound(&case["upper"])]);
        let theirs = (2 * u32::from(is_exact) + u32::from(is_range), range);
        if ours == theirs {
            same += 1;
        } else {
            others.push(case["rule"].to_string());
        }
    }
    assert_eq!(others, OTHERS.map(|(rule, _)| rule));
    assert_eq!(same, 16);
}
