//! [`Encoded`], a value that is BIPF already, inside of one that is being written.

use flumedb::Result;
use serde::{Serialize, Serializer};

use super::check::check;

/// What tells the serializer of BIPF that bytes are to be taken over as they are.
pub(super) const NAME: &str = "flumedb_ssb::bipf::Encoded";

/// A value that has been encoded before. Written as BIPF its bytes are taken over; written as anything else it is bytes.
///
/// ```
/// use flumedb_ssb::bipf::{self, Encoded};
/// let inner = bipf::to_vec(&("post", 1))?;
/// let outer = bipf::to_vec(&(Encoded::new(&inner)?, 2))?;
/// assert_eq!(outer, bipf::to_vec(&(("post", 1), 2))?);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a>(&'a [u8]);

impl<'a> Encoded<'a> {
    /// Takes bytes as a value.
    ///
    /// # Errors
    /// `Invalid` if they are not exactly one whole value.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        check(bytes)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &AsBytes(self.0))
    }
}

struct AsBytes<'a>(&'a [u8]);

impl Serialize for AsBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
