//! The query language against what the JavaScript original (map-filter-reduce 3.2.2) made of the same queries: with
//! `Compat::Originals` every result is the same, and without it exactly those differ that are listed here with a reason.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use std::{fs, path::PathBuf};

use flumedb::mfr::{Compat, Language};
use serde_json::{Value, json};

/// The directory of vectors, which is beside the checkout in CI and nowhere for a user.
fn vectors(of: &str) -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(of);
    if !dir.is_dir() {
        eprintln!("skipped: no vectors at {}", dir.display());
        return None;
    }
    Some(dir)
}

fn lines(path: PathBuf) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A result of the original as JSON has it: what is not-a-number or undefined is null.
fn as_json(value: &Value) -> Value {
    match value {
        Value::Object(members) if members.contains_key("$number") && members.len() == 1 => match &members["$number"] {
            number if number == "-0" => json!(0),
            _ => Value::Null,
        },
        Value::Object(members) if members.contains_key("$undefined") && members.len() == 1 => Value::Null,
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), as_json(value))).collect(),
        Value::Array(items) => items.iter().map(as_json).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 9e15 => json!(float as i64),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

/// What we make of a query; the records by their `i` where they come out as they were.
fn ours(query: &str, input: &[Value], compat: Compat) -> Result<Vec<Value>, String> {
    let query = Language::new().compat(compat).parse(query).map_err(|error| error.to_string())?;
    query.run(input).map(|row| row.map(|row| as_json(&row.value)).map_err(|error| error.to_string())).collect()
}

fn theirs(case: &Value, input: &[Value]) -> Result<Vec<Value>, ()> {
    if let Some(ids) = case.get("expected_i") {
        let record = |id: &Value| input.iter().find(|record| record["i"] == *id).unwrap();
        return Ok(ids.as_array().unwrap().iter().map(|id| as_json(record(id))).collect());
    }
    match case.get("expected") {
        Some(expected) => Ok(expected.as_array().unwrap().iter().map(as_json).collect()),
        None => Err(()),
    }
}

/// The query of a line as it stands there: the order of members counts.
fn query_text(line: &str) -> String {
    let start = line.find("\"query\":").unwrap() + "\"query\":".len();
    let mut values = serde_json::Deserializer::from_str(&line[start..]).into_iter::<serde::de::IgnoredAny>();
    values.next().unwrap().unwrap();
    line[start..start + values.byte_offset()].to_owned()
}

#[test]
fn every_vector_has_the_original_result_in_compat_mode() {
    let Some(dir) = vectors("mfr") else { return };
    let input = lines(dir.join("input.jsonl"));
    for line in fs::read_to_string(dir.join("mfr.jsonl")).unwrap().lines() {
        let query = query_text(line);
        let ours = ours(&query, &input, Compat::Originals);
        match theirs(&serde_json::from_str(line).unwrap(), &input) {
            Ok(theirs) => assert_eq!(ours, Ok(theirs), "{query}"),
            Err(()) => assert!(ours.is_err(), "{query}: {ours:?}"),
        }
    }
}

