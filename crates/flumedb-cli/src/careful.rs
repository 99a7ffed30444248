//! [`Careful`], storage for opening a database only to use its views: it refuses what would cut a torn log. It never looks
//! at bytes; opening keeps what it is about to cut in a directory of the log first, and that is where it is stopped. A store
//! that is being checked cannot be thrown away either.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flumedb::{
    Env, Error, ErrorKind,
    env::{File, Lock, OpenMode, PathKind, Room, Storage, Watch},
};

/// The machine's storage, but the log in one directory cannot be cut.
pub(crate) struct Careful {
    storage: Arc<dyn Storage>,
    log: PathBuf,
    refused: AtomicBool,
    /// The stores that are being checked.
    stores: Vec<PathBuf>,
    wanted: AtomicBool,
}

impl Careful {
    pub(crate) fn new(log: &Path) -> Arc<Self> {
        Self::checking(log, Vec::new())
    }

    /// The same, and these stores of views cannot be thrown away.
    pub(crate) fn checking(log: &Path, stores: Vec<PathBuf>) -> Arc<Self> {
        let (refused, wanted) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { storage: Env::os().storage, log: log.to_owned(), refused, stores, wanted })
    }

    /// Whether one of the stores was to be thrown away.
    pub(crate) fn was_to_go(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Whether something was refused, so that the log is torn.
    pub(crate) fn refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    fn refuse<T>(&self) -> io::Result<T> {
        self.refused.store(true, Ordering::Release);
        Err(io::Error::other("the log is torn, and only `flume repair` cuts it"))
    }
}

impl Storage for Careful {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.storage.open(path, mode)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir == self.log.join("torn") { self.refuse() } else { self.storage.create_dir_all(dir) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.storage.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        self.storage.kind(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.storage.link(from, to)
    }

    fn reflink(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.storage.reflink(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.storage.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        // A segment that was half made goes as a whole.
        let segment = path.parent() == Some(&self.log) && path.extension().is_some_and(|ending| ending == "seg");
        if segment { self.refuse() } else { self.storage.remove(path) }
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        if self.stores.iter().any(|store| store == dir) {
            self.wanted.store(true, Ordering::Release);
            // Of a kind that a view does not try again.
            return Err(io::Error::other(Error::new(ErrorKind::Corrupt, "the store is only looked at")));
        }
        self.storage.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.storage.sync_dir(dir)
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
