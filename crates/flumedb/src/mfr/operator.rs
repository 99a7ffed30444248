//! [`Operator`], what is asked of a value in a query: `{"$gt": 3}`.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::{
    Compat,
    budget::weigh,
    filter::Filter,
    order::{compare, compare_coerced, compare_utf16, is_truthy, number, scalar, to_number},
    path::{Input, Path},
    place::Place,
    room::Room,
    rule::Rule,
    tree::Tree,
};
use crate::{
    Result,
    codec::{Document, Field},
};

/// Names of the operators of filters and maps.
const NAMES: &str = "$eq, $ne, $lt, $lte, $gt, $gte, $prefix, $in, $is, $type, $truthy, $not, $int, $mod, $get, \
                     $map, $filter";
/// What `$is` takes.
const TYPES: [&str; 7] = ["undefined", "null", "boolean", "number", "string", "array", "object"];

#[derive(Clone, Debug)]
pub(super) enum Operator {
    Equal(Value),
    Unequal(Value),
    Compare(Comparison, Value),
    TextPrefix(String),
    /// An array that begins so and goes on.
    ArrayPrefix(Vec<Value>),
    In(Vec<Value>),
    Is(String),
    Type,
    Truthy,
    Not,
    Integer,
    Remainder(Number),
    Get(Path),
    Map(Box<Rule>),
    Filter(Box<Filter>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Operator {
    /// The operator that a member of an object in a query stands for; `None` for one that there is not.
    pub(super) fn parse(name: &str, tree: &Tree, place: &Place<'_>, compat: Compat) -> Result<Option<Self>> {
        let ordered = |comparison| match tree {
            Tree::Object(_) if compat == Compat::Corrected => {
                Err(place.error(format!("{tree} has no order; a text, a number, true, false, null or an array has")))
            }
            other => Ok(Self::Compare(comparison, other.to_value())),
        };
        Ok(Some(match name {
            "$eq" => Self::Equal(tree.to_value()),
            "$ne" => Self::Unequal(tree.to_value()),
            "$lt" => ordered(Comparison::Less)?,
            "$lte" => ordered(Comparison::LessOrEqual)?,
            "$gt" => ordered(Comparison::Greater)?,
            "$gte" => ordered(Comparison::GreaterOrEqual)?,
            "$prefix" => match tree {
                Tree::Text(text) => Self::TextPrefix(text.clone()),
                Tree::List(items) => Self::ArrayPrefix(items.iter().map(Tree::to_value).collect()),
                other => return Err(place.error(format!("$prefix takes a text or an array, not {other}"))),
            },
            "$in" => match tree {
                Tree::List(items) => Self::In(items.iter().map(Tree::to_value).collect()),
                other => return Err(place.error(format!("$in takes an array of values, not {other}"))),
            },
            "$is" => match tree {
                Tree::Text(kind) if compat == Compat::Originals || TYPES.contains(&kind.as_str()) => {
                    Self::Is(kind.clone())
                }
                other => return Err(place.error(format!("$is takes one of {}, not {other}", TYPES.join(", ")))),
            },
            "$type" => Self::Type,
            "$truthy" => Self::Truthy,
            "$not" => Self::Not,
            "$int" => Self::Integer,
            "$mod" => match tree {
                Tree::Number(by) if compat == Compat::Originals || by.as_f64() != Some(0.0) => {
                    Self::Remainder(by.clone())
                }
                other => return Err(place.error(format!("$mod takes a number other than 0, not {other}"))),
            },
            "$get" => Self::Get(Path::parse(tree, place)?),
            "$map" => Self::Map(Box::new(Rule::parse(tree, place, compat)?)),
            "$filter" => Self::Filter(Box::new(Filter::parse(tree, place, compat)?)),
            _ => return Ok(None),
        }))
    }

    /// Says that there is no operator `name`.
    pub(super) fn unknown(name: &str, place: &Place<'_>) -> crate::Error {
        place.error(format!("there is no operator {name} here; there are {NAMES}"))
    }

    /// What it makes of a value.
    pub(super) fn apply(&self, input: &Input<'_>, room: &Room) -> Option<Value> {
        let compat = room.compat;
        match self {
            Self::Type => Some(type_of(input.field().as_ref()).into()),
            Self::Remainder(by) => remainder(input, by, compat),
            Self::Get(path) => within(input, room, |value| room.copy(value, path)),
            Self::Map(rule) => within(input, room, |value| rule.apply(value, room)),
            // A place, counted from -1 downwards: that is how it tells where something was found.
            Self::In(values) if compat == Compat::Originals => {
                let value = input.value();
                let at = values.iter().position(|one| value.as_ref().is_some_and(|value| same(one, value, compat)));
                Some(at.map_or(0, |at| -1 - at as i64).into())
            }
            _ => Some(self.holds(input, room).into()),
        }
    }

    /// Whether what it makes of a value counts as true.
    pub(super) fn holds(&self, input: &Input<'_>, room: &Room) -> bool {
        let compat = room.compat;
        let field = input.field();
        match self {
            Self::Equal(value) => equals(value, field.as_ref(), input, compat),
            Self::Unequal(value) => !equals(value, field.as_ref(), input, compat),
            Self::Compare(comparison, value) => {
                ordering(field.as_ref(), value, input, compat).is_some_and(|order| comparison.allows(order))
            }
            Self::TextPrefix(prefix) => matches!(field, Some(Field::Text(text)) if text.starts_with(prefix.as_str())),
            Self::ArrayPrefix(prefix) => {
                matches!(field, Some(Field::Array)) && goes_on(prefix, input.value().as_ref(), compat)
            }
            Self::In(values) => values.iter().any(|value| equals(value, field.as_ref(), input, compat)),
            Self::Is(kind) => is(field.as_ref(), kind, compat),
            Self::Type => true,
            Self::Truthy => is_truthy(field.as_ref()),
            Self::Not => !is_truthy(field.as_ref()),
            Self::Integer => match field {
                Some(Field::Integer(_)) => true,
                Some(Field::Float(number)) => number.is_finite() && number.fract() == 0.0,
                _ => false,
            },
            Self::Filter(filter) => match input.value() {
                Some(value) => filter.matches(Some(&value), room),
                None => filter.matches(None, room),
            },
            Self::Remainder(_) | Self::Get(_) | Self::Map(_) => {
                let before = room.taken();
                let holds = is_truthy(self.apply(input, room).as_ref().map(scalar).as_ref());
                room.keep(before);
                holds
            }
        }
    }

    /// Whether it can hold for what is not there, or null.
    pub(super) fn takes_nothing(&self, compat: Compat) -> bool {
        /// No query can say so much of nothing, unless it makes more and more of it: then it does so when it is asked, too.
        const BYTES: usize = 4 << 20;
        let (room, null) = (Room::new(compat, BYTES), Value::Null);
        self.holds(&Input::new(None, &[]), &room) || self.holds(&Input::new(Some(&null), &[]), &room)
    }
}

/// What `make` makes of a copy of the input.
fn within(input: &Input<'_>, room: &Room, make: impl FnOnce(Option<&dyn Document>) -> Option<Value>) -> Option<Value> {
    let at_first = room.taken();
    let value = input.value().filter(|value| room.take(weigh(value)));
    let before = room.taken();
    let made = make(value.as_ref().map(|value| value as _));
    room.keep(at_first + room.taken().saturating_sub(before));
    made
}

/// Whether a value of the query is what stands there.
pub(super) fn equals(value: &Value, field: Option<&Field<'_>>, input: &Input<'_>, compat: Compat) -> bool {
    match (value, field) {
        (_, None) => false,
        (Value::Array(_) | Value::Object(_), Some(Field::Array | Field::Object)) => {
            compat == Compat::Corrected && input.value().is_some_and(|found| compare(value, &found).is_eq())
        }
        (_, Some(field)) => scalar(value) == *field,
    }
}

/// The same of two values. In the originals no array or object is the same as another.
fn same(value: &Value, found: &Value, compat: Compat) -> bool {
    equals(value, found.field(&[]).as_ref(), &Input::new(Some(found), &[]), compat)
}

fn ordering(field: Option<&Field<'_>>, value: &Value, input: &Input<'_>, compat: Compat) -> Option<Ordering> {
    let bound = scalar(value);
    match (field, &bound) {
        (Some(Field::Text(one)), Field::Text(two)) if compat == Compat::Originals => Some(compare_utf16(one, two)),
        (Some(Field::Integer(_) | Field::Float(_)), Field::Integer(_) | Field::Float(_))
        | (Some(Field::Text(_)), Field::Text(_))
        | (Some(Field::Bool(_)), Field::Bool(_)) => field?.partial_cmp(&bound),
        (_, _) if compat == Compat::Originals => compare_coerced(input.value().as_ref(), value),
        (Some(Field::Null), Field::Null) => Some(Ordering::Equal),
        (Some(Field::Array), Field::Array) => Some(compare(&input.value()?, value)),
        // Values of different kinds have no order that a query could mean.
        _ => None,
    }
}

fn goes_on(prefix: &[Value], value: Option<&Value>, compat: Compat) -> bool {
    let Some(Value::Array(items)) = value else { return false };
    items.len() > prefix.len() && prefix.iter().zip(items).all(|(one, item)| same(one, item, compat))
}

fn type_of(field: Option<&Field<'_>>) -> &'static str {
    match field {
        None => "undefined",
        Some(Field::Bool(_)) => "boolean",
        Some(Field::Integer(_) | Field::Float(_)) => "number",
        Some(Field::Text(_)) => "string",
        Some(_) => "object",
    }
}

/// The name that `$type` gives; and unless it is as in the originals, that of an array or null.
fn is(field: Option<&Field<'_>>, kind: &str, compat: Compat) -> bool {
    type_of(field) == kind
        || compat == Compat::Corrected
            && matches!((field, kind), (Some(Field::Null), "null") | (Some(Field::Array), "array"))
}

fn remainder(input: &Input<'_>, by: &Number, compat: Compat) -> Option<Value> {
    let field = input.field();
    match (&field, by.as_i64()) {
        (Some(Field::Integer(whole)), Some(by)) => match whole.checked_rem(by) {
            Some(rest) => Some(rest.into()),
            // By zero there is none, and by -1 there is nothing left.
            None => Some(if by == 0 { Value::Null } else { 0.into() }),
        },
        (Some(Field::Integer(_) | Field::Float(_)), _) => {
            let whole = to_number(input.value().as_ref());
            number(whole % by.as_f64()?).or(Some(Value::Null))
        }
        // In the originals this is not-a-number; as JSON, null.
        _ if compat == Compat::Originals => {
            number(to_number(input.value().as_ref()) % by.as_f64()?).or(Some(Value::Null))
        }
        _ => None,
    }
}
