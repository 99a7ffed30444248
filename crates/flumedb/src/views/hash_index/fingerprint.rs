//! [`Fingerprints`], short stand-ins for keys. They are keyed, so that nobody who can write entries can make many of theirs
//! fall on one.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::{
    log::LogIdentity,
    views::index::{AsKey, Key},
};

/// What stands for a key: 48 bits, evenly spread. Among a million keys, one lookup in 280 million meets a wrong candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) const BITS: u32 = 48;
    pub(super) const BYTES: usize = 6;

    /// The bytes of it, which are in its order.
    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [_, _, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }

    pub(super) fn from_bytes([a, b, c, d, e, f]: [u8; Self::BYTES]) -> Self {
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    pub(super) fn new(bits: u64) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    pub(super) fn get(self) -> u64 {
        self.0
    }

    /// Which of the 16 parts of the index it belongs to: its first 4 bits.
    pub(super) fn part(self) -> usize {
        (self.0 >> (Self::BITS - super::PART_BITS)) as usize
    }
}

/// Makes fingerprints of the keys of one log's view.
#[derive(Clone)]
pub(super) struct Fingerprints {
    hasher: SipHasher13,
}

impl Fingerprints {
    /// Those of a view of this log: its identity is random, and known to whoever may read its files.
    pub(super) fn of(log: &LogIdentity) -> Self {
        Self { hasher: keyed_hasher(log) }
    }

    /// The fingerprint of a key.
    pub(super) fn fingerprint<K: Key, Q: AsKey<K> + ?Sized>(&self, key: &Q) -> Fingerprint {
        let mut bytes = Vec::with_capacity(64);
        key.encode(&mut bytes);
        self.of_bytes(&bytes)
    }

    pub(super) fn of_bytes(&self, bytes: &[u8]) -> Fingerprint {
        let mut hasher = self.hasher;
        hasher.write(bytes);
        Fingerprint(hasher.finish() >> (64 - Fingerprint::BITS))
    }
}

/// A hasher that gives every log other hashes: keyed by the log's identity.
pub(in crate::views) fn keyed_hasher(log: &LogIdentity) -> SipHasher13 {
    let half = |which: u64| {
        let mut hasher = SipHasher13::new_with_keys(which, 0x666c_756d_6564_6200);
        hasher.write(&log.0);
        hasher.finish()
    };
    SipHasher13::new_with_keys(half(0), half(1))
}
