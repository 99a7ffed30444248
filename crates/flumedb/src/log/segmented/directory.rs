//! The files of a log's directory: which segments there are, the head page, the tails that were cut.

use std::{
    io::{self, ErrorKind as ErrorKindIo},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    format::{FIRST_LEN, Fault, FirstPage, HEAD_LEN, HeadPage, SegmentName},
    settings::LogSettings,
};
use crate::{
    Damage, Env, Error, ErrorKind, Result,
    env::{self, File, OpenMode, PathKind, Storage},
    log::Kept,
    telemetry::events,
};

pub(crate) const HEAD_FILE: &str = "head";
pub(crate) const FIRST_FILE: &str = "first";
pub(crate) const LOCK_FILE: &str = "lock";
const TORN_DIR: &str = "torn";
const DAMAGED_DIR: &str = "damaged";
/// Behind the name of a segment that is being written anew.
const FRESH: &str = ".new";

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

/// The segments in a directory, in order, checked to be complete, and where they begin.
pub(crate) fn list_segments(storage: &dyn Storage, dir: &Path) -> Result<(Vec<SegmentName>, Option<FirstPage>)> {
    // The names first: segments are removed once the page says that they do not count, so that those which are listed and
    // do not are left out by it.
    let mut segments = found_segments(storage, dir)?;
    let page = read_first(storage, dir)?;
    let mut expected = SegmentName { ordinal: 0, first: 0, generation: 0 };
    if let Some(page) = page {
        segments.retain(|name| name.ordinal >= page.ordinal);
        (expected.ordinal, expected.first) = (page.ordinal, page.first);
    }
    for segment in &segments {
        if segment.ordinal != expected.ordinal || segment.first < expected.first {
            let missing = format!("segment {} is missing: {} follows", expected.ordinal, segment.file_name());
            return Err(Error::corrupt(Damage::new(dir, 0, 0, missing)));
        }
        expected = SegmentName { ordinal: segment.ordinal + 1, first: segment.first, generation: 0 };
    }
    Ok((segments, page))
}

/// Where the page is that says where the log begins.
pub(crate) fn first_path(dir: &Path) -> PathBuf {
    dir.join(FIRST_FILE)
}

/// Where the log begins, if that is not its very first segment any more.
pub(crate) fn read_first(storage: &dyn Storage, dir: &Path) -> Result<Option<FirstPage>> {
    let path = first_path(dir);
    let bytes = match storage.open(&path, OpenMode::Read).and_then(|file| file.read(0, FIRST_LEN)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKindIo::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", &path, error)),
    };
    FirstPage::decode(&bytes).map(Some).map_err(|fault| super::segment::fault_error(&path, 0, fault))
}

/// Says where the log begins, on the disk when this returns.
pub(crate) fn write_first(storage: &dyn Storage, dir: &Path, page: &FirstPage) -> Result<()> {
    let path = first_path(dir);
    env::replace(storage, &path, &page.encode()).map_err(|error| Error::io("write", &path, error))
}

/// Where a segment is while it is written anew.
pub(crate) fn fresh_path(dir: &Path, name: SegmentName) -> PathBuf {
    dir.join(format!("{}{FRESH}", name.file_name()))
}

/// Removes what a compaction that was stopped has left: segments that were being written, generations that have been
/// superseded, segments before the first.
pub(crate) fn clear_leftovers(storage: &dyn Storage, dir: &Path, kept: &[SegmentName]) -> Result<()> {
    let names = storage.list(dir).map_err(|error| Error::io("list", dir, error))?;
    let mut removed = false;
    for name in names {
        let is_fresh = name.strip_suffix(FRESH).is_some_and(|name| SegmentName::parse(name).is_some());
        let is_old = SegmentName::parse(&name).is_some_and(|name| {
            kept.iter().any(|kept| kept.ordinal == name.ordinal && kept.generation > name.generation)
                || kept.first().is_some_and(|first| name.ordinal < first.ordinal)
        });
        if is_fresh || is_old {
            let path = dir.join(name);
            storage.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
            removed = true;
        }
    }
    if removed { storage.sync_dir(dir).map_err(|error| Error::io("sync", dir, error)) } else { Ok(()) }
}

