//! [`Codec`], what entries are turned into, and how. One entry at a time; reads no log.

use std::{fmt, str::FromStr};

use flumedb::{Bytes, Error, ErrorKind, Result};

use crate::{Doc, Format, Payloads, bipf, message::multi::Multi};

/// What entries are turned into.
///
/// ```
/// use flumedb_ssb::convert::Codec;
/// assert_eq!("bipf".parse::<Codec>()?, Codec::Bipf);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// JSON text.
    Json,
    /// BIPF.
    Bipf,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Bipf => "bipf",
        })
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "json" => Ok(Self::Json),
            "bipf" => Ok(Self::Bipf),
            _ => Err(Error::new(ErrorKind::Invalid, format!("there is no codec {text}; there are json and bipf"))),
        }
    }
}

/// What happens to an entry on the way.
pub(super) enum Recode {
    /// Nothing.
    Copy,
    Turn {
        from: Payloads,
        to: Codec,
    },
}

impl Recode {
    /// How entries like these become what was asked for.
    pub(super) fn of(from: Payloads, format: Format, codec: Option<Codec>) -> Result<Self> {
        let invalid = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
        let lines = format == Format::JsonLines;
        if lines && codec == Some(Codec::Bipf) {
            return invalid("JSON lines hold no BIPF; name another format, or another codec");
        }
        let codec = if lines { Some(Codec::Json) } else { codec };
        match (codec, from) {
            (None, _) | (Some(Codec::Json), Payloads::Json) | (Some(Codec::Bipf), Payloads::Bipf) => Ok(Self::Copy),
            // Each line is looked at when it is written.
            (Some(_), Payloads::Raw) if lines => Ok(Self::Copy),
            (Some(_), Payloads::Raw) => invalid("the entries are neither JSON nor BIPF; convert them without a codec"),
            (Some(to), from) => Ok(Self::Turn { from, to }),
        }
    }

    /// The entry as it is to be written.
    pub(super) fn apply(&self, payload: &Bytes) -> Result<Bytes> {
        match self {
            Self::Copy => Ok(payload.clone()),
            Self::Turn { from, to } => {
                let text = text(*from, payload)?;
                match to {
                    Codec::Json => Ok(text),
                    Codec::Bipf => normal(&text),
                }
            }
        }
    }

    /// What is to be the same on both sides, of an entry of the source.
    pub(super) fn value_before(&self, payload: &Bytes) -> Result<Bytes> {
        match self {
            Self::Copy => Ok(payload.clone()),
            Self::Turn { from, .. } => normal(&text(*from, payload)?),
        }
    }

    /// The same of an entry of the target.
    pub(super) fn value_after(&self, payload: &Bytes) -> Result<Bytes> {
        match self {
            Self::Copy => Ok(payload.clone()),
            Self::Turn { to: Codec::Json, .. } => normal(payload),
            Self::Turn { to: Codec::Bipf, .. } => normal(&text(Payloads::Bipf, payload)?),
        }
    }
}

/// An entry's JSON text.
fn text(from: Payloads, payload: &Bytes) -> Result<Bytes> {
    match from {
        Payloads::Json => Ok(payload.clone()),
        Payloads::Bipf => {
            let mut text = Vec::new();
            bipf::to_json(payload, &mut text)?;
            Ok(text.into())
        }
        Payloads::Multi => Ok(Multi::decode(payload)?.to_document()?.as_bytes().clone()),
        // Nothing could be told of all of them, so that each tells for itself.
        Payloads::Raw | Payloads::Unknown => match Doc::parse(payload.clone())? {
            Doc::Json(doc) => Ok(doc.as_bytes().clone()),
            other => Ok(other.json().into_owned().into()),
        },
    }
}

/// A JSON text's value in a form that equal values share.
fn normal(text: &[u8]) -> Result<Bytes> {
    let mut value = Vec::with_capacity(text.len());
    bipf::from_json(text, &mut value)?;
    Ok(value.into())
}
