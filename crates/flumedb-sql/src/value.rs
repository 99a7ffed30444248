//! [`Value`], what stands in a column, and how values of Rust become one and come out of one.

use std::borrow::Cow;

use flumedb::{Error, ErrorKind, Result, Seq};
use rusqlite::types::{ToSqlOutput, ValueRef};

/// What stands in a column: one of the five types of SQLite, borrowed.
///
/// ```
/// use flumedb_sql::Value;
/// assert_eq!(Value::from(3), Value::Integer(3));
/// assert_eq!(Value::from(None::<&str>), Value::Null);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number. One that is not a number becomes null.
    Real(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(crate) fn bound(self) -> ToSqlOutput<'a> {
        ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Real(number) => ValueRef::Real(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        })
    }

    /// What SQLite gives. Text that is no UTF-8 (made by `CAST`, say) is given as its bytes.
    pub(crate) fn of(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => std::str::from_utf8(text).map_or(Self::Blob(text), Self::Text),
            ValueRef::Blob(bytes) => Self::Blob(bytes),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a real",
            Self::Text(_) => "text",
            Self::Blob(_) => "a blob",
        }
    }
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl From<$type> for Value<'_> {
            fn from(number: $type) -> Self {
                Self::Integer(i64::from(number))
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 u8 u16 u32 bool);

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Cow<'_, str>> for Value<'a> {
    fn from(text: &'a Cow<'_, str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Self>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! optional {
    ($($type:ty)*) => {$(
        impl<'a> From<&'a Option<$type>> for Value<'a> {
            fn from(value: &'a Option<$type>) -> Self {
                value.as_ref().map_or(Self::Null, Into::into)
            }
        }
    )*};
}

optional!(String Cow<'_, str>);

/// The number of an entry as SQLite keeps it.
pub(crate) fn number(seq: Seq) -> Result<i64> {
    i64::try_from(seq.get()).map_err(|_| {
        Error::new(ErrorKind::Invalid, format!("entry {seq}: SQLite has no numbers beyond {}", i64::MAX)).at(seq)
    })
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// What it is called in messages.
    const NAME: &'static str;

    /// The value, if it is of this type.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty, $name:literal, $pattern:pat => $value:expr;)*) => {$(
        impl FromValue for $type {
            const NAME: &'static str = $name;

            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    $pattern => $value,
                    _ => None,
                }
            }
        }
    )*};
}

from_value! {
    i64, "an integer", Value::Integer(number) => Some(number);
    i32, "an integer of 32 bits", Value::Integer(number) => number.try_into().ok();
    u32, "an integer of 32 bits from 0", Value::Integer(number) => number.try_into().ok();
    u64, "an integer from 0", Value::Integer(number) => number.try_into().ok();
    bool, "0 or 1", Value::Integer(number @ 0..=1) => Some(number == 1);
    Seq, "the number of an entry", Value::Integer(number) => number.try_into().ok().map(Self::new);
    String, "text", Value::Text(text) => Some(text.to_owned());
    Vec<u8>, "a blob", Value::Blob(bytes) => Some(bytes.to_vec());
}

impl FromValue for f64 {
    const NAME: &'static str = "a number";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(number as Self),
            Value::Real(number) => Some(number),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// Reads the value of the column `column`.
pub(crate) fn read<T: FromValue>(value: Value<'_>, column: &str) -> Result<T> {
    T::from_value(value).ok_or_else(|| {
        let (wanted, name) = (T::NAME, value.name());
        Error::new(
            ErrorKind::Invalid,
            format!("column {column} is {name}, and was read as {wanted}; read it otherwise"),
        )
    })
}
