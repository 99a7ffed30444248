//! [`MessagePack`], values as MessagePack.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Codec,
    typed::{MAX_DEPTH, typed_codec},
};
use crate::{Error, ErrorKind, Result};

typed_codec! {
    /// Values of a serde type as MessagePack. Structs are maps by field name, so that fields may be added later.
    ///
    /// ```
    /// use flumedb::{Bytes, codec::{Codec, MessagePack}};
    /// let codec = MessagePack::<Vec<u32>>::new();
    /// let mut out = Vec::new();
    /// codec.encode(&vec![1, 2], &mut out)?;
    /// assert_eq!(out, b"\x92\x01\x02");
    /// assert_eq!(codec.decode(&Bytes::from(out))?, [1, 2]);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    MessagePack
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Codec for MessagePack<T> {
    type Input = T;
    type Item = T;

    fn identity(&self) -> String {
        "message-pack".to_owned()
    }

    fn encode(&self, input: &T, out: &mut Vec<u8>) -> Result<()> {
        rmp_serde::encode::write_named(out, input).map_err(|error| {
            Error::with_source(ErrorKind::Invalid, format!("cannot be written as MessagePack: {error}"), error)
        })
    }

    fn decode(&self, bytes: &Bytes) -> Result<T> {
        from_slice(bytes)
    }
}

/// The value that `bytes` are, all of them.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut rest = bytes;
    let mut decoder = rmp_serde::Deserializer::new(&mut rest);
    decoder.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut decoder).map_err(|error| {
        Error::with_source(ErrorKind::Invalid, format!("not the MessagePack expected: {error}"), error)
    })?;
    if rest.is_empty() {
        return Ok(value);
    }
    Err(Error::new(ErrorKind::Invalid, format!("{} bytes follow the MessagePack value", rest.len())))
}
