//! The files of a log's directory: which segments there are, the head page, the tails that were cut.

use std::{
    io::ErrorKind as ErrorKindIo,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    format::{Fault, HEAD_LEN, HeadPage, SegmentName},
    settings::LogSettings,
};
use crate::{
    Damage, Error, ErrorKind, Result,
    env::{self, File, OpenMode, PathKind, Storage},
};

const HEAD_FILE: &str = "head";
const LOCK_FILE: &str = "lock";
const TORN_DIR: &str = "torn";
const DAMAGED_DIR: &str = "damaged";

/// Makes the directories above `dir` durable: they may be as new as `dir`. One that may not be read was not made for it.
pub(crate) fn sync_above(storage: &dyn Storage, dir: &Path) -> Result<()> {
    for above in dir.ancestors().skip(1).filter_map(parent) {
        match storage.sync_dir(above) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(|error| Error::io("sync", above, error))?,
        }
    }
    Ok(())
}

/// Makes the directory's names durable, and the directory's own.
pub(crate) fn sync(storage: &dyn Storage, dir: &Path) -> Result<()> {
    for dir in [Some(dir), parent(dir)].into_iter().flatten() {
        storage.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))?;
    }
    Ok(())
}

/// The directory that `dir` is in.
fn parent(dir: &Path) -> Option<&Path> {
    dir.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Takes the lock that a writer must hold.
pub(crate) fn lock(storage: &dyn Storage, dir: &Path) -> Result<Box<dyn crate::env::Lock>> {
    let path = dir.join(LOCK_FILE);
    storage.lock(&path).map_err(|error| Error::io("lock", &path, error))?.ok_or_else(|| {
        let message =
            format!("{} is open for writing elsewhere; close it there, or open it read-only here", dir.display());
        Error::new(ErrorKind::Locked, message)
    })
}

/// The segments in a directory, in order, checked to be complete.
pub(crate) fn list_segments(storage: &dyn Storage, dir: &Path) -> Result<Vec<SegmentName>> {
    let segments = found_segments(storage, dir)?;
    let mut expected = SegmentName { ordinal: 0, first: 0, generation: 0 };
    for segment in &segments {
        if segment.ordinal != expected.ordinal || segment.first < expected.first {
            let missing = format!("segment {} is missing: {} follows", expected.ordinal, segment.file_name());
            return Err(Error::corrupt(Damage::new(dir, 0, 0, missing)));
        }
        expected = SegmentName { ordinal: segment.ordinal + 1, first: segment.first, generation: 0 };
    }
    Ok(segments)
}

/// The segments that there are, in order; of several generations of one the newest.
pub(crate) fn found_segments(storage: &dyn Storage, dir: &Path) -> Result<Vec<SegmentName>> {
    let names = storage.list(dir).map_err(|error| Error::io("list", dir, error))?;
    let mut segments: Vec<SegmentName> = names.iter().filter_map(|name| SegmentName::parse(name)).collect();
    segments.sort_unstable();
    segments.dedup_by(|later, earlier| {
        let same = later.ordinal == earlier.ordinal && later.first == earlier.first;
        if same {
            *earlier = *later;
        }
        same
    });
    Ok(segments)
}

/// Removes what a repair has left that was stopped while it wrote a segment anew: the segment itself is still there.
pub(crate) fn tidy(storage: &dyn Storage, dir: &Path) -> Result<()> {
    for name in storage.list(dir).map_err(|error| Error::io("list", dir, error))? {
        if name.strip_suffix(".new").is_some_and(|segment| SegmentName::parse(segment).is_some()) {
            let path = dir.join(&name);
            storage.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
    }
    Ok(())
}

/// Whether a directory holds a log.
pub(crate) fn is_log(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    match storage.kind(dir).map_err(|error| Error::io("look at", dir, error))? {
        Some(PathKind::Dir) => {}
        _ => return Ok(false),
    }
    let names = storage.list(dir).map_err(|error| Error::io("list", dir, error))?;
    Ok(names.iter().any(|name| name == HEAD_FILE || SegmentName::parse(name).is_some()))
}

/// The `head` file.
pub(crate) struct HeadFile {
    path: PathBuf,
    file: Arc<dyn File>,
}

impl HeadFile {
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join(HEAD_FILE)
    }

    /// Opens it to write, creating it if it is not there.
    pub(crate) fn create(storage: &dyn Storage, dir: &Path) -> Result<Self> {
        let path = Self::path(dir);
        let opened = match storage.open(&path, OpenMode::Write) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => storage.open(&path, OpenMode::CreateNew),
            other => other,
        };
        let file = opened.map_err(|error| Error::io("create", &path, error))?;
        Ok(Self { path, file })
    }

    pub(crate) fn write(&self, page: &HeadPage) -> Result<()> {
        self.file.write_all(0, &page.encode()).map_err(|error| Error::io("write", &self.path, error))
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))
    }

    /// What the page of a directory says; `None` if there is none, or none that can be trusted. It is a witness only:
    /// what it does not say is lost to nobody.
    pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> Result<Option<HeadPage>> {
        let path = Self::path(dir);
        let bytes = match storage.open(&path, OpenMode::Read).and_then(|file| file.read(0, HEAD_LEN)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        match HeadPage::decode(&bytes) {
            Ok(page) => Ok(Some(page)),
            Err(Fault::Bad(_)) => Ok(None),
            Err(fault) => Err(super::segment::fault_error(&path, 0, fault)),
        }
    }
}

