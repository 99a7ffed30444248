//! [`Recent`], the newest pairs, in a table of fixed size: it never grows, so nothing waits for it to be built anew.

use super::{Fingerprint, Pair};

/// The newest pairs.
pub(super) struct Recent {
    /// By fingerprint, each at its place or behind those in its way; at least half of them are free.
    slots: Box<[Option<Pair>]>,
    len: usize,
    most: usize,
}

impl Recent {
    /// An empty table of up to `most` pairs.
    pub(super) fn new(most: usize) -> Self {
        Self { slots: vec![None; most.max(1).saturating_mul(2)].into(), len: 0, most: most.max(1) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= self.most
    }

    /// Adds a pair. It must not be full.
    pub(super) fn insert(&mut self, pair: Pair) {
        let free = self.places(pair.fingerprint).find(|&at| self.slots.get(at).is_some_and(Option::is_none));
        if let Some(slot) = free.and_then(|at| self.slots.get_mut(at)) {
            *slot = Some(pair);
            self.len += 1;
        }
    }

    /// The greatest seq below `to` with this fingerprint.
    pub(super) fn find(&self, fingerprint: Fingerprint, to: u64) -> Option<u64> {
        let taken = self.places(fingerprint).map_while(|at| self.slots.get(at).copied().flatten());
        taken.filter(|pair| pair.fingerprint == fingerprint && pair.seq < to).map(|pair| pair.seq).max()
    }

    /// All pairs, in their order; it is empty then.
    pub(super) fn drain(&mut self) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = self.slots.iter_mut().filter_map(Option::take).collect();
        pairs.sort_unstable();
        self.len = 0;
        pairs
    }

    /// Where a fingerprint may be, the likeliest place first.
    fn places(&self, fingerprint: Fingerprint) -> impl Iterator<Item = usize> + use<> {
        let slots = self.slots.len();
        let home = (fingerprint.get() % slots as u64) as usize;
        (home..slots).chain(0..home)
    }
}
