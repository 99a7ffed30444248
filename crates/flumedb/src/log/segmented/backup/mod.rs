//! Backups: a directory with a log's segments as they were at one moment, and a manifest that says so. `docs/backup.md` is
//! for people, `docs/format-backup.md` has the manifest.
//!
//! Sealed segments never change, so they are shared or copied one by one, and only those that are new. Of the last one
//! as much is copied as is known to be on the disk. Nothing that the present manifest names is written to: what takes its
//! place goes under a temporary name first, and the manifest comes last, so that there is a whole backup at any moment,
//! the old one or the new one.

mod history;
mod manifest;
mod moment;
mod place;
mod restore;
mod run;
mod take;
mod verify;

use std::path::Path;

pub(crate) use self::{
    restore::restore,
    run::{Run, start},
    verify::verify,
};
use crate::{
    Error, ErrorKind, Result, Seq,
    check::Report,
    env::{self, Storage},
    log::Proof,
};

/// How segments get into a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharing {
    /// Without copying where that can be: as a clone of the file (on file systems like Btrfs and XFS), else as a second
    /// name of it (a hard link, on the same file system), else copied. Bytes that are shared rot together.
    #[default]
    Share,
    /// Copied, whatever could be shared.
    Copy,
}

/// What a backup holds now, and how it got there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackedUp {
    /// The newest entry (or tombstone) in it; it has all before it, too.
    pub head: Option<Seq>,
    /// Evidence for that entry, as [`Log::proof`](crate::log::Log::proof) gives it.
    pub proof: Option<Proof>,
    /// Segments in it.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// So many of the segments were there from an earlier run.
    pub kept: u64,
    /// So many are new, and share their bytes as clones.
    pub cloned: u64,
    /// So many are new, and are second names of the log's files.
    pub linked: u64,
    /// So many are new copies, or were copied anew because they have grown.
    pub copied: u64,
    /// Bytes that were copied.
    pub copied_bytes: u64,
    /// Files that were removed because they are in it no more.
    pub removed: u64,
}

/// What a look at every byte of a backup found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// What is in it, and what is wrong with it.
    pub report: Report,
    /// Segments in it.
    pub files: u64,
    /// When it was made, microseconds since 1970.
    pub made_us: i64,
    /// Evidence for the newest entry.
    pub proof: Option<Proof>,
    /// Files that are none of it: what a run that was interrupted has left (the next removes it), or somebody else's.
    pub extra: Vec<String>,
}

/// What was restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The newest entry (or tombstone) in it.
    pub head: Option<Seq>,
    /// Evidence for that entry. The log from which the backup was made is another one from here on.
    pub proof: Option<Proof>,
    /// Segments in it.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Is told how many files are done, of how many.
pub(crate) type OnProgress = Box<dyn FnMut(u64, u64) + Send>;

/// Says no to whoever would write where a backup is, or a restore has not finished.
pub(crate) fn refuse_to_write(storage: &dyn Storage, dir: &Path) -> Result<()> {
    if manifest::is_there(storage, dir)? {
        let message = format!(
            "{} is a backup, and stays as it is: make a database of it with `flume restore`, or open it read-only",
            dir.display()
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    refuse_unfinished(storage, dir)
}

/// Says no to whoever would read what a restore has not finished.
pub(crate) fn refuse_unfinished(storage: &dyn Storage, dir: &Path) -> Result<()> {
    if restore::is_unfinished(storage, dir)? {
        let message = format!("restoring {} was interrupted; run the same `flume restore` again", dir.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

fn is_there(storage: &dyn Storage, path: &Path) -> Result<bool> {
    Ok(storage.kind(path).map_err(|error| Error::io("look at", path, error))?.is_some())
}

/// Removes what an earlier attempt has left under a temporary name.
fn remove_if_there(storage: &dyn Storage, path: &Path) -> Result<()> {
    env::remove_if_there(storage, path).map_err(|error| Error::io("remove", path, error))
}

/// CRC-64/NVME.
fn crc64(bytes: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes)
}
