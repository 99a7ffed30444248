//! [`Shape`], how a run divides fingerprints into blocks, and what its records look like.

use std::ops::Range;

use super::{Fingerprint, PARTS, Pair};
use crate::views::hash_index::PART_BITS;

/// What a run covers, how many blocks it has, and how wide its records are.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The first bits of all its fingerprints.
    pub(super) prefix: u8,
    pub(super) prefix_bits: u32,
    block_bits: u32,
    /// Bits of a fingerprint that a record holds.
    pub(super) rest_bits: u32,
    seq_bytes: u8,
    pub(super) record_bytes: usize,
}

impl Shape {
    /// About so many pairs are in a block: from this, up to twice as many.
    const PAIRS: usize = 48;
    const MOST_BLOCK_BITS: u32 = 28;

    /// The shape of a run of about `len` pairs, with seqs up to `max_seq`.
    pub(super) fn new(part: Option<usize>, len: usize, max_seq: u64) -> Self {
        let least = if part.is_some() { 0 } else { PART_BITS };
        let block_bits = (len / Self::PAIRS).checked_ilog2().unwrap_or(0).clamp(least, Self::MOST_BLOCK_BITS);
        let seq_bytes = (u64::BITS - max_seq.leading_zeros()).div_ceil(8).max(1);
        let (prefix, prefix_bits) = part.map_or((0, 0), |part| (part as u8, PART_BITS));
        Self::of(prefix, prefix_bits, block_bits, seq_bytes as u8)
    }

    fn of(prefix: u8, prefix_bits: u32, block_bits: u32, seq_bytes: u8) -> Self {
        let rest_bits = Fingerprint::BITS - prefix_bits - block_bits;
        let record_bytes = rest_bits.div_ceil(8) as usize + seq_bytes as usize;
        Self { prefix, prefix_bits, block_bits, rest_bits, seq_bytes, record_bytes }
    }

    /// What a file says of itself, if it makes sense.
    pub(super) fn read(prefix: u8, prefix_bits: u8, block_bits: u8, seq_bytes: u8) -> Option<Self> {
        let (prefix_bits, block_bits) = (u32::from(prefix_bits), u32::from(block_bits));
        let whole = prefix_bits == 0 && prefix == 0 && block_bits >= PART_BITS;
        let part = prefix_bits == PART_BITS && usize::from(prefix) < PARTS;
        let fine = (whole || part) && block_bits <= Self::MOST_BLOCK_BITS && (1..=8).contains(&seq_bytes);
        fine.then(|| Self::of(prefix, prefix_bits, block_bits, seq_bytes))
    }

    /// The four bytes of it that are stored.
    pub(super) fn to_bytes(&self) -> [u8; 4] {
        [self.prefix, self.prefix_bits as u8, self.block_bits as u8, self.seq_bytes]
    }

    pub(super) fn blocks(&self) -> usize {
        1 << self.block_bits
    }

    /// The blocks that hold the pairs of a part, which the run covers.
    pub(super) fn blocks_of(&self, part: usize) -> Range<usize> {
        if self.prefix_bits > 0 {
            return 0..self.blocks();
        }
        let blocks = self.blocks() / PARTS;
        part * blocks..(part + 1) * blocks
    }

    pub(super) fn block_of(&self, fingerprint: Fingerprint) -> usize {
        (fingerprint.get() >> self.rest_bits) as usize & (self.blocks() - 1)
    }

    /// What is left of a fingerprint in its block.
    pub(super) fn rest(&self, fingerprint: Fingerprint) -> u64 {
        fingerprint.get() & ((1 << self.rest_bits) - 1)
    }

    /// One more than the greatest seq that a record can hold.
    pub(super) fn seq_end(&self) -> u64 {
        1_u64.checked_shl(8 * u32::from(self.seq_bytes)).unwrap_or(u64::MAX)
    }

    /// The record of a fingerprint and a seq, as a number. A seq that is one too great gives the number after all records
    /// of the fingerprint.
    pub(super) fn record(&self, fingerprint: Fingerprint, seq: u64) -> u128 {
        (u128::from(self.rest(fingerprint)) << (8 * u32::from(self.seq_bytes))) + u128::from(seq)
    }

    /// What is left of the fingerprint, and the seq.
    pub(super) fn split(&self, record: u128) -> (u64, u64) {
        let bits = 8 * u32::from(self.seq_bytes);
        ((record >> bits) as u64, (record & ((1 << bits) - 1)) as u64)
    }

    /// The pair whose record is in `block`.
    pub(super) fn pair(&self, block: usize, record: u128) -> Pair {
        let (rest, seq) = self.split(record);
        let block = u64::from(self.prefix) << self.block_bits | block as u64;
        Pair { fingerprint: Fingerprint::new(block << self.rest_bits | rest), seq }
    }
}
