//! [`Values`] and [`Members`]: walks through an array and an object. Each goes to the very end of the body, and no further;
//! it ends early where the bytes are no values.

use std::fmt;

use super::value::Value;

/// The values in an array, in order.
#[derive(Clone)]
pub struct Values<'a> {
    rest: &'a [u8],
}

/// The names and values in an object, in order. A name is text or an atom.
#[derive(Clone)]
pub struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Values<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }
}

impl<'a> Members<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (value, rest) = Value::split(self.rest).ok()?;
        self.rest = rest;
        Some(value)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = Value::split(self.rest).ok()?;
        let (value, rest) = Value::split(rest).ok()?;
        self.rest = rest;
        Some((name, value))
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}
