//! [`Column`], a place in a link, and the bytes that keep the order of what stands there.

use serde_json::Value;

use super::Link;
use crate::{codec::Field, views::index::AsKey};

/// A place in a link: `source`, `rel`, `dest`, a further field, or a path into one.
///
/// ```
/// use flumedb::views::links::Column;
/// assert_eq!(Column::from("ts").to_string(), "ts");
/// assert_eq!(Column::from(["v", "type"]).to_string(), "v.type");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column(pub(super) Vec<String>);

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl From<&Self> for Column {
    fn from(column: &Self) -> Self {
        column.clone()
    }
}

impl From<Vec<String>> for Column {
    fn from(path: Vec<String>) -> Self {
        Self(path)
    }
}

impl<const N: usize> From<[&str; N]> for Column {
    fn from(path: [&str; N]) -> Self {
        Self(path.iter().map(|name| (*name).to_owned()).collect())
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// What the bytes of a value begin with, in the order of the kinds.
mod kind {
    pub(super) const NULL: u8 = 0x10;
    pub(super) const FALSE: u8 = 0x20;
    pub(super) const TRUE: u8 = 0x21;
    pub(super) const NUMBER: u8 = 0x30;
    pub(super) const TEXT: u8 = 0x40;
    pub(super) const ARRAY: u8 = 0x50;
    pub(super) const OBJECT: u8 = 0x60;
    pub(super) const ABSENT: u8 = 0x70;
}

/// The bytes of everything of a value's kind begin with one from the first to before the second.
pub(super) fn kind_of(value: &Value) -> (u8, u8) {
    let first = match value {
        Value::Null => kind::NULL,
        Value::Bool(_) => kind::FALSE,
        Value::Number(_) => kind::NUMBER,
        Value::String(_) => kind::TEXT,
        Value::Array(_) => kind::ARRAY,
        Value::Object(_) => kind::OBJECT,
    };
    (first, first + 0x10)
}

/// Appends bytes for a value: of two values the lesser has the lesser bytes, and no value's bytes begin another's. Null,
/// false, true, numbers, texts, arrays, objects (by their JSON text), nothing. Whole numbers beyond 2^53 may share their
/// bytes with a neighbour, so what is found by them is looked at again.
pub(super) fn encode(value: Option<&Value>, out: &mut Vec<u8>) {
    match value {
        None => out.push(kind::ABSENT),
        Some(Value::Null) => out.push(kind::NULL),
        Some(Value::Bool(truth)) => out.push(if *truth { kind::TRUE } else { kind::FALSE }),
        Some(Value::Number(number)) => {
            out.push(kind::NUMBER);
            // Minus zero is zero.
            AsKey::<f64>::encode(&(number.as_f64().unwrap_or(f64::INFINITY) + 0.0), out);
        }
        Some(Value::String(text)) => encode_text(text, out),
        Some(Value::Array(items)) => {
            out.push(kind::ARRAY);
            for item in items {
                encode(Some(item), out);
            }
            out.push(0);
        }
        Some(object @ Value::Object(_)) => {
            out.push(kind::OBJECT);
            AsKey::<String>::encode(object.to_string().as_str(), out);
        }
    }
}

pub(super) fn encode_text(text: &str, out: &mut Vec<u8>) {
    out.push(kind::TEXT);
    AsKey::<String>::encode(text, out);
}

/// The bytes that all texts with this beginning begin with.
pub(super) fn encode_beginning(text: &str, out: &mut Vec<u8>) {
    encode_text(text, out);
    // The mark of the end.
    out.truncate(out.len() - 2);
}

/// Takes a text from the front of `bytes`.
pub(super) fn decode_text(bytes: &mut &[u8]) -> Option<String> {
    let (&kind::TEXT, rest) = bytes.split_first()? else { return None };
    *bytes = rest;
    crate::views::index::Key::decode(bytes)
}

/// Appends the bytes of a link by these columns.
pub(super) fn encode_columns(link: &Link, columns: &[Column], out: &mut Vec<u8>) {
    for column in columns {
        match column.0.as_slice() {
            [name] if name == "source" => encode_text(&link.source, out),
            [name] if name == "rel" => encode_text(&link.rel, out),
            [name] if name == "dest" => encode_text(&link.dest, out),
            path => encode(link.at(path).as_deref(), out),
        }
    }
}

/// How two scalars compare, exactly; `None` if they are of different kinds, or containers.
pub(super) fn compare(one: &Value, two: &Value) -> Option<std::cmp::Ordering> {
    if kind_of(one) != kind_of(two) {
        return None;
    }
    let (one, two) = (scalar(one)?, scalar(two)?);
    Some(one.cmp(&two))
}

fn scalar(value: &Value) -> Option<Field<'_>> {
    Some(match value {
        Value::Null => Field::Null,
        Value::Bool(truth) => Field::Bool(*truth),
        Value::String(text) => Field::Text(text.into()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Field::Integer(integer),
            None => Field::Float(number.as_f64().unwrap_or(f64::INFINITY)),
        },
        Value::Array(_) | Value::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_in_the_order_of_values() {
        let values = [
            Some(json!(null)),
            Some(json!(false)),
            Some(json!(true)),
            Some(json!(-1e300)),
            Some(json!(-1)),
            Some(json!(0)),
            Some(json!(0.5)),
            Some(json!(1)),
            Some(json!(u64::MAX)),
            Some(json!("")),
            Some(json!("\u{0}")),
            Some(json!("a")),
            Some(json!("a\u{0}b")),
            Some(json!("ab")),
            Some(json!("é")),
            Some(json!([])),
            Some(json!([1])),
            Some(json!([1, 2])),
            Some(json!([2])),
            Some(json!(["a"])),
            Some(json!([[]])),
            Some(json!({"a": 1})),
            None,
        ];
        let bytes: Vec<Vec<u8>> = values
            .iter()
            .map(|value| {
                let mut out = Vec::new();
                encode(value.as_ref(), &mut out);
                out
            })
            .collect();
        for (one, two) in bytes.iter().zip(&bytes[1..]) {
            assert!(one < two && !two.starts_with(one), "{one:?} {two:?}");
        }
    }
}
