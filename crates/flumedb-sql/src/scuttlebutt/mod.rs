//! A ready mapping for Scuttlebutt: messages, authors, links, mentions, votes, abouts, contacts, blobs, and full-text
//! search over posts. [`TABLES`] says what is where.
//!
//! Entries that are no messages are in no table. A private message that cannot be read is in `messages` only, without its
//! content; where the codec decrypts, it is as any other with `private` = 1. When a key has come later,
//! `Flume::reprocess` takes what it opens in anew.

mod content;

use flumedb::{
    Result,
    codec::{Document, Field},
};

use crate::{Rows, Sql, Value};

/// What declares the tables.
pub const TABLES: &str = include_str!("tables.sql");

/// Raised when other rows are made of the same messages.
const VERSION: u32 = 1;

/// The view, over documents of any kind: messages as ssb-db keeps them, `{key, value: {author, content, …}, timestamp}`.
///
/// ```
/// use flumedb::{Flume, codec::JsonDocs};
/// use flumedb_sql::scuttlebutt;
/// let db = Flume::memory(JsonDocs)?;
/// let view = db.view("sql", scuttlebutt::view()?).blocking()?;
/// db.append(r#"{"key":"%1.sha256","value":{"author":"@a.ed25519","content":{"type":"post","text":"High water"}}}"#).blocking()?;
/// let reader = view.read().blocking()?;
/// let found = reader.query(
///     "SELECT p.author, snippet(search, 0, '[', ']', '…', 8) FROM search JOIN posts AS p ON p.seq = search.rowid WHERE search MATCH ?1",
/// );
/// assert_eq!(found.bind("water").all::<(String, String)>()?, [("@a.ed25519".to_owned(), "High [water]".to_owned())]);
/// # Ok::<(), flumedb::Error>(())
/// ```
///
/// # Errors
/// None that could happen: the declaration is checked as any other.
pub fn view<T: Document + Send + Sync + 'static>() -> Result<Sql<T>> {
    Sql::new(VERSION, TABLES, |message: &T, rows: &mut Rows<'_>| map(message, rows))
}

fn map(message: &dyn Document, rows: &mut Rows<'_>) {
    let Some(author) = message.text(&["value", "author"]) else { return };
    let (mut kind, mut root, mut fork, mut json) = (None, None, None, None);
    let mut content_is_text = false;
    let mut seen = false;
    message.members(&["value"], &mut |name, content| {
        // Of two members with one name the first counts.
        if name != "content" || std::mem::replace(&mut seen, true) {
            return;
        }
        content_is_text = matches!(content.field(&[]), Some(Field::Text(_)));
        if content_is_text {
            return;
        }
        let text = |name: &str| content.text(&[name]).map(|text| text.into_owned());
        (kind, root, fork) = (text("type"), text("root"), text("fork"));
        json = content.to_value(&[]).map(|value| value.to_string());
        content::map(&author, kind.as_deref(), content, rows);
    });
    let opened = || {
        [["value", "meta", "private"].as_slice(), &["meta", "private"]]
            .iter()
            .any(|path| message.boolean(path) == Some(true))
    };
    rows.insert(
        "messages",
        &[
            (&message.text(&["key"])).into(),
            (&author).into(),
            message.integer(&["value", "sequence"]).into(),
            number(message, &["value", "timestamp"]),
            number(message, &["timestamp"]),
            (&kind).into(),
            (&root).into(),
            (&fork).into(),
            (content_is_text || opened()).into(),
            (&json).into(),
        ],
    );
}

/// A number as it was written, whole or not.
fn number(document: &dyn Document, path: &[&str]) -> Value<'static> {
    match document.field(path) {
        Some(Field::Integer(number)) => Value::Integer(number),
        Some(Field::Float(number)) => Value::Real(number),
        _ => Value::Null,
    }
}
