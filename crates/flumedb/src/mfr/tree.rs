//! [`Tree`], a query as JSON. Unlike in a `serde_json::Value`, members keep their order: it decides how groups are sorted.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

use super::place::Place;
use crate::{Error, ErrorKind, Result};

/// So many containers may stand in another.
const DEPTH: usize = 64;
/// So long may the text of a query be.
const BYTES: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.len() > BYTES {
            let message = format!("a query of {} bytes is too large; at most {BYTES} are taken", text.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let tree: Self = serde_json::from_str(text)
            .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("the query is no JSON: {error}"), error))?;
        tree.check_depth(&Place::ROOT)?;
        Ok(tree)
    }

    pub(super) fn of(value: &Value, place: &Place<'_>) -> Result<Self> {
        check(place)?;
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| Self::of(item, &place.item(index)))
                    .collect::<Result<_>>()?,
            ),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::of(value, &place.member(name))?)))
                    .collect::<Result<_>>()?,
            ),
        })
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => members.iter().map(|(name, value)| (name.clone(), value.to_value())).collect(),
        }
    }

    /// Whether it is an object with an operator in it.
    pub(super) fn has_operator(&self) -> bool {
        matches!(self, Self::Object(members) if members.iter().any(|(name, _)| name.starts_with('$')))
    }

    fn check_depth(&self, place: &Place<'_>) -> Result<()> {
        check(place)?;
        match self {
            Self::List(items) => {
                items.iter().enumerate().try_for_each(|(index, item)| item.check_depth(&place.item(index)))
            }
            Self::Object(members) => {
                members.iter().try_for_each(|(name, value)| value.check_depth(&place.member(name)))
            }
            _ => Ok(()),
        }
    }
}

fn check(place: &Place<'_>) -> Result<()> {
    if place.depth() > DEPTH {
        return Err(place.error(format!("too deep; at most {DEPTH} containers may stand in another")));
    }
    Ok(())
}

/// As JSON, shortened: for messages.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_value().to_string();
        match text.char_indices().nth(60) {
            Some((end, _)) => write!(f, "{}…", text.get(..end).unwrap_or_default()),
            None => f.write_str(&text),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Number::from_f64(number).map_or(Tree::Null, Tree::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object: Vec<(String, Tree)> = Vec::new();
        while let Some((name, value)) = members.next_entry()? {
            object.push((name, value));
        }
        // Of members with one name the last counts, at the place of the first: as in `JSON.parse`.
        let mut once: Vec<(String, Tree)> = Vec::with_capacity(object.len());
        let mut places = std::collections::HashMap::new();
        for (name, value) in object {
            match places.get(&name).and_then(|at: &usize| once.get_mut(*at)) {
                Some(before) => before.1 = value,
                None => {
                    places.insert(name.clone(), once.len());
                    once.push((name, value));
                }
            }
        }
        Ok(Tree::Object(once))
    }
}
