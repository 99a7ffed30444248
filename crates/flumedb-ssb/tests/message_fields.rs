//! Guards against a field that is read wrongly, or differently from JSON text, from BIPF and out of a log of go-ssb: every
//! message of the sample, held against a plain reading of its JSON.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::path::Path;

use flumedb::{Bytes, Flume, codec::Raw};
use flumedb_ssb::{Doc, Message, bipf, message::multi::Multi, open_any};
use serde_json::{Value, json};

fn sample() -> Vec<Bytes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/ssb.offset");
    let db = Flume::with_log(open_any(path).unwrap().log, Raw).blocking().unwrap();
    db.scan(..).blocking().map(|entry| entry.unwrap().value).collect()
}

/// Everything that a message says of itself.
fn fields(doc: &Doc) -> Value {
    let message = Message::new(doc);
    json!({
        "key": message.key(), "author": message.author(), "sequence": message.sequence(), "previous": message.previous(),
        "type": message.kind(), "claimed": message.timestamp(), "arrived": message.arrival(),
    })
}

#[test]
fn fields_are_the_same_whatever_a_message_is_kept_as() {
    for payload in sample() {
        let plain: Value = serde_json::from_slice(&payload).unwrap();
        let value = &plain["value"];
        let expected = json!({
            "key": plain["key"], "author": value["author"], "sequence": value["sequence"], "previous": value["previous"],
            "type": value["content"]["type"], "claimed": value["timestamp"].as_f64(), "arrived": plain["timestamp"].as_f64(),
        });
        let text = Doc::parse(payload.clone()).unwrap();
        assert_eq!(fields(&text), expected);
        let mut binary = Vec::new();
        bipf::from_json(&payload, &mut binary).unwrap();
        assert_eq!(fields(&Doc::parse(binary).unwrap()), expected);

        let Doc::Json(document) = &text else { panic!("{text}") };
        let multi = Doc::parse(Multi::from_document(document).unwrap().encode().unwrap()).unwrap();
        let mut kept = fields(&multi);
        // Kept in seconds: some digits behind a millisecond are lost.
        let arrived = (kept["arrived"].as_f64().unwrap(), expected["arrived"].as_f64().unwrap());
        assert!((arrived.0 - arrived.1).abs() < 0.001, "{arrived:?}");
        kept["arrived"] = expected["arrived"].clone();
        assert_eq!(kept, expected);
    }
}

#[test]
fn what_is_not_there_or_is_something_else_is_none() {
    for text in ["{}", "[]", "\"text\"", "3", "null", r#"{"key":1,"value":"x","timestamp":"t"}"#] {
        let doc = Doc::parse(text).unwrap();
        assert!(fields(&doc).as_object().unwrap().values().all(Value::is_null), "{text}");
    }
    // A private message has no type, and the first of an author nothing before it.
    let doc = Doc::parse(r#"{"key":"%1","value":{"previous":null,"sequence":1.5,"content":"secret.box"}}"#).unwrap();
    assert_eq!(fields(&doc).as_object().unwrap().values().filter(|field| !field.is_null()).count(), 1);
}
