//! What [`AnyKey`] is made from.

use serde_json::Value;

use super::{AnyKey, any::DEPTH};
use crate::{Error, ErrorKind, Result, codec::Field};

impl From<()> for AnyKey {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl From<bool> for AnyKey {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<f64> for AnyKey {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl From<$type> for AnyKey {
            fn from(number: $type) -> Self {
                Self::Integer(i64::from(number))
            }
        }
    )*};
}

integers!(i32, u32, i64);

impl From<&str> for AnyKey {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AnyKey {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bytes::Bytes> for AnyKey {
    fn from(bytes: bytes::Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// `None` is null.
impl<T: Into<Self>> From<Option<T>> for AnyKey {
    fn from(key: Option<T>) -> Self {
        key.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for AnyKey {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

macro_rules! tuples {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Into<Self>),*> From<($($name,)*)> for AnyKey {
            fn from(items: ($($name,)*)) -> Self {
                Self::Array(vec![$(items.$place.into()),*])
            }
        }
    };
}

tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);

/// Fails for an object, and says where it is; and for arrays in one another more than 128 times.
impl TryFrom<&Value> for AnyKey {
    type Error = Error;

    fn try_from(value: &Value) -> Result<Self> {
        from_value(value, &mut Vec::new())
    }
}

/// `path` leads to the value.
fn from_value(value: &Value, path: &mut Vec<usize>) -> Result<AnyKey> {
    Ok(match value {
        Value::Null => AnyKey::Null,
        Value::Bool(truth) => AnyKey::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(number) => AnyKey::Integer(number),
            None => AnyKey::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => AnyKey::Text(text.clone()),
        Value::Array(_) if path.len() >= DEPTH => return Err(invalid("arrays nested so deep", path)),
        Value::Array(items) => {
            let mut keys = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                path.push(at);
                keys.push(from_value(item, path)?);
                path.pop();
            }
            AnyKey::Array(keys)
        }
        Value::Object(_) => return Err(invalid("an object", path)),
    })
}

fn invalid(what: &str, path: &[usize]) -> Error {
    let place: String = path.iter().map(|at| format!("[{at}]")).collect();
    let place = if place.is_empty() { place } else { format!(" at {place}") };
    Error::new(ErrorKind::Invalid, format!("{what}{place} cannot be a key; take fields of it, or an array of them"))
}

/// Fails for an array and an object, of which a field tells only that they are there: take the value at the path instead.
impl TryFrom<Field<'_>> for AnyKey {
    type Error = Error;

    fn try_from(field: Field<'_>) -> Result<Self> {
        Ok(match field {
            Field::Null => Self::Null,
            Field::Bool(truth) => Self::Bool(truth),
            Field::Integer(number) => Self::Integer(number),
            Field::Float(number) => Self::Float(number),
            Field::Text(text) => Self::Text(text.into_owned()),
            Field::Bytes(bytes) => Self::Bytes(bytes.to_vec().into()),
            Field::Array => return Err(invalid("an array whose items are not known", &[])),
            Field::Object => return Err(invalid("an object", &[])),
        })
    }
}
