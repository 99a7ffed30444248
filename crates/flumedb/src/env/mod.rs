//! The seam to the machine: storage, clock, randomness and threads, in one thing that is passed in.
//!
//! Nothing else in the crate touches `std::fs`, time, randomness or threads (`clippy.toml` enforces it), so that a
//! simulator can stand in for the machine and replay a run from one seed.

mod latched;
#[cfg(unix)]
mod map;
mod memory;
mod os;
mod parallel;
#[doc(hidden)]
pub mod planted;
mod signal;
pub(crate) mod sync;
mod watch;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

pub use latched::Latched;
pub use memory::MemoryStorage;
pub use os::{OsClock, OsRandom, OsStorage, OsThreads};
pub(crate) use parallel::each;
pub use signal::Signal;
pub(crate) use signal::block_on;

use planted::{Bug, planted};

/// Storage, clock, randomness and threads. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Where bytes are kept.
    pub storage: Arc<dyn Storage>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub random: Arc<dyn Random>,
    /// What runs the writer, the views and the other tasks.
    pub threads: Arc<dyn Threads>,
}

impl Env {
    /// The real machine.
    pub fn os() -> Self {
        Self::with_storage(Arc::new(OsStorage::new()))
    }

    /// The real machine, but files live in memory and are gone with the last handle.
    pub fn memory() -> Self {
        Self::with_storage(Arc::new(MemoryStorage::new()))
    }

    fn with_storage(storage: Arc<dyn Storage>) -> Self {
        Self { storage, clock: Arc::new(OsClock::new()), random: Arc::new(OsRandom), threads: Arc::new(OsThreads) }
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A file that must not exist yet, to read and write.
    CreateNew,
}

/// The few calls through which bytes reach a disk.
///
/// Durability follows POSIX at its least generous: a file's bytes and length are on the disk once its
/// [`sync`](File::sync) has returned, and that it exists (or was renamed, or removed) once
/// [`sync_dir`](Storage::sync_dir) on its directory has. Paths name files and directories as on the machine.
pub trait Storage: Send + Sync + 'static {
    /// Opens a file. A symbolic link is refused, and so is what is neither file nor directory: inside a database both
    /// would lead elsewhere. A path that a person gave is followed first, with
    /// [`points_to`](Self::points_to).
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Creates a directory and those above it; fine if it is there.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// The names in a directory, sorted, files and directories alike.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Whether there is a directory, a file, or nothing at a path.
    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>>;
    /// Gives the file at `from` a second name, `to`, which must be free. Both are one file from then on.
    ///
    /// # Errors
    /// `Unsupported` or `CrossesDevices` where that cannot be.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Makes a file `to`, which must not be there, with what the file at `from` holds now; the bytes are shared until one
    /// of the two is written to. Not on the disk before it is synced.
    ///
    /// # Errors
    /// `Unsupported` or `CrossesDevices` where that cannot be.
    fn reflink(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Moves a file or directory, replacing a file that is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all in it.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes what happened to the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock that the file at `path` (created if need be) stands for, or says with `None` that somebody
    /// else has it. Dropping the guard frees it; so does the death of the process.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
    /// Whether somebody has the lock that the file at `path` stands for; nobody has if there is no such file. Unlike
    /// [`lock`](Self::lock) it makes no file and wants no right to write, so that a reader can ask; a storage that does not
    /// say how to ask tries to take it.
    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        if self.kind(path)?.is_none() {
            return Ok(false);
        }
        self.lock(path).map(|lock| lock.is_none())
    }
    /// Something that waits until a file may have changed (for readers in another process than the writer).
    fn watch(&self, path: &Path) -> io::Result<Box<dyn Watch>>;
    /// Where the symbolic link at `path` leads in the end; `None` if there is no link at `path`.
    fn points_to(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let _ = path;
        Ok(None)
    }
    /// Where `path` is on the machine's own disk, for libraries that bring their own way to it; `None` if it is not there.
    fn local_path(&self, path: &Path) -> Option<PathBuf> {
        let _ = path;
        None
    }
    /// How much room there is where `dir` is; `None` if nobody knows.
    fn room(&self, dir: &Path) -> io::Result<Option<Room>> {
        let _ = dir;
        Ok(None)
    }
}

