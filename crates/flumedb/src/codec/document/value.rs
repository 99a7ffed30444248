//! [`Document`] for `serde_json::Value`: JSON that has been parsed whole.

use serde_json::{Number, Value};

use super::{Document, Field, scan::position};

impl Document for Value {
    fn field(&self, path: &[&str]) -> Option<Field<'_>> {
        Some(match at(self, path)? {
            Value::Null => Field::Null,
            Value::Bool(truth) => Field::Bool(*truth),
            Value::Number(number) => number_field(number),
            Value::String(text) => Field::Text(text.into()),
            Value::Array(_) => Field::Array,
            Value::Object(_) => Field::Object,
        })
    }

    fn items(&self, path: &[&str], visit: &mut dyn FnMut(&dyn Document)) {
        if let Some(Value::Array(items)) = at(self, path) {
            for item in items {
                visit(item);
            }
        }
    }

    fn members(&self, path: &[&str], visit: &mut dyn FnMut(&str, &dyn Document)) {
        if let Some(Value::Object(members)) = at(self, path) {
            members.iter().for_each(|(name, value)| visit(name, value));
        }
    }
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(members) => members.get(*name),
        Value::Array(items) => items.get(position(name)?),
        _ => None,
    })
}

fn number_field(number: &Number) -> Field<'static> {
    match number.as_i64() {
        Some(integer) => Field::Integer(integer),
        None => Field::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}
