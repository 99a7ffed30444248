//! Copies of documents as `serde_json::Value`.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, map::Entry};

use super::{Document, Field};

/// So many values may stand around another; what `serde_json` takes, too.
pub(super) const DEPTH: usize = 127;

/// What stands at `path` in any document; `None` where nothing does, or it is deeper than `depth`.
pub(super) fn copy<D: Document + ?Sized>(doc: &D, path: &[&str], depth: usize) -> Option<Value> {
    Some(match doc.field(path)? {
        Field::Null => Value::Null,
        Field::Bool(truth) => Value::Bool(truth),
        Field::Integer(number) => number.into(),
        Field::Float(number) => number.into(),
        Field::Text(text) => Value::String(text.into_owned()),
        Field::Bytes(bytes) => bytes.into(),
        Field::Array => {
            let (depth, mut items) = (depth.checked_sub(1)?, Some(Vec::new()));
            doc.items(path, &mut |item| {
                items = items.take().and_then(|mut items| {
                    items.push(copy(item, &[], depth)?);
                    Some(items)
                });
            });
            Value::Array(items?)
        }
        Field::Object => {
            let (depth, mut members) = (depth.checked_sub(1)?, Some(Map::new()));
            doc.members(path, &mut |name, value| {
                members = members.take().and_then(|mut members| {
                    if let Entry::Vacant(place) = members.entry(name) {
                        place.insert(copy(value, &[], depth)?);
                    }
                    Some(members)
                });
            });
            Value::Object(members?)
        }
    })
}

/// The same of JSON text, in one pass; `None` also for text that `serde_json` does not take whole: half of a surrogate
/// pair, a number beyond `f64`.
pub(super) fn of_text(text: &[u8]) -> Option<Value> {
    First.deserialize(&mut serde_json::Deserializer::from_slice(text)).ok()
}

/// Reads a value of which, unlike in `Value`'s own reading, the first of the members with one name counts.
struct First;

impl<'de> DeserializeSeed<'de> for First {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for First {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        // As a field: what is beyond `i64` is the nearest `f64`.
        Ok(i64::try_from(number).map_or_else(|_| (number as f64).into(), Value::from))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(First)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match object.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(members.next_value_seed(First)?);
                }
                Entry::Occupied(_) => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(object))
    }
}
