//! [`Raw`] and [`Utf8`]: the bytes themselves, and text.

use bytes::Bytes;

use super::Codec;
use crate::{Error, ErrorKind, Result};

/// Bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Codec for Raw {
    type Input = [u8];
    type Item = Bytes;

    fn identity(&self) -> String {
        "raw".to_owned()
    }

    fn encode(&self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(input);
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Bytes> {
        Ok(bytes.clone())
    }
}

/// Text in UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

impl Codec for Utf8 {
    type Input = str;
    type Item = String;

    fn identity(&self) -> String {
        "utf8".to_owned()
    }

    fn encode(&self, input: &str, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(input.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<String> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(Error::with_source(ErrorKind::Invalid, format!("not UTF-8: {error}"), error)),
        }
    }
}
