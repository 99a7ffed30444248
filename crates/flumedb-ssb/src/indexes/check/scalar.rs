//! [`Scalar`], a value that a query can ask for, and the name that jitdb gives it.

use std::fmt;

use flumedb::codec::Field;

use crate::indexes::jitdb::escape;

/// A value that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
    /// JavaScript's `undefined`: nothing is there.
    Missing,
}

impl Scalar {
    /// The value of a field, if it is one that queries ask for.
    pub(super) fn of(field: &Field<'_>) -> Option<Self> {
        Some(match field {
            Field::Null => Self::Null,
            Field::Bool(truth) => Self::Bool(*truth),
            Field::Integer(number) => Self::Number(*number as f64),
            Field::Float(number) if !number.is_nan() => Self::Number(*number),
            Field::Text(text) => Self::Text(text.to_string()),
            _ => return None,
        })
    }

    /// What stands for a field's value in the name of an index file. Whatever JavaScript takes for false has the empty
    /// name. `None`: it has none, or one too long for a file.
    pub(super) fn name_of(field: &Field<'_>) -> Option<String> {
        match field {
            Field::Null | Field::Bool(false) => Some(String::new()),
            Field::Bool(true) => Some("true".to_owned()),
            Field::Integer(number) => number_name(*number as f64),
            Field::Float(number) => number_name(*number),
            Field::Text(text) => escape(text),
            _ => None,
        }
    }
}

fn number_name(number: f64) -> Option<String> {
    if number == 0.0 || number.is_nan() { Some(String::new()) } else { escape(ryu_js::Buffer::new().format(number)) }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&serde_json::Value::from(text.as_str()).to_string()),
            Self::Number(number) => f.write_str(ryu_js::Buffer::new().format(*number)),
            Self::Bool(truth) => truth.fmt(f),
            Self::Null => f.write_str("null"),
            Self::Missing => f.write_str("undefined"),
        }
    }
}