/// The segments that there are, in order; of several generations of one the newest.
pub(crate) fn found_segments(storage: &dyn Storage, dir: &Path) -> Result<Vec<SegmentName>> {
    let mut segments = generations(storage, dir)?;
    segments.dedup_by(|later, earlier| {
        let same = is_same(later, earlier);
        if same {
            *earlier = *later;
        }
        same
    });
    Ok(segments)
}

/// The segments of which there are several generations: the newest with the one before it.
pub(crate) fn superseded(storage: &dyn Storage, dir: &Path) -> Result<Vec<(SegmentName, SegmentName)>> {
    let segments = generations(storage, dir)?;
    let pairs = segments.windows(2).filter_map(|pair| match pair {
        [older, newer] if is_same(older, newer) => Some((*newer, *older)),
        _ => None,
    });
    Ok(pairs.collect())
}

fn is_same(one: &SegmentName, other: &SegmentName) -> bool {
    one.ordinal == other.ordinal && one.first == other.first
}

/// All segments that there are, of all generations, in order.
fn generations(storage: &dyn Storage, dir: &Path) -> Result<Vec<SegmentName>> {
    let names = storage.list(dir).map_err(|error| Error::io("list", dir, error))?;
    let mut segments: Vec<SegmentName> = names.iter().filter_map(|name| SegmentName::parse(name)).collect();
    segments.sort_unstable();
    Ok(segments)
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

/// What is said of a directory with a head page and without a segment.
pub(crate) fn segments_gone(dir: &Path, page: &HeadPage) -> Error {
    let reason = format!("its segments are gone, of which {} entries were on the disk", page.watermark);
    Error::corrupt(Damage::new(HeadFile::path(dir), 0, 0, reason))
}

/// Whether somebody writes here now. Makes no file.
pub(crate) fn is_locked(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    let path = dir.join(LOCK_FILE);
    match storage.is_locked(&path) {
        // Who may not even read it cannot tell; to look no further than a writer says is right either way.
        Err(error) if matches!(error.kind(), ErrorKindIo::PermissionDenied | ErrorKindIo::ReadOnlyFilesystem) => {
            Ok(true)
        }
        locked => locked.map_err(|error| Error::io("look at", &path, error)),
    }
}

/// Says no to a directory in which what is kept beside the log would be kept, and removed, elsewhere.
pub(crate) fn refuse_links(storage: &dyn Storage, dir: &Path) -> Result<()> {
    for path in [TORN_DIR, DAMAGED_DIR].map(|name| dir.join(name)) {
        env::refuse_link(storage, &path).map_err(|error| Error::io("look into", &path, error))?;
    }
    Ok(())
}

/// Keeps the bytes of a cut tail in a file of their own, and no more such files than the settings allow. `None` if it
/// kept nothing.
pub(crate) fn keep_torn(
    env: &Env,
    dir: &Path,
    segment: SegmentName,
    offset: u64,
    tail: &Bytes,
    settings: &LogSettings,
) -> Result<Option<PathBuf>> {
    if settings.torn_files == 0 || settings.torn_bytes == 0 {
        return Ok(None);
    }
    let (storage, torn) = (&*env.storage, dir.join(TORN_DIR));
    let io = |action: &'static str, path: &Path| {
        let path = path.to_owned();
        move |error| Error::io(action, &path, error)
    };
    env::create_inner_dir(storage, &torn).map_err(io("create", &torn))?;
    let mut kept = torn_files(storage, &torn).map_err(io("list", &torn))?;
    // Numbered, so that the oldest is told without a clock.
    kept.sort_unstable();
    let number = kept.last().map_or(0, |last| last.number.saturating_add(1));
    let excess = (kept.len() + 1).saturating_sub(settings.torn_files);
    for name in kept.iter().take(excess) {
        let oldest = torn.join(name.file_name());
        env::remove_if_there(storage, &oldest).map_err(io("remove", &oldest))?;
    }
    let name = TornName { number, ordinal: segment.ordinal, offset, since: env.clock.unix_us() / 1_000_000 };
    let path = torn.join(name.file_name());
    let file = storage.open(&path, OpenMode::CreateNew).map_err(io("create", &path))?;
    let len = tail.len().min(usize::try_from(settings.torn_bytes).unwrap_or(usize::MAX));
    file.write_all(0, tail.get(..len).unwrap_or_default()).map_err(io("write", &path))?;
    file.sync().map_err(io("sync", &path))?;
    storage.sync_dir(&torn).map_err(io("sync", &torn))?;
    storage.sync_dir(dir).map_err(io("sync", dir))?;
    Ok(Some(path))
}

