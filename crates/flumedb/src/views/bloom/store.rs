//! [`Kept`], a filter on the disk, in the store that views share: blocks of bits of each stage, and the hashes that came since
//! those were written. A publish adds its hashes; when they take more room than the stage that they are in, or that is full,
//! its blocks are written and the hashes go. So each bit of a filter is written a few times, however often it is published.

use redb::{ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::{Stage, Stages};
use crate::{
    Damage, Error, Result,
    view::{Checkpoint, Place},
    views::store::Store,
};

/// (stage, block) to its words, little-endian.
const BITS: TableDefinition<(u32, u32), &[u8]> = TableDefinition::new("bits");
/// Hashes in the order in which they came, 8 bytes each, little-endian.
const RECENT: TableDefinition<u64, &[u8]> = TableDefinition::new("recent");
const HEAD: TableDefinition<(), &[u8]> = TableDefinition::new("head");

/// Words of a block.
const BLOCK: usize = 2048;
/// Bytes of the store that are kept in memory: it is read once.
const CACHE_BYTES: usize = 1 << 20;

/// What is kept beside the bits.
#[derive(Default, Serialize, Deserialize)]
struct Head {
    stages: Vec<StageHead>,
    retracted: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct StageHead {
    words: u64,
    hashes: u32,
    capacity: u64,
    /// Keys whose bits are in the blocks.
    added: u64,
}

/// A filter on the disk, or nothing if it is to be in memory only.
pub(super) struct Kept {
    store: Option<Store>,
    /// As the store has it.
    head: Head,
    /// Hashes that the store has.
    recent: u64,
}

impl Kept {
    pub(super) fn open(place: Option<&Place>) -> Result<Self> {
        let store = place.map(|place| Store::open(Some(place), CACHE_BYTES)).transpose()?;
        Ok(Self { store, head: Head::default(), recent: 0 })
    }

    pub(super) fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        self.store.as_ref().map_or(Ok(None), Store::checkpoint)
    }

    /// The stages, the hashes that came since, and how many keys were deleted.
    pub(super) fn load(&mut self) -> Result<(Stages, Vec<u64>, u64)> {
        let Some(store) = &self.store else { return Ok((Stages::default(), Vec::new(), 0)) };
        let damaged = |what: &str| Error::corrupt(Damage::new(store.path(), 0, 0, what));
        let failed = |error: redb::Error| store.failed(error);
        let transaction = store.read()?;
        let head = transaction.open_table(HEAD).map_err(|error| failed(error.into()))?;
        let head = head.get(()).map_err(|error| failed(error.into()))?;
        let head = head.and_then(|head| rmp_serde::from_slice::<Head>(head.value()).ok());
        let head = head.ok_or_else(|| damaged("a filter without its head"))?;
        let blocks = transaction.open_table(BITS).map_err(|error| failed(error.into()))?;
        let mut stages = Vec::new();
        for (stage, number) in head.stages.iter().zip(0_u32..) {
            let mut words = Vec::new();
            for block in blocks.range((number, 0)..=(number, u32::MAX)).map_err(|error| failed(error.into()))? {
                let (_, block) = block.map_err(|error| failed(error.into()))?;
                words.extend(hashes(block.value()));
            }
            if words.len() as u64 != stage.words || words.is_empty() {
                return Err(damaged("a filter with too few or too many bits"));
            }
            stages.push(Stage::kept(words, stage.hashes, stage.capacity, stage.added));
        }
        let recent_hashes = transaction.open_table(RECENT).map_err(|error| failed(error.into()))?;
        let mut recent = Vec::new();
        for some in recent_hashes.iter().map_err(|error| failed(error.into()))? {
            let (_, some) = some.map_err(|error| failed(error.into()))?;
            recent.extend(hashes(some.value()));
        }
        (self.recent, self.head) = (recent.len() as u64, head);
        let retracted = self.head.retracted;
        Ok((Stages::new(stages), recent, retracted))
    }

    /// Writes what is new, with the checkpoint that covers it.
    pub(super) fn publish(
        &mut self,
        at: &Checkpoint,
        stages: &Stages,
        unwritten: &[u64],
        retracted: u64,
    ) -> Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let written = |number: usize| self.head.stages.get(number).map_or(0, |stage| stage.added);
        let changed = || stages.iter().enumerate().filter(|(number, stage)| stage.added() > written(*number));
        let recent = self.recent + unwritten.len() as u64;
        let fold = recent * 8 > changed().map(|(_, stage)| stage.bits() / 8).sum();
        let kept = if fold { stages.iter().map(StageHead::of).collect() } else { self.head.stages.clone() };
        let head = Head { stages: kept, retracted };
        let bytes = rmp_serde::to_vec(&head).unwrap_or_default();
        store.commit(at, |transaction| {
            transaction.open_table(HEAD)?.insert((), bytes.as_slice())?;
            let mut recent_hashes = transaction.open_table(RECENT)?;
            let mut blocks = transaction.open_table(BITS)?;
            if !fold {
                if !unwritten.is_empty() {
                    let bytes: Vec<u8> = unwritten.iter().copied().flat_map(u64::to_le_bytes).collect();
                    recent_hashes.insert(self.recent, bytes.as_slice())?;
                }
                return Ok(());
            }
            recent_hashes.retain(|_, _| false)?;
            let mut block = Vec::with_capacity(BLOCK * 8);
            for (number, stage) in changed() {
                let (mut words, mut at) = (stage.words().peekable(), 0);
                while words.peek().is_some() {
                    block.clear();
                    block.extend(words.by_ref().take(BLOCK).flat_map(u64::to_le_bytes));
                    blocks.insert((number as u32, at), block.as_slice())?;
                    at += 1;
                }
            }
            Ok(())
        })?;
        (self.head, self.recent) = (head, if fold { 0 } else { recent });
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        self.store.as_mut().map_or(Ok(()), Store::sync)
    }
}

impl StageHead {
    fn of(stage: &Stage) -> Self {
        let words = stage.bits() / 64;
        Self { words, hashes: stage.hashes(), capacity: stage.capacity(), added: stage.added() }
    }
}

fn hashes(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|hash| u64::from_le_bytes(*hash))
}
