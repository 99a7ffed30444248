//! Opening a log to write: what the last run left, what of it can be trusted, what must be cut.
//!
//! Only the chain of checksums is accepted. Where it breaks, witnesses decide: below the newest witness (the head page,
//! or the watermark in any later commit) a break is damage, and nothing is changed; above it the rest is what a crash
//! tore, and is cut and reported.

use std::{path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    active::Active,
    directory::{self, HeadFile, first_path},
    format::{FirstPage, HEADER_LEN, HeadPage, LogId, SegmentHeader, SegmentName, TRAILER_LEN, Trailer, head_of},
    payload::Packing,
    replay::Replay,
    segment::{Segment, check_header, fault_error, is_begun, read_exactly, read_trailer},
    settings::LogSettings,
    shared::Shared,
    walk::{Position, Stop, find_commit},
};
use crate::{
    Damage, Env, Error, ErrorKind, Result,
    env::{
        File, OpenMode, Storage,
        planted::{Bug, planted},
    },
    keys::{Keys, missing},
    log::Recovery,
};

/// A log that is ready to be written to.
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) active: Active,
    pub(crate) head: HeadFile,
    pub(crate) epoch: u64,
    pub(crate) recovery: Option<Recovery>,
    /// The last run closed it, so there is nothing that a first commit could vouch for.
    pub(crate) clean: bool,
}

/// Opens the log in `dir`, or makes one. The directory's lock is held.
pub(crate) fn open(env: &Env, dir: &Path, settings: &LogSettings) -> Result<Opened> {
    let storage = &*env.storage;
    settle_generations(storage, dir)?;
    let (mut names, first) = directory::list_segments(storage, dir)?;
    let page = HeadFile::read(storage, dir)?;
    if let (Some(page), []) = (page, &names[..]) {
        return Err(directory::segments_gone(dir, &page));
    }
    check_keys(storage, dir, &names, settings.keys.as_ref())?;
    let mut sealed_before = false;
    while let Some(&name) = names.last() {
        let path = dir.join(name.file_name());
        let file = storage.open(&path, OpenMode::Write).map_err(|error| Error::io("open", &path, error))?;
        if is_half_made(storage, dir, &names, page, &*file)? {
            storage.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
            storage.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))?;
            names.pop();
            sealed_before = true;
            continue;
        }
        let header = check_header(&*file, &path, name, None)?;
        if header.is_compacted() {
            // What still counts of what it said was said again behind it.
            let missing = format!(
                "segment {} is missing: {} was compacted, which the last never is",
                name.ordinal + 1,
                path.display()
            );
            return Err(Error::corrupt(Damage::new(dir, 0, 0, missing)));
        }
        let last = Last { env, dir, settings, name, file, header, names, first, page, sealed_before };
        return last.open();
    }
    create(env, dir, settings)
}

/// Whether the keys are those that the newest segment is encrypted with. Asked before anything is changed.
pub(crate) fn check_keys(storage: &dyn Storage, dir: &Path, names: &[SegmentName], keys: Option<&Keys>) -> Result<()> {
    for name in names.iter().rev() {
        let path = dir.join(name.file_name());
        let file = storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
        if let Ok(header) = check_header(&*file, &path, *name, None) {
            return header.check_key(keys).map_err(|error| error.context(dir.display()));
        }
    }
    Ok(())
}

/// Where a compaction was stopped between writing a segment anew and removing what it was: the new one counts if it is
/// whole.
fn settle_generations(storage: &dyn Storage, dir: &Path) -> Result<()> {
    for (name, older) in directory::superseded(storage, dir)? {
        let path = dir.join(name.file_name());
        if !is_whole(storage, &path, name)? && is_whole(storage, &dir.join(older.file_name()), older)? {
            storage.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
            storage.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))?;
        }
    }
    Ok(())
}

/// Whether every byte of a sealed segment is as it was written.
fn is_whole(storage: &dyn Storage, path: &Path, name: SegmentName) -> Result<bool> {
    let file = storage.open(path, OpenMode::Read).map_err(|error| Error::io("open", path, error))?;
    let header = match check_header(&*file, path, name, None) {
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(false),
        header => header?,
    };
    let len = file.len().map_err(|error| Error::io("read", path, error))?;
    let bytes = read_exactly(&*file, path, 0, len as usize)?;
    let mut replay = Replay::new(Position::start(&header));
    replay.run(&bytes, header.id, u64::MAX);
    let Stop::Index { end } = replay.stop else { return Ok(false) };
    Ok(bytes
        .get(end as usize..)
        .is_some_and(|rest| Trailer::decode(rest).is_ok_and(|trailer| trailer.chain == replay.position.chain)))
}

