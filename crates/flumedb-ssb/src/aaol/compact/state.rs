//! [`State`], the file `….compaction` that is there while a compaction is unfinished, as the original writes it. Owns its
//! bytes, and that at every moment an old or a new one is whole on the disk.

use std::path::PathBuf;

use flumedb::{
    Damage, Error, Result,
    env::{Env, OpenMode},
};

use crate::{
    aaol::{Aaol, detect, layout::is_zero, stats::replace},
    file::{Source, keep},
};

/// How far a compaction has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Where it began: the start of a block.
    pub(super) start: u32,
    /// The last block that stays, once every record is at its place.
    pub(super) truncate: Option<u32>,
    /// The block that is being filled. Those before it are done.
    pub(super) block: u32,
    /// The first record that has not been moved.
    pub(super) unshifted: u32,
    /// The block that holds it, as it was before anything was moved there.
    pub(super) copy: Vec<u8>,
}

const VERSION: u32 = 1;
const HEAD: usize = 20;
const UNKNOWN: u32 = u32::MAX;

impl State {
    /// The bytes of the file: five little-endian numbers and the block.
    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = [VERSION, self.start, self.truncate.unwrap_or(UNKNOWN), self.block, self.unshifted];
        let mut bytes: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend_from_slice(&self.copy);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, copy) = bytes.split_at_checked(HEAD)?;
        let mut numbers = head
            .chunks_exact(4)
            .map(|number| number.iter().rev().fold(0_u32, |number, &byte| number << 8 | u32::from(byte)));
        let mut next = || numbers.next();
        if next()? != VERSION {
            return None;
        }
        let (start, truncate, block, unshifted) = (next()?, next()?, next()?, next()?);
        let truncate = Some(truncate).filter(|&truncate| truncate != UNKNOWN);
        Some(Self { start, truncate, block, unshifted, copy: copy.to_vec() })
    }

    /// How the log lies that this is of.
    pub(super) fn layout(&self) -> Result<Aaol> {
        Aaol::new(u32::try_from(self.copy.len()).unwrap_or(u32::MAX))
    }

    /// Puts it on the disk.
    pub(super) fn save(&self, env: &Env, source: &Source) -> Result<()> {
        replace(env, &keep::beside(&source.path, ENDING), &self.encode())
    }
}

const ENDING: &str = "compaction";

/// What is beside a log.
pub(super) enum Beside {
    Nothing,
    /// Too little to be a state: its writer was stopped before it had changed anything else.
    Stub,
    State(State),
}

/// Looks for the state of a compaction beside the log.
///
/// # Errors
/// `Io`; `Corrupt` if it is none.
pub(super) fn load(env: &Env, source: &Source) -> Result<Beside> {
    let path = keep::beside(&source.path, ENDING);
    if env.storage.kind(&path).map_err(|error| Error::io("look for", &path, error))?.is_none() {
        return Ok(Beside::Nothing);
    }
    let file = Source::open(env, path, OpenMode::Read)?;
    let len = file.len()?;
    let damaged = |why: &str| Error::corrupt(Damage::new(&file.path, 0, len, why));
    if len < HEAD as u64 {
        return Ok(Beside::Stub);
    }
    if len > HEAD as u64 + u64::from(Aaol::MOST) {
        return Err(damaged("it is longer than the state of a compaction can be"));
    }
    let bytes = file.exact(0, len as usize)?;
    // The original does not sync its name and its bytes together; until it has, it changes nothing else.
    let told = detect::detect(source, source.len()?, None)?;
    let short =
        told.chain.count() > 0 && told.certain.is_ok() && len < HEAD as u64 + u64::from(told.layout.block_size());
    if short || is_zero(&bytes) {
        return Ok(Beside::Stub);
    }
    match State::decode(&bytes) {
        Some(state) => Ok(Beside::State(state)),
        None => Err(damaged("it is no state of a compaction that is known here")),
    }
}

/// Whether there is one.
pub(super) fn exists(env: &Env, source: &Source) -> Result<bool> {
    let path = keep::beside(&source.path, ENDING);
    Ok(env.storage.kind(&path).map_err(|error| Error::io("look for", &path, error))?.is_some())
}

/// Removes it.
pub(super) fn remove(env: &Env, source: &Source) -> Result<()> {
    let path = keep::beside(&source.path, ENDING);
    env.storage.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
    keep::sync_dir(env, &path)
}

/// Takes it out of the way, keeping its bytes. Answers where.
pub(super) fn set_aside(env: &Env, source: &Source) -> Result<PathBuf> {
    let file = Source::open(env, keep::beside(&source.path, ENDING), OpenMode::Read)?;
    let kept = keep::keep(env, &file, 0, file.len()?, "damaged")?;
    remove(env, source)?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of docs/format-aaol.md, as the JavaScript library writes them.
    #[test]
    fn a_state_is_laid_out_as_documented() {
        let copy = b"\x05\0hello\x06\0\0\0\0\0\0\0\x0a\0abcdefghij\0\0\0\0\0".to_vec();
        let state = State { start: 0, truncate: None, block: 0, unshifted: 0, copy };
        let hex: String = state.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        let told = "01000000 00000000 ffffffff 00000000 00000000 050068656c6c6f 0600000000000000 0a006162636465666768696a 0000000000";
        assert_eq!(hex, told.replace(' ', ""));
        assert_eq!(State::decode(&state.encode()), Some(state));
        assert_eq!(State::decode(&[2; 40]), None);
    }
}
