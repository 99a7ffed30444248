//! [`Bloom`], a view that says of a key that no entry has it, or that perhaps one has: in a few bits a key, without a look at
//! the log.

mod reader;
mod stage;
mod store;

use std::sync::Arc;

use siphasher::sip::SipHasher13;

pub use reader::BloomReader;

use self::{
    stage::{Stage, Stages},
    store::Kept,
};
use super::{hash_index::keyed_hasher, index::Key};
use crate::{
    Error, ErrorKind, Result, Seq,
    view::{Checkpoint, Definition, Retraction, Run, View, ViewContext},
};

/// A view that tells keys that no entry has from keys that perhaps one has.
///
/// "No" is always right. "Perhaps" is wrong for at most the part of the other keys that was asked for, however many keys come:
/// when as many are in as were expected, another stage is added for twice as many, with half the probability. A key takes
/// about 1.44 × log2(1 / probability) bits in memory, 14 at 0.001, and a few more in later stages; on the disk the same, and the
/// newest keys besides, 8 bytes each, until those are more than the stage they are in.
///
/// # Deletions
/// A bit that is set may stand for many keys, so nothing is taken out: the keys of a deleted entry go on giving "perhaps". When
/// more than half as many were deleted as are in (or as were expected, if that is more), the view is built anew. So after
/// deletions everything that a filter built anew would need to contain is contained, and the part of wrong answers among keys
/// that never were in stays within its bound.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::Utf8, views::Bloom};
/// let db = Flume::memory(Utf8)?;
/// let seen = db.view("seen", Bloom::new(1, |line: &String| [line.clone()]).items(1000).probability(0.0001)).await?;
/// db.append_all(["tide", "moon"]).await?;
///
/// let reader = seen.read().await?;
/// assert!(reader.may_contain("tide"));
/// assert!(!reader.may_contain("sun"));
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct Bloom<T, K> {
    version: u32,
    items: u64,
    probability: f64,
    keys: KeysOf<T>,
    open: Option<Open>,
    marker: std::marker::PhantomData<fn() -> K>,
}

/// Shows each key of an item, as the bytes that stand for it.
type KeysOf<T> = Arc<dyn Fn(&T, &mut dyn FnMut(&[u8])) + Send + Sync>;

struct Open {
    kept: Kept,
    stages: Stages,
    hasher: SipHasher13,
    /// Hashes of keys that the store does not have yet.
    unwritten: Vec<u64>,
    /// Keys of deleted entries that are still in.
    retracted: u64,
}

impl<T: Send + Sync + 'static, K: Key> Bloom<T, K> {
    /// How many keys are expected, unless [`items`](Bloom::items) says otherwise.
    pub const ITEMS: u64 = 100_000;
    /// The part of wrong answers, unless [`probability`](Bloom::probability) says otherwise.
    pub const PROBABILITY: f64 = 0.001;

    /// A filter of the keys that `keys` gives for an item: an `Option`, an array, a `Vec` or anything else to iterate over.
    /// Raise `version` when `keys` changes, and it is built anew.
    pub fn new<I: IntoIterator<Item = K>>(version: u32, keys: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
        let keys = move |item: &T, show: &mut dyn FnMut(&[u8])| {
            let mut bytes = Vec::new();
            for key in keys(item) {
                bytes.clear();
                key.encode(&mut bytes);
                show(&bytes);
            }
        };
        Self {
            version,
            items: Self::ITEMS,
            probability: Self::PROBABILITY,
            keys: Arc::new(keys),
            open: None,
            marker: std::marker::PhantomData,
        }
    }

    /// Sets how many different keys are expected. Room for as many is taken at once; more are fine, at a few bits more each.
    #[must_use]
    pub fn items(mut self, items: u64) -> Self {
        self.items = items;
        self
    }

    /// Sets for which part of the keys that are not in the answer may be "perhaps", however many are in: between 0 and 1, both
    /// apart.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    fn opened(&mut self) -> Result<&mut Open> {
        self.open
            .as_mut()
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "the Bloom filter is not open; call `open` first"))
    }

    fn check_settings(&self) -> Result<()> {
        let bits = self.items as f64 * -self.probability.log2() * 1.45;
        if self.items > 0 && self.probability > 0.0 && self.probability < 1.0 && bits < MAX_BITS {
            return Ok(());
        }
        let message = format!(
            "a Bloom filter for {} keys at a probability of {}: give at least one key, a probability between 0 and 1, and what \
             fits into {} GiB at first",
            self.items,
            self.probability,
            MAX_BITS / 8.0 / GIB
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

const GIB: f64 = (1_u64 << 30) as f64;
/// The most that is taken at once before there is a key.
const MAX_BITS: f64 = 4.0 * GIB * 8.0;

impl Open {
    fn add(&mut self, key: &[u8], items: u64, probability: f64) {
        let hash = stage::hash(&self.hasher, key);
        if self.stages.add(hash, items, probability) {
            self.unwritten.push(hash);
        }
    }
}

impl<T: Send + Sync + 'static, K: Key> View for Bloom<T, K> {
    type Item = T;
    type Reader = BloomReader<K>;

    fn definition(&self) -> Definition {
        let (items, probability) = (self.items, self.probability);
        let detail = format!("{}, {items} items, probability {probability}, {}", K::form(), stage::positions());
        Definition::new("bloom", self.version, detail)
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        // Two stores must not have one file open.
        self.open = None;
        self.check_settings()?;
        let hasher = keyed_hasher(&cx.entries.log().identity());
        let mut kept = Kept::open(cx.place.as_ref())?;
        let checkpoint = kept.checkpoint()?;
        let (mut stages, recent, retracted) =
            if checkpoint.is_some() { kept.load()? } else { (Stages::default(), Vec::new(), 0) };
        for hash in recent {
            stages.add(hash, self.items, self.probability);
        }
        self.open = Some(Open { kept, stages, hasher, unwritten: Vec::new(), retracted });
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        let (keys, items, probability) = (self.keys.clone(), self.items, self.probability);
        let open = self.opened()?;
        for entry in run.iter() {
            keys(&entry.value, &mut |key| open.add(key, items, probability));
        }
        Ok(())
    }

    fn retract(&mut self, _seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let (keys, items) = (self.keys.clone(), self.items);
        let open = self.opened()?;
        match item {
            Some(item) => keys(item, &mut |_| open.retracted += 1),
            None => open.retracted += 1,
        }
        let many = open.stages.count().max(items) / 2;
        Ok(if open.retracted > many { Retraction::Rebuild } else { Retraction::Done })
    }

    fn reprocess(&mut self, _seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let (keys, items, probability) = (self.keys.clone(), self.items, self.probability);
        let open = self.opened()?;
        if let Some(item) = item {
            keys(item, &mut |key| open.add(key, items, probability));
        }
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<BloomReader<K>> {
        let Open { kept, stages, hasher, unwritten, retracted } = self.opened()?;
        kept.publish(at, stages, unwritten, *retracted)?;
        unwritten.clear();
        Ok(BloomReader::new(stages.clone(), *hasher, at.since()))
    }

    fn sync(&mut self) -> Result<()> {
        self.opened()?.kept.sync()
    }
}