/// Whether somebody writes here now. Makes no file.
pub(crate) fn is_locked(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    let path = dir.join(LOCK_FILE);
    let io = |error| Error::io("look at", &path, error);
    if storage.kind(&path).map_err(io)?.is_none() {
        return Ok(false);
    }
    match storage.lock(&path) {
        Ok(lock) => Ok(lock.is_none()),
        // Who may only read cannot tell; to look no further than a writer says is right either way.
        Err(error) if matches!(error.kind(), ErrorKindIo::PermissionDenied | ErrorKindIo::ReadOnlyFilesystem) => {
            Ok(true)
        }
        Err(error) => Err(io(error)),
    }
}

/// Keeps the bytes of a cut tail in a file of their own, and no more such files than the settings allow. `None` if it
/// kept nothing.
pub(crate) fn keep_torn(
    storage: &dyn Storage,
    dir: &Path,
    segment: SegmentName,
    offset: u64,
    tail: &Bytes,
    settings: &LogSettings,
) -> Result<Option<PathBuf>> {
    if settings.torn_files == 0 || settings.torn_bytes == 0 {
        return Ok(None);
    }
    let torn = dir.join(TORN_DIR);
    let io = |action: &'static str, path: &Path| {
        let path = path.to_owned();
        move |error| Error::io(action, &path, error)
    };
    env::create_inner_dir(storage, &torn).map_err(io("create", &torn))?;
    let mut kept = storage.list(&torn).map_err(io("list", &torn))?;
    // Numbered, so that the oldest is told without a clock.
    let number = kept.last().and_then(|name| name.split('-').next()?.parse::<u64>().ok()).map_or(0, |last| last + 1);
    while kept.len() >= settings.torn_files {
        let oldest = torn.join(kept.remove(0));
        storage.remove(&oldest).map_err(io("remove", &oldest))?;
    }
    let path = torn.join(format!("{number:06}-{:010}-{offset}.torn", segment.ordinal));
    let file = storage.open(&path, OpenMode::CreateNew).map_err(io("create", &path))?;
    let len = tail.len().min(usize::try_from(settings.torn_bytes).unwrap_or(usize::MAX));
    file.write_all(0, tail.get(..len).unwrap_or_default()).map_err(io("write", &path))?;
    file.sync().map_err(io("sync", &path))?;
    storage.sync_dir(&torn).map_err(io("sync", &torn))?;
    storage.sync_dir(dir).map_err(io("sync", dir))?;
    Ok(Some(path))
}

/// Moves a segment that has been written anew out of the way. Nothing ever removes it.
pub(crate) fn set_aside(storage: &dyn Storage, dir: &Path, name: SegmentName) -> Result<PathBuf> {
    let from = dir.join(name.file_name());
    let damaged = dir.join(DAMAGED_DIR);
    let to = damaged.join(name.file_name());
    let moved = (|| {
        env::create_inner_dir(storage, &damaged)?;
        storage.rename(&from, &to)?;
        storage.sync_dir(&damaged)?;
        storage.sync_dir(dir)
    })();
    moved.map_err(|error| Error::io("move", &from, error))?;
    Ok(to)
}
