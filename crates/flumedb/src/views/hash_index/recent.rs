//! [`Recent`], the newest pairs, in a table of fixed size: it never grows, so nothing waits for it to be built anew.

use super::{Fingerprint, Pair};

/// The newest pairs.
pub(super) struct Recent {
    /// By fingerprint: one more than the place of the newest pair of the chain; 0 for none.
    heads: Box<[u32]>,
    /// In the order in which they came, each with the next of its chain, as in `heads`.
    pairs: Vec<(Pair, u32)>,
    most: usize,
    /// Whether a pair came after one with a greater seq.
    mixed: bool,
}

impl Recent {
    /// An empty table of up to `most` pairs.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, 1 << 30);
        Self {
            heads: vec![0; most.saturating_mul(2)].into(),
            pairs: Vec::with_capacity(most.min(1 << 16)),
            most,
            mixed: false,
        }
    }

    /// How many more it takes.
    pub(super) fn room(&self) -> usize {
        self.most.saturating_sub(self.pairs.len())
    }

    /// How many it takes at most.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Adds a pair. There must be room.
    pub(super) fn insert(&mut self, pair: Pair) {
        let place = u32::try_from(self.pairs.len() + 1).unwrap_or(0);
        self.mixed |= self.pairs.last().is_some_and(|(last, _)| last.seq > pair.seq);
        let home = self.home(pair.fingerprint);
        if let Some(head) = self.heads.get_mut(home) {
            self.pairs.push((pair, std::mem::replace(head, place)));
        }
    }

    /// The greatest seq below `to` with this fingerprint.
    pub(super) fn find(&self, fingerprint: Fingerprint, to: u64) -> Option<u64> {
        let mut place = self.heads.get(self.home(fingerprint)).copied()?;
        let mut found = None;
        // The newest comes first; only if a pair came late may a greater one come behind.
        while let Some((pair, next)) = (place as usize).checked_sub(1).and_then(|at| self.pairs.get(at)) {
            if pair.fingerprint == fingerprint && pair.seq < to {
                found = found.max(Some(pair.seq));
                if !self.mixed {
                    break;
                }
            }
            place = *next;
        }
        found
    }

    /// All pairs, in their order.
    pub(super) fn sorted(&self) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = self.pairs.iter().map(|(pair, _)| *pair).collect();
        pairs.sort_unstable();
        pairs
    }

    /// Forgets all pairs.
    pub(super) fn clear(&mut self) {
        self.heads.fill(0);
        self.pairs.clear();
        self.mixed = false;
    }

    /// Where the chain of a fingerprint begins: fingerprints are evenly spread, so their first bits say it.
    fn home(&self, fingerprint: Fingerprint) -> usize {
        ((u128::from(fingerprint.get()) * self.heads.len() as u128) >> Fingerprint::BITS) as usize
    }
}
