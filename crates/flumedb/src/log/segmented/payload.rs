//! How payloads are stored: as they are, compressed, encrypted, or first one and then the other.
//!
//! Compressed: the payload's length (u32 little-endian), then a block of LZ4, which may refer to the segment's
//! dictionary. Encrypted: a random nonce, the ciphertext, its tag; bound to the log, to the record's number, kind and
//! form, so that none passes in another's place. Nothing binds it to a file or a generation, so that a segment can be
//! written anew by somebody who has no key.

use std::sync::Arc;

use bytes::Bytes;
use lz4_flex::block;

use super::{
    format::{
        FEATURE_COMPRESSED, FEATURE_ENCRYPTED, FLAG_COMPRESSED, FLAG_ENCRYPTED, Form, LogId, MAX_PAYLOAD,
        SegmentHeader, put, u32_at,
    },
    settings::{Compression, LogSettings},
};
use crate::{
    Env, Result,
    env::planted::{Bug, planted},
    keys::Cipher,
};

/// Shorter payloads are not tried to be made shorter.
const WORTHWHILE: usize = 32;

/// LZ4 makes at most so many bytes of one, and a few more at the end.
const MOST: usize = 255;

/// What stands in front of a compressed payload: its length.
const LENGTH: usize = 4;

/// How the payloads of one segment are stored.
#[derive(Clone)]
pub(crate) struct Packing {
    pub(crate) id: LogId,
    pub(crate) compress: bool,
    pub(crate) dictionary: Bytes,
    pub(crate) cipher: Option<Arc<Cipher>>,
}

impl Packing {
    /// What the settings ask for, with a dictionary for a segment that is new.
    pub(crate) fn wanted(settings: &LogSettings, id: LogId, dictionary: Bytes) -> Result<Self> {
        let cipher = settings.keys.as_ref().map(|keys| keys.cipher(keys.current())).transpose()?;
        let compress = settings.compression == Compression::Lz4;
        Ok(Self { id, compress, dictionary: if compress { dictionary } else { Bytes::new() }, cipher })
    }

    /// What a segment's header says of it.
    pub(crate) fn features(&self) -> u64 {
        let compressed = if self.compress { FEATURE_COMPRESSED } else { 0 };
        compressed | if self.cipher.is_some() { FEATURE_ENCRYPTED } else { 0 }
    }

    /// The number of the key; 0: there is none.
    pub(crate) fn key(&self) -> u16 {
        self.cipher.as_ref().map_or(0, |cipher| cipher.number())
    }

    /// Whether a segment with this header may hold what it packs.
    pub(crate) fn fits(&self, header: &SegmentHeader) -> bool {
        self.features() & !header.features == 0 && self.key() == header.key
    }

    /// Whether it leaves payloads as they are.
    pub(crate) fn is_plain(&self) -> bool {
        !self.compress && self.cipher.is_none()
    }

    /// Randomness for so many payloads.
    pub(crate) fn nonces(&self, env: &Env, count: usize) -> Result<Nonces> {
        let mut bytes = vec![0; if self.cipher.is_some() { count * Cipher::NONCE } else { 0 }];
        let filled = env.random.fill(&mut bytes);
        filled.map_err(|error| crate::Error::io("get randomness for", "an encrypted entry".as_ref(), error))?;
        Ok(Nonces { bytes, used: 0 })
    }

    /// Appends a payload to `out` as it is to be stored.
    pub(crate) fn pack(&self, kind: u8, number: u64, payload: &[u8], nonces: &mut Nonces, out: &mut Vec<u8>) -> Form {
        let mut form = Form::default();
        let nonce = nonces.next();
        if self.cipher.is_some() {
            out.extend_from_slice(&nonce);
        }
        let start = out.len();
        if self.compress && payload.len() >= WORTHWHILE && self.compress(payload, out) {
            form.flags |= FLAG_COMPRESSED;
        } else {
            out.truncate(start);
            out.extend_from_slice(payload);
        }
        if let Some(cipher) = &self.cipher {
            form = Form { flags: form.flags | FLAG_ENCRYPTED, key: cipher.number() };
            let associated = associated(self.id, number, kind, form);
            let tag = cipher.seal(nonce, &associated, out.get_mut(start..).unwrap_or_default());
            out.extend_from_slice(&tag);
        }
        form
    }

