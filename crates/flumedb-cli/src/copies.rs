//! [`Copies`], where a check of stored views works: on copies of their stores, since whoever opens a store writes to it, and
//! throws it away if it is damaged.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use flumedb::{
    Env, Error, ErrorKind,
    env::{Lock, OpenMode, PathKind, Storage},
    view::StoredView,
};

use crate::exit::Failure;

/// Its name in the directory of the views; none of theirs.
const DIR: &str = "check";
/// In the directory of the views: what is in it is encrypted.
const MARK: &str = "encrypted";
/// So much is copied at once.
const PIECE: usize = 1 << 20;

/// A directory for copies of stores. It is gone with this; what a killed check has left goes with the next.
pub(crate) struct Copies {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    /// So that nobody writes to the stores meanwhile.
    _lock: Box<dyn Lock>,
}

impl Copies {
    /// An empty one in the directory of views `views`, which must be there.
    pub(crate) fn begin(views: &Path) -> Result<Self, Failure> {
        let storage = Env::os().storage;
        unlinked(&*storage, views).map_err(|error| Error::io("use", views, error))?;
        let lock = views.join("lock");
        let lock = storage.lock(&lock).map_err(|error| Error::io("lock", &lock, error))?.ok_or_else(|| {
            let message = format!("the views in {} are in use; wait until that program has ended", views.display());
            Error::new(ErrorKind::Locked, message)
        })?;
        let copies = Self { storage, dir: views.join(DIR), _lock: lock };
        let anew = copies.clear().and_then(|()| copies.storage.create_dir_all(&copies.dir));
        let marked = anew.and_then(|()| match copies.storage.kind(&views.join(MARK))? {
            Some(_) => copies.copy(&views.join(MARK), &copies.dir.join(MARK)),
            None => Ok(()),
        });
        marked.map_err(|error| Error::io("copy views to", &copies.dir, error))?;
        Ok(copies)
    }

    /// Where the copies are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the copy of a store is.
    pub(crate) fn of(&self, stored: &StoredView) -> PathBuf {
        self.dir.join(stored.dir.file_name().unwrap_or_default())
    }

    /// Copies a store.
    pub(crate) fn take(&self, stored: &StoredView) -> Result<(), Failure> {
        let taken = self.copy(&stored.dir, &self.of(stored));
        Ok(taken.map_err(|error| Error::io("copy", &stored.dir, error))?)
    }

    /// Removes the stores that are there now, so that only one view at a time takes room; says which they were.
    pub(crate) fn drop_all(&self) -> Result<Vec<PathBuf>, Failure> {
        let removed = StoredView::list(&Env::os(), &self.dir)?;
        removed
            .into_iter()
            .map(|stored| {
                self.storage.remove_dir_all(&stored.dir).map_err(|error| Error::io("remove", &stored.dir, error))?;
                Ok(stored.dir)
            })
            .collect()
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        unlinked(&*self.storage, from)?;
        if self.storage.kind(from)? == Some(PathKind::Dir) {
            self.storage.create_dir_all(to)?;
            return self.storage.list(from)?.iter().try_for_each(|name| self.copy(&from.join(name), &to.join(name)));
        }
        match self.storage.reflink(from, to) {
            Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::CrossesDevices) => {}
            cloned => return cloned,
        }
        let (source, copy) = (self.storage.open(from, OpenMode::Read)?, self.storage.open(to, OpenMode::CreateNew)?);
        let mut at = 0;
        loop {
            let piece = source.read(at, PIECE)?;
            if piece.is_empty() {
                return Ok(());
            }
            copy.write_all(at, &piece)?;
            at += piece.len() as u64;
        }
    }

    fn clear(&self) -> io::Result<()> {
        if self.storage.kind(&self.dir)?.is_some() { self.storage.remove_dir_all(&self.dir) } else { Ok(()) }
    }
}

/// Fails if there is a link at `path`.
fn unlinked(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    match storage.points_to(path)? {
        Some(_) => Err(io::Error::other("it is a symbolic link, and inside a database none is followed")),
        None => Ok(()),
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // What is left takes room until the next check, and does no other harm.
        drop(self.clear());
    }
}
