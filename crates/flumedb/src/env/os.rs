//! The real machine: the only user of `std::fs`, of time, randomness and threads.
#![allow(clippy::disallowed_methods, reason = "this is the place that the rule points to")]

#[cfg(unix)]
use std::sync::{PoisonError, RwLock};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

#[cfg(unix)]
use super::map::Map;
use super::{
    Clock, File, Lock, OpenMode, PathKind, Random, Room, Signal, Step, Storage, Task, Threads, Watch, Worker, linked,
    watch,
};

/// Whoever wants to know whether somebody has a lock takes it for a moment: that is waited for, so often and so long.
const ASKERS: u32 = 20;
const MOMENT: Duration = Duration::from_millis(10);

/// Files of the operating system. On Unix they are made for their owner alone (0600, directories 0700), whatever the
/// umask allows; what is there already keeps its mode. Windows gives what the directory above says.
pub struct OsStorage {
    #[cfg(unix)]
    file_mode: u32,
    #[cfg(unix)]
    dir_mode: u32,
}

impl OsStorage {
    /// The file system of this machine.
    #[allow(clippy::new_without_default, reason = "who may read the files is worth a name")]
    pub fn new() -> Self {
        Self {
            #[cfg(unix)]
            file_mode: 0o600,
            #[cfg(unix)]
            dir_mode: 0o700,
        }
    }

    /// The same, but the group of the files may read them (0640, directories 0750, where the umask allows it): for
    /// readers and backups that run as another user.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use flumedb::{Env, env::OsStorage};
    /// let env = Env { storage: Arc::new(OsStorage::for_group()), ..Env::os() };
    /// # let _ = env;
    /// ```
    pub fn for_group() -> Self {
        Self {
            #[cfg(unix)]
            file_mode: 0o640,
            #[cfg(unix)]
            dir_mode: 0o750,
        }
    }

    /// Opens a file itself: no link to one, and no pipe, which would make the caller wait for its other end.
    fn open_itself(&self, path: &Path, options: &mut fs::OpenOptions) -> io::Result<fs::File> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            options.mode(self.file_mode).custom_flags(flags.bits().cast_signed());
        }
        // Elsewhere than on Unix the system cannot be told, and the look comes first.
        let is_link = || fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        if cfg!(not(unix)) && is_link() {
            return Err(linked());
        }
        let file = options.open(path).map_err(|error| if is_link() { linked() } else { error })?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !kind.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a device, not a file"));
        }
        Ok(file)
    }
}

