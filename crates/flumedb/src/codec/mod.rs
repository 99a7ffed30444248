//! When bytes become values: once, at the edge.

mod cbor;
mod depth;
mod document;
mod json;
mod map;
mod message_pack;
mod raw;
mod typed;

use bytes::Bytes;

pub use cbor::Cbor;
pub use depth::Shallow;
pub use document::{Document, Field, JsonDoc, JsonDocs};
pub use json::Json;
pub use map::Mapped;
pub use message_pack::MessagePack;
pub(crate) use message_pack::from_slice as message_pack_from;
pub use raw::{Raw, Utf8};

use crate::Result;

/// Turns what is appended into bytes and bytes into what is read. The two may be different types: one appends a `&str`
/// and reads a document that keeps the bytes and finds fields on demand.
pub trait Codec: Clone + Send + Sync + 'static {
    /// What is appended.
    type Input: ?Sized;
    /// What is read, and what views see.
    type Item: Send + Sync + 'static;

    /// Name and version. Part of the identity of every stored view: if it changes, views are built anew.
    fn identity(&self) -> String;

    /// Appends the bytes of `input` to `out`.
    ///
    /// # Errors
    /// `Invalid` if `input` has no representation; nothing is appended to the log then.
    fn encode(&self, input: &Self::Input, out: &mut Vec<u8>) -> Result<()>;

    /// Reads one entry's bytes.
    ///
    /// # Errors
    /// `Invalid` if they are not of this codec. Streams pass that on with the entry's `Seq`; views skip and count it.
    fn decode(&self, bytes: &Bytes) -> Result<Self::Item>;

    /// The same codec with every item passed through `map`: to decrypt, to convert, to pick a part. `version` is part
    /// of the identity; raise it when `map` changes, and views are built anew.
    ///
    /// ```
    /// use flumedb::{Bytes, codec::{Codec, Utf8}};
    /// let loud = Utf8.map(1, |text: String| Ok(text.to_uppercase()));
    /// assert_eq!(loud.decode(&Bytes::from("hi"))?, "HI");
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    fn map<T, F>(self, version: u32, map: F) -> Mapped<Self, F>
    where
        T: Send + Sync + 'static,
        F: Fn(Self::Item) -> Result<T> + Clone + Send + Sync + 'static,
    {
        Mapped::new(self, version, map)
    }
}
