//! [`Journal`], what has been added since the newest run, record by record, so that a publish costs what it adds.
//!
//! A record: its length (u32 little-endian, what follows the checksum), its CRC-32C (u32 little-endian), its kind (a byte), the
//! length of the checkpoint (u32 little-endian), the checkpoint, pairs. What is read is what stands before the first record
//! that is not whole. Kinds: 0 pairs only, 1 pairs and a checkpoint, 2 the end: the next journal follows.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Pair, crc32c};
use crate::{
    Error, Result,
    env::{File, OpenMode, Storage},
    view::Checkpoint,
};

/// A journal that is written.
pub(super) struct Journal {
    path: PathBuf,
    file: Arc<dyn File>,
    end: u64,
}

/// What a journal holds.
#[derive(Default)]
pub(super) struct Replayed {
    pub(super) pairs: Vec<Pair>,
    pub(super) checkpoint: Option<Checkpoint>,
    /// Whether the next journal follows.
    pub(super) ended: bool,
    /// Bytes of whole records.
    pub(super) bytes: u64,
}

const HEAD: usize = 8;

impl Journal {
    pub(super) fn create(storage: &dyn Storage, path: PathBuf) -> Result<Self> {
        let file = storage.open(&path, OpenMode::CreateNew).map_err(|error| Error::io("create", &path, error))?;
        Ok(Self { path, file, end: 0 })
    }

    /// Adds a record.
    pub(super) fn push(&mut self, pairs: &[Pair], at: Option<&Checkpoint>) -> Result<()> {
        self.record(u8::from(at.is_some()), pairs, &at.map(Checkpoint::to_bytes).unwrap_or_default())
    }

    /// Says that the next journal follows.
    pub(super) fn end(&mut self) -> Result<()> {
        self.record(2, &[], &[])
    }

    /// Bytes that have been written.
    pub(super) fn len(&self) -> u64 {
        self.end
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))
    }

    fn record(&mut self, kind: u8, pairs: &[Pair], checkpoint: &[u8]) -> Result<()> {
        let too_large = |_| Error::new(crate::ErrorKind::Invalid, "too many keys in one publish of a hash index");
        let mut bytes = vec![0; HEAD];
        bytes.push(kind);
        bytes.extend_from_slice(&u32::try_from(checkpoint.len()).map_err(too_large)?.to_le_bytes());
        bytes.extend_from_slice(checkpoint);
        pairs.iter().for_each(|pair| bytes.extend_from_slice(&pair.to_bytes()));
        let len = u32::try_from(bytes.len() - HEAD).map_err(too_large)?;
        let sum = crc32c(bytes.get(HEAD..).unwrap_or_default());
        for (byte, value) in bytes.iter_mut().zip(len.to_le_bytes().into_iter().chain(sum)) {
            *byte = value;
        }
        self.file.write_all(self.end, &bytes).map_err(|error| Error::io("write", &self.path, error))?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// Reads the journal at `path`, if there is one.
pub(super) fn replay(storage: &dyn Storage, path: &Path) -> Result<Option<Replayed>> {
    let failed = |error| Error::io("read", path, error);
    if storage.kind(path).map_err(failed)?.is_none() {
        return Ok(None);
    }
    let file = storage.open(path, OpenMode::Read).map_err(failed)?;
    let len = file.len().map_err(failed)?;
    let bytes = file.read(0, usize::try_from(len).unwrap_or(usize::MAX)).map_err(failed)?;
    let (mut replayed, mut rest) = (Replayed::default(), &*bytes);
    while let Some((kind, checkpoint, pairs, behind)) = record(rest) {
        rest = behind;
        replayed.bytes = (bytes.len() - rest.len()) as u64;
        // What no checkpoint covers does no harm: the same pairs come again.
        replayed.pairs.extend(pairs.iter().map(|pair| Pair::from_bytes(*pair)));
        match kind {
            0 => {}
            1 => replayed.checkpoint = Some(Checkpoint::from_bytes(checkpoint)?),
            _ => replayed.ended = true,
        }
    }
    Ok(Some(replayed))
}

/// The first record: kind, checkpoint, pairs, and what is behind it.
fn record(bytes: &[u8]) -> Option<(u8, &[u8], &[[u8; Pair::BYTES]], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (content, behind) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    if *sum != crc32c(content) {
        return None;
    }
    let (kind, content) = content.split_first()?;
    let (len, content) = content.split_first_chunk::<4>()?;
    let (checkpoint, pairs) = content.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((*kind, checkpoint, pairs.as_chunks().0, behind))
}
