//! How the real machine notices that a file changed: by inotify where there is one, else by looking now and then.
#![allow(clippy::disallowed_methods, reason = "part of the real machine, as env/os.rs")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::Watch;

/// Watches the file at `path`, which need not exist yet.
pub(super) fn watch(path: &Path) -> io::Result<Box<dyn Watch>> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Ok(watch) = inotify::Inotify::new(path) {
        return Ok(Box::new(watch));
    }
    Ok(Box::new(Poll::new(path)))
}

/// Looks at a file's length and time of change now and then.
struct Poll {
    path: PathBuf,
    seen: Option<(u64, SystemTime)>,
}

impl Poll {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: look(path) }
    }
}

fn look(path: &Path) -> Option<(u64, SystemTime)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.len(), meta.modified().ok()?))
}

impl Watch for Poll {
    fn wait(&mut self, timeout: Duration) {
        const PAUSE: Duration = Duration::from_millis(5);
        let start = Instant::now();
        loop {
            let now = look(&self.path);
            if now != self.seen {
                self.seen = now;
                return;
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(PAUSE));
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod inotify {
    use std::{ffi::OsString, io, mem::MaybeUninit, os::fd::OwnedFd, os::unix::ffi::OsStrExt, path::Path};

    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init},
        io::Errno,
    };

    use super::{Duration, Instant, Watch};

    /// Watches the directory that a file is in, so that a file that is replaced, or comes to be, is noticed too.
    pub(super) struct Inotify {
        queue: OwnedFd,
        name: OsString,
    }

    impl Inotify {
        pub(super) fn new(path: &Path) -> io::Result<Self> {
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let queue = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
            add_watch(&queue, dir, flags)?;
            Ok(Self { queue, name })
        }

        /// Takes all events from the queue; whether one was about the file, or tells nothing of it any more.
        fn take(&self) -> bool {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(&self.queue, &mut buffer);
            let mut changed = false;
            loop {
                match events.next() {
                    Ok(event) => {
                        let lost = event.events().intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED);
                        let ours = event.file_name().is_some_and(|name| name.to_bytes() == self.name.as_bytes());
                        changed |= lost || ours;
                    }
                    Err(Errno::INTR) => {}
                    Err(_) => return changed,
                }
            }
        }
    }

    impl Watch for Inotify {
        fn wait(&mut self, timeout: Duration) {
            let start = Instant::now();
            while !self.take() {
                let left = timeout.saturating_sub(start.elapsed());
                if left.is_zero() {
                    return;
                }
                let mut queue = [PollFd::new(&self.queue, PollFlags::IN)];
                match poll(&mut queue, Timespec::try_from(left).ok().as_ref()) {
                    Ok(_) | Err(Errno::INTR) => {}
                    // Nothing to wait with: the caller looks for itself.
                    Err(_) => return,
                }
            }
        }
    }
}
