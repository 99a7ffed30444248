//! Checking every byte of a log, and repairing what a crash or a disk did to it.

use std::{path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    directory::{self, HeadFile},
    format::{Fault, HEADER_LEN, HeadPage, LogId, Record, SegmentName, TRAILER_LEN, Trailer, head_of, record_size},
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
};

/// What a check knows of one segment.
pub(crate) struct Examined {
    pub(crate) name: SegmentName,
    pub(crate) bytes: Bytes,
    /// What its header says its chain begins with, if the header can be read.
    pub(crate) chain: Option<u32>,
    pub(crate) replay: Replay,
    /// Something is wrong with it that a rewrite mends.
    pub(crate) damaged: bool,
    /// It was compacted.
    pub(crate) compacted: bool,
}

impl Examined {
    /// So many of its entries are deleted and still there.
    fn pending(&self, deletions: &Deletions) -> u64 {
        let (from, to) = (self.name.first, self.replay.position.next);
        deletions.within(from, to).filter(|target| self.replay.places.gap(target - from).is_none()).count() as u64
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

/// Reads every byte of the log in `dir` and says what is wrong with it. `busy`: somebody writes there now.
pub(crate) fn examine(env: &Env, dir: &Path, busy: bool) -> Result<Examination> {
    let storage = &*env.storage;
    let page = HeadFile::read(storage, dir)?;
    let first = directory::read_first(storage, dir);
    let mut names = directory::found_segments(storage, dir)?;
    let mut examiner = Examiner { env, dir, page, busy, id: page.map(|page| page.id), report: Report::default() };
    examiner.report.format = Some("flume".to_owned());
    let mut expected = SegmentName { ordinal: 0, first: 0, generation: 0 };
    let mut first_is_lost = false;
    match first {
        Ok(Some(page)) => {
            names.retain(|name| name.ordinal >= page.ordinal);
            (expected.ordinal, expected.first) = (page.ordinal, page.first);
            if examiner.id.is_some_and(|id| id != page.id) {
                examiner.damage(&directory::first_path(dir), 16, 16, "it belongs to another log");
                first_is_lost = true;
            }
        }
        Ok(None) => {}
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            examiner.report.damage.extend(error.damage().cloned());
            expected = names.first().copied().unwrap_or(expected);
            first_is_lost = true;
        }
        Err(error) => return Err(error),
    }
    let half_made = examiner.half_made(&mut names)?;
    let mut segments: Vec<Examined> = Vec::new();
    let mut deletions = Deletions::default();
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
        (_, Some(last)) if last.compacted => {
            let reason = format!("segment {} is missing: the one before it was compacted", last.name.ordinal + 1);
            report.damage.push(Damage::new(dir, 0, 0, reason));
        }
        (Some(page), last) if last.is_none_or(|last| last.name.ordinal < page.ordinal) => {
            let reason = format!("segment {} is missing: entries up to {} were in it", page.ordinal, page.watermark);
            report.damage.push(Damage::new(dir, 0, 0, reason));
        }
        _ => {}
    }
    let pending = segments.iter().map(|segment| segment.pending(&deletions)).sum::<u64>();
    let gone =
        segments.iter().map(|segment| segment.replay.places.gone() - segment.replay.tombstones_gone).sum::<u64>();
    report.entries = segments.iter().map(|segment| segment.replay.entries).sum::<u64>().saturating_sub(pending);
    report.deleted = pending + gone;
    report.head = segments.last().and_then(|last| head_of(last.replay.position.next));
    Ok(Examination { id, segments, first_is_lost, report })
}

struct Examiner<'a> {
    env: &'a Env,
    dir: &'a Path,
    page: Option<HeadPage>,
    /// Somebody writes here now, so what is behind the head page's end is being written.
    busy: bool,
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
        let (mut chain, mut compacted) = (None, false);
        match check_header(&*file, &path, name, self.id) {
            Ok(header) => {
                self.id = Some(header.id);
                (chain, compacted) = (Some(header.chain), header.is_compacted());
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
            return Ok(Examined { name, bytes, chain, replay, damaged: true, compacted });
        };
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
        self.end(&path, &bytes, &replay, (id, compacted), next, page);
        let damaged = self.report.damage.len() > found;
        Ok(Examined { name, bytes, chain, replay, damaged, compacted })
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

fn whole(file: &Arc<dyn File>, path: &Path) -> Result<Bytes> {
    let read = file.len().and_then(|len| file.read(0, usize::try_from(len).unwrap_or(usize::MAX)));
    read.map_err(|error| Error::io("read", path, error))
}
