//! `….stats`, the file beside the log that says how many bytes of it are deleted. Its writer trusts the log, not the file:
//! a count that got lost is right again with the next deletion.

use std::path::{Path, PathBuf};

use flumedb::{
    Error, Result,
    env::{Env, OpenMode},
};

use super::Aaol;
use crate::file::{One, keep};

/// What a log takes on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AaolStats {
    /// Bytes up to the end of the last record.
    pub total_bytes: u64,
    /// Bytes of deleted records, their lengths included.
    pub deleted_bytes: u64,
}

/// What the records of `log` say.
pub(super) fn of(log: &One<Aaol>) -> AaolStats {
    AaolStats { total_bytes: log.end(), deleted_bytes: log.deleted_bytes() }
}

/// Writes the file beside the log at `path`, so that at every moment an old or the new one is whole.
pub(super) fn write(env: &Env, path: &Path, deleted: u64) -> Result<()> {
    replace(env, &keep::beside(path, "stats"), format!("{{\"deletedBytes\":{deleted}}}").as_bytes())
}

/// Puts a file with this content in the place of the one at `path`.
pub(super) fn replace(env: &Env, path: &Path, content: &[u8]) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push("~");
    let new = PathBuf::from(new);
    if env.storage.kind(&new).map_err(|error| Error::io("look for", &new, error))?.is_some() {
        // What a writer left that was stopped.
        env.storage.remove(&new).map_err(|error| Error::io("remove", &new, error))?;
    }
    let failed = |error| Error::io("write", &new, error);
    let file = env.storage.open(&new, OpenMode::CreateNew).map_err(failed)?;
    file.write_all(0, content).and_then(|()| file.sync()).map_err(failed)?;
    env.storage.rename(&new, path).map_err(|error| Error::io("rename to", path, error))?;
    keep::sync_dir(env, path)
}
