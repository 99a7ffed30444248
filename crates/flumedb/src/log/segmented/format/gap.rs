//! [`Gap`], what stands for records that were taken out.

use super::{u32_at, u64_at};

/// What a gap record stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    /// How many entries and tombstones.
    pub(crate) count: u32,
    /// So many of them were tombstones.
    pub(crate) tombstones: u32,
    /// The lowest seq that one of those deleted.
    pub(crate) least: u64,
}

impl Gap {
    /// The payload: one with tombstones says more.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.count.to_le_bytes().to_vec();
        if self.tombstones > 0 {
            out.extend_from_slice(&self.tombstones.to_le_bytes());
            out.extend_from_slice(&self.least.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Self {
        Self { count: u32_at(payload, 0), tombstones: u32_at(payload, 4), least: u64_at(payload, 8) }
    }

    /// Both in one.
    pub(crate) fn join(&mut self, other: &Self) {
        self.least = match (self.tombstones, other.tombstones) {
            (_, 0) => self.least,
            (0, _) => other.least,
            _ => self.least.min(other.least),
        };
        self.count += other.count;
        self.tombstones += other.tombstones;
    }
}