/// The name of a file with a cut tail. What is called otherwise is somebody else's, and left alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TornName {
    number: u64,
    ordinal: u64,
    offset: u64,
    /// When it was kept, in seconds since 1970.
    since: i64,
}

impl TornName {
    fn file_name(&self) -> String {
        format!("{:06}-{:010}-{}-{}.torn", self.number, self.ordinal, self.offset, self.since)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".torn")?.splitn(4, '-');
        let mut number = || parts.next()?.parse().ok();
        let (number, ordinal, offset) = (number()?, number()?, number()?);
        let parsed = Self { number, ordinal, offset, since: parts.next()?.parse().ok()? };
        // One spelling only, as of a segment's name.
        (parsed.file_name() == name).then_some(parsed)
    }
}

/// The cut tails in the directory `torn`.
fn torn_files(storage: &dyn Storage, torn: &Path) -> io::Result<Vec<TornName>> {
    let mut found = Vec::new();
    for name in storage.list(torn)?.iter().filter_map(|name| TornName::parse(name)) {
        if storage.kind(&torn.join(name.file_name()))? != Some(PathKind::Dir) {
            found.push(name);
        }
    }
    Ok(found)
}

/// Removes the tails that have been kept as long as the settings say.
pub(crate) fn forget_torn(env: &Env, dir: &Path, label: &str, settings: &LogSettings) -> io::Result<()> {
    let (storage, torn) = (&*env.storage, dir.join(TORN_DIR));
    env::refuse_link(storage, &torn)?;
    if storage.kind(&torn)? != Some(PathKind::Dir) {
        return Ok(());
    }
    let now = env.clock.unix_us() / 1_000_000;
    let most = i64::try_from(settings.torn_age.as_secs()).unwrap_or(i64::MAX);
    for name in torn_files(storage, &torn)? {
        if now.saturating_sub(name.since) > most {
            let path = torn.join(name.file_name());
            env::remove_if_there(storage, &path)?;
            events::forgot(label, &path);
        }
    }
    Ok(())
}

/// What is kept of cut tails, and of damaged segments.
pub(crate) fn kept(storage: &dyn Storage, dir: &Path) -> Result<(Kept, Kept)> {
    refuse_links(storage, dir)?;
    let torn = |name: &str| TornName::parse(name).map(|name| Some(name.since));
    let damaged = |name: &str| SegmentName::parse(name).map(|_| None);
    let (torn_dir, damaged_dir) = (dir.join(TORN_DIR), dir.join(DAMAGED_DIR));
    let torn = kept_in(storage, &torn_dir, torn).map_err(|error| Error::io("look into", &torn_dir, error))?;
    let damaged = kept_in(storage, &damaged_dir, damaged);
    Ok((torn, damaged.map_err(|error| Error::io("look into", &damaged_dir, error))?))
}

/// What there is of files that `since` knows; it says when one was kept, as far as its name tells.
fn kept_in(storage: &dyn Storage, dir: &Path, since: impl Fn(&str) -> Option<Option<i64>>) -> io::Result<Kept> {
    let mut kept = Kept::default();
    if storage.kind(dir)? != Some(PathKind::Dir) {
        return Ok(kept);
    }
    for name in storage.list(dir)? {
        let Some(since) = since(&name) else { continue };
        // Another process may have removed it since; or it is none.
        let Ok(file) = storage.open(&dir.join(&name), OpenMode::Read) else { continue };
        kept.files += 1;
        kept.bytes += file.len()?;
        kept.oldest = [kept.oldest, since].into_iter().flatten().min();
    }
    Ok(kept)
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