/// How much room there is on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What can still be written by this process.
    pub free: u64,
    /// All there is, used or free.
    pub total: u64,
}

/// Creates a directory inside a database. A link in its place would have files made, or removed, elsewhere.
pub(crate) fn create_inner_dir(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    refuse_link(storage, dir)?;
    storage.create_dir_all(dir)
}

/// Fails if there is a link at `path`.
pub(crate) fn refuse_link(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    match storage.points_to(path) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(linked()),
        // It leads nowhere; of what is not there at all nothing is said.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(linked()),
        Err(error) => Err(error),
    }
}

fn linked() -> io::Error {
    let message = "it is a symbolic link, and inside a database none is followed; put what it leads to in its place";
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Makes `bytes` the content of the file at `path`, on the disk: afterwards, and after a crash at any time, it has the old
/// content or the new one, whole.
pub(crate) fn replace(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = remove_unfinished(storage, path)?;
    let file = storage.open(&fresh, OpenMode::CreateNew)?;
    file.write_all(0, bytes)?;
    file.sync()?;
    drop(file);
    storage.rename(&fresh, path)?;
    match path.parent() {
        Some(dir) => storage.sync_dir(dir),
        None => Ok(()),
    }
}

/// Removes what a [`replace`] of the file at `path` has left that was stopped. Answers its name.
pub(crate) fn remove_unfinished(storage: &dyn Storage, path: &Path) -> io::Result<PathBuf> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    remove_if_there(storage, &fresh)?;
    Ok(fresh)
}

/// Removes the file at `path`, if there is one. To look first would be to follow a link: of one that leads nowhere it is said
/// that nothing is there, and then nothing can be made there either.
pub(crate) fn remove_if_there(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    match storage.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A file.
    File,
    /// A directory.
    Dir,
}

/// An open file. All calls take a position; there is no cursor.
pub trait File: Send + Sync + 'static {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cuts or extends it (with zeros).
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Extends it to `len` bytes and claims the space for them where the system can, so that writing there cannot
    /// find the disk full. Never shortens.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// The `len` bytes at `offset`, without a copy where the file is mapped. Fewer only at the end of the file.
    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes>;
    /// Writes at `offset`, extending the file if need be; returns how many bytes were taken, which may be fewer than
    /// given.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Makes bytes and length durable (fdatasync).
    fn sync(&self) -> io::Result<()>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Writes all of `bytes`, however many calls that takes.
    fn write_all(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(offset, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) if planted(Bug::ShortWrite) => return Ok(()),
                Ok(taken) => {
                    bytes = bytes.get(taken..).unwrap_or_default();
                    offset += taken as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A lock that is held; dropping it frees it.
pub trait Lock: Send + Sync + 'static {}

/// Waits for a file to change.
pub trait Watch: Send + 'static {
    /// Returns when the file may have changed since the last call, or after `timeout`, or sooner without a reason.
    fn wait(&mut self, timeout: Duration);
}

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// Time since some fixed point in the past; never goes back.
    fn monotonic(&self) -> Duration;
    /// Microseconds since 1970-01-01 UTC, by the wall clock.
    fn unix_us(&self) -> i64;
}

/// Where ids come from.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// What a [`Task`] wants after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another step at once.
    Again,
    /// Another step soon: others may run first.
    Yield,
    /// A step when its signal is raised.
    Wait,
    /// A step when its signal is raised, or after this time.
    WaitFor(Duration),
    /// No step any more.
    Done,
}

/// Work in steps: a state machine that a thread drives, or the simulator.
pub trait Task: Send + 'static {
    /// Does a bounded piece of work. May block on storage, never on another task.
    fn step(&mut self) -> Step;
}

/// What runs tasks.
pub trait Threads: Send + Sync + 'static {
    /// Starts `task` under `name`; it is stepped until [`Step::Done`], sleeping on `signal` between. Dropping the
    /// returned [`Worker`] waits for that, so raise the signal and make the task finish first.
    fn spawn(&self, name: &str, task: Box<dyn Task>, signal: Arc<Signal>) -> io::Result<Box<dyn Worker>>;

    /// How many tasks can make headway at the same time.
    fn cores(&self) -> usize {
        2
    }
}

/// A task that runs; dropping it waits until the task is done (unless it is the task itself that drops it).
pub trait Worker: Send + Sync + 'static {}
