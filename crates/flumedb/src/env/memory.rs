//! [`MemoryStorage`], files that are only in memory.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak},
    time::Duration,
};

use bytes::Bytes;

use super::{File, Lock, OpenMode, PathKind, Storage, Watch};

/// A file system in memory, gone with its last handle. Nothing here is ever lost or slow, so `sync` does nothing.
#[derive(Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tree: Mutex<Tree>,
    changed: Condvar,
}

#[derive(Default)]
struct Tree {
    /// `None` is a directory.
    nodes: BTreeMap<PathBuf, Option<Arc<MemoryFile>>>,
    locked: Vec<PathBuf>,
    changes: u64,
}

impl MemoryStorage {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Shared {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_change(&self) {
        self.tree().changes += 1;
        self.changed.notify_all();
    }
}

impl Storage for MemoryStorage {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut tree = self.shared.tree();
        match (tree.nodes.get(path), mode) {
            (Some(None), _) => Err(io::ErrorKind::IsADirectory.into()),
            (Some(Some(_)), OpenMode::CreateNew) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Some(file)), _) => Ok(file.clone()),
            (None, OpenMode::CreateNew) => {
                if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty())
                    && !matches!(tree.nodes.get(dir), Some(None))
                {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let file = Arc::new(MemoryFile { bytes: RwLock::default(), shared: Arc::downgrade(&self.shared) });
                tree.nodes.insert(path.to_owned(), Some(file.clone()));
                Ok(file)
            }
            (None, _) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut tree = self.shared.tree();
        for dir in dir.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            match tree.nodes.get(dir) {
                Some(Some(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                Some(None) => break,
                None => {
                    tree.nodes.insert(dir.to_owned(), None);
                }
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let tree = self.shared.tree();
        match tree.nodes.get(dir) {
            Some(None) => {}
            Some(Some(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        let inside = tree.nodes.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        Ok(self.shared.tree().nodes.get(path).map(|node| match node {
            Some(_) => PathKind::File,
            None => PathKind::Dir,
        }))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.shared.tree();
        let file = match tree.nodes.get(from) {
            Some(Some(file)) => file.clone(),
            Some(None) => return Err(io::ErrorKind::IsADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        if tree.nodes.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        tree.nodes.insert(to.to_owned(), Some(file));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.shared.tree();
        if !tree.nodes.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let moved: Vec<PathBuf> = tree.nodes.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            let target = match path.strip_prefix(from) {
                Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
                _ => to.to_owned(),
            };
            if let Some(node) = tree.nodes.remove(&path) {
                tree.nodes.insert(target, node);
            }
        }
        drop(tree);
        self.shared.note_change();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.shared.tree();
        match tree.nodes.get(path) {
            Some(Some(_)) => tree.nodes.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into()),
            Some(None) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut tree = self.shared.tree();
        if !tree.nodes.contains_key(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        tree.nodes.retain(|path, _| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut tree = self.shared.tree();
        if tree.locked.iter().any(|locked| locked == path) {
            return Ok(None);
        }
        tree.locked.push(path.to_owned());
        Ok(Some(Box::new(MemoryLock { path: path.to_owned(), shared: self.shared.clone() })))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        Ok(self.shared.tree().locked.iter().any(|locked| locked == path))
    }

    fn watch(&self, _path: &Path) -> io::Result<Box<dyn Watch>> {
        Ok(Box::new(MemoryWatch { seen: 0, shared: self.shared.clone() }))
    }
}

struct MemoryLock {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.shared.tree().locked.retain(|path| *path != self.path);
    }
}

struct MemoryFile {
    bytes: RwLock<Vec<u8>>,
    /// The storage, which holds the file: were this a handle, neither would ever be gone.
    shared: Weak<Shared>,
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.bytes.write().unwrap_or_else(PoisonError::into_inner).resize(len, 0);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > self.len()? { self.set_len(len) } else { Ok(()) }
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(len).min(bytes.len());
        Ok(bytes.get(start..end).map(Bytes::copy_from_slice).unwrap_or_default())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut held = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let end = start + bytes.len();
        if held.len() < end {
            held.resize(end, 0);
        }
        if let Some(target) = held.get_mut(start..end) {
            target.copy_from_slice(bytes);
        }
        drop(held);
        if let Some(shared) = self.shared.upgrade() {
            shared.note_change();
        }
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

struct MemoryWatch {
    seen: u64,
    shared: Arc<Shared>,
}

impl Watch for MemoryWatch {
    fn wait(&mut self, timeout: Duration) {
        let tree = self.shared.tree();
        let seen = self.seen;
        let waited = self.shared.changed.wait_timeout_while(tree, timeout, |tree| tree.changes == seen);
        self.seen = waited.unwrap_or_else(PoisonError::into_inner).0.changes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_gone_with_its_last_handle() -> io::Result<()> {
        let storage = MemoryStorage::default();
        let shared = Arc::downgrade(&storage.shared);
        let file = storage.open("file".as_ref(), OpenMode::CreateNew)?;
        file.write_all(0, b"content")?;
        drop(storage);
        assert!(shared.upgrade().is_none(), "files and storage keep each other");
        assert_eq!(file.read(0, 7)?, "content", "a file that is open stays");
        file.write_all(7, b" and more")
    }
}
