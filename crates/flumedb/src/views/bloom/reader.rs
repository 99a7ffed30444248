//! [`BloomReader`], what a filter says.

use std::marker::PhantomData;

use siphasher::sip::SipHasher13;

use super::stage::{self, Stage, Stages};
use crate::{
    Seq,
    views::index::{AsKey, Key},
};

/// What a [`Bloom`](super::Bloom) said of the entries up to a moment. Cheap to clone. It may say "perhaps" of keys that came
/// later, and never "no" of one that it covers.
pub struct BloomReader<K> {
    stages: Stages,
    hasher: SipHasher13,
    since: Option<Seq>,
    count: u64,
    marker: PhantomData<fn() -> K>,
}

impl<K> Clone for BloomReader<K> {
    fn clone(&self) -> Self {
        Self { stages: self.stages.clone(), marker: PhantomData, ..*self }
    }
}

impl<K: Key> BloomReader<K> {
    pub(super) fn new(stages: Stages, hasher: SipHasher13, since: Option<Seq>) -> Self {
        Self { count: stages.count(), stages, hasher, since, marker: PhantomData }
    }

    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }

    /// `false`: no entry has this key. `true`: perhaps one has.
    pub fn may_contain<Q: AsKey<K> + ?Sized>(&self, key: &Q) -> bool {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        self.stages.contains(stage::hash(&self.hasher, &bytes))
    }

    /// About how many different keys are in, those of deleted entries as well: never too many, and too few by the part that was
    /// taken for others.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many bits it has.
    pub fn bits(&self) -> u64 {
        self.stages.iter().map(Stage::bits).sum()
    }

    /// How many filters it has grown to.
    pub fn stages(&self) -> usize {
        self.stages.iter().len()
    }

    /// How likely it is that it says "perhaps" of a key that is not in, as full as it is now.
    pub fn probability(&self) -> f64 {
        1.0 - self.stages.iter().map(|stage| 1.0 - stage.probability()).product::<f64>()
    }
}
