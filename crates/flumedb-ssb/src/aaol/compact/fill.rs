//! The work of a compaction: blocks are filled one after the other with the records that are left.

use flumedb::{Env, Error, Result};

use super::{
    state::{self, State},
    survivors::{Record, Survivors, read},
    within_reach,
};
use crate::{
    aaol::{Aaol, stats},
    file::Source,
};

/// Fills the blocks from `at` on with what `survivors` has, then cuts the file behind them. `start`: where the compaction
/// began.
///
/// With a state on the disk, the blocks up to the one that it keeps a copy of may be overwritten: whoever goes on from it
/// reads none of them. So a new state is needed only where the next block is past that one.
pub(super) fn fill(
    env: &Env,
    source: &Source,
    layout: Aaol,
    start: u64,
    mut at: u64,
    mut survivors: Survivors<'_>,
) -> Result<()> {
    let size = u64::from(layout.block_size());
    let mut free = None;
    while let Some(next) = survivors.peek()? {
        if free.is_none_or(|free| at > free) {
            // What was filled by now must be there before it is said to be.
            source.sync()?;
            let state = State {
                start: within_reach(source, start)?,
                truncate: None,
                block: within_reach(source, at / size)?,
                unshifted: within_reach(source, next.start)?,
                copy: survivors.block().to_vec(),
            };
            state.save(env, source)?;
            free = Some(layout.block_start(next.start));
        }
        let block = take(layout, at, &mut survivors)?;
        if block != read(layout, source, at)? {
            source.file.write_all(at, &block).map_err(|error| Error::io("write", &source.path, error))?;
        }
        at += size;
    }
    source.sync()?;
    if let Some(last) = (at / size).checked_sub(1) {
        let (start, last) = (within_reach(source, start)?, within_reach(source, last)?);
        let copy = vec![0; size as usize];
        State { start, truncate: Some(last), block: 0, unshifted: 0, copy }.save(env, source)?;
    }
    cut(env, source, at)
}

/// A block of as many records as fit.
pub(super) fn take(layout: Aaol, at: u64, survivors: &mut Survivors<'_>) -> Result<Vec<u8>> {
    let mut block = Vec::with_capacity(layout.block_size() as usize);
    while let Some(record) = survivors.peek()? {
        let Record { bytes, .. } = &record;
        if !layout.fits(at + block.len() as u64, bytes.len() as u64) {
            break;
        }
        block.extend_from_slice(bytes);
        survivors.pass(&record);
    }
    block.resize(layout.block_size() as usize, 0);
    Ok(block)
}

/// Cuts the file behind the last block that stays, and is done.
pub(super) fn cut(env: &Env, source: &Source, len: u64) -> Result<()> {
    if source.len()? > len {
        source.file.set_len(len).map_err(|error| Error::io("cut", &source.path, error))?;
        source.sync()?;
    }
    stats::write(env, &source.path, 0)?;
    if state::exists(env, source)? { state::remove(env, source) } else { Ok(()) }
}
