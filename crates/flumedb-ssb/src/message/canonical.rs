//! [`Canonical`], the one text of a message's value that its key and its signature are made from.

use std::ops::Range;

use flumedb::{Result, codec::JsonDoc};
use sha2::{Digest, Sha256};

use super::{id, printer};

/// A JSON value in the form that Scuttlebutt hashes and signs: what `JSON.stringify(value, null, 2)` prints in JavaScript.
///
/// Two spaces a level, a line for each item and member, `[]` and `{}` if there are none. Members stand in the order of
/// JavaScript's objects: whole numbers below 2^32 - 1 first, ascending, then the others as they were written; of members
/// with the same name the last counts, at the place of the first. Numbers are the nearest `f64` as JavaScript writes it
/// (one that is too large is `null`). Half a surrogate pair stays an escape.
///
/// A text is refused that is longer than any message: Scuttlebutt allows 8 KiB, here 256 KiB and 128 levels are.
///
/// ```
/// use flumedb_ssb::message::Canonical;
/// let text = Canonical::of(r#"{"b": 1.0, "2": "\u00e9", "b": [1e21], "1": {}}"#)?;
/// assert_eq!(text.as_str(), "{\n  \"1\": {},\n  \"2\": \"é\",\n  \"b\": [\n    1e+21\n  ]\n}");
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    text: String,
    /// Where the member `signature` of the value stands, with what separates it from the others.
    signature: Range<usize>,
}

impl Canonical {
    /// The canonical form of JSON text.
    ///
    /// # Errors
    /// `Invalid` if it is not JSON, or larger or deeper than any message is.
    pub fn of(json: &str) -> Result<Self> {
        // A copy of the text is made only where it is short enough to be a message.
        printer::check_len(json)?;
        Self::of_document(&JsonDoc::parse(json.to_owned())?)
    }

    /// The canonical form of a document.
    ///
    /// # Errors
    /// `Invalid` if it is larger or deeper than any message is.
    pub fn of_document(document: &JsonDoc) -> Result<Self> {
        let (text, signature) = printer::print(document.as_str())?;
        Ok(Self { text, signature })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key of the message whose value this is, `%….sha256`: the hash of the low byte of each UTF-16 code unit. (So two
    /// texts can have one key, where they differ in high bytes only. This is how it always was.)
    pub fn key(&self) -> String {
        let low: Vec<u8> = self.text.encode_utf16().map(|unit| u16::to_le_bytes(unit)[0]).collect();
        id::message(&Sha256::digest(low))
    }

    /// The text that the author signed: the same without the member `signature`.
    pub fn unsigned(&self) -> String {
        let mut text = self.text.clone();
        text.replace_range(self.signature.clone(), "");
        text
    }
}
