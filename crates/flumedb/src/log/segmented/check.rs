//! Checking every byte of a log, and repairing what a crash or a disk did to it.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    directory::{self, HeadFile},
    format::{
        Fault, HEADER_LEN, HeadPage, LogId, Record, SegmentHeader, SegmentName, TRAILER_LEN, Trailer, head_of,
        record_size,
    },
    note::Deletions,
    recovery,
    replay::{Hole, Replay},
    segment::{check_header, fault_error},
    sound::{Sound, sound},
    walk::{Position, Stop},
};
use crate::{
    Damage, Env, Error, ErrorKind, Result,
    check::{Report, TornTail},
    env::{File, OpenMode, each},
    keys::Keys,
};

/// What a check knows of one segment.
pub(crate) struct Examined {
    pub(crate) name: SegmentName,
    pub(crate) bytes: Bytes,
    /// What its header says its chain begins with, if the header can be read.
    pub(crate) chain: Option<u32>,
    pub(crate) header: Option<SegmentHeader>,
    pub(crate) replay: Replay,
    /// Something is wrong with it that a rewrite mends.
    pub(crate) damaged: bool,
}

impl Examined {
    /// Whether it was compacted.
    pub(crate) fn is_compacted(&self) -> bool {
        self.header.as_ref().is_some_and(SegmentHeader::is_compacted)
    }
}

/// What a check knows of a whole log.
pub(crate) struct Examination {
    pub(crate) id: Option<LogId>,
    pub(crate) segments: Vec<Examined>,
    /// The page that says where the log begins cannot be trusted.
    pub(crate) first_is_lost: bool,
    pub(crate) report: Report,
}

/// How often it begins anew because files are replaced under it.
const TRIES: usize = 5;

