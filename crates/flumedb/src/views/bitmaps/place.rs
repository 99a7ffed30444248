//! [`Place`], where something stands in a tree of operators, as its JSON names it.

use std::fmt;

use crate::{Error, ErrorKind};

/// Where something stands, for messages.
pub(super) enum Place<'a> {
    Top,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, &'a str, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, name, index) => write!(f, "{parent}.{name}[{index}]"),
        }
    }
}

pub(super) fn wrong(place: &Place<'_>, what: impl fmt::Display) -> Error {
    let place = place.to_string();
    let place = if place.is_empty() { "the top" } else { &place };
    Error::new(ErrorKind::Invalid, format!("at {place}: {what}"))
}
