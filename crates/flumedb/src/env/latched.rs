//! [`Latched`], a storage that stops writing at the first failure.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;

use super::{
    File, Lock, OpenMode, PathKind, Room, Storage, Watch,
    planted::{Bug, planted},
};

/// Wraps a [`Storage`] so that after the first failed write or sync, every later write and sync fails too.
///
/// After a failed sync the page cache is no evidence of what is on the disk: a second sync may succeed and mean nothing.
/// So nobody may try again; what was written must be read anew by a fresh open. Reading goes on. A full disk does not
/// latch on a write: nothing unknown happened, and the caller may try again once there is space.
pub struct Latched<S: ?Sized> {
    failure: Arc<OnceLock<String>>,
    storage: Arc<S>,
}

impl<S: Storage + ?Sized> Latched<S> {
    /// Wraps `storage`.
    pub fn new(storage: Arc<S>) -> Self {
        Self { failure: Arc::default(), storage }
    }

    /// What failed first, if anything has.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }
}

fn refuse(failure: &OnceLock<String>) -> io::Result<()> {
    match failure.get() {
        Some(first) => Err(io::Error::other(format!("an earlier call failed ({first}); reopen"))),
        None => Ok(()),
    }
}

fn latch<T>(failure: &OnceLock<String>, call: &str, result: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &result
        && error.kind() != io::ErrorKind::Interrupted
    {
        // Only the first failure is told; a later one is its consequence.
        let _ = failure.set(format!("{call}: {error}"));
    }
    result
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

fn latch_unless_full<T>(failure: &OnceLock<String>, call: &str, result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if is_full(&error) => Err(error),
        other => latch(failure, call, other),
    }
}

impl<S: Storage + ?Sized> Storage for Latched<S> {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode != OpenMode::Read {
            refuse(&self.failure)?;
        }
        let file = self.storage.open(path, mode)?;
        Ok(Arc::new(LatchedFile { failure: self.failure.clone(), syncing: Mutex::default(), file }))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        refuse(&self.failure)?;
        self.storage.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.storage.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        self.storage.kind(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        refuse(&self.failure)?;
        self.storage.link(from, to)
    }

    fn reflink(&self, from: &Path, to: &Path) -> io::Result<()> {
        refuse(&self.failure)?;
        self.storage.reflink(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        refuse(&self.failure)?;
        latch_unless_full(&self.failure, "rename", self.storage.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        refuse(&self.failure)?;
        self.storage.remove(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        refuse(&self.failure)?;
        self.storage.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        refuse(&self.failure)?;
        latch(&self.failure, "sync of a directory", self.storage.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.storage.lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.storage.is_locked(path)
    }

    fn watch(&self, path: &Path) -> io::Result<Box<dyn Watch>> {
        self.storage.watch(path)
    }

    fn points_to(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        self.storage.points_to(path)
    }

    fn local_path(&self, path: &Path) -> Option<PathBuf> {
        self.storage.local_path(path)
    }

    fn room(&self, dir: &Path) -> io::Result<Option<Room>> {
        self.storage.room(dir)
    }
}

struct LatchedFile {
    failure: Arc<OnceLock<String>>,
    /// The system tells a failed sync to one caller only. Another one must not be told that all is well before the
    /// failure is known here.
    syncing: Mutex<()>,
    file: Arc<dyn File>,
}

impl File for LatchedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        refuse(&self.failure)?;
        latch_unless_full(&self.failure, "change of length", self.file.set_len(len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        refuse(&self.failure)?;
        latch_unless_full(&self.failure, "allocation", self.file.allocate(len))
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.file.read(offset, len)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        refuse(&self.failure)?;
        latch_unless_full(&self.failure, "write", self.file.write(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        refuse(&self.failure)?;
        let synced = self.file.sync();
        let synced = if planted(Bug::RetrySync) { synced.or_else(|_| self.file.sync()) } else { synced };
        latch(&self.failure, "sync", synced)
    }
}
