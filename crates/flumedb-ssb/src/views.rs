//! Scuttlebutt's own views: messages by key, by author and sequence, by type and by time, each an [`Index`]; and what they
//! link to. All are over documents of any kind; entries that are no messages are in none of them.

mod links;

use flumedb::{codec::Document, views::Index};

pub use links::{links, stance};

use crate::Message;

/// Raised when a view below gives other keys for the same messages.
const VERSION: u32 = 1;

/// Messages by their key.
///
/// ```
/// use flumedb::{Flume, codec::JsonDocs};
/// use flumedb_ssb::views;
/// let db = Flume::memory(JsonDocs)?;
/// let by_key = db.view("by-key", views::by_key()).blocking()?;
/// let seq = db.append(r#"{"key":"%1.sha256","value":{"author":"@a.ed25519"}}"#).blocking()?;
/// let found: Vec<_> = by_key.read().blocking()?.get("%1.sha256").seqs().collect::<Result<_, _>>()?;
/// assert_eq!(found, [seq]);
/// # Ok::<(), flumedb::Error>(())
/// ```
pub fn by_key<T: Document + Send + Sync + 'static>() -> Index<T, String> {
    Index::new(VERSION, |doc: &T| Message::new(doc).key().map(String::from))
}

/// Messages by author and sequence.
pub fn by_author<T: Document + Send + Sync + 'static>() -> Index<T, (String, i64)> {
    Index::new(VERSION, |doc: &T| {
        let message = Message::new(doc);
        message.author().map(String::from).zip(message.sequence())
    })
}

/// Messages by type.
pub fn by_type<T: Document + Send + Sync + 'static>() -> Index<T, String> {
    Index::new(VERSION, |doc: &T| Message::new(doc).kind().map(String::from))
}

/// Messages by the time that their authors claim, in milliseconds since 1970.
pub fn by_time<T: Document + Send + Sync + 'static>() -> Index<T, f64> {
    Index::new(VERSION, |doc: &T| Message::new(doc).timestamp())
}