/// Reads every byte of the log in `dir` and says what is wrong with it. `busy`: somebody writes there now.
pub(crate) fn examine(env: &Env, dir: &Path, busy: bool, keys: Option<&Keys>) -> Result<Examination> {
    let mut tries = 1;
    loop {
        match try_examine(env, dir, busy, keys) {
            Err(error) if busy && error.kind() == ErrorKind::NotFound && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

fn try_examine(env: &Env, dir: &Path, busy: bool, keys: Option<&Keys>) -> Result<Examination> {
    let mut examiner = Examiner::begin(env, dir, busy, keys)?;
    let (storage, at) = (env.storage.clone(), dir.to_owned());
    // Nearly always all is well, and to find that is quick. Where it is not, one looks closer below.
    let look = move |name: &SegmentName| sound(&*storage, &at, *name).ok().filter(|sound| !sound.packed);
    let sounds = each(env, examiner.sealed().to_vec(), look);
    let mut sounds = sounds.into_iter().map(Option::flatten);
    let mut segments = Vec::new();
    while let Some(examined) = examiner.next(sounds.next().flatten())? {
        segments.push(examined);
    }
    let first_is_lost = examiner.first_is_lost;
    let (id, report) = examiner.finish();
    Ok(Examination { id, segments, first_is_lost, report })
}

/// Takes in one segment after the other.
pub(crate) struct Examiner {
    env: Env,
    dir: PathBuf,
    page: Option<HeadPage>,
    /// Somebody writes here now, so what is behind the head page's end is being written.
    busy: bool,
    /// With them, what is encrypted is looked into.
    keys: Option<Keys>,
    id: Option<LogId>,
    names: Vec<SegmentName>,
    half_made: Option<SegmentName>,
    /// How many of the names have been taken in.
    taken: usize,
    /// The ordinal of the segment that should come next.
    expected: u64,
    /// The page that says where the log begins cannot be trusted.
    first_is_lost: bool,
    /// Where the last of them ended, and whether it was sealed there.
    before: Option<(Position, bool)>,
    /// Whether that one was compacted.
    compacted: bool,
    /// What that one says is deleted.
    deletions: Deletions,
    /// The entries below this are not there any more; and these neither.
    begins: u64,
    gaps: Vec<Range<u64>>,
    pub(crate) report: Report,
}

impl Examiner {
    pub(crate) fn begin(env: &Env, dir: &Path, busy: bool, keys: Option<&Keys>) -> Result<Self> {
        let storage = &*env.storage;
        let page = HeadFile::read(storage, dir)?;
        let mut examiner = Self {
            env: env.clone(),
            dir: dir.to_owned(),
            page,
            busy,
            keys: keys.cloned(),
            id: page.map(|page| page.id),
            names: Vec::new(),
            half_made: None,
            taken: 0,
            expected: 0,
            first_is_lost: false,
            before: None,
            compacted: false,
            deletions: Deletions::default(),
            begins: 0,
            gaps: Vec::new(),
            report: Report { format: Some("flume".to_owned()), ..Report::default() },
        };
        examiner.list()?;
        examiner.half_made = examiner.half_made()?;
        Ok(examiner)
    }

    /// Lists the segments, and looks where the log begins.
    fn list(&mut self) -> Result<()> {
        let storage = &*self.env.storage;
        // In this order: a segment that is listed and was dropped before one looked is left out.
        let names = directory::found_segments(storage, &self.dir)?;
        let first = directory::read_first(storage, &self.dir);
        self.names = names;
        match first {
            Ok(Some(page)) => {
                self.names.retain(|name| name.ordinal >= page.ordinal);
                self.expected = self.expected.max(page.ordinal);
                self.begins = page.first;
                if self.id.is_some_and(|id| id != page.id) {
                    let path = directory::first_path(&self.dir);
                    self.damage(&path, 16, 16, "it belongs to another log");
                    self.first_is_lost = true;
                }
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.report.damage.extend(error.damage().cloned());
                if let Some(first) = self.names.first() {
                    (self.expected, self.begins) = (self.expected.max(first.ordinal), first.first);
                }
                self.first_is_lost = true;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The segments before the last: each is sealed, or should be.
    pub(crate) fn sealed(&self) -> &[SegmentName] {
        self.names.split_last().map_or(&[], |(_, sealed)| sealed)
    }

    /// The segment that is taken in next, unless it is the last.
    pub(crate) fn next_sealed(&self) -> Option<SegmentName> {
        self.sealed().get(self.taken).copied()
    }

    /// Lists the files anew, because one of those that are left was replaced.
    pub(crate) fn list_anew(&mut self) -> Result<()> {
        let reached = self.names.get(self.taken).map_or(0, |name| name.ordinal);
        self.page = HeadFile::read(&*self.env.storage, &self.dir)?;
        self.list()?;
        self.taken = self.names.partition_point(|name| name.ordinal < reached);
        Ok(())
    }

    /// Takes in the next segment, if there is one; `sound` is what is known of it, if it has been read and is sound.
    pub(crate) fn next(&mut self, sound: Option<Sound>) -> Result<Option<Examined>> {
        let Some(&name) = self.names.get(self.taken) else { return Ok(None) };
        let expected = self.expected;
        let missing = name.ordinal != expected;
        let next = self.names.get(self.taken + 1).or(self.half_made.as_ref()).map(|next| next.first);
        let before = self.before.filter(|(_, sealed)| *sealed && !missing).map(|(position, _)| position);
        let sound = sound.filter(|sound| {
            self.id.is_none_or(|id| id == sound.header.id)
                && next == Some(sound.end.next)
                && before.is_none_or(|before| before.chain == sound.header.chain && before.next == name.first)
        });
        if missing {
            let (dir, missing) =
                (self.dir.clone(), format!("segment {expected} is missing: {} follows", name.file_name()));
            self.damage(&dir, 0, 0, missing);
        }
        let mut examined = match sound {
            Some(sound) => self.take(name, sound),
            None => self.segment(name, next, before)?,
        };
        let sealed = matches!(examined.replay.stop, Stop::Index { .. });
        self.before = Some((examined.replay.position, sealed));
        self.expected = name.ordinal + 1;
        self.compacted = examined.is_compacted();
        self.report.entries += examined.replay.entries;
        self.gaps.extend(examined.replay.places.gaps(name.first));
        self.report.deleted += examined.replay.places.gone().saturating_sub(examined.replay.tombstones_gone);
        self.deletions = std::mem::take(&mut examined.replay.deletions);
        self.taken += 1;
        Ok(Some(examined))
    }

    fn take(&mut self, name: SegmentName, sound: Sound) -> Examined {
        let Sound { header, end, entries, places, tombstones_gone, bytes, packed: _ } = sound;
        self.id = Some(header.id);
        self.report.bytes += bytes.len() as u64;
        let mut replay = Replay::new(end);
        replay.stop = Stop::Index { end: end.offset };
        (replay.entries, replay.places, replay.tombstones_gone) = (entries, places, tombstones_gone);
        Examined { name, bytes, chain: Some(header.chain), header: Some(header), replay, damaged: false }
    }

    /// What was found, once all segments have been taken in, and which log it is.
    pub(crate) fn finish(mut self) -> (Option<LogId>, Report) {
        let last = self.names.last();
        if let Some(last) = last.filter(|_| self.compacted) {
            let reason = format!("segment {} is missing: the one before it was compacted", last.ordinal + 1);
            self.report.damage.push(Damage::new(&self.dir, 0, 0, reason));
        } else if let Some(page) = self.page.filter(|page| last.is_none_or(|last| last.ordinal < page.ordinal)) {
            let reason = format!("segment {} is missing: entries up to {} were in it", page.ordinal, page.watermark);
            self.report.damage.push(Damage::new(&self.dir, 0, 0, reason));
        }
        let pending = self.deletions.pending(self.begins, &self.gaps);
        self.report.entries = self.report.entries.saturating_sub(pending);
        self.report.deleted += pending;
        self.report.head = self.before.and_then(|(position, _)| head_of(position.next));
        (self.id, self.report)
    }

    fn damage(&mut self, path: &Path, offset: u64, bytes: u64, reason: impl Into<String>) {
        self.report.damage.push(Damage::new(path, offset, bytes, reason));
    }

    /// Takes the last segment from the names if the power went while it was made: opening removes it.
    fn half_made(&mut self) -> Result<Option<SegmentName>> {
        let Some(&last) = self.names.last() else { return Ok(None) };
        let path = self.dir.join(last.file_name());
        let storage = &*self.env.storage;
        let file = storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
        if !recovery::is_half_made(storage, &self.dir, &self.names, self.page, &*file)? {
            return Ok(None);
        }
        let (bytes, _) = whole(&file, &path)?;
        self.report.bytes += bytes.len() as u64;
        let torn = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        if torn > 0 && !self.busy {
            self.report.torn_tail = Some(TornTail { file: path, offset: 0, bytes: torn });
        }
        Ok(self.names.pop())
    }

    /// Examines one segment; `next` is the first seq of the one after it, `before` where the one before it ended.
    fn segment(&mut self, name: SegmentName, next: Option<u64>, before: Option<Position>) -> Result<Examined> {
        let path = self.dir.join(name.file_name());
        let file = self.env.storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
        let (mut bytes, lost) = whole(&file, &path)?;
        self.report.bytes += bytes.len() as u64;
        if let Some(page) = self.page.filter(|page| self.busy && page.ordinal == name.ordinal) {
            // What is behind, the writer may cut while one looks.
            bytes.truncate(page.end as usize);
        }
        let found = self.report.damage.len();
        for range in &lost {
            self.damage(&path, range.start, range.end - range.start, "the disk cannot read it");
        }
        let (mut chain, mut found_header) = (None, None);
        match check_header(&*file, &path, name, self.id) {
            Ok(header) => {
                self.id = Some(header.id);
                chain = Some(header.chain);
                found_header = Some(header.clone());
                if before.is_some_and(|before| before.chain != header.chain || before.next != name.first) {
                    self.damage(&path, 0, HEADER_LEN as u64, "it does not follow the segment before it");
                }
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let reason = error.damage().map_or_else(|| error.to_string(), |damage| damage.reason.clone());
                self.damage(&path, 0, HEADER_LEN as u64, reason);
            }
            Err(_) if lost.first().is_some_and(|lost| lost.start == 0) => {}
            Err(error) => return Err(error),
        }
        let start = chain.or(before.map(|before| before.chain)).unwrap_or(0);
        let mut replay = Replay::new(Position { offset: HEADER_LEN as u64, chain: start, next: name.first });
        let Some(id) = self.id else {
            return Ok(Examined { name, bytes, chain, header: None, replay, damaged: true });
        };
        replay = replay.with_keys(self.keys_for(found_header.as_ref())?).looking_inside();
        let page = self.page.filter(|page| page.ordinal == name.ordinal);
        let known = next.or(page.map(|page| page.watermark)).unwrap_or(0);
        let limit = page.filter(|_| self.busy).map_or(u64::MAX, |page| page.visible);
        replay.run_around(&bytes, id, known, limit);
        for Hole { offset, end, fault, .. } in &replay.damage {
            match fault {
                Fault::Bad(_) if lost.iter().any(|lost| lost.start < *end && *offset < lost.end) => {}
                Fault::Bad(reason) => self.damage(&path, *offset, end - offset, *reason),
                newer => return Err(fault_error(&path, *offset, *newer)),
            }
        }
        let compacted = found_header.as_ref().is_some_and(SegmentHeader::is_compacted);
        self.end(&path, &bytes, &replay, (id, compacted), next, page);
        let damaged = self.report.damage.len() > found;
        // A rewrite takes these over as they are: their records are whole.
        for (offset, size) in &replay.unreadable {
            self.damage(&path, *offset, *size, "its checksum is right, but it does not decrypt or decompress");
        }
        Ok(Examined { name, bytes, chain, header: found_header, replay, damaged })
    }

    /// The keys, if the one for a segment is among them: without it what is encrypted is not looked into.
    fn keys_for(&self, header: Option<&SegmentHeader>) -> Result<Option<Keys>> {
        let checked = header.map_or(Ok(()), |header| header.check_key(self.keys.as_ref()));
        match checked {
            Ok(()) => Ok(self.keys.clone()),
            Err(error) if header.is_some_and(|header| self.has(header.key)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn has(&self, key: u16) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.cipher(key).is_ok())
    }

    /// Judges how the segment ends.
    fn end(
        &mut self,
        path: &Path,
        bytes: &Bytes,
        replay: &Replay,
        (id, compacted): (LogId, bool),
        next: Option<u64>,
        page: Option<HeadPage>,
    ) {
        let (at, len) = (replay.position, bytes.len() as u64);
        let index = match replay.stop {
            Stop::Index { end } => Some(end),
            _ => None,
        };
        if let Some(end) = index {
            let rest = bytes.get(end as usize..).unwrap_or_default();
            let trailer = Trailer::decode(rest).ok().filter(|trailer| {
                trailer.chain == at.chain
                    && trailer.index_offset == at.offset
                    && trailer.tombstones == replay.tombstones_gone
                    && rest.len() == TRAILER_LEN
            });
            let record = Record::parse(bytes.get(at.offset as usize..).unwrap_or_default(), id.place(at.next));
            let agrees = record.is_ok_and(|record| record.payload == replay.places.encode(compacted));
            match trailer {
                // Entries that are damaged are in the index where they were.
                Some(_) if agrees || !replay.damage.is_empty() => return,
                Some(_) => {
                    return self.damage(path, at.offset, end - at.offset, "its index does not agree with its entries");
                }
                None if next.is_some() => {
                    return self.damage(path, end, len.saturating_sub(end), "its end is not whole");
                }
                None => {}
            }
        }
        let vouched = match (next, page) {
            (Some(_), _) => u64::MAX,
            (None, Some(page)) => page.synced,
            (None, None) => 0,
        };
        let tail = bytes.get(at.offset as usize..).unwrap_or_default();
        let torn = tail.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        if at.offset < vouched && at.next < next.unwrap_or(u64::MAX) || (next.is_some() && index.is_none()) {
            let ended = replay.damage.last().is_some_and(|hole| hole.after.is_none());
            if !ended {
                self.damage(
                    path,
                    at.offset,
                    (record_size(0) as u64).max(torn),
                    "entries that were acknowledged are gone",
                );
            }
        } else if torn > 0 && !self.busy && replay.damage.last().is_none_or(|hole| hole.after.is_some()) {
            self.report.torn_tail = Some(TornTail { file: path.to_owned(), offset: at.offset, bytes: torn });
        }
    }
}

/// All bytes of a file, and where the disk has lost some: there are zeros then.
fn whole(file: &Arc<dyn File>, path: &Path) -> Result<(Bytes, Vec<Range<u64>>)> {
    let failed = |error| Error::io("read", path, error);
    let len = file.len().map_err(failed)?;
    match file.read(0, usize::try_from(len).unwrap_or(usize::MAX)) {
        Ok(bytes) => Ok((bytes, Vec::new())),
        Err(error) if is_lost(&error) => salvage(&**file, len).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// Whether the disk says that it cannot read something, which it will say again: EIO, by the same number on every Unix. What
/// fails in another way may work the next time.
fn is_lost(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    cfg!(unix) && error.raw_os_error() == Some(EIO)
}

/// Reads what can be read.
fn salvage(file: &dyn File, len: u64) -> io::Result<(Bytes, Vec<Range<u64>>)> {
    /// What a file system loses at the least.
    const BLOCK: u64 = 4096;
    let (mut bytes, mut lost): (Vec<u8>, Vec<Range<u64>>) = (Vec::new(), Vec::new());
    for start in (0..len).step_by(BLOCK as usize) {
        let end = len.min(start + BLOCK);
        match file.read(start, (end - start) as usize) {
            Ok(block) => bytes.extend_from_slice(&block),
            Err(error) if is_lost(&error) => match lost.last_mut().filter(|last| last.end == start) {
                Some(last) => last.end = end,
                None => lost.push(start..end),
            },
            Err(error) => return Err(error),
        }
        bytes.resize(end as usize, 0);
    }
    Ok((bytes.into(), lost))
}
