//! [`Encoded`], a value that is BIPF already, inside of one that is being written.

use serde::{Serialize, Serializer};

/// What tells the serializer of BIPF that bytes are to be taken over as they are.
pub(super) const NAME: &str = "flumedb_ssb::bipf::Encoded";

/// A value that has been encoded before. Written as BIPF its bytes are checked and taken over; written as anything else it is
/// bytes.
///
/// ```
/// use flumedb_ssb::bipf::{self, Encoded};
/// let inner = bipf::to_vec(&("post", 1))?;
/// let outer = bipf::to_vec(&(Encoded(&inner), 2))?;
/// assert_eq!(outer, bipf::to_vec(&(("post", 1), 2))?);
/// assert!(bipf::to_vec(&Encoded(b"\x10h")).is_err());
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a>(pub &'a [u8]);

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