/// Whether the last segment, whose file is given, was being made when the power went: nothing was ever in it, and nothing
/// witnesses it. What it would say of earlier segments is lost with its first commit, so it must not be gone on with.
pub(crate) fn is_half_made(
    storage: &dyn Storage,
    dir: &Path,
    names: &[SegmentName],
    page: Option<HeadPage>,
    file: &dyn File,
) -> Result<bool> {
    let Some(&name) = names.last() else { return Ok(false) };
    Ok(page.is_none_or(|page| page.ordinal < name.ordinal)
        && !is_begun(file, &dir.join(name.file_name()), name)?
        && is_unborn(storage, dir, names, page, file))
}

/// Whether nothing was ever acknowledged from a segment whose beginning is not whole: a commit that was says how much of
/// the segment was on the disk before it, the first one that is written with the header does not.
fn is_unborn(
    storage: &dyn Storage,
    dir: &Path,
    names: &[SegmentName],
    page: Option<HeadPage>,
    file: &dyn File,
) -> bool {
    let told_by = |name: Option<&SegmentName>| {
        let path = dir.join(name?.file_name());
        let file = storage.open(&path, OpenMode::Read).ok()?;
        Some(check_header(&*file, &path, *name?, None).ok()?.id)
    };
    let id = page.map(|page| page.id);
    let id = id.or_else(|| told_by(names.len().checked_sub(2).and_then(|index| names.get(index))));
    let id = id.or_else(|| told_by(names.last()));
    let Ok(bytes) = file.len().and_then(|len| file.read(0, len as usize)) else { return false };
    match id {
        // What a payload holds of an older part of this very log is no witness.
        Some(id) => {
            let first = names.last().map_or(0, |name| name.first);
            find_commit(&bytes, id, 0, |commit| commit.synced > 0 && commit.first >= first).is_none()
        }
        None => bytes.iter().skip(HEADER_LEN).all(|&byte| byte == 0),
    }
}

fn draw_u64(env: &Env, dir: &Path) -> Result<u64> {
    let mut bytes = [0; 8];
    env.random.fill(&mut bytes).map_err(|error| Error::io("get randomness for", dir, error))?;
    Ok(u64::from_le_bytes(bytes))
}

fn create(env: &Env, dir: &Path, settings: &LogSettings) -> Result<Opened> {
    // Nothing is in the log yet, so if this fails it will be tried again.
    directory::sync_above(&*env.storage, dir)?;
    let mut id = LogId([0; 16]);
    env.random.fill(&mut id.0).map_err(|error| Error::io("get randomness for", dir, error))?;
    let epoch = draw_u64(env, dir)?;
    let packing = Packing::wanted(settings, id, Bytes::new())?;
    let shared = Arc::new(Shared::of_writer(env.clone(), dir.to_owned(), id, settings.keys.clone()));
    let active = Active::create(&shared, 0, Position { offset: 0, chain: 0, next: 0 }, epoch, packing)?;
    shared.table.push_active(active.segment.clone());
    let head = HeadFile::create(&*env.storage, dir)?;
    let synced = active.synced;
    head.write(&HeadPage { id, epoch, visible: 0, watermark: 0, ordinal: 0, synced, end: synced, clean: false })?;
    head.sync()?;
    directory::sync(&*env.storage, dir)?;
    Ok(Opened { shared, active, head, epoch, recovery: None, clean: true })
}

/// What is known of the last segment besides its bytes.
pub(super) struct Witnesses {
    pub(super) page: Option<HeadPage>,
    pub(super) name: SegmentName,
    pub(super) id: LogId,
    /// A segment was begun after it, so it had been sealed.
    pub(super) sealed_before: bool,
}

