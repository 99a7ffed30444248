//! [`document`], the message in a payload, whatever form its log keeps it in.

use flumedb::{Bytes, Result, codec::JsonDoc};

use crate::Doc;

/// The message in a payload as a document: JSON text as it is, BIPF as JSON text, a payload of go-ssb as ssb-db would store
/// it.
///
/// # Errors
/// `Unsupported` for a message of go-ssb in the feed format Gabby Grove, `Invalid` for bytes of no known form.
///
/// ```
/// use flumedb::{Bytes, codec::Document};
/// use flumedb_ssb::message;
/// let doc = message::document(&Bytes::from(r#"{"key":"%1.sha256"}"#))?;
/// assert_eq!(doc.text(&["key"]).as_deref(), Some("%1.sha256"));
/// # Ok::<(), flumedb::Error>(())
/// ```
pub fn document(payload: &Bytes) -> Result<JsonDoc> {
    match Doc::parse(payload.clone())? {
        Doc::Json(doc) | Doc::Multi { message: doc, .. } => Ok(doc),
        Doc::Bipf(doc) => JsonDoc::parse(doc.to_string()),
    }
}
