//! [`Bipf`], values of a serde type as BIPF.

use std::{fmt, marker::PhantomData};

use flumedb::{Bytes, Result, codec::Codec};
use serde::{Serialize, de::DeserializeOwned};

use super::{de::from_slice, ser::encode};

/// Values of a serde type as BIPF. [`BipfDocs`](super::BipfDocs) is the codec for BIPF of any shape.
///
/// ```
/// use flumedb::{Bytes, codec::Codec};
/// use flumedb_ssb::bipf::Bipf;
/// let codec = Bipf::<Vec<u32>>::new();
/// let mut out = Vec::new();
/// codec.encode(&vec![1, 2], &mut out)?;
/// assert_eq!(out, b"\x54\x22\x01\0\0\0\x22\x02\0\0\0");
/// assert_eq!(codec.decode(&Bytes::from(out))?, [1, 2]);
/// # Ok::<(), flumedb::Error>(())
/// ```
pub struct Bipf<T>(PhantomData<fn() -> T>);

impl<T> Bipf<T> {
    /// The codec.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Bipf<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Bipf<T> {}

impl<T> Default for Bipf<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Bipf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bipf")
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Codec for Bipf<T> {
    type Input = T;
    type Item = T;

    fn identity(&self) -> String {
        "bipf".to_owned()
    }

    fn encode(&self, input: &T, out: &mut Vec<u8>) -> Result<()> {
        encode(input, out)
    }

    fn decode(&self, bytes: &Bytes) -> Result<T> {
        from_slice(bytes)
    }
}
