//! [`Message`], what a Scuttlebutt message says of itself, whatever document it is kept in.

use std::borrow::Cow;

use flumedb::codec::Document;

/// A classic Scuttlebutt message as ssb-db stores it: `{key, value: {author, sequence, timestamp, content: {type, …}},
/// timestamp}`. Every field may be missing: the `content` of a private message is text, for one.
///
/// ```
/// use flumedb::codec::JsonDoc;
/// use flumedb_ssb::Message;
/// let doc = JsonDoc::parse(r#"{"key":"%1.sha256","value":{"author":"@a.ed25519","sequence":3,"content":{"type":"post"}}}"#)?;
/// let message = Message::new(&doc);
/// assert_eq!(message.author().as_deref(), Some("@a.ed25519"));
/// assert_eq!(message.kind().as_deref(), Some("post"));
/// assert_eq!(message.timestamp(), None);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Message<'a>(&'a dyn Document);

impl<'a> Message<'a> {
    /// The message in a document.
    pub fn new(document: &'a dyn Document) -> Self {
        Self(document)
    }

    /// Its name: the hash of its value, `%….sha256`.
    pub fn key(&self) -> Option<Cow<'a, str>> {
        self.0.text(&["key"])
    }

    /// Who wrote it, `@….ed25519`.
    pub fn author(&self) -> Option<Cow<'a, str>> {
        self.0.text(&["value", "author"])
    }

    /// Its place among the messages of its author, from 1.
    pub fn sequence(&self) -> Option<i64> {
        self.0.integer(&["value", "sequence"])
    }

    /// The key of the message before it of the same author; the first has none.
    pub fn previous(&self) -> Option<Cow<'a, str>> {
        self.0.text(&["value", "previous"])
    }

    /// What kind of message it is: `post`, `vote` … Private messages tell none.
    pub fn kind(&self) -> Option<Cow<'a, str>> {
        self.0.text(&["value", "content", "type"])
    }

    /// When it was written, as its author claims: milliseconds since 1970.
    pub fn timestamp(&self) -> Option<f64> {
        self.0.number(&["value", "timestamp"])
    }

    /// When it arrived where it is stored: milliseconds since 1970.
    pub fn arrival(&self) -> Option<f64> {
        self.0.number(&["timestamp"])
    }
}
