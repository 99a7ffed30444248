//! The order of values, and what the originals made of values of unlike kinds.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::Compat;
use crate::codec::{Document, Field};

/// Null, false, true, numbers by value, text by code points, arrays, objects: a total order.
pub(super) fn compare(one: &Value, two: &Value) -> Ordering {
    in_order(one, two, &|one, two| one.cmp(two))
}

/// The order of groups and of sorting: what is not there comes last. The originals take text by its UTF-16.
pub(super) fn compare_found(one: Option<&Value>, two: Option<&Value>, compat: Compat) -> Ordering {
    match (one, two) {
        (Some(one), Some(two)) if compat == Compat::Originals => in_order(one, two, &compare_utf16),
        (Some(one), Some(two)) => compare(one, two),
        (one, two) => one.is_none().cmp(&two.is_none()),
    }
}

fn in_order(one: &Value, two: &Value, texts: &dyn Fn(&str, &str) -> Ordering) -> Ordering {
    match (one, two) {
        (Value::String(one), Value::String(two)) => texts(one, two),
        (Value::Array(one), Value::Array(two)) => {
            let unlike = one.iter().zip(two).map(|(one, two)| in_order(one, two, texts)).find(|order| order.is_ne());
            unlike.unwrap_or_else(|| one.len().cmp(&two.len()))
        }
        (Value::Object(one), Value::Object(two)) => {
            let member = |(one, two): ((&String, &Value), (&String, &Value))| {
                one.0.cmp(two.0).then_with(|| in_order(one.1, two.1, texts))
            };
            let unlike = one.iter().zip(two).map(member).find(|order| order.is_ne());
            unlike.unwrap_or_else(|| one.len().cmp(&two.len()))
        }
        _ => scalar(one).cmp(&scalar(two)),
    }
}

/// A value as a field.
pub(super) fn scalar(value: &Value) -> Field<'_> {
    value.field(&[]).unwrap_or(Field::Null)
}

pub(super) fn compare_utf16(one: &str, two: &str) -> Ordering {
    one.encode_utf16().cmp(two.encode_utf16())
}

/// Whether it counts as true: what is not there, null, false, 0 and the empty text do not.
pub(super) fn is_truthy(field: Option<&Field<'_>>) -> bool {
    match field {
        None | Some(Field::Null | Field::Bool(false) | Field::Integer(0)) => false,
        Some(Field::Float(number)) => *number != 0.0 && !number.is_nan(),
        Some(Field::Text(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// A number as JSON: a whole one without a point, none for what JSON cannot say.
pub(super) fn number(number: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Some(Value::from(number as i64));
    }
    Number::from_f64(number).map(Value::Number)
}

/// What arithmetic in the originals takes a value for.
pub(super) fn to_number(value: Option<&Value>) -> f64 {
    match value {
        None | Some(Value::Object(_)) => f64::NAN,
        Some(Value::Null | Value::Bool(false)) => 0.0,
        Some(Value::Bool(true)) => 1.0,
        Some(Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
        Some(Value::String(text)) => text_to_number(text),
        Some(array @ Value::Array(_)) => text_to_number(&to_text(array)),
    }
}

fn text_to_number(text: &str) -> f64 {
    let text = text.trim();
    match text {
        "" => 0.0,
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => {
            let digits = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| text.strip_prefix(prefix));
            let whole = [(digits(["0x", "0X"]), 16), (digits(["0o", "0O"]), 8), (digits(["0b", "0B"]), 2)];
            if let Some((digits, radix)) = whole.into_iter().find_map(|(digits, radix)| Some((digits?, radix))) {
                return u64::from_str_radix(digits, radix).map_or(f64::NAN, |whole| whole as f64);
            }
            // Rust reads names of numbers that JavaScript does not know.
            let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
            if plain { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
        }
    }
}

fn to_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let item = |item: &Value| if item.is_null() { String::new() } else { to_text(item) };
            items.iter().map(item).collect::<Vec<_>>().join(",")
        }
        Value::Object(_) => "[object Object]".to_owned(),
        other => other.to_string(),
    }
}

/// How the originals compare: two texts as such, arrays and objects as their text, all else as numbers.
pub(super) fn compare_coerced(one: Option<&Value>, two: &Value) -> Option<Ordering> {
    let text = |value: &Value| match value {
        Value::String(_) | Value::Array(_) | Value::Object(_) => Some(to_text(value)),
        _ => None,
    };
    let (one_text, two_text) = (one.and_then(text), text(two));
    if let (Some(one), Some(two)) = (&one_text, &two_text) {
        return Some(compare_utf16(one, two));
    }
    let as_number = |value: Option<&Value>, text: Option<String>| match text {
        Some(text) => text_to_number(&text),
        None => to_number(value),
    };
    as_number(one, one_text).partial_cmp(&as_number(Some(two), two_text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coercion_is_that_of_javascript() {
        let number = |text: &str| to_number(Some(&Value::from(text)));
        assert_eq!(number(" 12 "), 12.0);
        assert_eq!(number(""), 0.0);
        assert_eq!(number("0x10"), 16.0);
        assert!(number("inf").is_nan() && number("NaN").is_nan() && number("1_0").is_nan() && number("1 0").is_nan());
        assert_eq!(to_number(Some(&serde_json::json!([5]))), 5.0);
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(compare_coerced(Some(&json("null")), &json("1")), Some(Ordering::Less));
        assert_eq!(compare_coerced(Some(&json("\"10\"")), &json("\"9\"")), Some(Ordering::Less));
        assert_eq!(compare_coerced(Some(&json("\"10\"")), &json("9")), Some(Ordering::Greater));
        assert_eq!(compare_coerced(None, &json("1")), None);
        assert_eq!(compare_coerced(Some(&json("[2,3]")), &json("[10]")), Some(Ordering::Greater));
    }
}
