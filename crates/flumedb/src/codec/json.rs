//! [`Json`], values as JSON text.

use std::{fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::Codec;
use crate::{Error, ErrorKind, Result};

/// Values of a serde type as JSON text.
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
pub struct Json<T>(PhantomData<fn() -> T>);

impl<T> Json<T> {
    /// The codec.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Json<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Json<T> {}

impl<T> Default for Json<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json")
    }
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
