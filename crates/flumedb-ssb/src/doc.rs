//! [`Doc`], an entry's value whether it is kept as JSON text or as BIPF, and [`Docs`], its codec: what views and programs
//! hold that take logs of either kind.

use std::{borrow::Cow, fmt};

use flumedb::{
    Bytes, Error, ErrorKind, Result,
    codec::{Codec, Document, Field, JsonDoc, JsonDocs},
};
use serde::de::DeserializeOwned;

use crate::{
    bipf::{self, BipfDoc},
    message::multi::Multi,
};

/// A value kept as JSON text or as BIPF, or a message as go-ssb keeps it, told from its bytes.
///
/// Bytes that are JSON text are JSON. That never takes an object of BIPF for text: no object of BIPF is JSON text, nor is
/// an array, save for a few arrays of buffers that read as the number 4 with tabs behind it; and no JSON text that starts
/// with its bracket is BIPF. Some texts and numbers alone, which no Scuttlebutt log has for entries, are both: five bytes
/// like `"abc"` are an INT as well, and read as text. What go-ssb keeps begins as nothing of the others does.
///
/// It prints as JSON text.
///
/// ```
/// use flumedb::codec::Document;
/// use flumedb_ssb::{Doc, bipf};
/// let text = r#"{"likes":3}"#;
/// let binary = bipf::to_vec(&serde_json::json!({"likes":3}))?;
/// for doc in [Doc::parse(text)?, Doc::parse(binary)?] {
///     assert_eq!(doc.integer(&["likes"]), Some(3));
///     assert_eq!(doc.json(), text);
/// }
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doc {
    /// JSON text.
    Json(JsonDoc),
    /// BIPF.
    Bipf(BipfDoc),
    /// A message as go-ssb keeps it.
    Multi {
        /// What is kept.
        payload: Bytes,
        /// The message as ssb-db would keep it.
        message: JsonDoc,
    },
}

impl Doc {
    /// Takes bytes as a document.
    ///
    /// # Errors
    /// `Invalid` if they are neither JSON text, nor exactly one whole value of BIPF, nor a message of go-ssb.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let text = bytes.first().is_some_and(|first| b"{[\"-0123456789tfn \t\r\n".contains(first));
        let not_json = match text.then(|| JsonDoc::parse(bytes.clone())) {
            Some(Ok(doc)) => return Ok(Self::Json(doc)),
            Some(Err(error)) => Some(error),
            None => None,
        };
        match (BipfDoc::parse(bytes.clone()), not_json) {
            (Ok(doc), _) => Ok(Self::Bipf(doc)),
            (Err(_), _) if Multi::begins(&bytes) => {
                let message = Multi::decode(&bytes)?.to_document()?;
                Ok(Self::Multi { payload: bytes, message })
            }
            // No value of BIPF starts like this.
            (Err(_), Some(error)) if matches!(bytes.first(), Some(b'{' | b'[')) => Err(error),
            (Err(error), _) => Err(Error::new(ErrorKind::Invalid, format!("neither JSON nor BIPF: {error}"))),
        }
    }

    /// The JSON text of the document: its own, what [`to_json`](bipf::to_json) makes of BIPF, or the message.
    pub fn json(&self) -> Cow<'_, str> {
        match self {
            Self::Multi { message, .. } => message.as_str().into(),
            Self::Json(doc) => doc.as_str().into(),
            Self::Bipf(doc) => doc.to_string().into(),
        }
    }

    /// The bytes it is kept as.
    pub fn as_bytes(&self) -> &Bytes {
        match self {
            Self::Multi { payload, .. } => payload,
            Self::Json(doc) => doc.as_bytes(),
            Self::Bipf(doc) => doc.as_bytes(),
        }
    }

    /// The value at `path` as a document of its own, sharing these bytes.
    pub fn part(&self, path: &[&str]) -> Option<Self> {
        Some(match self {
            Self::Json(doc) | Self::Multi { message: doc, .. } => Self::Json(doc.part(path)?),
            Self::Bipf(doc) => Self::Bipf(doc.part(path)?),
        })
    }

    /// The whole document as a serde type.
    ///
    /// # Errors
    /// `Invalid` if it is not of that shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T> {
        match self {
            Self::Json(doc) | Self::Multi { message: doc, .. } => doc.to(),
            Self::Bipf(doc) => doc.to(),
        }
    }

    fn inner(&self) -> &dyn Document {
        match self {
            Self::Json(doc) | Self::Multi { message: doc, .. } => doc,
            Self::Bipf(doc) => doc,
        }
    }
}

impl Document for Doc {
    fn field(&self, path: &[&str]) -> Option<Field<'_>> {
        self.inner().field(path)
    }

    fn items(&self, path: &[&str], visit: &mut dyn FnMut(&dyn Document)) {
        self.inner().items(path, visit);
    }

    fn members(&self, path: &[&str], visit: &mut dyn FnMut(&str, &dyn Document)) {
        self.inner().members(path, visit);
    }

    fn to_value(&self, path: &[&str]) -> Option<serde_json::Value> {
        self.inner().to_value(path)
    }
}

impl fmt::Display for Doc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json())
    }
}

/// Values of any shape, kept as JSON text or as BIPF: JSON text goes in, [`Doc`]s come out. What it writes is chosen when it
/// is made; it reads both, and the messages of go-ssb.
///
/// ```
/// use flumedb::{Bytes, codec::Codec};
/// use flumedb_ssb::Docs;
/// let mut out = Vec::new();
/// Docs::bipf().encode(r#"{"likes":3}"#, &mut out)?;
/// assert_eq!(out, b"\x5d\x28likes\x22\x03\0\0\0");
/// assert_eq!(Docs::json().decode(&Bytes::from(out))?.json(), r#"{"likes":3}"#);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Docs {
    binary: bool,
}

impl Docs {
    /// The codec that writes JSON text.
    pub const fn json() -> Self {
        Self { binary: false }
    }

    /// The codec that writes BIPF.
    pub const fn bipf() -> Self {
        Self { binary: true }
    }
}

impl Codec for Docs {
    type Input = str;
    type Item = Doc;

    fn identity(&self) -> String {
        "docs".to_owned()
    }

    fn encode(&self, input: &str, out: &mut Vec<u8>) -> Result<()> {
        if self.binary { bipf::from_json(input.as_bytes(), out) } else { JsonDocs.encode(input, out) }
    }

    fn decode(&self, bytes: &Bytes) -> Result<Doc> {
        Doc::parse(bytes.clone())
    }
}
