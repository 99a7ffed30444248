//! [`Multi`], a message as go-ssb keeps it in its log: one byte for the feed format, then what was computed from the
//! message as CBOR, with the message's own JSON text, byte for byte as its author sent it, at the end. The log around it
//! (margaret's offset2) is not known here.

use std::borrow::Cow;

use flumedb::{Error, ErrorKind, Result, codec::JsonDoc};
use minicbor::{
    Decoder, Encoder,
    data::{IanaTag, Type},
    decode, encode,
};

use super::{Message, id};

const CLASSIC: u8 = 1;
const GABBY_GROVE: u8 = 2;

/// A classic message out of a go-ssb log.
///
/// ```
/// use flumedb_ssb::message::multi::Multi;
/// let message = Multi {
///     author: [1; 32],
///     previous: None,
///     key: [2; 32],
///     sequence: 1,
///     received: 1.5,
///     json: r#"{"author":"@…"}"#.into(),
/// };
/// let payload = message.encode()?;
/// assert_eq!(payload[..2], [0x01, 0x86]);
/// assert_eq!(Multi::decode(&payload)?, message);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Multi<'a> {
    /// The public key of its author.
    pub author: [u8; 32],
    /// The hash of the message before it of the same author; none for the first.
    pub previous: Option<[u8; 32]>,
    /// Its own hash.
    pub key: [u8; 32],
    /// Its place among the messages of its author, from 1.
    pub sequence: u64,
    /// When it arrived, in seconds since 1970.
    pub received: f64,
    /// Its value, as its author sent it.
    pub json: Cow<'a, str>,
}

impl<'a> Multi<'a> {
    /// Whether a payload begins as one of go-ssb does; so begin no JSON text, and no BIPF of more than a byte.
    pub(crate) fn begins(payload: &[u8]) -> bool {
        payload.len() > 1 && matches!(payload.first(), Some(&(CLASSIC | GABBY_GROVE)))
    }

    /// Reads a payload. Zeros may follow: go-ssb leaves them where it has put a shorter message in the place of another.
    ///
    /// # Errors
    /// `Unsupported` for a message of the feed format Gabby Grove, `Invalid` for any other bytes that are no such payload.
    pub fn decode(payload: &'a [u8]) -> Result<Self> {
        match payload.split_first() {
            Some((&CLASSIC, rest)) => classic(rest),
            Some((&GABBY_GROVE, _)) => {
                let message = "a message of the feed format Gabby Grove, which is not read here; pass it over";
                Err(Error::new(ErrorKind::Unsupported, message))
            }
            _ => Err(wrong("its first byte names no feed format")),
        }
    }

