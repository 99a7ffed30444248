//! Terms: the bytes that stand for a value in the store. Two values have the same term just if they are equal and of one
//! type; terms are in the order of values, and none begins another.

use std::hash::Hasher;

use serde_json::Value;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::codec::Field;

/// The path leads nowhere.
pub(super) const ABSENT: &[u8] = &[0];
/// There is a number.
pub(super) const NUMERIC: &[u8] = &[1];
/// An entry, whatever it holds; one that a predicate is true of.
pub(super) const THERE: &[u8] = &[2];
const NULL: u8 = 16;
const FALSE: u8 = 17;
const TRUE: u8 = 18;
pub(super) const NUMBER: u8 = 19;
const TEXT: u8 = 20;
const BYTES: u8 = 21;

/// Of longer text, and bytes, a term has the beginning and a digest: what has such a term is a candidate, and the entry is
/// looked at.
pub(super) const WHOLE: usize = 128;
const BEGINNING: usize = 96;
/// The bytes of a number behind its mark: the nearest `f64` in order, and how far the number is from that.
pub(super) const NUMBER_LEN: usize = 10;

/// A value to compare with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scalar {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// An array or an object. Nothing equals one.
    Container(Value),
}

impl Scalar {
    /// The value that JSON says.
    pub fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::Text(text.clone()),
            other => Self::Container(other.clone()),
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => (*truth).into(),
            Self::Integer(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Container(value) => value.clone(),
        }
    }

    /// The value as a field; `None` for a container.
    pub(super) fn field(&self) -> Option<Field<'_>> {
        Some(match self {
            Self::Null => Field::Null,
            Self::Bool(truth) => Field::Bool(*truth),
            Self::Integer(number) => Field::Integer(*number),
            Self::Float(number) => Field::Float(*number),
            Self::Text(text) => Field::Text(text.into()),
            Self::Container(_) => return None,
        })
    }
}

macro_rules! scalar_from {
    ($($type:ty: |$value:ident| $scalar:expr;)*) => {$(
        impl From<$type> for Scalar {
            fn from($value: $type) -> Self {
                $scalar
            }
        }
    )*};
}

scalar_from! {
    bool: |truth| Self::Bool(truth);
    i32: |number| Self::Integer(number.into());
    u32: |number| Self::Integer(number.into());
    i64: |number| Self::Integer(number);
    f64: |number| Self::Float(number);
    &str: |text| Self::Text(text.to_owned());
    String: |text| Self::Text(text);
    (): |_null| Self::Null;
    Value: |value| Self::from_json(&value);
}

/// Appends the term of what stands at a path; `false` if it has none, being a container.
pub(super) fn append(field: Option<&Field<'_>>, out: &mut Vec<u8>) -> bool {
    let Some(field) = field else {
        out.extend_from_slice(ABSENT);
        return true;
    };
    match field {
        Field::Null => out.push(NULL),
        Field::Bool(false) => out.push(FALSE),
        Field::Bool(true) => out.push(TRUE),
        Field::Integer(number) => write_integer(*number, out),
        Field::Float(number) => write_float(*number, out),
        Field::Text(text) => write_escaped(TEXT, text.as_bytes(), out),
        Field::Bytes(bytes) => write_escaped(BYTES, bytes, out),
        Field::Array | Field::Object => return false,
    }
    true
}

/// Writes the term of a field over what is in `out`; `false` if it has none.
pub(super) fn write(field: &Field<'_>, out: &mut Vec<u8>) -> bool {
    out.clear();
    append(Some(field), out)
}

/// The term of a number, if the field is one.
pub(super) fn number(field: &Field<'_>) -> Option<[u8; NUMBER_LEN]> {
    let mut term = Vec::with_capacity(NUMBER_LEN + 1);
    match field {
        Field::Integer(number) => write_integer(*number, &mut term),
        Field::Float(number) => write_float(*number, &mut term),
        _ => return None,
    }
    term.get(1..)?.try_into().ok()
}

/// Whether a value of such a term has to be compared itself.
pub(super) fn is_digest(field: &Field<'_>) -> bool {
    match field {
        Field::Text(text) => text.len() > WHOLE,
        Field::Bytes(bytes) => bytes.len() > WHOLE,
        _ => false,
    }
}

