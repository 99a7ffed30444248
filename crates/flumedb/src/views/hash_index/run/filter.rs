//! [`Filter`], which says of most fingerprints that are not in a run that they are not, from little memory.

use bytes::Bytes;

use super::Fingerprint;

/// Two bits of one word for each fingerprint; about one in twenty that are not there seem to be.
pub(super) struct Filter(Bytes);

/// About so many fingerprints share a word.
const SHARE: usize = 8;

impl Filter {
    /// That of a file; one without words lets everything through.
    pub(super) fn new(words: Bytes) -> Self {
        Self(words)
    }

    pub(super) fn may_have(&self, fingerprint: Fingerprint) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let (place, bits) = place(fingerprint, self.0.len() / 8);
        let word = self.0.get(place * 8..).and_then(|words| words.first_chunk::<8>());
        word.is_none_or(|word| u64::from_le_bytes(*word) & bits == bits)
    }
}

/// A filter that is being made.
pub(super) struct FilterWriter(Vec<u64>);

impl FilterWriter {
    /// One for about `len` fingerprints; for none, one without words.
    pub(super) fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(SHARE)])
    }

    pub(super) fn add(&mut self, fingerprint: Fingerprint) {
        if self.0.is_empty() {
            return;
        }
        let (place, bits) = place(fingerprint, self.0.len());
        if let Some(word) = self.0.get_mut(place) {
            *word |= bits;
        }
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }
}

/// The word of a fingerprint, by its first bits, and its bits there, by the last ones.
fn place(fingerprint: Fingerprint, words: usize) -> (usize, u64) {
    let bits = fingerprint.get();
    let place = (u128::from(bits) * words as u128) >> Fingerprint::BITS;
    (place as usize, 1 << (bits & 63) | 1 << (bits >> 6 & 63))
}
