//! [`Cbor`], values as CBOR (RFC 8949).

use bytes::Bytes;
use minicbor_serde::{Deserializer, Serializer};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Codec,
    typed::{MAX_DEPTH, typed_codec},
};
use crate::{Error, ErrorKind, Result};

typed_codec! {
    /// Values of a serde type as CBOR. Structs are maps by field name, so that fields may be added later.
    ///
    /// ```
    /// use flumedb::{Bytes, codec::{Cbor, Codec}};
    /// let codec = Cbor::<Vec<u32>>::new();
    /// let mut out = Vec::new();
    /// codec.encode(&vec![1, 2], &mut out)?;
    /// assert_eq!(out, b"\x82\x01\x02");
    /// assert_eq!(codec.decode(&Bytes::from(out))?, [1, 2]);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    Cbor
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Codec for Cbor<T> {
    type Input = T;
    type Item = T;

    fn identity(&self) -> String {
        "cbor".to_owned()
    }

    fn encode(&self, input: &T, out: &mut Vec<u8>) -> Result<()> {
        input.serialize(&mut Serializer::new(out)).map_err(|error| {
            Error::with_source(ErrorKind::Invalid, format!("cannot be written as CBOR: {error}"), error)
        })
    }

    fn decode(&self, bytes: &Bytes) -> Result<T> {
        // minicbor-serde follows containers as deep as they go.
        if !within_depth(bytes) {
            let message = format!("CBOR with more than {MAX_DEPTH} containers inside one another is not taken");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut decoder = Deserializer::new(bytes);
        let value = T::deserialize(&mut decoder).map_err(|error| {
            Error::with_source(ErrorKind::Invalid, format!("not the CBOR expected: {error}"), error)
        })?;
        match bytes.len().saturating_sub(decoder.decoder().position()) {
            0 => Ok(value),
            rest => Err(Error::new(ErrorKind::Invalid, format!("{rest} bytes follow the CBOR value"))),
        }
    }
}

/// Whether no more than [`MAX_DEPTH`] containers stand inside one another. Reads nothing but the heads of items.
fn within_depth(bytes: &[u8]) -> bool {
    const INDEFINITE: u8 = 31;
    /// Stands for a container that ends with a break and not with a number of items.
    const OPEN: u64 = u64::MAX;

    // How many items are still to begin in each container that has not ended.
    let mut open: Vec<u64> = Vec::new();
    let mut at = 0;
    while let Some(&head) = bytes.get(at) {
        while open.last() == Some(&0) {
            open.pop();
        }
        let (major, low) = (head >> 5, head & 31);
        let wide = if (24..=27).contains(&low) { 1 << (low - 24) } else { 0 };
        // What is cut off here is cut off for the decoder too.
        let Some(argument) = bytes.get(at + 1..at + 1 + wide) else { return true };
        let argument = match wide {
            0 => u64::from(low),
            _ => argument.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        };
        at += 1 + wide;
        if head == 0xff {
            open.pop();
            continue;
        }
        // A tag and what it stands before are one item.
        if major != 6
            && let Some(left) = open.last_mut().filter(|left| **left != OPEN)
        {
            *left -= 1;
        }
        match major {
            2..=5 if low == INDEFINITE => open.push(OPEN),
            2 | 3 => at = at.saturating_add(usize::try_from(argument).unwrap_or(usize::MAX)),
            4 => open.push(argument.min(OPEN - 1)),
            5 => open.push(argument.saturating_mul(2).min(OPEN - 1)),
            _ => {}
        }
        if open.len() > MAX_DEPTH {
            return false;
        }
    }
    true
}
