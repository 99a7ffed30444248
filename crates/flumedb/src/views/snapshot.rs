//! A state and its checkpoint in one file, which is there whole or not at all.
//!
//! Layout: magic, the lengths of the checkpoint and of the state (u64 little-endian), the checkpoint, the state
//! (MessagePack), CRC-64/NVME over all of it (u64 little-endian).

use std::path::PathBuf;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Damage, Error, ErrorKind, Result,
    env::{self, OpenMode},
    view::{Checkpoint, Place},
};

const MAGIC: &[u8; 8] = b"flumred\x01";
const HEADER: usize = 24;

/// Writes both and brings them to the disk.
pub(super) fn save<S: Serialize>(place: &Place, at: &Checkpoint, state: &S) -> Result<()> {
    let state = rmp_serde::to_vec_named(state).map_err(|error| {
        let message = format!("the state of the view cannot be written as MessagePack: {error}; mend its Serialize");
        Error::with_source(ErrorKind::Invalid, message, error)
    })?;
    let checkpoint = at.to_bytes();
    let mut bytes = Vec::with_capacity(HEADER + checkpoint.len() + state.len() + 8);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(checkpoint.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(state.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&checkpoint);
    bytes.extend_from_slice(&state);
    bytes.extend_from_slice(&checksum(CrcAlgorithm::Crc64Nvme, &bytes).to_le_bytes());
    env::replace(&*place.storage, &path(place), &bytes)
        .map_err(|error| Error::io("write the state of a view in", &place.dir, error))
}

/// Reads what was saved last.
pub(super) fn load<S: DeserializeOwned>(place: &Place) -> Result<Option<(Checkpoint, S)>> {
    let path = path(place);
    let failed = |error| Error::io("read the state of a view from", &path, error);
    env::remove_unfinished(&*place.storage, &path).map_err(failed)?;
    if place.storage.kind(&path).map_err(failed)?.is_none() {
        return Ok(None);
    }
    let file = place.storage.open(&path, OpenMode::Read).map_err(failed)?;
    let len = file.len().map_err(failed)?;
    let bytes = file.read(0, usize::try_from(len).unwrap_or(usize::MAX)).map_err(failed)?;
    let Some((checkpoint, state)) = parts(&bytes) else {
        let damage = Damage::new(&path, 0, len, "it is not the state of a view, or its checksum is wrong");
        return Err(Error::corrupt(damage));
    };
    let state = rmp_serde::from_slice(state).map_err(|error| {
        let damage = Damage::new(&path, 0, len, format!("it is not the state of this view: {error}"));
        Error::corrupt(damage)
    })?;
    Ok(Some((Checkpoint::from_bytes(checkpoint)?, state)))
}

/// Checkpoint and state, if the bytes are as they were written.
fn parts(bytes: &Bytes) -> Option<(&[u8], &[u8])> {
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    if sum != checksum(CrcAlgorithm::Crc64Nvme, content).to_le_bytes() {
        return None;
    }
    let rest = content.strip_prefix(MAGIC)?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (second, rest) = rest.split_first_chunk::<8>()?;
    let (checkpoint, state) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*first)).ok()?)?;
    (state.len() as u64 == u64::from_le_bytes(*second)).then_some((checkpoint, state))
}

fn path(place: &Place) -> PathBuf {
    place.dir.join("state")
}