impl Witnesses {
    /// What follows the last whole commit may be cut only if nobody vouches for it.
    pub(super) fn check(&self, replay: &Replay, bytes: &[u8], path: &Path) -> Result<()> {
        let at = replay.position.offset;
        let head = self.page.map_or(0, |page| match page.ordinal.cmp(&self.name.ordinal) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => page.synced,
            std::cmp::Ordering::Greater => u64::MAX,
        });
        let later = find_commit(bytes, self.id, at, |commit| {
            // What a payload holds of an older part of this very log is no witness.
            commit.synced > at && commit.first >= replay.position.next
        });
        if head <= at && later.is_none() && !self.sealed_before || planted(Bug::TailRuleInTheMiddle) {
            return match replay.stop {
                // Whole, and in its place, but nothing that this version can read: that is no torn tail.
                Stop::Bad { offset, fault: fault @ super::format::Fault::Newer(..) } => {
                    Err(fault_error(path, offset, fault))
                }
                _ => Ok(()),
            };
        }
        match replay.stop {
            Stop::Bad { offset, fault } => {
                let end = later.map_or(bytes.len() as u64, |(_, position)| position.offset).max(offset);
                let super::format::Fault::Bad(reason) = fault else { return Err(fault_error(path, offset, fault)) };
                Err(Error::corrupt(Damage::new(path, offset, end - offset, reason)))
            }
            Stop::End | Stop::Index { .. } => {
                let missing = if head == u64::MAX || self.sealed_before { 0 } else { head.saturating_sub(at) };
                let reason = "entries that were acknowledged are gone";
                Err(Error::corrupt(Damage::new(path, at, missing, reason)))
            }
        }
    }
}

/// The last segment that there is, and what is known of it before it is read.
struct Last<'a> {
    env: &'a Env,
    dir: &'a Path,
    settings: &'a LogSettings,
    name: SegmentName,
    file: Arc<dyn File>,
    header: SegmentHeader,
    names: Vec<SegmentName>,
    first: Option<FirstPage>,
    page: Option<HeadPage>,
    /// A segment was begun after it, so it had been sealed.
    sealed_before: bool,
}

