//! [`FieldKey`], what an index of a query set holds of an entry: the values at its paths, as bytes in the order of the
//! values.
//!
//! Each value begins with a byte for its kind, and none is the beginning of another; so they stand one after another. A key
//! is cut after a number of bytes. That keeps the order (though keys that differ behind it are alike), which is enough:
//! every entry that a key leads to is held against the whole filter.

use serde_json::Value;

use crate::{
    codec::{Document, Field},
    mfr::with_names,
    views::{AsKey, Key, Prefix},
};

/// So long is a key at most.
const KEY_BYTES: usize = 1024;
/// So many arrays may stand in another; those deeper count as objects. No query goes so deep.
const DEPTH: usize = 64;

const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const TEXT: u8 = 5;
const ARRAY: u8 = 6;
/// Objects, and bytes: no query has a range of them.
const OTHER: u8 = 7;
const NOTHING: u8 = 8;
/// Ends an array: less than any value.
const END: u8 = 0;

/// The key of an entry in an index of a `Query` set: opaque, in the order of the values at its paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FieldKey(Vec<u8>);

impl FieldKey {
    /// The key of a document that has something at the first path.
    pub(super) fn of(doc: &dyn Document, paths: &[Vec<String>]) -> Option<Self> {
        let mut key = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            if key.len() >= KEY_BYTES {
                break;
            }
            let found = with_names(path, |names| encode(doc, names, DEPTH, &mut key));
            if index == 0 && !found {
                return None;
            }
        }
        key.truncate(KEY_BYTES);
        Some(Self(key))
    }

    /// Whether all paths but the first, too, had something that an index of the originals takes; `false` for a key that
    /// was cut.
    pub(super) fn is_whole(&self) -> bool {
        let mut rest = self.0.as_slice();
        while let Some((kind, behind)) = rest.split_first() {
            let skipped = match *kind {
                NULL | FALSE | TRUE | ARRAY | END => Some(behind),
                NUMBER => behind.get(10..),
                TEXT => {
                    let mut bytes = behind;
                    String::decode(&mut bytes).map(|_| bytes)
                }
                _ => None,
            };
            match skipped {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        true
    }
}

/// Bytes that keys are compared with.
pub(super) struct Edge(pub(super) Vec<u8>);

impl AsKey<FieldKey> for Edge {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl AsKey<Self> for FieldKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Key for FieldKey {
    fn form() -> String {
        "fields".to_owned()
    }

    /// It stands alone in a row, so it is all there is.
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self(std::mem::take(bytes).to_owned()))
    }
}

/// Appends what stands at `path`; says whether anything does.
fn encode(doc: &dyn Document, path: &[&str], depth: usize, out: &mut Vec<u8>) -> bool {
    match doc.field(path) {
        None => {
            out.push(NOTHING);
            return false;
        }
        Some(Field::Null) => out.push(NULL),
        Some(Field::Bool(truth)) => out.push(if truth { TRUE } else { FALSE }),
        Some(Field::Integer(whole)) => {
            let near = whole as f64;
            encode_number(near, i128::from(whole) - near as i128, out);
        }
        Some(Field::Float(number)) => encode_number(number, 0, out),
        Some(Field::Text(text)) => {
            out.push(TEXT);
            AsKey::<String>::encode(&*text, out);
        }
        Some(Field::Array) if depth > 0 => {
            out.push(ARRAY);
            doc.items(path, &mut |item| {
                if out.len() < KEY_BYTES {
                    encode(item, &[], depth - 1, out);
                }
            });
            out.push(END);
        }
        Some(Field::Array | Field::Bytes(_) | Field::Object) => out.push(OTHER),
    }
    true
}

/// The nearest float, then by how much a whole number is more: less than 2^11 where that is not nothing.
fn encode_number(near: f64, more: i128, out: &mut Vec<u8>) {
    // Zeros are alike, and so are all that are no numbers, which come after all numbers.
    let near = if near == 0.0 {
        0.0
    } else if near.is_nan() {
        f64::NAN.abs()
    } else {
        near
    };
    out.push(NUMBER);
    AsKey::<f64>::encode(&near, out);
    out.extend_from_slice(&((more + 0x8000) as u16).to_be_bytes());
}

