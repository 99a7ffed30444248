//! [`Json`], values as JSON text.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{Codec, typed::typed_codec};
use crate::{Error, ErrorKind, Result};

typed_codec! {
    /// Values of a serde type as JSON text. [`JsonDocs`](super::JsonDocs) is the codec for JSON of any shape.
    ///
    /// ```
    /// use flumedb::{Bytes, codec::{Codec, Json}};
    /// let codec = Json::<Vec<u32>>::new();
    /// let mut out = Vec::new();
    /// codec.encode(&vec![1, 2], &mut out)?;
    /// assert_eq!(out, b"[1,2]");
    /// assert_eq!(codec.decode(&Bytes::from(out))?, [1, 2]);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    Json
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Codec for Json<T> {
    type Input = T;
    type Item = T;

    fn identity(&self) -> String {
        "json".to_owned()
    }

    fn encode(&self, input: &T, out: &mut Vec<u8>) -> Result<()> {
        serde_json::to_writer(out, input).map_err(|error| {
            Error::with_source(ErrorKind::Invalid, format!("cannot be written as JSON: {error}"), error)
        })
    }

    fn decode(&self, bytes: &Bytes) -> Result<T> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("not the JSON expected: {error}"), error))
    }
}
