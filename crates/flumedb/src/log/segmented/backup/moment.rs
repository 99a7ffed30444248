//! [`Moment`], what of a log is on the disk at one moment, whether somebody writes it or nobody does.

use std::path::Path;

use bytes::Bytes;

use crate::{
    Damage, Env, Error, ErrorKind, Result,
    env::{OpenMode, Storage},
    log::segmented::{
        directory::{self, HeadFile},
        format::{Fault, FirstPage, HeadPage, LogId, SegmentName, TRAILER_LEN, Trailer},
        recovery::{Witnesses, is_half_made},
        replay::Replay,
        segment::{check_header, fault_error, read_exactly},
        walk::{Position, Stop},
    },
};

/// The writer may be at the head page just when it is read.
const TRIES: usize = 5;

/// What of a log is on the disk.
pub(super) struct Moment {
    pub(super) id: LogId,
    pub(super) epoch: u64,
    /// Where the log begins, if that is not its very first segment.
    pub(super) first: Option<FirstPage>,
    /// Segments that do not change any more.
    pub(super) sealed: Vec<SegmentName>,
    pub(super) last: Last,
}

/// The last segment, as far as it is on the disk.
pub(super) struct Last {
    pub(super) name: SegmentName,
    pub(super) bytes: Bytes,
    /// Where its commits end, and what comes then.
    pub(super) end: u64,
    pub(super) next: u64,
    pub(super) sealed: bool,
}

impl Moment {
    /// Looks at the log in `dir`. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is none, or a file was replaced just now; `Corrupt` if what was on the disk is damaged or gone.
    pub(super) fn of(env: &Env, dir: &Path) -> Result<Self> {
        let storage = &*env.storage;
        let busy = directory::is_locked(storage, dir)?;
        // The page before the names: what a segment says of earlier ones (which entries are deleted) may be left out of
        // later segments once those have been written anew without them.
        let page = read_page(storage, dir, busy)?;
        let (mut names, first) = directory::list_segments(storage, dir)?;
        if let Some(page) = page.filter(|_| busy) {
            // One that is just being begun.
            names.retain(|name| name.ordinal <= page.ordinal);
        }
        let mut sealed_before = false;
        loop {
            let Some(&name) = names.last() else {
                if let Some(page) = page {
                    return Err(directory::segments_gone(dir, &page));
                }
                let message = format!("{} holds no log", dir.display());
                return Err(Error::new(ErrorKind::NotFound, message));
            };
            let path = dir.join(name.file_name());
            let file = storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
            if !busy && is_half_made(storage, dir, &names, page, &*file)? {
                names.pop();
                sealed_before = true;
                continue;
            }
            let header = check_header(&*file, &path, name, page.map(|page| page.id))?;
            if header.is_compacted() {
                // What still counts of what it said was said again behind it.
                let missing = format!("segment {} is missing: the one before it was compacted", name.ordinal + 1);
                return Err(Error::corrupt(Damage::new(dir, 0, 0, missing)));
            }
            if let Some(page) = page.filter(|page| page.ordinal > name.ordinal) {
                let reason =
                    format!("segment {} is missing: entries up to {} were in it", page.ordinal, page.watermark);
                return Err(Error::corrupt(Damage::new(dir, 0, 0, reason)));
            }
            let len = file.len().map_err(|error| Error::io("read", &path, error))?;
            let wanted = page.filter(|_| busy).map_or(len, |page| page.synced);
            let bytes = read_exactly(&*file, &path, 0, usize::try_from(wanted).unwrap_or(usize::MAX))?;
            let mut replay = Replay::new(Position::start(&header));
            replay.run(&bytes, header.id, u64::MAX);
            let at = replay.position;
            let mut sealed = false;
            if busy {
                if let Some(fault) = broken(&replay, wanted) {
                    return Err(fault_error(&path, at.offset, fault));
                }
            } else {
                sealed = is_sealed(&replay, &bytes);
                if !sealed {
                    let witnesses = Witnesses { page, name, id: header.id, sealed_before };
                    witnesses.check(&replay, &bytes, &path)?;
                }
                // That it can be read does not say that it is on the disk.
                match file.sync() {
                    Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
                    synced => synced.map_err(|error| Error::io("sync", &path, error))?,
                }
            }
            let bytes = if sealed { bytes } else { bytes.slice(..(at.offset as usize).min(bytes.len())) };
            names.pop();
            let last = Last { name, bytes, end: at.offset, next: at.next, sealed };
            let epoch = page.map_or(0, |page| page.epoch);
            return Ok(Self { id: header.id, epoch, first, sealed: names, last });
        }
    }

    /// The files as they are named.
    pub(super) fn names(&self) -> impl Iterator<Item = SegmentName> {
        self.sealed.iter().copied().chain([self.last.name])
    }

    /// Whether those are still the log's files, so that all of them were at one moment.
    pub(super) fn is_present(&self, storage: &dyn Storage, dir: &Path) -> Result<bool> {
        let (now, first) = directory::list_segments(storage, dir)?;
        Ok(self.first == first
            && self.names().eq(now.into_iter().take_while(|name| name.ordinal <= self.last.name.ordinal)))
    }
}

fn read_page(storage: &dyn Storage, dir: &Path, busy: bool) -> Result<Option<HeadPage>> {
    for _ in 0..TRIES {
        let page = HeadFile::read(storage, dir)?;
        if page.is_some() || !busy {
            return Ok(page);
        }
    }
    let reason = "it cannot be read, and it alone says what of the log is on the disk while somebody writes";
    Err(Error::corrupt(Damage::new(HeadFile::path(dir), 0, 0, reason)))
}

/// What is wrong with bytes that the head page says are on the disk.
fn broken(replay: &Replay, wanted: u64) -> Option<Fault> {
    match replay.stop {
        Stop::Bad { fault, .. } => Some(fault),
        _ if replay.position.offset != wanted => Some(Fault::Bad("its commits do not end where the head page says")),
        _ => None,
    }
}

fn is_sealed(replay: &Replay, bytes: &Bytes) -> bool {
    let Stop::Index { end } = replay.stop else { return false };
    let trailer = bytes.get(end as usize..).and_then(|rest| Trailer::decode(rest).ok());
    trailer.is_some_and(|trailer| trailer.chain == replay.position.chain)
        && bytes.len() as u64 == end + TRAILER_LEN as u64
}