/// The bytes of a value in a query; `None` for one with an object in it, of which an index knows no order.
pub(super) fn of_value(value: &Value) -> Option<Vec<u8>> {
    fn has_object(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(has_object),
            other => other.is_object(),
        }
    }
    let mut out = Vec::new();
    if has_object(value) {
        return None;
    }
    encode(value, &[], DEPTH, &mut out);
    Some(out)
}

/// What the bytes of all texts with this prefix begin with.
pub(super) fn of_text_prefix(prefix: &str) -> Vec<u8> {
    let mut out = vec![TEXT];
    Prefix::<String>::encode_prefix(prefix, &mut out);
    out
}

/// What the bytes of all arrays with this prefix begin with.
pub(super) fn of_array_prefix(prefix: &[Value]) -> Option<Vec<u8>> {
    let mut out = vec![ARRAY];
    for item in prefix {
        out.extend(of_value(item)?);
    }
    Some(out)
}

/// Where values of a kind begin and end.
pub(super) fn of_kind(kind: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (first, last) = match kind {
        "null" => (NULL, NULL),
        "boolean" => (FALSE, TRUE),
        "number" => (NUMBER, NUMBER),
        "string" => (TEXT, TEXT),
        "array" => (ARRAY, ARRAY),
        _ => return None,
    };
    Some((vec![first], vec![last + 1]))
}

/// Where values of the same kind as this one begin and end.
pub(super) fn kind_of(value: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    of_kind(match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => return None,
    })
}

/// The least bytes that are more than all that begin with `bytes`.
pub(super) fn behind(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    while bytes.last() == Some(&0xff) {
        bytes.pop();
    }
    *bytes.last_mut()? += 1;
    Some(bytes)
}

/// The first key of a range, cut as keys are.
pub(super) fn cut_start(mut start: Vec<u8>) -> Vec<u8> {
    start.truncate(KEY_BYTES);
    start
}

/// The end of a range, which is not in it, cut as keys are.
pub(super) fn cut_end(mut end: Vec<u8>) -> Option<Vec<u8>> {
    if end.len() <= KEY_BYTES {
        return Some(end);
    }
    end.truncate(KEY_BYTES);
    behind(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_in_the_order_of_values() {
        let in_order = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(0),
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_994_i64),
            json!(i64::MAX),
            json!(""),
            json!("\0"),
            json!("a"),
            json!("a\0"),
            json!("ab"),
            json!("é"),
            json!([]),
            json!([null]),
            json!([1, 2]),
            json!([1, 2, 3]),
            json!([1, "a"]),
            json!([[], 1]),
        ];
        let encoded: Vec<_> = in_order.iter().map(|value| of_value(value).unwrap()).collect();
        assert!(encoded.is_sorted_by(|one, two| one < two), "{encoded:?}");
        for (at, one) in encoded.iter().enumerate() {
            assert!(!encoded.iter().skip(at + 1).any(|other| other.starts_with(one)), "{}", in_order[at]);
        }
        assert_eq!(of_value(&json!(0)), of_value(&json!(-0.0)));
        assert_eq!(of_value(&json!(2)), of_value(&json!(2.0)));
        assert_eq!(of_value(&json!([{}])), None);
    }

    #[test]
    fn what_is_missing_comes_last_and_a_key_wants_its_first_path() {
        let paths = [vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]];
        let key = |value: Value| FieldKey::of(&value, &paths);
        assert_eq!(key(json!({"b": {"c": 1}})), None);
        assert!(key(json!({"a": 1, "b": {"c": "x"}})) < key(json!({"a": 1})));
        assert!(key(json!({"a": 1, "b": null})).is_some_and(|key| !key.is_whole()));
        assert!(key(json!({"a": [1, ["x"]], "b": {"c": null}})).unwrap().is_whole());
        let long = key(json!({"a": "x".repeat(5000), "b": 1})).unwrap();
        assert_eq!((long.0.len(), long.is_whole()), (KEY_BYTES, false));
    }
}
