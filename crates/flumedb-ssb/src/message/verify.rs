//! [`verify`]: whether a message has the key and the signature that go with what it says.

use std::fmt;

use ed25519_dalek::{Signature, VerifyingKey};
use flumedb::codec::{Document, Field, JsonDoc};

use super::{Canonical, Message, id};

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is no classic message: what is missing, or not as it has to be.
    Malformed(String),
    /// It is of another feed format, whose keys and signatures are not known here: its key, or its author.
    Foreign(String),
    /// It has another key than what it says gives: this one.
    Key(String),
    /// Its author has not signed what it says.
    Signature,
    /// Both: its key should be this one, and its author has not signed what it says.
    KeyAndSignature(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => write!(f, "no message: {reason}"),
            Self::Foreign(name) => write!(f, "of another feed format, which is not checked here: {name}"),
            Self::Key(key) => write!(f, "its key should be {key}"),
            Self::Signature => f.write_str("its author has not signed it"),
            Self::KeyAndSignature(key) => write!(f, "its key should be {key}, and its author has not signed it"),
        }
    }
}

impl std::error::Error for Fault {}

/// Checks a message as it is stored, `{key, value, …}`: whether its key is the hash of its value, and whether its author
/// has signed the value. Its place in the feed of its author, and what its content has to be, are not looked at.
///
/// # Errors
/// What is wrong with it.
///
/// ```
/// use flumedb::codec::JsonDoc;
/// use flumedb_ssb::message::{Fault, verify};
/// let doc = JsonDoc::parse(r#"{"key":"%1.sha256","value":"?"}"#)?;
/// assert_eq!(verify(&doc), Err(Fault::Malformed("its value is no object".into())));
/// # Ok::<(), flumedb::Error>(())
/// ```
pub fn verify(message: &JsonDoc) -> Result<(), Fault> {
    let malformed = |reason: &str| Fault::Malformed(reason.to_owned());
    let key = Message::new(message).key().ok_or_else(|| malformed("it has no key"))?.into_owned();
    let value = message.part(&["value"]).ok_or_else(|| malformed("it has no value"))?;
    if value.field(&[]) != Some(Field::Object) {
        return Err(malformed("its value is no object"));
    }
    let canonical = Canonical::of_document(&value).map_err(|error| Fault::Malformed(error.to_string()))?;
    // Read from the text that is hashed and signed, so that of two members with one name none can be signed and the other
    // be read.
    let value = JsonDoc::parse(canonical.as_str().to_owned()).map_err(|error| Fault::Malformed(error.to_string()))?;
    let author = value.text(&["author"]).ok_or_else(|| malformed("it has no author"))?;
    for (name, sigil, kind) in [(&*key, '%', "sha256"), (&*author, '@', "ed25519")] {
        if id::is_foreign(name, sigil, kind) {
            return Err(Fault::Foreign(name.to_owned()));
        }
    }
    id::message_hash(&key).ok_or_else(|| malformed("its key is none"))?;
    let author = id::author_key(&author).ok_or_else(|| malformed("its author is none"))?;
    let signature = value.text(&["signature"]).ok_or_else(|| malformed("it has no signature"))?;
    let signature = id::signature(&signature).ok_or_else(|| malformed("its signature is none"))?;
    match value.integer(&["sequence"]) {
        Some(1..) => {}
        _ => return Err(malformed("its sequence is no number from 1 on")),
    }
    match value.field(&["previous"]) {
        Some(Field::Null) => {}
        Some(Field::Text(previous)) if id::message_hash(&previous).is_some() => {}
        _ => return Err(malformed("what it says of the message before is none")),
    }
    let computed = canonical.key();
    match (computed == key, signed(&author, &canonical.unsigned(), &signature)) {
        (true, true) => Ok(()),
        (false, true) => Err(Fault::Key(computed)),
        (true, false) => Err(Fault::Signature),
        (false, false) => Err(Fault::KeyAndSignature(computed)),
    }
}

/// Strictly, as libsodium does: keys and signatures that fit many texts fit none.
fn signed(author: &[u8; 32], text: &str, signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(author)
        .is_ok_and(|key| key.verify_strict(text.as_bytes(), &Signature::from_bytes(signature)).is_ok())
}
