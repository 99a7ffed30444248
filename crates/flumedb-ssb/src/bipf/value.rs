//! [`Value`], one value in the bytes where it lies, and [`Content`], what it means.

use std::fmt;

use flumedb::{Error, ErrorKind, Result};

use super::{
    children::{Members, Values},
    tag::{self, Fault, Kind},
};

/// One value, where it lies in bytes that nobody has checked. Cheap to copy.
///
/// Making one looks at its tag and at nothing inside of it. What is not well formed further in is not found: a lookup
/// gives `None`, a walk ends. [`check`](super::check) and [`BipfDoc`](super::BipfDoc) look at everything.
///
/// Values are ordered as the JavaScript library compares them, without being decoded: null, text, bytes, numbers by value,
/// arrays, objects, false, true, undefined, then atoms by number, and extended values. What stands in containers is
/// compared as bytes. A place where nothing is (`None`) is before all of them.
///
/// ```
/// use flumedb_ssb::bipf::{Kind, Value};
/// let value = Value::new(b"\x5d\x08a\x22\x01\0\0\0\x08b\x08x")?;
/// assert_eq!(value.kind(), Kind::Object);
/// assert_eq!(value.get("b").and_then(Value::text), Some("x"));
/// assert_eq!(value.get("a").map(Value::bytes), Some(&b"\x22\x01\0\0\0"[..]));
/// assert!(value.get("a") > value.get("missing") && value.get("a") > value.get("b"));
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Value<'a> {
    kind: Kind,
    bytes: &'a [u8],
    body: &'a [u8],
}

/// What a value means.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content<'a> {
    /// Nothing, said so.
    Null,
    /// True or false.
    Bool(bool),
    /// What JavaScript calls undefined.
    Undefined,
    /// Any other atom: a number that means something to the application.
    Atom(u32),
    /// A whole number of 32 bits.
    Int(i32),
    /// Any number.
    Double(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Values.
    Array(Values<'a>),
    /// Names and values.
    Object(Members<'a>),
    /// Bytes of an extended type, from the varint on that says which.
    Extended(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) const NULL: Self = Self { kind: Kind::Atom, bytes: &[6], body: &[] };

    /// The value that these bytes are.
    ///
    /// # Errors
    /// `Invalid` if they are not one value, judged by its tag.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let fault = match Self::split(bytes) {
            Ok((value, [])) => return Ok(value),
            Ok(_) => Fault::Rest,
            Err(fault) => fault,
        };
        Err(Error::new(ErrorKind::Invalid, format!("not BIPF: {fault}")))
    }

    /// The value at the start of `bytes`, and what follows it.
    pub(super) fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Fault> {
        let (kind, tag, len) = tag::read(bytes)?;
        let end = tag.checked_add(len).ok_or(Fault::CutOff)?;
        let (bytes, rest) = bytes.split_at_checked(end).ok_or(Fault::CutOff)?;
        let body = bytes.get(tag..).unwrap_or_default();
        let possible = match kind {
            Kind::Int => len == 4,
            Kind::Double => len == 8,
            Kind::Atom if len > 1 && body.last() == Some(&0) => return Err(Fault::PaddedAtom),
            Kind::Atom => len <= 4,
            _ => true,
        };
        if possible { Ok((Self { kind, bytes, body }, rest)) } else { Err(Fault::Length(kind)) }
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Its bytes with the tag: a value of its own.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Its bytes without the tag.
    pub fn body(self) -> &'a [u8] {
        self.body
    }

    /// What it means; `None` if it is text that is not UTF-8.
    pub fn content(self) -> Option<Content<'a>> {
        Some(match self.kind {
            Kind::String => Content::Text(str::from_utf8(self.body).ok()?),
            Kind::Buffer => Content::Bytes(self.body),
            Kind::Int => Content::Int(i32::from_le_bytes(self.body.try_into().ok()?)),
            Kind::Double => Content::Double(f64::from_le_bytes(self.body.try_into().ok()?)),
            Kind::Array => Content::Array(self.values()),
            Kind::Object => Content::Object(self.members()),
            Kind::Extended => Content::Extended(self.body),
            Kind::Atom => match self.atom() {
                None => Content::Null,
                Some(0) => Content::Bool(false),
                Some(1) => Content::Bool(true),
                Some(2) => Content::Undefined,
                Some(number) => Content::Atom(number),
            },
        })
    }

    /// The text that it is, if it is text.
    pub fn text(self) -> Option<&'a str> {
        if self.kind == Kind::String { str::from_utf8(self.body).ok() } else { None }
    }

    /// The number that it is, if it is a number.
    pub fn number(self) -> Option<f64> {
        match self.content()? {
            Content::Int(number) => Some(f64::from(number)),
            Content::Double(number) => Some(number),
            _ => None,
        }
    }

    /// What stands in an array; nothing if it is none.
    pub fn values(self) -> Values<'a> {
        Values::new(if self.kind == Kind::Array { self.body } else { &[] })
    }

    /// What stands in an object; nothing if it is none.
    pub fn members(self) -> Members<'a> {
        Members::new(if self.kind == Kind::Object { self.body } else { &[] })
    }

    pub(super) fn is_undefined(self) -> bool {
        self.kind == Kind::Atom && self.body == [2]
    }

    /// The number of an atom, null having none.
    pub(super) fn atom(self) -> Option<u32> {
        if self.body.is_empty() {
            return None;
        }
        Some(self.body.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content() {
            // As deep as values may stand inside one another, so that no bytes use up the stack.
            Some(_) if super::check(self.bytes).is_err() => write!(f, "{:?}({:?})", self.kind, self.body),
            Some(content) => content.fmt(f),
            None => write!(f, "String({:?})", self.body),
        }
    }
}
