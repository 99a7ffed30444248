//! [`Field`], what stands at a path in a document, and how fields compare.

use std::{borrow::Cow, cmp::Ordering};

/// What stands at a path in a document: a scalar with its value, or that there is a container.
///
/// Fields are totally ordered: null, false, true, numbers by value, text by code points, bytes, arrays, objects. Two
/// arrays are equal here, as are two objects: look inside. Not-a-number is equal to itself and after all numbers.
///
/// ```
/// use flumedb::codec::Field;
/// assert!(Field::Integer(1) < Field::Float(1.5) && Field::Float(1.5) < Field::Text("1".into()));
/// assert_eq!(Field::Integer(1), Field::Float(1.0));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Field<'a> {
    /// Nothing, said so.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, written as one.
    Integer(i64),
    /// Any other number, and whole ones outside of `i64`.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes (JSON has none).
    Bytes(&'a [u8]),
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Field<'_> {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Integer(_) | Self::Float(_) => 2,
            Self::Text(_) => 3,
            Self::Bytes(_) => 4,
            Self::Array => 5,
            Self::Object => 6,
        }
    }
}

impl Ord for Field<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => one.cmp(two),
            (Self::Integer(one), Self::Integer(two)) => one.cmp(two),
            (Self::Float(one), Self::Float(two)) => compare_floats(*one, *two),
            (Self::Integer(one), Self::Float(two)) => compare_mixed(*one, *two),
            (Self::Float(one), Self::Integer(two)) => compare_mixed(*two, *one).reverse(),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            (Self::Bytes(one), Self::Bytes(two)) => one.cmp(two),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Field<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Field<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Field<'_> {}

fn compare_floats(one: f64, two: f64) -> Ordering {
    one.partial_cmp(&two).unwrap_or_else(|| one.is_nan().cmp(&two.is_nan()))
}

/// Exact: turning the integer into a float would make neighbours equal.
fn compare_mixed(integer: i64, float: f64) -> Ordering {
    const END: f64 = 9_223_372_036_854_775_808.0; // one more than the largest i64
    if float.is_nan() || float >= END {
        Ordering::Less
    } else if float < -END {
        Ordering::Greater
    } else {
        let whole = float.trunc();
        integer.cmp(&(whole as i64)).then_with(|| compare_floats(whole, float))
    }
}