    /// Appends the compressed payload; whether that is shorter.
    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.resize(start + LENGTH + block::get_maximum_output_size(payload.len()), 0);
        let target = out.get_mut(start + LENGTH..).unwrap_or_default();
        let Ok(len) = block::compress_into_with_dict(payload, target, &self.dictionary) else { return false };
        out.truncate(start + LENGTH + len);
        LENGTH + len < payload.len()
    }
}

/// Random bytes that are used once each.
pub(crate) struct Nonces {
    bytes: Vec<u8>,
    used: usize,
}

impl Nonces {
    fn next(&mut self) -> [u8; Cipher::NONCE] {
        let nonce = self.bytes.get(self.used..).and_then(|rest| rest.first_chunk()).copied();
        self.used += if planted(Bug::NonceTwice) { 0 } else { Cipher::NONCE };
        debug_assert!(nonce.is_some() || self.bytes.is_empty());
        nonce.unwrap_or_default()
    }
}

/// Why a payload cannot be had, though its record is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// It was not encrypted with this key, or not in this place.
    Closed,
    /// It is not what compressing gives.
    Broken,
}

/// Appends to `out` the payload that is stored as `stored`. On an error `out` is as before.
pub(crate) fn unpack(
    id: LogId,
    (number, kind, form): (u64, u8, Form),
    stored: &[u8],
    cipher: Option<&Cipher>,
    dictionary: impl FnOnce() -> Result<Bytes, Sealed>,
    out: &mut Vec<u8>,
) -> Result<(), Sealed> {
    match cipher {
        _ if form.is_plain() => {
            out.extend_from_slice(stored);
            Ok(())
        }
        None if form.is_encrypted() => Err(Sealed::Closed),
        None => expand(stored, dictionary, out),
        Some(cipher) if !form.is_compressed() => {
            let start = out.len();
            out.extend_from_slice(stored);
            let sealed = out.get_mut(start..).unwrap_or_default();
            let len = cipher.open(&associated(id, number, kind, form), sealed).map(|text| text.len());
            // What is in front goes by moving the text over it.
            if let Some(len) = len {
                out.copy_within(start + Cipher::NONCE..start + Cipher::NONCE + len, start);
            }
            out.truncate(start + len.unwrap_or(0));
            len.map(drop).ok_or(Sealed::Closed)
        }
        Some(cipher) => {
            let mut sealed = stored.to_vec();
            let text = cipher.open(&associated(id, number, kind, form), &mut sealed).ok_or(Sealed::Closed)?;
            expand(text, dictionary, out)
        }
    }
}

fn expand(stored: &[u8], dictionary: impl FnOnce() -> Result<Bytes, Sealed>, out: &mut Vec<u8>) -> Result<(), Sealed> {
    let (len, rest) = stored.split_at_checked(LENGTH).ok_or(Sealed::Broken)?;
    let len = u32_at(len, 0) as usize;
    // No more memory than the bytes that are there can stand for.
    if len > MAX_PAYLOAD || len > rest.len().saturating_mul(MOST) {
        return Err(Sealed::Broken);
    }
    let dictionary = dictionary()?;
    let start = out.len();
    out.resize(start + len, 0);
    let target = out.get_mut(start..).unwrap_or_default();
    match block::decompress_into_with_dict(rest, target, &dictionary) {
        Ok(written) if written == len => Ok(()),
        _ => {
            out.truncate(start);
            Err(Sealed::Broken)
        }
    }
}

/// What an encrypted payload is bound to.
fn associated(id: LogId, number: u64, kind: u8, form: Form) -> [u8; 28] {
    let mut out = [0; 28];
    put(&mut out, 0, &id.0);
    put(&mut out, 16, &number.to_le_bytes());
    let [low, high] = form.key.to_le_bytes();
    put(&mut out, 24, &[kind, form.flags & FLAG_COMPRESSED, low, high]);
    out
}
