//! BIPF.

use flumedb::codec::Document;
use flumedb_ssb::{
    Doc,
    bipf::{self, BipfDoc, BipfPath, Content, Value},
};

/// Takes the bytes for a value of BIPF: by itself, believing none of it, and checked.
pub fn bipf(bytes: &[u8]) {
    let path = BipfPath::new(&["value", "content", "type"]);
    if let Ok(value) = Value::new(bytes) {
        look(value, &mut 1_000);
        let _ = value.seek(&path).and_then(Value::text);
        let _ = bipf::compare_at(std::slice::from_ref(&path), value, value);
        let _ = value.compare_text("text");
    }
    drop(Doc::parse(bytes.to_vec()));
    let checked = bipf::check(bytes);
    let parsed = BipfDoc::parse(bytes.to_vec());
    assert_eq!(checked.is_ok(), parsed.is_ok());
    let mut text = Vec::new();
    let printed = bipf::to_json(bytes, &mut text);
    assert_eq!(printed.is_ok(), checked.is_ok());
    drop(bipf::from_slice::<Shape>(bytes));
    let Ok(doc) = parsed else { return };
    drop((doc.text(&["value", "author"]), doc.integer(&["value", "sequence"]), doc.part(&["value"])));
    let mut again = Vec::new();
    bipf::from_json(&text, &mut again).expect("what is printed is JSON");
    let mut reprinted = Vec::new();
    bipf::to_json(&again, &mut reprinted).expect("what is encoded is BIPF");
}

/// Takes the bytes for JSON text to encode: what comes out is BIPF, and means the same.
pub fn bipf_json(text: &[u8]) {
    let mut bytes = b"before".to_vec();
    if bipf::from_json(text, &mut bytes).is_err() {
        assert_eq!(bytes, b"before", "what failed has left something");
        return;
    }
    let bytes = &bytes[6..];
    let mut printed = Vec::new();
    bipf::to_json(bytes, &mut printed).expect("what was encoded can be printed");
    let mut again = Vec::new();
    bipf::from_json(&printed, &mut again).expect("what was printed can be encoded");
    assert!(again == bytes, "there and back is something else");
}

/// Steps into everything, as far as `left` looks go.
fn look(value: Value<'_>, left: &mut u32) {
    let Some(fewer) = left.checked_sub(1) else { return };
    *left = fewer;
    match value.content() {
        Some(Content::Array(values)) => values.for_each(|value| look(value, left)),
        Some(Content::Object(members)) => members.for_each(|(_, value)| look(value, left)),
        _ => {}
    }
}

/// Something with most of what serde knows.
#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "it is only read into")]
struct Shape {
    key: Option<String>,
    timestamp: Option<f64>,
    value: Option<Inner>,
    rest: Option<Vec<serde_json::Value>>,
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "it is only read into")]
struct Inner {
    author: String,
    sequence: i64,
    content: serde_json::Value,
}
