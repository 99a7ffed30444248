//! Guards against a message key or a signature that is computed from another text than JavaScript's: every text that node
//! printed once (fixtures/message/stringify.js) is printed the same, and whatever comes in, nothing panics or grows.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::path::Path;

use flumedb_ssb::message::Canonical;
use proptest::prelude::*;
use serde_json::Value;

/// Row S3, too.
#[test]
fn every_text_is_printed_as_node_printed_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/message/stringify.jsonl");
    let rows = std::fs::read_to_string(path).unwrap();
    let mut unsigned = 0;
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let printed = Canonical::of(row["json"].as_str().unwrap()).unwrap();
        assert_eq!(printed.as_str(), row["printed"], "{row}");
        assert_eq!(printed.key(), row["key"], "{row}");
        // Printing it again changes nothing.
        assert_eq!(Canonical::of(printed.as_str()).unwrap(), printed, "{row}");
        match row["unsigned"].as_str() {
            Some(text) => {
                unsigned += 1;
                assert_eq!(printed.unsigned(), text, "{row}");
            }
            None => assert_eq!(printed.unsigned(), printed.as_str(), "{row}"),
        }
    }
    assert!(rows.lines().count() > 350 && unsigned > 10);
}

/// Row S1.
#[test]
fn what_no_message_can_be_is_refused() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Canonical::of(&nested(128)).is_ok());
    for text in [
        nested(129),
        nested(500_000),
        "{\"a\":".repeat(500_000),
        // Many lines, far to the right.
        "[".repeat(120) + &"0,".repeat(60_000) + "0" + &"]".repeat(120),
        format!("\"{}\"", "x".repeat(300_000)),
        " ".repeat(3_000_000),
        "{} {}".to_owned(),
        "{\"a\":1".to_owned(),
        String::new(),
    ] {
        let error = Canonical::of(&text).unwrap_err();
        assert_eq!(error.kind(), flumedb::ErrorKind::Invalid, "{error}");
        assert!(error.to_string().len() < 200, "{error}");
    }
}

/// JSON values of any shape.
fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[0-9a-c]{0,2}|\\PC{0,3}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same value with every number as the nearest `f64`, as JavaScript has it.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(as_floats).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), as_floats(value))).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn the_value_stays_what_it_was(value in json()) {
        let printed = Canonical::of(&value.to_string()).unwrap();
        let again: Value = serde_json::from_str(printed.as_str()).unwrap();
        prop_assert_eq!(as_floats(&again), as_floats(&value));
        prop_assert_eq!(Canonical::of(&serde_json::to_string_pretty(&value).unwrap()).unwrap(), printed);
    }

    #[test]
    fn any_text_is_printed_or_refused(text in "\\PC{0,40}|[\\[\\]{}\",:0-9eE.\\\\ua-f +-]{0,40}") {
        if let Ok(printed) = Canonical::of(&text) {
            prop_assert!(printed.as_str().len() < 100 * text.len() + 100);
        }
    }
}