impl Last<'_> {
    fn open(self) -> Result<Opened> {
        let path = self.dir.join(self.name.file_name());
        let id = self.header.id;
        let pages = [
            (self.page.map(|page| page.id), HeadFile::path(self.dir)),
            (self.first.map(|page| page.id), first_path(self.dir)),
        ];
        if let Some((_, path)) = pages.into_iter().find(|(of, _)| of.is_some_and(|of| of != id)) {
            return Err(Error::corrupt(Damage::new(path, 16, 16, "it belongs to another log")));
        }
        self.check_link()?;

        let len = self.file.len().map_err(|error| Error::io("read", &path, error))?;
        let bytes = read_exactly(&*self.file, &path, 0, len as usize)?;
        let mut replay = Replay::new(Position::start(&self.header)).with_keys(self.settings.keys.clone());
        replay.run(&bytes, id, u64::MAX);
        let mut at = replay.position;
        if planted(Bug::SeqTwice) {
            at.next = self.page.map_or(at.next, |page| page.watermark.min(at.next));
        }
        if let Some(key) = replay.lacks {
            // What cannot be read could not be carried on.
            return Err(missing(key).context(format_args!("a note in {}", path.display())));
        }

        let sealed = match replay.stop {
            Stop::Index { end } => {
                let trailer = bytes.get(end as usize..).and_then(|rest| Trailer::decode(rest).ok());
                trailer.is_some_and(|trailer| trailer.chain == at.chain && len == end + TRAILER_LEN as u64)
            }
            _ => false,
        };
        if !sealed {
            let (page, name, sealed_before) = (self.page, self.name, self.sealed_before);
            Witnesses { page, name, id, sealed_before }.check(&replay, &bytes, &path)?;
        } else if let Some(page) = self.page.filter(|page| page.ordinal > self.name.ordinal) {
            // A segment is on the disk before the page names it.
            let reason = format!("segment {} is missing: entries up to {} were in it", page.ordinal, page.watermark);
            return Err(Error::corrupt(Damage::new(self.dir, 0, 0, reason)));
        }
        let clean =
            self.page.is_some_and(|page| page.clean && page.ordinal == self.name.ordinal && page.synced == at.offset);
        let recovery = if clean && len == at.offset {
            None
        } else {
            let recovery = if sealed { None } else { self.cut(at, &bytes, &path)? };
            self.write_again(&replay, bytes.slice(..if sealed { bytes.len() } else { at.offset as usize }), &path)?;
            recovery
        };

        let epoch = draw_u64(self.env, self.dir)?;
        let keys = self.settings.keys.clone();
        let shared = Arc::new(Shared::of_writer(self.env.clone(), self.dir.to_owned(), id, keys));
        for pair in self.names.windows(2) {
            if let [name, next] = pair {
                shared.table.push_sealed(*name, next.first - name.first);
            }
        }
        if let Some(first) = &self.first {
            shared.table.begin_at(first);
        }
        directory::clear_leftovers(&*self.env.storage, self.dir, &self.names)?;
        let next = at.next;
        shared.carry(replay.deletions);
        shared.set_durable(next);
        shared.publish(next, Vec::new(), replay.notes.into_values().collect());
        let active = match replay.stop {
            Stop::Index { .. } if sealed => {
                shared.table.push_sealed(self.name, next - self.name.first);
                let packing = Packing::wanted(self.settings, id, Bytes::new())?;
                Active::create(&shared, self.name.ordinal + 1, at, epoch, packing)?
            }
            _ => {
                let segment = Segment::active(self.name, path, self.file, id, at.offset);
                let segment = segment.with_keys(self.settings.keys.clone());
                let begun = replay.places.first().unwrap_or(at.offset);
                segment.change(at.offset, |places| *places = replay.places);
                Active::found(Arc::new(segment), &self.header, at, begun, self.settings)?
            }
        };
        shared.table.push_active(active.segment.clone());
        shared.forget_erased()?;
        let head = HeadFile::create(&*self.env.storage, self.dir)?;
        directory::sync(&*self.env.storage, self.dir)?;
        Ok(Opened { shared, active, head, epoch, recovery, clean })
    }

    /// The last segment must begin where the one before it ends.
    fn check_link(&self) -> Result<()> {
        let before = self.names.len().checked_sub(2).and_then(|index| self.names.get(index));
        let Some(before) = before.filter(|_| !planted(Bug::LinkNotChecked)) else { return Ok(()) };
        let path = self.dir.join(before.file_name());
        let file = self.env.storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
        let trailer = read_trailer(&*file, &path)?;
        if trailer.chain != self.header.chain || trailer.first.checked_add(trailer.count) != Some(self.name.first) {
            let reason = format!("it does not lead to segment {}", self.name.ordinal);
            return Err(Error::corrupt(Damage::new(&path, trailer.index_offset, TRAILER_LEN as u64, reason)));
        }
        Ok(())
    }

    /// Keeps what follows the last whole commit elsewhere, where it is not zeros, and cuts it.
    fn cut(&self, at: Position, bytes: &bytes::Bytes, path: &Path) -> Result<Option<Recovery>> {
        let tail = bytes.slice((at.offset as usize).min(bytes.len())..);
        let dropped = tail.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let recovery = if dropped > 0 {
            let torn = tail.slice(..dropped);
            Some(Recovery {
                kept_to: head_of(at.next),
                file: path.to_owned(),
                offset: at.offset,
                dropped_bytes: dropped as u64,
                kept_in: directory::keep_torn(self.env, self.dir, self.name, at.offset, &torn, self.settings)?,
            })
        } else {
            None
        };
        if !planted(Bug::TailNotCut) {
            self.file.set_len(at.offset).map_err(|error| Error::io("cut", path, error))?;
        }
        Ok(recovery)
    }

    /// Writes anew what nobody vouches for: after an unclean stop, that bytes can be read is no proof that they are on
    /// the disk. The end of a sealed segment is vouched for by the next one only, and this is the last.
    fn write_again(&self, replay: &Replay, bytes: bytes::Bytes, path: &Path) -> Result<()> {
        if planted(Bug::NotWrittenAgain) {
            return Ok(());
        }
        let vouched = self.page.filter(|page| page.ordinal == self.name.ordinal).map_or(0, |page| page.synced);
        let from = vouched.max(replay.synced).min(bytes.len() as u64);
        // A copy, as the bytes may be the file itself.
        let again = bytes.get(from as usize..).unwrap_or_default().to_vec();
        let written = self.file.write_all(from, &again).and_then(|()| self.file.sync());
        written.map_err(|error| Error::io("write", path, error))
    }
}
