//! What a writer takes before it touches the file: the lock beside it, and a copy of whatever is about to be cut.

use std::path::{Path, PathBuf};

use flumedb::{
    Error, ErrorKind, Result,
    env::{Env, Lock, OpenMode},
};

use super::source::{Source, follow};

/// Takes the lock that stands for writing to the file at `path`.
pub(crate) fn lock(env: &Env, path: &Path) -> Result<Box<dyn Lock>> {
    // Of the file itself, or two programs could write to it by two names.
    let beside = beside(&follow(env, path.to_owned())?, "lock");
    match env.storage.lock(&beside) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => {
            let message = format!("another program writes to {}; close it, or open for reading only", path.display());
            Err(Error::new(ErrorKind::Locked, message))
        }
        Err(error) => Err(Error::io("lock", &beside, error)),
    }
}

/// Copies `bytes` bytes from `offset` into a new file beside the log and syncs it. Answers where.
pub(crate) fn keep(env: &Env, source: &Source, offset: u64, bytes: u64, why: &str) -> Result<PathBuf> {
    keep_all(env, source, &[(offset, bytes)], why)
}

/// Copies stretches of the file, each an offset and a length, one behind the other into a new file beside the log and
/// syncs it. Answers where.
pub(crate) fn keep_all(env: &Env, source: &Source, stretches: &[(u64, u64)], why: &str) -> Result<PathBuf> {
    const PIECE: u64 = 1 << 20;
    let mut taken = 0;
    let path = loop {
        let name = if taken == 0 { why.to_owned() } else { format!("{why}.{taken}") };
        let path = beside(&source.path, &name);
        if env.storage.kind(&path).map_err(|error| Error::io("look for", &path, error))?.is_none() {
            break path;
        }
        taken += 1;
    };
    let failed = |error| Error::io("write", &path, error);
    let copy = env.storage.open(&path, OpenMode::CreateNew).map_err(failed)?;
    let mut end = 0;
    for &(offset, bytes) in stretches {
        let mut done = 0;
        while done < bytes {
            let piece = source.exact(offset + done, PIECE.min(bytes - done) as usize)?;
            copy.write_all(end, &piece).map_err(failed)?;
            done += piece.len() as u64;
            end += piece.len() as u64;
        }
    }
    copy.sync().map_err(failed)?;
    sync_dir(env, &path)?;
    Ok(path)
}

/// Makes the name of a new file durable.
pub(crate) fn sync_dir(env: &Env, path: &Path) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    env.storage.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))
}

pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
