//! [`SealedStorage`], through which views of an encrypted database keep their stores, and [`claim`], which sees to it that
//! none lies in the clear beside them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Keys, files::SealedFile};
use crate::{
    Env, Error, ErrorKind, Result,
    env::{File, Lock, OpenMode, PathKind, Random, Room, Storage, Watch},
};

/// In the directory of the views: what is in it is encrypted.
const MARK: &str = "encrypted";

/// A storage whose files are encrypted. Names are not.
pub(crate) struct SealedStorage {
    storage: Arc<dyn Storage>,
    random: Arc<dyn Random>,
    keys: Keys,
}

impl SealedStorage {
    pub(crate) fn new(env: &Env, keys: Keys) -> Self {
        Self { storage: env.storage.clone(), random: env.random.clone(), keys }
    }
}

/// Makes sure that nothing in the views' directory `dir` is in the clear, if there are keys; and that nothing there is
/// encrypted, if there are none.
pub(crate) fn claim(storage: &dyn Storage, dir: &Path, keys: Option<&Keys>) -> Result<()> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |error| Error::io(action, &path, error)
    };
    let mark = dir.join(MARK);
    let is_marked = storage.kind(&mark).map_err(io("look at", &mark))?.is_some();
    match keys {
        None if is_marked => {
            let message = format!(
                "the views in {} are encrypted, and no key was given; give the keys, or another directory for views",
                dir.display()
            );
            return Err(Error::new(ErrorKind::Key, message));
        }
        Some(_) if !is_marked => {}
        _ => return Ok(()),
    }
    storage.create_dir_all(dir).map_err(io("create", dir))?;
    let lock = dir.join("lock");
    // Whoever has it will be told of when the views are added.
    let Some(_lock) = storage.lock(&lock).map_err(io("lock", &lock))? else { return Ok(()) };
    for name in storage.list(dir).map_err(io("list", dir))? {
        let path = dir.join(&name);
        if is_store(&name) && storage.kind(&path).map_err(io("look at", &path))? == Some(PathKind::Dir) {
            storage.remove_dir_all(&path).map_err(io("remove", &path))?;
        }
    }
    storage.open(&mark, OpenMode::CreateNew).and_then(|file| file.sync()).map_err(io("create", &mark))?;
    storage.sync_dir(dir).map_err(io("sync", dir))
}

/// Whether a directory of this name is a view's: its name and 16 hexadecimal digits.
fn is_store(name: &str) -> bool {
    let digits = name.rsplit_once('-').map_or("", |(_, digits)| digits);
    digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

impl Storage for SealedStorage {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.storage.open(path, mode)?;
        Ok(Arc::new(SealedFile::open(file, path, self.random.clone(), self.keys.clone())?))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.storage.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.storage.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        self.storage.kind(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.storage.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.storage.remove(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
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

    fn room(&self, dir: &Path) -> io::Result<Option<Room>> {
        self.storage.room(dir)
    }

    // Not `local_path`, `link` and `reflink`: whoever goes past it would read and write what is encrypted.
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, which looks at the real disk")]
mod tests {
    use super::*;

    /// The failure: views of an encrypted database take the last room from the log, and follow links that lead elsewhere.
    #[test]
    fn links_and_room_are_seen_through_it() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let sealed = SealedStorage::new(&Env::os(), Keys::new(1, [7; 32]).unwrap());
        assert!(sealed.points_to(&link).unwrap().is_some());
        assert!(sealed.room(dir.path()).unwrap().is_some());
        assert!(sealed.local_path(dir.path()).is_none());
    }
}
