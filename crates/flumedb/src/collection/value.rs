//! A record as bytes: MessagePack, structs as maps by field name, so that fields may be added.

use serde::{Serialize, de::DeserializeOwned};

use super::record::{Old, Record};
use crate::{Bytes, Error, ErrorKind, Result};

/// The bytes of a value.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    rmp_serde::to_vec_named(value).map(Bytes::from).map_err(|error| {
        let message = format!("the record cannot be written as MessagePack: {error}; mend its Serialize");
        Error::with_source(ErrorKind::Invalid, message, error)
    })
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    crate::codec::message_pack_from(bytes)
}

/// The record in `bytes`, which was written under `version` of its type.
pub(super) fn record<T: Record>(bytes: &[u8], version: u32) -> Result<T> {
    let read = match version.cmp(&T::VERSION) {
        std::cmp::Ordering::Equal => decode(bytes),
        std::cmp::Ordering::Less => T::migrate(Old { version, bytes }),
        std::cmp::Ordering::Greater => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "it was written under version {version} of its type, and this program knows up to {}; use a newer program",
                T::VERSION
            ),
        )),
    };
    read.map_err(|error| error.context(format_args!("a record of \"{}\"", T::NAME)))
}