impl Storage for OsStorage {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read).create_new(mode == OpenMode::CreateNew);
        let file = self.open_itself(path, &mut options)?;
        Ok(Arc::new(OsFile {
            file,
            #[cfg(unix)]
            map: RwLock::default(),
        }))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, self.dir_mode);
        builder.create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // A name that is not Unicode is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Ok(Some(PathKind::Dir)),
            Ok(_) => Ok(Some(PathKind::File)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        // A second name of a symbolic link would be no second name of the file.
        if fs::symlink_metadata(from)?.is_file() {
            fs::hard_link(from, to)
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn reflink(&self, from: &Path, to: &Path) -> io::Result<()> {
        let source = self.open_itself(from, fs::OpenOptions::new().read(true))?;
        let target = self.open_itself(to, fs::OpenOptions::new().write(true).create_new(true))?;
        rustix::io::retry_on_intr(|| rustix::fs::ioctl_ficlone(&target, &source)).map_err(|error| {
            // What was made for it is of no use then.
            let _ = fs::remove_file(to);
            match error {
                // What file systems answer that have no such call, or not between these two.
                rustix::io::Errno::INVAL | rustix::io::Errno::NOTTY => io::ErrorKind::Unsupported.into(),
                error => error.into(),
            }
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // Windows cannot open a directory for this and needs no call: NTFS journals names itself.
        if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = self.open_itself(path, &mut options)?;
        for _ in 0..ASKERS {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Box::new(OsLock { file }))),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(MOMENT),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let mut options = fs::OpenOptions::new();
        let file = match self.open_itself(path, options.read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        // Shared, so that two who ask are not taken for a writer by each other, and that NFS, which wants a file open for
        // writing for the other kind, answers too.
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map(|()| false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn watch(&self, path: &Path) -> io::Result<Box<dyn Watch>> {
        watch::watch(path)
    }

    fn points_to(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => fs::canonicalize(path).map(Some),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn local_path(&self, path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }

    #[cfg(unix)]
    fn room(&self, dir: &Path) -> io::Result<Option<Room>> {
        let stat = rustix::fs::statvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Some(Room { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) }))
    }
}

struct OsLock {
    file: fs::File,
}

impl Lock for OsLock {}

impl Drop for OsLock {
    /// To close the file is not enough: a process that another thread is forking has it open, too, until it has become
    /// another program.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

struct OsFile {
    file: fs::File,
    /// The file as mapped last; a read past its end maps it anew.
    #[cfg(unix)]
    map: RwLock<Arc<Map>>,
}

impl File for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // What is cut must not be read through an old map.
        #[cfg(unix)]
        drop(std::mem::take(&mut *self.map.write().unwrap_or_else(PoisonError::into_inner)));
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        if len <= now {
            return Ok(());
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let claim = || rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), now, len - now);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        match rustix::io::retry_on_intr(claim) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            other => return other.map_err(io::Error::from),
        }
        self.file.set_len(len)
    }

    #[cfg(unix)]
    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = offset.saturating_add(len as u64);
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = map.get(offset, end) {
            return Ok(bytes);
        }
        let mut newest = map.clone();
        // Nobody waits for the disk with this one.
        drop(map);
        if end > newest.len() {
            newest = Arc::new(Map::of(&self.file)?);
            *self.map.write().unwrap_or_else(PoisonError::into_inner) = newest.clone();
        }
        newest.read(&self.file, offset, end)
    }

    #[cfg(not(unix))]
    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let len = (len as u64).min(self.len()?.saturating_sub(offset)) as usize;
        let mut bytes = vec![0; len];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match std::os::windows::fs::FileExt::seek_read(&self.file, rest, offset + done as u64)? {
                0 => break,
                taken => done += taken,
            }
        }
        bytes.truncate(done);
        Ok(bytes.into())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_at(&self.file, bytes, offset);
        #[cfg(not(unix))]
        return std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset);
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The machine's clocks.
pub struct OsClock {
    start: Instant,
}

impl OsClock {
    /// A clock whose monotonic time starts now.
    #[allow(clippy::new_without_default, reason = "a clock that starts is not a default value")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for OsClock {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn unix_us(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
        }
    }
}

/// The machine's source of randomness.
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(io::Error::other)
    }
}

/// A thread of its own for each task.
pub struct OsThreads;

impl Threads for OsThreads {
    fn cores(&self) -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }

    fn spawn(&self, name: &str, mut task: Box<dyn Task>, signal: Arc<Signal>) -> io::Result<Box<dyn Worker>> {
        let handle = thread::Builder::new().name(name.to_owned()).spawn(move || {
            loop {
                match task.step() {
                    Step::Again => {}
                    Step::Yield => thread::yield_now(),
                    Step::Wait => {
                        signal.wait(None);
                    }
                    Step::WaitFor(timeout) => {
                        signal.wait(Some(timeout));
                    }
                    Step::Done => return,
                }
            }
        })?;
        Ok(Box::new(OsWorker { handle: Some(handle) }))
    }
}

struct OsWorker {
    handle: Option<thread::JoinHandle<()>>,
}

impl Worker for OsWorker {}

impl Drop for OsWorker {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take()
            && handle.thread().id() != thread::current().id()
        {
            // A task that panicked has already told its waiters; there is nothing to add here.
            let _ = handle.join();
        }
    }
}