/// Where we differ on purpose, by what.
const DIFFERENT: &[(&str, &[&str])] = &[
    (
        "values of unlike kinds have no order",
        &[
            r#"[{"$filter":{"age":{"$gt":56}}}]"#,
            r#"[{"$filter":{"age":{"$gt":"20"}}}]"#,
            r#"[{"$filter":{"age":{"$gt":null}}}]"#,
            r#"[{"$filter":{"ok":{"$gt":false}}}]"#,
            r#"[{"$filter":{"age":{"$gte":50}}}]"#,
            r#"[{"$filter":{"age":{"$gte":"41"}}}]"#,
            r#"[{"$filter":{"age":{"$gte":null}}}]"#,
            r#"[{"$filter":{"ok":{"$gte":false}}}]"#,
            r#"[{"$filter":{"age":{"$lt":41}}}]"#,
            r#"[{"$filter":{"age":{"$lt":"53"}}}]"#,
            r#"[{"$filter":{"age":{"$lte":54}}}]"#,
            r#"[{"$filter":{"age":{"$lte":"49"}}}]"#,
            r#"[{"$filter":{"age":{"$lte":null}}}]"#,
            r#"[{"$filter":{"ok":{"$lte":false}}}]"#,
        ],
    ),
    (
        "a kind that no value has is an error",
        &[
            r#"[{"$filter":{"ok":{"$is":"function"}}}]"#,
            r#"[{"$filter":{"age":{"$is":"function"}}}]"#,
            r#"[{"$filter":{"tags":{"$is":"function"}}}]"#,
        ],
    ),
    (
        "$is knows arrays and null",
        &[
            r#"[{"$filter":{"tags":{"$is":"array"}}}]"#,
            r#"[{"$filter":{"ok":{"$is":"null"}}}]"#,
            r#"[{"$filter":{"age":{"$is":"null"}}}]"#,
        ],
    ),
    (
        "$map keeps what counts as false",
        &[
            r#"[{"$map":"ok"}]"#,
            r#"[{"$map":"u"}]"#,
            r#"[{"$map":"n"}]"#,
            r#"[{"$map":["value","content","channel"]}]"#,
            r#"[{"$map":["tags","length"]}]"#,
            r#"[{"$map":["tags",{"$in":["a"]}]}]"#,
        ],
    ),
    ("$sum takes numbers, not texts that look like one", &[r#"[{"$reduce":{"$sum":"age"}}]"#]),
    ("$product takes 0 for 0", &[r#"[{"$reduce":{"$product":"n"}}]"#]),
    (
        "$min and $max pass over what is missing, and know texts",
        &[r#"[{"$reduce":{"$min":"age"}}]"#, r#"[{"$reduce":{"$max":"name"}}]"#, r#"[{"$reduce":{"$max":"missing"}}]"#],
    ),
    (
        "what is collected is one list, without what is missing",
        &[
            r#"[{"$reduce":{"$collect":"n"}}]"#,
            r#"[{"$reduce":{"$collect":["value","author"]}}]"#,
            r#"[{"$reduce":{"$collect":"ok"}}]"#,
            r#"[{"$reduce":{"$collect":"tags"}}]"#,
        ],
    ),
    (
        "without groups an object of reducers is one object",
        &[
            r#"[{"$reduce":{"youngest":{"$min":"n"},"oldest":{"$max":"n"},"c":{"$count":true}}}]"#,
            r#"[{"$reduce":{"a":{"b":{"$count":true},"c":{"$sum":"n"}}}}]"#,
        ],
    ),
    (
        "null is sorted before all else, as where groups are sorted",
        &[r#"[{"$map":true},{"$sort":[["age"]]}]"#, r#"[{"$map":true},{"$sort":[["ok"],["i"]]}]"#],
    ),
];

#[test]
fn exactly_the_vectors_differ_that_are_listed() {
    let Some(dir) = vectors("mfr") else { return };
    let input = lines(dir.join("input.jsonl"));
    let reason = |query: &str| DIFFERENT.iter().find(|(_, queries)| queries.contains(&query)).map(|(why, _)| *why);
    let mut seen = std::collections::BTreeSet::new();
    for line in fs::read_to_string(dir.join("mfr.jsonl")).unwrap().lines() {
        let query = query_text(line);
        let ours = ours(&query, &input, Compat::Corrected);
        let agrees = match theirs(&serde_json::from_str(line).unwrap(), &input) {
            Ok(theirs) => ours == Ok(theirs),
            Err(()) => ours.is_err(),
        };
        assert_eq!(agrees, reason(&query).is_none(), "{query} ({:?}): {ours:?}", reason(&query));
        seen.insert(query);
    }
    for query in DIFFERENT.iter().flat_map(|(_, queries)| *queries) {
        assert!(seen.contains(*query), "no vector asks {query}");
    }
}
