//! Scuttlebutt's messages.

use flumedb::codec::Document;

use crate::{Search, Texts};

/// The fields of [`posts`].
pub const FIELDS: [&str; 4] = ["text", "title", "name", "channel"];

/// Finds Scuttlebutt's messages by what people wrote in them, whatever kind of document they are kept in (JSON or BIPF):
///
/// | field | from `value.content` |
/// | --- | --- |
/// | `text` | `text` of posts; `description` of abouts, gatherings, git repositories |
/// | `title` | `title` and `summary` of blogs and gatherings, `subject` |
/// | `name` | `name` of abouts, and the `name` of each of the `mentions` |
/// | `channel` | `channel`, and `hashtags` |
///
/// An encrypted message has no text, before it is taken in anew with its key.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::JsonDocs};
/// let db = Flume::memory(JsonDocs)?;
/// let search = db.view("search", flumedb_search::ssb::posts(1)).await?;
/// db.append(r#"{"value":{"content":{"type":"post","text":"Flut um acht","channel":"gezeiten"}}}"#).await?;
/// assert_eq!(search.read().await?.search("flut channel:gezeiten")?.count()?, 1);
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub fn posts<T: Document + Send + Sync + 'static>(version: u32) -> Search<T> {
    Search::with_fields(version, FIELDS, texts_of)
}

/// The texts of a message, as [`posts`] finds it. For a mapping of one's own that adds to it.
pub fn texts_of(message: &(impl Document + ?Sized), texts: &mut Texts) {
    const CONTENT: [&str; 2] = ["value", "content"];
    const FROM: [(&str, &str); 8] = [
        ("text", "text"),
        ("description", "text"),
        ("title", "title"),
        ("summary", "title"),
        ("subject", "title"),
        ("name", "name"),
        ("channel", "channel"),
        ("hashtag", "channel"),
    ];
    let [value, content] = CONTENT;
    for (from, field) in FROM {
        if let Some(text) = message.text(&[value, content, from]) {
            texts.add(field, text);
        }
    }
    message.items(&[value, content, "mentions"], &mut |mention| {
        if let Some(name) = mention.text(&["name"]) {
            texts.add("name", name);
        }
    });
    message.items(&[value, content, "hashtags"], &mut |hashtag| {
        if let Some(name) = hashtag.text(&[]) {
            texts.add("channel", name);
        }
    });
}
