//! [`Stage`], one Bloom filter, and [`Stages`], as many as there are keys for.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use fastbloom::{AtomicBloomFilter, DefaultHasher};
use siphasher::sip::SipHasher13;

/// The hash of a key. Its bytes say where they end.
pub(super) fn hash(hasher: &SipHasher13, key: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = *hasher;
    hasher.write(key);
    hasher.finish()
}

/// Names where a hash sets its bits. That is the crate's affair and may change from one version of it to the next; so it is
/// part of the definition of a stored filter: one that was written by other rules is not read by these, but built anew.
pub(super) fn positions() -> String {
    let mut words = Vec::new();
    for (count, hashes) in [(1, 1), (7, 10), (64, 23)] {
        let stage = filter(vec![0; count], hashes);
        for hash in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef, 0x9e37_79b9_7f4a_7c15] {
            stage.insert_hash(hash);
        }
        words.extend(stage.iter().flat_map(u64::to_le_bytes));
    }
    format!("positions {:08x}", crc_fast::crc32_iscsi(&words))
}

fn filter(words: Vec<u64>, hashes: u32) -> AtomicBloomFilter {
    // It is given hashes, so its own hasher has nothing to do; the seed spares it the search for a random one.
    AtomicBloomFilter::from_vec(words).hasher(DefaultHasher::seeded(&[0; 16])).hashes(hashes)
}

/// A filter for so many keys. Bits are only ever set, so that it is shared with those who read.
pub(super) struct Stage {
    filter: AtomicBloomFilter,
    capacity: u64,
    added: AtomicU64,
}

impl Stage {
    /// An empty one, for so many keys at this probability.
    fn new(capacity: u64, probability: f64) -> Self {
        let bits = (capacity as f64 * probability.ln() / -std::f64::consts::LN_2.powi(2)).ceil().max(64.0);
        let words = (bits / 64.0).ceil() as usize;
        let hashes = (words as f64 * 64.0 / capacity as f64 * std::f64::consts::LN_2).round().clamp(1.0, 64.0);
        Self { filter: filter(vec![0; words], hashes as u32), capacity, added: AtomicU64::new(0) }
    }

    /// One that was kept.
    pub(super) fn kept(words: Vec<u64>, hashes: u32, capacity: u64, added: u64) -> Self {
        Self { filter: filter(words, hashes), capacity, added: AtomicU64::new(added) }
    }

    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        self.filter.iter()
    }

    pub(super) fn bits(&self) -> u64 {
        self.filter.num_bits() as u64
    }

    pub(super) fn hashes(&self) -> u32 {
        self.filter.num_hashes()
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn added(&self) -> u64 {
        self.added.load(Ordering::Relaxed)
    }

    /// How likely it is now that it takes another key for one of its own.
    pub(super) fn probability(&self) -> f64 {
        let (hashes, bits) = (f64::from(self.hashes()), self.bits() as f64);
        (1.0 - (-hashes * self.added() as f64 / bits).exp()).powf(hashes)
    }
}

/// The stages, in the order in which they were added; the last one is not full.
#[derive(Clone, Default)]
pub(super) struct Stages(Vec<Arc<Stage>>);

impl Stages {
    pub(super) fn new(stages: Vec<Stage>) -> Self {
        Self(stages.into_iter().map(Arc::new).collect())
    }

    /// Adds what a hash stands for; whether it was not in before.
    pub(super) fn add(&mut self, hash: u64, items: u64, probability: f64) -> bool {
        if self.contains(hash) {
            return false;
        }
        let full = self.0.last().is_none_or(|stage| stage.added() >= stage.capacity);
        if full {
            // A half, a quarter, an eighth …: never more than all of it together.
            let number = self.0.len() as i32;
            let capacity = items.saturating_mul(1_u64.checked_shl(self.0.len() as u32).unwrap_or(u64::MAX));
            self.0.push(Arc::new(Stage::new(capacity, probability * 0.5_f64.powi(number + 1))));
        }
        if let Some(stage) = self.0.last() {
            stage.filter.insert_hash(hash);
            stage.added.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    pub(super) fn contains(&self, hash: u64) -> bool {
        // Most keys are in the newest, which is the largest.
        self.0.iter().rev().any(|stage| stage.filter.contains_hash(hash))
    }

    /// Different keys, a few fewer where one was taken for another.
    pub(super) fn count(&self) -> u64 {
        self.iter().map(Stage::added).sum()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Stage> + ExactSizeIterator {
        self.0.iter().map(|stage| &**stage)
    }
}
