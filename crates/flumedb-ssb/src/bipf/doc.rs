//! [`BipfDoc`], a value that has been checked whole and in which fields are found without reading the rest, and
//! [`BipfDocs`], its codec. [`Value`] is a [`Document`] as well.

use std::fmt;

use flumedb::{
    Bytes, Result,
    codec::{Codec, Document, Field, JsonDoc},
};
use serde::de::DeserializeOwned;

use super::{
    check::check,
    de::from_slice,
    from_json::from_json,
    number,
    to_json::write_json,
    value::{Content, Value},
};

/// A value as its BIPF. Cheap to clone: clones and [`part`](BipfDoc::part)s share the bytes they came from.
///
/// [`parse`](BipfDoc::parse) checks everything that [`check`] does, so looking into a document cannot fail.
/// A field reads as it does in a [`JsonDoc`](flumedb::codec::JsonDoc) of the same value: a whole number is one however it is
/// kept, and what is undefined is not there. Of members with the same name the first counts.
///
/// It prints as JSON text, as [`to_json`](super::to_json) writes it.
///
/// ```
/// use flumedb::codec::Document;
/// use flumedb_ssb::bipf::BipfDoc;
/// let doc = BipfDoc::from_json(r#"{"key":"%1","value":{"author":"@a","content":{"type":"post"}}}"#)?;
/// assert_eq!(doc.text(&["value", "content", "type"]).as_deref(), Some("post"));
/// assert_eq!(doc.part(&["value", "content"]).unwrap().to_string(), r#"{"type":"post"}"#);
/// assert!(BipfDoc::parse(&b"\x10h"[..]).is_err());
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BipfDoc {
    /// One whole value, checked.
    bytes: Bytes,
}

impl BipfDoc {
    /// Takes BIPF as a document.
    ///
    /// # Errors
    /// `Invalid` if it is not exactly one whole value.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        check(&bytes)?;
        Ok(Self { bytes })
    }

    /// The document that JSON text becomes, as [`from_json`] writes it.
    ///
    /// # Errors
    /// `Invalid` if it is not JSON, or has no representation.
    pub fn from_json(text: &str) -> Result<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        from_json(text.as_bytes(), &mut bytes)?;
        Ok(Self { bytes: bytes.into() })
    }

    /// The value.
    pub fn value(&self) -> Value<'_> {
        Value::split(&self.bytes).map_or(Value::NULL, |(value, _)| value)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The value at `path` as a document of its own, sharing these bytes.
    pub fn part(&self, path: &[&str]) -> Option<Self> {
        Some(Self { bytes: self.bytes.slice_ref(at(self.value(), path)?.bytes()) })
    }

    /// The whole document as a serde type, as [`from_slice`] reads it.
    ///
    /// # Errors
    /// `Invalid` if it is not of that shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        from_slice(&self.bytes)
    }
}

impl Document for BipfDoc {
    fn field(&self, path: &[&str]) -> Option<Field<'_>> {
        field(self.value(), path)
    }

    fn items(&self, path: &[&str], visit: &mut dyn FnMut(&dyn Document)) {
        Document::items(&self.value(), path, visit);
    }

    fn members(&self, path: &[&str], visit: &mut dyn FnMut(&str, &dyn Document)) {
        Document::members(&self.value(), path, visit);
    }

    fn to_value(&self, path: &[&str]) -> Option<serde_json::Value> {
        Document::to_value(&self.value(), path)
    }
}

impl Document for Value<'_> {
    fn field(&self, path: &[&str]) -> Option<Field<'_>> {
        field(*self, path)
    }

    fn items(&self, path: &[&str], visit: &mut dyn FnMut(&dyn Document)) {
        if let Some(array) = at(*self, path) {
            array.values().for_each(|item| visit(&item));
        }
    }

    fn members(&self, path: &[&str], visit: &mut dyn FnMut(&str, &dyn Document)) {
        if let Some(object) = at(*self, path) {
            let named = object.members().filter_map(|(name, value)| Some((name.text()?, value)));
            named.for_each(|(name, value)| visit(name, &value));
        }
    }

    /// As the JSON text of it reads: what is bytes here is text there.
    fn to_value(&self, path: &[&str]) -> Option<serde_json::Value> {
        let mut text = Vec::new();
        write_json(at(*self, path)?, &mut text);
        JsonDoc::parse(text).ok()?.to_value(&[])
    }
}

fn at<'a>(value: Value<'a>, path: &[&str]) -> Option<Value<'a>> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

fn field<'a>(value: Value<'a>, path: &[&str]) -> Option<Field<'a>> {
    Some(match at(value, path)?.content()? {
        Content::Null => Field::Null,
        Content::Undefined => return None,
        Content::Bool(truth) => Field::Bool(truth),
        Content::Int(whole) => Field::Integer(whole.into()),
        Content::Double(float) => match number::whole(float).map(i64::try_from) {
            Some(Ok(whole)) => Field::Integer(whole),
            _ => Field::Float(float),
        },
        Content::Atom(number) => Field::Integer(number.into()),
        Content::Text(text) => Field::Text(text.into()),
        Content::Bytes(bytes) | Content::Extended(bytes) => Field::Bytes(bytes),
        Content::Array(_) => Field::Array,
        Content::Object(_) => Field::Object,
    })
}

impl fmt::Display for BipfDoc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        write_json(self.value(), &mut text);
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for BipfDoc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BipfDoc({self})")
    }
}

/// BIPF of any shape: bytes go in and are checked, [`BipfDoc`]s come out.
///
/// ```
/// use flumedb::{Bytes, codec::{Codec, Document}};
/// use flumedb_ssb::bipf::{self, BipfDocs};
/// let mut out = Vec::new();
/// BipfDocs.encode(&bipf::to_vec(&["a", "b"])?, &mut out)?;
/// assert_eq!(BipfDocs.decode(&Bytes::from(out))?.text(&["1"]).as_deref(), Some("b"));
/// assert!(BipfDocs.encode(b"\x10h", &mut Vec::new()).is_err());
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BipfDocs;

impl Codec for BipfDocs {
    type Input = [u8];
    type Item = BipfDoc;

    fn identity(&self) -> String {
        "bipf-docs".to_owned()
    }

    fn encode(&self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        check(input)?;
        out.extend_from_slice(input);
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<BipfDoc> {
        BipfDoc::parse(bytes.clone())
    }
}
