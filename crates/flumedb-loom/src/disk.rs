//! [`Disk`], files in memory that count what is on the disk, and fail a sync when told to.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use flumedb::env::{File, Lock, MemoryStorage, OpenMode, PathKind, Storage, Watch};

/// Files in memory. Its own state is none of loom's: it is looked at between the steps only.
pub struct Disk {
    files: MemoryStorage,
    syncs: Arc<Syncs>,
}

#[derive(Default)]
struct Syncs {
    done: AtomicUsize,
    broken: AtomicBool,
}

impl Disk {
    /// A disk that works.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { files: MemoryStorage::new(), syncs: Arc::default() })
    }

    /// From here on every sync of a file fails.
    pub fn break_down(&self) {
        self.syncs.broken.store(true, Ordering::SeqCst);
    }

    /// How many syncs of files have gone well.
    pub fn syncs(&self) -> usize {
        self.syncs.done.load(Ordering::SeqCst)
    }
}

impl Storage for Disk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(DiskFile { file: self.files.open(path, mode)?, syncs: self.syncs.clone() }))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.files.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.files.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        self.files.kind(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.files.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.files.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.files.lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.files.is_locked(path)
    }

    fn watch(&self, path: &Path) -> io::Result<Box<dyn Watch>> {
        self.files.watch(path)
    }
}

struct DiskFile {
    file: Arc<dyn File>,
    syncs: Arc<Syncs>,
}

impl File for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.file.read(offset, len)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if self.syncs.broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is broken"));
        }
        self.syncs.done.fetch_add(1, Ordering::SeqCst);
        self.file.sync()
    }
}
