//! [`Files`], the files of one segment, as the directory that tantivy sees. What is written stays in memory until
//! [`Files::store`] brings it to the disk: a segment that is merged before that never touches the disk at all.

use std::{
    collections::BTreeMap,
    fmt, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use flumedb::{Damage, Error, Result, env::OpenMode, view::Place};
use tantivy::{
    HasLen,
    directory::{
        AntiCallToken, Directory, FileHandle, OwnedBytes, TerminatingWrite, WatchCallback, WatchHandle, WritePtr,
        error::{DeleteError, OpenReadError, OpenWriteError},
    },
};

use super::blob::{BLOCK, Blob, Stored, checksum};

/// The files of a segment that are read as a whole, are small, and are needed for every question.
const KEPT: [&str; 2] = ["fast", "fieldnorm"];
/// The file with the checksums of the others.
const CHECKS: &str = "check";

/// The files of one segment, by what comes after the segment's name.
#[derive(Clone, Default)]
pub(super) struct Files {
    blobs: Arc<RwLock<BTreeMap<String, Blob>>>,
}

/// What the file of checksums holds of each file: its ending, its length, its blocks.
type Checks = Vec<(String, u64, Vec<u32>)>;

impl Files {
    /// The files of segment `name` as they were stored. Their bytes are checked when they are read.
    pub(super) fn open(place: &Place, name: &str) -> Result<Self> {
        let path = file_path(place, name, CHECKS);
        let damaged = |reason: &str| Error::corrupt(Damage::new(&path, 0, 0, reason));
        let bytes = read_all(place, &path)?;
        let (body, check) = bytes.split_last_chunk().ok_or_else(|| damaged("it is empty"))?;
        if u32::from_le_bytes(*check) != checksum(body) {
            return Err(damaged("its checksum is wrong"));
        }
        let checks: Checks = rmp_serde::from_slice(body).map_err(|error| damaged(&error.to_string()))?;
        let files = Self::default();
        for (ending, len, checks) in checks {
            let len = usize::try_from(len).map_err(|_| damaged("a file is too long"))?;
            // It becomes the name of a file, and a separator in it would lead out of the directory.
            if ending.is_empty() || !ending.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(damaged("it names a file that no segment has"));
            }
            files.write().insert(ending.clone(), stored(place, name, &ending, len, checks)?);
        }
        Ok(files)
    }

    /// Brings the files to the disk under the name of segment `name`, with a file of their checksums. From then on they
    /// are read from there.
    pub(super) fn store(&self, place: &Place, name: &str) -> Result<()> {
        let blobs = self.read().clone();
        let mut checks: Checks = Vec::new();
        for (ending, blob) in &blobs {
            let Blob::Memory(bytes) = blob else { continue };
            write_new(place, &file_path(place, name, ending), bytes)?;
            let blocks = bytes.chunks(BLOCK).map(checksum).collect();
            checks.push((ending.clone(), bytes.len() as u64, blocks));
        }
        // Writing to memory cannot fail.
        let mut bytes = rmp_serde::to_vec(&checks).unwrap_or_default();
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        write_new(place, &file_path(place, name, CHECKS), &bytes)?;
        for (ending, len, checks) in checks {
            let blob = stored(place, name, &ending, len as usize, checks)?;
            self.write().insert(ending, blob);
        }
        Ok(())
    }

    /// One file, in memory.
    pub(super) fn of(name: &str, bytes: Vec<u8>) -> Self {
        let files = Self::default();
        files.write().extend(ending(Path::new(name)).map(|ending| (ending, Blob::Memory(OwnedBytes::new(bytes)))));
        files
    }

    /// The endings of all, with that of the checksums.
    pub(super) fn endings(&self) -> Vec<String> {
        self.read().keys().cloned().chain([CHECKS.to_owned()]).collect()
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> u64 {
        self.read().values().map(|blob| blob.len() as u64).sum()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Blob>> {
        self.blobs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Blob>> {
        self.blobs.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a file of a segment is kept.
pub(super) fn file_path(place: &Place, name: &str, ending: &str) -> PathBuf {
    place.dir.join(format!("{name}.{ending}"))
}

/// All of a file. One that is gone is damage.
pub(super) fn read_all(place: &Place, path: &Path) -> Result<flumedb::Bytes> {
    let read = || {
        let file = place.storage.open(path, OpenMode::Read)?;
        file.read(0, usize::try_from(file.len()?).unwrap_or(usize::MAX))
    };
    read().map_err(|error| lost_or(error, "read", path))
}

/// Writes a file that is new, over what a stopped writer may have left, and brings its bytes to the disk.
pub(super) fn write_new(place: &Place, path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        if place.storage.kind(path)?.is_some() {
            place.storage.remove(path)?;
        }
        let file = place.storage.open(path, OpenMode::CreateNew)?;
        file.write_all(0, bytes)?;
        file.sync()
    };
    write().map_err(|error| Error::io("write", path, error))
}

fn lost_or(error: io::Error, action: &str, path: &Path) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::corrupt(Damage::new(path, 0, 0, "the file is gone"));
    }
    Error::io(action, path, error)
}

fn stored(place: &Place, name: &str, ending: &str, len: usize, checks: Vec<u32>) -> Result<Blob> {
    let path = file_path(place, name, ending);
    let file = place.storage.open(&path, OpenMode::Read).map_err(|error| lost_or(error, "open", &path))?;
    let keep = KEPT.contains(&ending);
    Ok(Blob::Stored(Arc::new(Stored { file, path, len, checks, keep, kept: OnceLock::new() })))
}

/// What comes after the name of the segment.
fn ending(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    name.split_once('.').filter(|(segment, _)| !segment.is_empty()).map(|(_, ending)| ending.to_owned())
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read().keys()).finish()
    }
}

impl Directory for Files {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let blob = ending(path).and_then(|ending| self.read().get(&ending).cloned());
        blob.map(|blob| Arc::new(blob) as _).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        ending(path)
            .and_then(|ending| self.write().remove(&ending))
            .map(drop)
            .ok_or_else(|| DeleteError::FileDoesNotExist(path.to_owned()))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(ending(path).is_some_and(|ending| self.read().contains_key(&ending)))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let ending = ending(path)
            .ok_or_else(|| OpenWriteError::wrap_io_error(io::ErrorKind::InvalidFilename.into(), path.to_owned()))?;
        let sink = Sink { files: self.clone(), ending, bytes: Vec::new() };
        Ok(WritePtr::new(Box::new(sink)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        Err(OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> io::Result<()> {
        // What tantivy would say of an index with this one segment. The store says it of all of them.
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

/// A file that is written.
struct Sink {
    files: Files,
    ending: String,
    bytes: Vec<u8>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for Sink {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        let bytes = OwnedBytes::new(std::mem::take(&mut self.bytes));
        self.files.write().insert(std::mem::take(&mut self.ending), Blob::Memory(bytes));
        Ok(())
    }
}