    /// The payload, as go-ssb writes it.
    ///
    /// # Errors
    /// None that are known: it is written to memory.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut out = vec![CLASSIC];
        self.write(&mut Encoder::new(&mut out)).map_err(|error| wrong(&error.to_string()))?;
        Ok(out)
    }

    fn write<W: encode::Write>(&self, out: &mut Encoder<W>) -> Result<(), encode::Error<W::Error>> {
        out.array(6)?.array(2)?.bytes(&self.author)?.str("ed25519")?;
        match &self.previous {
            Some(hash) => out.array(2)?.bytes(hash)?.str("sha256")?,
            None => out.null()?,
        };
        out.array(2)?.bytes(&self.key)?.str("sha256")?.u64(self.sequence)?;
        out.tag(IanaTag::Timestamp)?.f64(self.received)?.bytes(self.json.as_bytes())?;
        Ok(())
    }

    /// The message as ssb-db stores it, `{key, value, timestamp}`: the value's text as it is, the time in milliseconds.
    ///
    /// # Errors
    /// `Invalid` if its value is no JSON, or its time is no number.
    pub fn to_document(&self) -> Result<JsonDoc> {
        // By itself: inside of the other text it could pretend to be more than one member.
        JsonDoc::parse(self.json.to_string())?;
        let (key, value, mut number) = (id::message(&self.key), &self.json, ryu_js::Buffer::new());
        let timestamp = number.format(self.received * 1000.0);
        JsonDoc::parse(format!(r#"{{"key":"{key}","value":{value},"timestamp":{timestamp}}}"#))
    }
}

impl Multi<'static> {
    /// Takes a message as ssb-db stores it.
    ///
    /// # Errors
    /// `Invalid` if it is no classic message: its key, or a field of its value, is missing or not as it has to be.
    pub fn from_document(document: &JsonDoc) -> Result<Self> {
        let message = Message::new(document);
        let lacking = |what: &str| wrong(&format!("{what} is missing, or not as it has to be"));
        let previous = match message.previous() {
            None => None,
            Some(key) => Some(id::message_hash(&key).ok_or_else(|| lacking("the key of the message before"))?),
        };
        Ok(Self {
            author: message.author().and_then(|author| id::author_key(&author)).ok_or_else(|| lacking("its author"))?,
            previous,
            key: message.key().and_then(|key| id::message_hash(&key)).ok_or_else(|| lacking("its key"))?,
            sequence: message
                .sequence()
                .and_then(|sequence| u64::try_from(sequence).ok())
                .ok_or_else(|| lacking("its sequence"))?,
            received: message.arrival().ok_or_else(|| lacking("the time of its arrival"))? / 1000.0,
            json: document.part(&["value"]).ok_or_else(|| lacking("its value"))?.as_str().to_owned().into(),
        })
    }
}

fn classic(cbor: &[u8]) -> Result<Multi<'_>> {
    let mut reader = Decoder::new(cbor);
    let message = fields(&mut reader).map_err(|error| wrong(&error.to_string()))?;
    match cbor.get(reader.position()..) {
        Some(rest) if rest.iter().all(|&byte| byte == 0) => Ok(message),
        _ => Err(wrong("other bytes follow it")),
    }
}

fn fields<'b>(reader: &mut Decoder<'b>) -> Result<Multi<'b>, decode::Error> {
    array(reader, 6)?;
    let author = reference(reader, "ed25519")?;
    let previous = match reader.datatype()? {
        Type::Null => reader.null().map(|()| None)?,
        _ => Some(reference(reader, "sha256")?),
    };
    let key = reference(reader, "sha256")?;
    let sequence = reader.u64()?;
    if reader.tag()? != IanaTag::Timestamp.tag() {
        return Err(decode::Error::message("the time of arrival has another tag"));
    }
    let received = match reader.datatype()? {
        Type::F16 | Type::F32 | Type::F64 => reader.f64()?,
        // Whole seconds; the nearest float of a time that far away is as good.
        _ => i128::from(reader.int()?) as f64,
    };
    if !received.is_finite() {
        return Err(decode::Error::message("the time of arrival is no number"));
    }
    let json = str::from_utf8(reader.bytes()?).map_err(|_| decode::Error::message("the value is no UTF-8"))?;
    Ok(Multi { author, previous, key, sequence, received, json: json.into() })
}

/// `[32 bytes, algorithm]`.
fn reference(reader: &mut Decoder<'_>, algorithm: &str) -> Result<[u8; 32], decode::Error> {
    array(reader, 2)?;
    let bytes = reader.bytes()?.try_into();
    let bytes = bytes.map_err(|_| decode::Error::message("a key or a hash that has not 32 bytes"))?;
    if reader.str()? != algorithm {
        return Err(decode::Error::message("a key or a hash of another algorithm"));
    }
    Ok(bytes)
}

fn array(reader: &mut Decoder<'_>, len: u64) -> Result<(), decode::Error> {
    if reader.array()? == Some(len) {
        return Ok(());
    }
    Err(decode::Error::message("an array of another length"))
}

fn wrong(reason: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("no payload of a go-ssb log: {reason}"))
}
