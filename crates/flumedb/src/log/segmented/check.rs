//! Checking every byte of a log, and repairing what a crash or a disk did to it.

use std::{path::Path, sync::Arc};

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
    walk::{Position, Stop},
};
use crate::{
    Damage, Env, Error, ErrorKind, Result,
    check::{Report, TornTail},
    env::{File, OpenMode},
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

/// What a check knows of a whole log.
pub(crate) struct Examination {
    pub(crate) id: Option<LogId>,
    pub(crate) segments: Vec<Examined>,
    pub(crate) report: Report,
}

/// Reads every byte of the log in `dir` and says what is wrong with it. `busy`: somebody writes there now.
pub(crate) fn examine(env: &Env, dir: &Path, busy: bool, keys: Option<&Keys>) -> Result<Examination> {
    let storage = &*env.storage;
    let page = HeadFile::read(storage, dir)?;
    let mut names = directory::found_segments(storage, dir)?;
    let mut examiner = Examiner { env, dir, page, busy, keys, id: page.map(|page| page.id), report: Report::default() };
    examiner.report.format = Some("flume".to_owned());
    let half_made = examiner.half_made(&mut names)?;
    let mut segments: Vec<Examined> = Vec::new();
    let mut deletions = Deletions::default();
    let mut expected = SegmentName { ordinal: 0, first: 0, generation: 0 };
    for (index, &name) in names.iter().enumerate() {
        if name.ordinal != expected.ordinal {
            let missing = format!("segment {} is missing: {} follows", expected.ordinal, name.file_name());
            examiner.damage(dir, 0, 0, missing);
        }
        let next = names.get(index + 1).or(half_made.as_ref()).map(|next| next.first);
        let before = segments.last().filter(|before| {
            before.name.ordinal + 1 == name.ordinal && matches!(before.replay.stop, Stop::Index { .. })
        });
        let examined = examiner.segment(name, next, before.map(|before| before.replay.position))?;
        expected = SegmentName { ordinal: name.ordinal + 1, ..name };
        deletions.clone_from(&examined.replay.deletions);
        segments.push(examined);
    }
    let Examiner { mut report, id, .. } = examiner;
    match (page, segments.last()) {
        (Some(page), last) if last.is_none_or(|last| last.name.ordinal < page.ordinal) => {
            let reason = format!("segment {} is missing: entries up to {} were in it", page.ordinal, page.watermark);
            report.damage.push(Damage::new(dir, 0, 0, reason));
        }
        _ => {}
    }
    report.entries = segments.iter().map(|segment| segment.replay.entries).sum::<u64>().saturating_sub(deletions.len());
    report.deleted = deletions.len();
    report.head = segments.last().and_then(|last| head_of(last.replay.position.next));
    Ok(Examination { id, segments, report })
}

struct Examiner<'a> {
    env: &'a Env,
    dir: &'a Path,
    page: Option<HeadPage>,
    /// Somebody writes here now, so what is behind the head page's end is being written.
    busy: bool,
    /// With them, what is encrypted is looked into.
    keys: Option<&'a Keys>,
    id: Option<LogId>,
    report: Report,
}

impl Examiner<'_> {
    fn damage(&mut self, path: &Path, offset: u64, bytes: u64, reason: impl Into<String>) {
        self.report.damage.push(Damage::new(path, offset, bytes, reason));
    }

    /// Takes the last segment from the names if the power went while it was made: opening removes it.
    fn half_made(&mut self, names: &mut Vec<SegmentName>) -> Result<Option<SegmentName>> {
        let Some(&last) = names.last() else { return Ok(None) };
        let path = self.dir.join(last.file_name());
        let storage = &*self.env.storage;
        let file = storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
        if !recovery::is_half_made(storage, self.dir, names, self.page, &*file)? {
            return Ok(None);
        }
        let bytes = whole(&file, &path)?;
        self.report.bytes += bytes.len() as u64;
        let torn = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        if torn > 0 && !self.busy {
            self.report.torn_tail = Some(TornTail { file: path, offset: 0, bytes: torn });
        }
        Ok(names.pop())
    }

    /// Examines one segment; `next` is the first seq of the one after it, `before` where the one before it ended.
    fn segment(&mut self, name: SegmentName, next: Option<u64>, before: Option<Position>) -> Result<Examined> {
        let path = self.dir.join(name.file_name());
        let file = self.env.storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
        let mut bytes = whole(&file, &path)?;
        self.report.bytes += bytes.len() as u64;
        if let Some(page) = self.page.filter(|page| self.busy && page.ordinal == name.ordinal) {
            // What is behind, the writer may cut while one looks.
            bytes.truncate(page.end as usize);
        }
        let found = self.report.damage.len();
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
                Fault::Bad(reason) => self.damage(&path, *offset, end - offset, *reason),
                newer => return Err(fault_error(&path, *offset, *newer)),
            }
        }
        self.end(&path, &bytes, &replay, id, next, page);
        let damaged = self.report.damage.len() > found;
        // A rewrite takes these over as they are: their records are whole.
        for (offset, size) in &replay.unreadable {
            self.damage(&path, *offset, *size, "its checksum is right, but it does not decrypt or decompress");
        }
        Ok(Examined { name, bytes, chain, header: found_header, replay, damaged })
    }

    /// The keys, if the one for a segment is among them: without it what is encrypted is not looked into.
    fn keys_for(&self, header: Option<&SegmentHeader>) -> Result<Option<Keys>> {
        let checked = header.map_or(Ok(()), |header| header.check_key(self.keys));
        match checked {
            Ok(()) => Ok(self.keys.cloned()),
            Err(error) if header.is_some_and(|header| self.has(header.key)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn has(&self, key: u16) -> bool {
        self.keys.is_some_and(|keys| keys.cipher(key).is_ok())
    }

    /// Judges how the segment ends.
    fn end(
        &mut self,
        path: &Path,
        bytes: &Bytes,
        replay: &Replay,
        id: LogId,
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
                trailer.chain == at.chain && trailer.index_offset == at.offset && rest.len() == TRAILER_LEN
            });
            let offsets = replay.offsets.iter().flat_map(|offset| ((offset / 8) as u32).to_le_bytes());
            let record = Record::parse(bytes.get(at.offset as usize..).unwrap_or_default(), id.place(at.next));
            let agrees = record.is_ok_and(|record| record.payload.iter().copied().eq(offsets));
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

fn whole(file: &Arc<dyn File>, path: &Path) -> Result<Bytes> {
    let read = file.len().and_then(|len| file.read(0, usize::try_from(len).unwrap_or(usize::MAX)));
    read.map_err(|error| Error::io("read", path, error))
}