/// The terms of text that begins with `text`: from the first to before the second; `true` if others are among them.
pub(super) fn beginning_with(text: &str) -> (Vec<u8>, Vec<u8>, bool) {
    let cut = text.as_bytes().get(..BEGINNING).unwrap_or(text.as_bytes());
    let mut from = vec![TEXT];
    escape(cut, &mut from);
    // The least bytes that are more than all that begin so.
    let mut to = from.clone();
    while to.last() == Some(&0xff) {
        to.pop();
    }
    if let Some(last) = to.last_mut() {
        *last += 1;
    }
    (from, to, cut.len() < text.len())
}

fn write_integer(number: i64, out: &mut Vec<u8>) {
    let nearest = number as f64;
    write_number(nearest, (i128::from(number) - nearest as i128) as i16, out);
}

fn write_float(number: f64, out: &mut Vec<u8>) {
    // One zero, and one that is no number, after all others.
    let number = if number == 0.0 { 0.0 } else { number };
    write_number(if number.is_nan() { f64::NAN.abs() } else { number }, 0, out);
}

fn write_number(nearest: f64, rest: i16, out: &mut Vec<u8>) {
    let bits = nearest.to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.push(NUMBER);
    out.extend_from_slice(&ordered.to_be_bytes());
    out.extend_from_slice(&(rest as u16 ^ 1 << 15).to_be_bytes());
}

/// Zero is followed by 0xff where it is part of the text, and by another zero at its end, or by a one and a digest.
fn write_escaped(mark: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(mark);
    if bytes.len() <= WHOLE {
        escape(bytes, out);
        out.extend_from_slice(&[0, 0]);
    } else {
        escape(bytes.get(..BEGINNING).unwrap_or(bytes), out);
        out.extend_from_slice(&[0, 1]);
        let mut hasher = SipHasher13::new();
        hasher.write(bytes);
        out.extend_from_slice(&hasher.finish128().as_bytes());
    }
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(zero) = memchr::memchr(0, rest) {
        let (part, after) = rest.split_at_checked(zero).unwrap_or((rest, &[]));
        out.extend_from_slice(part);
        out.extend_from_slice(&[0, 0xff]);
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_scalar() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            Just(Scalar::Null),
            any::<bool>().prop_map(Scalar::Bool),
            any::<i64>().prop_map(Scalar::Integer),
            (i64::MAX - 2000..=i64::MAX).prop_map(Scalar::Integer),
            (-3..4_i64).prop_map(Scalar::Integer),
            any::<f64>().prop_map(Scalar::Float),
            (-3..4_i32).prop_map(|number| Scalar::Float(number.into())),
            Just(Scalar::Float(-0.0)),
            (-5..5_i64).prop_map(|rest| Scalar::Float(((1_i64 << 60) + rest * 256) as f64)),
            "[a\0\u{1}\u{ff}]{0,4}".prop_map(Scalar::Text),
            "[ab\0]{94,132}".prop_map(Scalar::Text),
        ]
    }

    fn term(scalar: &Scalar) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(write(&scalar.field().unwrap_or(Field::Array), &mut out));
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Guards against two values that share a bitmap, one value with two, and an order that is not that of values.
        #[test]
        fn terms_are_equal_and_ordered_as_fields_are(one in any_scalar(), two in any_scalar()) {
            let (first, second) = (one.field().unwrap_or(Field::Array), two.field().unwrap_or(Field::Array));
            let order = term(&one).cmp(&term(&two));
            let digests = is_digest(&first) || is_digest(&second);
            prop_assert!(order == first.cmp(&second) || digests && !order.is_eq() && first != second);
            prop_assert!(order.is_eq() || !term(&one).starts_with(&term(&two)));
        }

        /// Guards against text that a search for its beginning does not find.
        #[test]
        fn beginnings(text in "[ab\0\u{ff}]{0,4}|[ab\0]{94,132}", start in "[ab\0\u{ff}]{0,4}|[ab\0]{94,132}", len in 0..140_usize) {
            for start in [start.as_str(), text.get(..len).unwrap_or(&text)] {
                let (from, to, loose) = beginning_with(start);
                let term = term(&Scalar::Text(text.clone()));
                let within = from <= term && term < to;
                prop_assert!(within == text.starts_with(start) || loose && within);
            }
        }
    }
}
