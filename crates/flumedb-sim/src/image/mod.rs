//! [`Image`], what is on a disk at one moment: names, bytes, and which of both would survive a power cut.

mod file;
mod names;
mod pages;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hasher},
    io,
    path::{Path, PathBuf},
};

use file::FileState;
pub use file::SECTOR;
use names::Names;
pub(crate) use names::Node;
use pages::{PAGE, Pages};

use crate::Choices;

/// What is on a disk: cheap to copy, as copies share their pages.
#[derive(Clone, Default)]
pub struct Image {
    names: Names,
    files: BTreeMap<u64, FileState>,
    next_file: u64,
}

impl Image {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk after a power cut: of what was not synced, what `choices` say.
    ///
    /// A name that was given, moved or taken away since its directory was synced may have been or not; each such change
    /// by itself, a rename as one.
    pub fn crash(&self, choices: &mut Choices) -> Self {
        let names = self.names.after_crash(choices);
        let reached: BTreeSet<u64> = names.files().map(|(_, file)| file).collect();
        let files = self.files.iter().filter(|(file, _)| reached.contains(file));
        let files = files.map(|(&file, state)| (file, FileState::settled(state.after_crash(choices)))).collect();
        Self { names, files, next_file: self.next_file }
    }

    /// In how many ways it can crash, at most.
    pub(crate) fn crash_ways(&self) -> f64 {
        self.names.crash_ways() * self.files.values().map(FileState::crash_ways).product::<f64>()
    }

    /// The files, in order of their paths.
    pub fn files(&self) -> Vec<PathBuf> {
        self.names.files().map(|(path, _)| path).collect()
    }

    /// The bytes of a file as they read now.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.files.get(&self.file(path).ok()?)?;
        Some(state.now.read(0, state.now.len() as usize))
    }

    /// Gives a file other bytes, as if they had always been on the disk. Its directory must be there.
    ///
    /// # Errors
    /// As creating the file says.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = match self.names.find(path)? {
            Some(Node::File(file)) => file,
            Some(Node::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            None => {
                let file = self.create(path)?;
                self.names.settle();
                file
            }
        };
        self.files.insert(file, FileState::settled(Pages::of(bytes)));
        Ok(())
    }

    /// Takes a file away, as if it had never been on the disk.
    ///
    /// # Errors
    /// As removing the file says.
    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.names.remove(path)?;
        self.names.settle();
        Ok(())
    }

    /// Whether two disks have the same names and bytes, as they read now.
    pub fn reads_as(&self, other: &Self) -> bool {
        let bytes = |image: &Self, file| image.files.get(&file).map(|state| state.now.clone()).unwrap_or_default();
        self.files() == other.files()
            && self
                .names
                .files()
                .zip(other.names.files())
                .all(|((_, one), (_, two))| bytes(self, one).reads_as(&bytes(other, two)))
    }

    /// A number that two disks share only if names and bytes, as they read now, are the same.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, file) in self.names.files() {
            hasher.write(path.as_os_str().as_encoded_bytes());
            if let Some(state) = self.files.get(&file) {
                state.now.feed(|bytes| hasher.write(bytes));
            }
        }
        hasher.finish()
    }

    /// Bytes that files take, in whole pages.
    pub fn used_bytes(&self) -> u64 {
        let files: BTreeSet<u64> = self.names.files().map(|(_, file)| file).collect();
        let files = files.iter().filter_map(|file| self.files.get(file));
        files.map(|state| state.now.claimed()).sum::<u64>() * PAGE as u64
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    pub(crate) fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.find(path)? {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn create(&mut self, path: &Path) -> io::Result<u64> {
        let file = self.next_file;
        self.names.create(path, Node::File(file))?;
        self.next_file += 1;
        self.files.insert(file, FileState::default());
        Ok(file)
    }

    /// Gives a file a second name.
    pub(crate) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.file(from)?;
        self.names.create(to, Node::File(file))
    }

    pub(crate) fn len(&self, file: u64) -> u64 {
        self.files.get(&file).map_or(0, |state| state.now.len())
    }

    pub(crate) fn read_file(&self, file: u64, offset: u64, len: usize) -> Vec<u8> {
        self.files.get(&file).map(|state| state.now.read(offset, len)).unwrap_or_default()
    }

    pub(crate) fn set_len(&mut self, file: u64, len: u64) {
        self.state(file).set_len(len);
    }

    /// Claims room up to `len`, or fails and changes nothing.
    pub(crate) fn allocate(&mut self, file: u64, len: u64, capacity: Option<u64>) -> io::Result<()> {
        let now = self.len(file);
        let needed = len.saturating_sub(now);
        let pages = self.files[&file].now.unclaimed(now, needed as usize).count() as u64;
        if pages > self.free_pages(capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.state(file).allocate(len);
        Ok(())
    }

    /// Writes what there is room for; says how much that was.
    pub(crate) fn write_file(
        &mut self,
        file: u64,
        offset: u64,
        bytes: &[u8],
        capacity: Option<u64>,
    ) -> io::Result<usize> {
        let free = self.free_pages(capacity);
        let first_without_room = self.files[&file].now.unclaimed(offset, bytes.len()).nth(free as usize);
        let taken = match first_without_room {
            Some(page) => (page * PAGE as u64).saturating_sub(offset) as usize,
            None => bytes.len(),
        };
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.state(file).write(offset, &bytes[..taken]);
        Ok(taken)
    }

    pub(crate) fn sync(&mut self, file: u64) {
        self.state(file).sync();
    }

    pub(crate) fn fail_sync(&mut self, file: u64, choices: &mut Choices) {
        self.state(file).fail_sync(choices);
    }

    fn free_pages(&self, capacity: Option<u64>) -> u64 {
        capacity.map_or(u64::from(u32::MAX), |bytes| bytes.saturating_sub(self.used_bytes()) / PAGE as u64)
    }

    fn state(&mut self, file: u64) -> &mut FileState {
        self.files.entry(file).or_default()
    }
}
