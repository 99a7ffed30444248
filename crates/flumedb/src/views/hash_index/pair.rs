//! [`Pair`], what stands for a key of an entry.

use super::Fingerprint;

/// The fingerprint of a key and the entry that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) fingerprint: Fingerprint,
    pub(super) seq: u64,
}

impl Pair {
    /// In a journal.
    pub(super) const BYTES: usize = Fingerprint::BYTES + 8;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [a, b, c, d, e, f] = self.fingerprint.to_bytes();
        let [g, h, i, j, k, l, m, n] = self.seq.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
    }

    pub(super) fn from_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n]: [u8; Self::BYTES]) -> Self {
        Self {
            fingerprint: Fingerprint::from_bytes([a, b, c, d, e, f]),
            seq: u64::from_be_bytes([g, h, i, j, k, l, m, n]),
        }
    }
}
