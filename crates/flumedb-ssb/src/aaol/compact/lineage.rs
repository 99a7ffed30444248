//! `….compacted`, a file of ours beside a log: random bytes, new with each compaction. They are part of the log's identity,
//! because after a compaction other entries are where a view has seen its own, and the bytes there may be the same.

use flumedb::{
    Error, ErrorKind, Result,
    env::{Env, OpenMode},
};

use crate::{
    aaol::stats::replace,
    file::{Source, keep},
};

const ENDING: &str = "compacted";
const BYTES: usize = 8;

/// What the file says; nothing if ours has never compacted this log.
pub(in crate::aaol) fn lineage(env: &Env, source: &Source) -> Result<Vec<u8>> {
    let path = keep::beside(&source.path, ENDING);
    if env.storage.kind(&path).map_err(|error| Error::io("look for", &path, error))?.is_none() {
        return Ok(Vec::new());
    }
    Ok(Source::open(env, path, OpenMode::Read)?.up_to(0, BYTES)?.to_vec())
}

/// Makes it another log, before anything moves.
pub(super) fn renew(env: &Env, source: &Source) -> Result<()> {
    let mut random = [0; BYTES];
    env.random
        .fill(&mut random)
        .map_err(|error| Error::with_source(ErrorKind::Io, format!("cannot get random bytes: {error}"), error))?;
    replace(env, &keep::beside(&source.path, ENDING), &random)
}
