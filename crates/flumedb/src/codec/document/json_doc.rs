//! [`JsonDoc`], JSON text in which fields are found without parsing the rest, and [`JsonDocs`], its codec.

use std::{fmt, ops::Range};

use bytes::Bytes;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{Document, Field, copy, scan, well_formed};
use crate::{Error, ErrorKind, Result, codec::Codec};

/// A JSON value as its text. Cheap to clone: clones and [`part`](JsonDoc::part)s share the bytes they came from.
///
/// # What is checked, and when
/// [`parse`](JsonDoc::parse) checks the whole text: UTF-8, and well-formed JSON with nothing behind it. So a document in
/// hand is JSON, and looking into it cannot fail. Looking up a field reads up to that field and passes over what stands
/// before it; text without escapes is borrowed. Depth costs no stack.
///
/// What JSON leaves open: of members with the same name the first counts (`Json<T>` refuses them, or takes the last, as
/// `T` does). A whole number outside of `i64` reads as the nearest `f64`, one beyond that as infinite. Half a surrogate
/// pair reads as U+FFFD.
///
/// ```
/// use flumedb::codec::{Document, JsonDoc};
/// let doc = JsonDoc::parse(r#"{"key":"%1","value":{"author":"@a","content":{"type":"post"}}}"#)?;
/// assert_eq!(doc.text(&["value", "content", "type"]).as_deref(), Some("post"));
/// assert_eq!(doc.part(&["value", "content"]).unwrap().as_str(), r#"{"type":"post"}"#);
/// assert!(JsonDoc::parse("{\"key\":").is_err());
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct JsonDoc {
    /// Well-formed JSON in UTF-8: one value, perhaps with space around it.
    bytes: Bytes,
}

impl JsonDoc {
    /// Takes JSON text as a document.
    ///
    /// # Errors
    /// `Invalid` if it is not well-formed JSON in UTF-8.
    pub fn parse(text: impl Into<Bytes>) -> Result<Self> {
        let bytes = text.into();
        check(&bytes)?;
        Ok(Self { bytes })
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// The JSON text as bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The value at `path` as a document of its own, sharing these bytes.
    pub fn part(&self, path: &[&str]) -> Option<Self> {
        Some(Self { bytes: self.bytes.slice(scan::find(&self.bytes, path)?) })
    }

    /// What stands there in the text.
    fn read(&self, place: Range<usize>) -> Option<Field<'_>> {
        let text = self.bytes.get(place)?;
        Some(match text.first()? {
            b'n' => Field::Null,
            b't' => Field::Bool(true),
            b'f' => Field::Bool(false),
            b'"' => Field::Text(scan::unquote(text)?),
            b'[' => Field::Array,
            b'{' => Field::Object,
            _ => number(str::from_utf8(text).ok()?)?,
        })
    }

    /// The whole document as a serde type.
    ///
    /// # Errors
    /// `Invalid` if it is not of that shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.bytes)
            .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("not the JSON expected: {error}"), error))
    }
}

impl Document for JsonDoc {
    fn field(&self, path: &[&str]) -> Option<Field<'_>> {
        self.read(scan::find(&self.bytes, path)?)
    }

    fn fields<'a>(&'a self, paths: &[&[&str]], visit: &mut dyn FnMut(usize, Option<Field<'a>>)) {
        let mut places = (0..).zip(paths);
        for paths in paths.chunks(scan::AT_ONCE) {
            let found = scan::find_all(&self.bytes, paths);
            for (found, (place, _)) in found.into_iter().zip(places.by_ref().take(paths.len())) {
                visit(place, found.and_then(|found| self.read(found)));
            }
        }
    }

    fn items(&self, path: &[&str], visit: &mut dyn FnMut(&dyn Document)) {
        let Some(array) = scan::find(&self.bytes, path) else { return };
        if self.bytes.get(array.start) == Some(&b'[') {
            for item in scan::items(&self.bytes, array.start) {
                visit(&Self { bytes: self.bytes.slice(item) });
            }
        }
    }

    fn members(&self, path: &[&str], visit: &mut dyn FnMut(&str, &dyn Document)) {
        let Some(object) = scan::find(&self.bytes, path) else { return };
        if self.bytes.get(object.start) == Some(&b'{') {
            for (name, value) in scan::members(&self.bytes, object.start) {
                let Some(name) = self.bytes.get(name).and_then(scan::unquote) else { return };
                visit(&name, &Self { bytes: self.bytes.slice(value) });
            }
        }
    }

    fn to_value(&self, path: &[&str]) -> Option<serde_json::Value> {
        let text = self.bytes.get(scan::find(&self.bytes, path)?)?;
        copy::of_text(text).or_else(|| copy::copy(self, path, copy::DEPTH))
    }
}

impl fmt::Display for JsonDoc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for JsonDoc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonDoc({self})")
    }
}

/// JSON of any shape: JSON text goes in, [`JsonDoc`]s come out.
///
/// ```
/// use flumedb::{Bytes, codec::{Codec, Document, JsonDocs}};
/// let mut out = Vec::new();
/// JsonDocs.encode(r#"{"likes":3}"#, &mut out)?;
/// assert_eq!(JsonDocs.decode(&Bytes::from(out))?.integer(&["likes"]), Some(3));
/// assert!(JsonDocs.encode("{likes:3}", &mut Vec::new()).is_err());
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonDocs;

impl Codec for JsonDocs {
    type Input = str;
    type Item = JsonDoc;

    fn identity(&self) -> String {
        "json-docs".to_owned()
    }

    fn encode(&self, input: &str, out: &mut Vec<u8>) -> Result<()> {
        check(input.as_bytes())?;
        out.extend_from_slice(input.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<JsonDoc> {
        JsonDoc::parse(bytes.clone())
    }
}

fn check(bytes: &[u8]) -> Result<()> {
    if well_formed::is_json(bytes) {
        return Ok(());
    }
    // It says what is wrong; and goes as deep as it may be.
    let text = str::from_utf8(bytes)
        .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("not JSON: not UTF-8: {error}"), error))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut reader)
        .and_then(|IgnoredAny| reader.end())
        .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("not JSON: {error}"), error))
}

fn number(text: &str) -> Option<Field<'static>> {
    match text.parse() {
        // Only a float keeps this sign.
        Ok(0_i64) if text.starts_with('-') => Some(Field::Float(-0.0)),
        Ok(integer) => Some(Field::Integer(integer)),
        Err(_) => text.parse().ok().map(Field::Float),
    }
}
