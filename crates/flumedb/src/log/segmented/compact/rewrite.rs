//! [`Rewrite`], one segment that is written anew, a piece at a time.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::super::{
    active::push_seal,
    directory,
    format::{
        COMMIT_LEN, Commit, FLAG_ERASED, Gap, HEADER_LEN, LogId, SegmentName, TRAILER_LEN, Trailer, compacted_header,
        kind, push_kept, record_size, u32_at,
    },
    places::Places,
    segment::{check_header, fault_error, read_trailer},
    shared::Shared,
    walk::{Item, Next, Position, Stop, next_commit},
};
use crate::{
    Damage, Error, Result,
    env::{
        self, File, OpenMode, Storage,
        planted::{Bug, planted},
    },
    log::chunk::decode_targets,
};

/// So much is gathered before it is written.
const WRITE_BYTES: usize = 1 << 20;

/// What of a segment goes.
pub(super) struct Erase {
    /// Entries, ascending.
    pub(super) targets: Vec<u64>,
    /// Tombstones, ascending.
    pub(super) tombstones: Vec<u64>,
    /// How many of the entries each tombstone has deleted.
    pub(super) going: HashMap<u64, u64>,
}

impl Erase {
    /// The gap that takes the place of a record; `None` if it stays.
    fn gap(&self, item: &Item<'_>) -> Option<Gap> {
        let record = &item.record;
        match record.kind {
            kind::GAP => Some(Gap::decode(record.payload)),
            kind::ENTRY if record.is_erased() || self.targets.binary_search(&item.number).is_ok() => {
                Some(Gap { count: 1, ..Gap::default() })
            }
            kind::ENTRY
                if planted(Bug::CompactionDropsLive) && self.targets.binary_search(&(item.number + 1)).is_ok() =>
            {
                Some(Gap { count: 1, ..Gap::default() })
            }
            kind::TOMBSTONE if record.is_erased() || self.tombstones.binary_search(&item.number).is_ok() => {
                let least = decode_targets(record.payload).map(crate::Seq::get).min().unwrap_or(0);
                Some(Gap { count: 1, tombstones: 1, least })
            }
            // What they say that still counts, the segments behind say again.
            kind::NOTE | kind::CARRY => Some(Gap::default()),
            _ => None,
        }
    }
}

/// A run of records that were taken out.
struct Run {
    gap: Gap,
    /// The seq of the first of them.
    number: u64,
    /// The link of the first, and the checksum of the last: the chain goes on as if they were there.
    prev: u32,
    crc: u32,
}

impl Run {
    fn join(run: &mut Option<Self>, other: Self) {
        match run {
            Some(run) => {
                run.gap.join(&other.gap);
                run.crc = other.crc;
            }
            None => *run = Some(other),
        }
    }
}

/// Where the newest commit of each epoch begins, ascending; as far as the segment is whole.
fn newest_of_epochs(bytes: &[u8], id: LogId, mut at: Position) -> Vec<u64> {
    let (mut items, mut found, mut newest) = (Vec::new(), Vec::new(), None);
    while let Ok(Next::Commit(commit, after)) = next_commit(bytes, id, at, &mut items) {
        // A gap in the place of commits has no epoch.
        if items.first().is_none_or(|item| item.offset != at.offset) {
            if let Some((epoch, offset)) = newest
                && epoch != commit.epoch
            {
                found.push(offset);
            }
            newest = Some((commit.epoch, at.offset));
        }
        at = after;
    }
    found.extend(newest.map(|(_, offset)| offset));
    found
}

/// One segment that is written anew.
pub(super) struct Rewrite {
    pub(super) name: SegmentName,
    pub(super) erase: Erase,
    /// The path of the segment as it was.
    path: PathBuf,
    fresh: PathBuf,
    id: LogId,
    bytes: Bytes,
    trailer: Trailer,
    /// How far it was read.
    at: Position,
    file: Arc<dyn File>,
    /// What is to be written behind `written`.
    out: Vec<u8>,
    written: u64,
    places: Places,
    tombstones: u64,
    /// Where the newest commit of each epoch begins. It stays, however little is left in it: a backup is told by it from
    /// another history once its newest entry is erased.
    newest: Vec<u64>,
    /// Whole commits that are taken out.
    run: Option<Run>,
    /// Bytes of records at the start of a commit, for use again.
    body: Vec<u8>,
}

impl Rewrite {
    /// Begins to write the segment anew, beside it, through `storage`.
    pub(super) fn begin(shared: &Shared, storage: &dyn Storage, old: SegmentName, erase: Erase) -> Result<Self> {
        let path = shared.dir.join(old.file_name());
        let read = |error| Error::io("read", &path, error);
        let source = storage.open(&path, OpenMode::Read).map_err(read)?;
        let header = check_header(&*source, &path, old, Some(shared.id))?;
        let trailer = read_trailer(&*source, &path)?;
        let bytes = source.len().and_then(|len| source.read(0, len as usize)).map_err(read)?;
        let name = SegmentName { generation: old.generation.saturating_add(1), ..old };
        let fresh = directory::fresh_path(&shared.dir, name);
        let write = |error| Error::io("write", &fresh, error);
        env::remove_if_there(storage, &fresh).map_err(write)?;
        let file = storage.open(&fresh, OpenMode::CreateNew).map_err(write)?;
        let first = bytes.first_chunk::<HEADER_LEN>().unwrap_or(&[0; HEADER_LEN]);
        let out = compacted_header(first, name.generation).to_vec();
        let at = Position::start(&header);
        let newest = newest_of_epochs(&bytes, shared.id, at);
        Ok(Self {
            name,
            erase,
            path,
            fresh,
            id: shared.id,
            bytes,
            trailer,
            at,
            file,
            out,
            written: 0,
            places: Places::default(),
            tombstones: 0,
            newest,
            run: None,
            body: Vec::new(),
        })
    }

    /// Goes on for about so many bytes of the segment. Whether there is more to do.
    pub(super) fn step(&mut self, bytes: u64) -> Result<bool> {
        let until = self.at.offset.saturating_add(bytes);
        let source = self.bytes.clone();
        let mut items = Vec::new();
        while self.at.offset < until {
            match next_commit(&source, self.id, self.at, &mut items) {
                Ok(Next::Commit(commit, after)) => {
                    self.take(&source, &commit, &items, after)?;
                    self.at = after;
                }
                Ok(Next::Stop(Stop::Index { end })) => {
                    self.finish(end)?;
                    return Ok(false);
                }
                Ok(Next::Stop(_)) => return Err(self.damaged("its commits end before its index")),
                // What is damaged is left as it is, for a check to find.
                Err((offset, fault)) => return Err(fault_error(&self.path, offset, fault)),
            }
        }
        Ok(true)
    }

    /// How many bytes it has taken so far.
    pub(super) fn output(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    /// By how many bytes the segment is smaller now.
    pub(super) fn freed(&self) -> u64 {
        (self.bytes.len() as u64).saturating_sub(self.output())
    }

    fn take(&mut self, source: &Bytes, commit: &Commit, items: &[Item<'_>], after: Position) -> Result<()> {
        let gaps: Vec<Option<Gap>> = items.iter().map(|item| self.erase.gap(item)).collect();
        let raw = source.get(self.at.offset as usize..after.offset as usize).unwrap_or_default();
        if gaps.iter().all(Option::is_some) && self.newest.binary_search(&self.at.offset).is_err() {
            let mut gap = Gap::default();
            gaps.iter().flatten().for_each(|other| gap.join(other));
            let run = Run { gap, number: self.at.next, prev: self.at.chain, crc: after.chain };
            Run::join(&mut self.run, run);
            return Ok(());
        }
        if let Some(run) = self.run.take() {
            let mut out = std::mem::take(&mut self.out);
            self.push_gap(&mut out, self.written, run);
            self.out = out;
        }
        if gaps.iter().all(Option::is_none) {
            let shift = self.output();
            let numbered = items.iter().filter(|item| item.record.takes_seq());
            numbered.for_each(|item| self.places.push(item.offset - self.at.offset + shift));
            self.out.extend_from_slice(raw);
        } else {
            self.shrink(source, commit, items, &gaps, u32_at(raw, 0));
        }
        if self.out.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes a commit of which some records are taken out.
    fn shrink(&mut self, source: &Bytes, commit: &Commit, items: &[Item<'_>], gaps: &[Option<Gap>], crc: u32) {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        let base = self.output() + record_size(COMMIT_LEN + 4) as u64;
        let mut run = None;
        for (item, gap) in items.iter().zip(gaps) {
            let record = &item.record;
            if let Some(gap) = *gap {
                Run::join(&mut run, Run { gap, number: item.number, prev: record.prev, crc: record.crc });
                continue;
            }
            if let Some(run) = run.take() {
                self.push_gap(&mut body, base, run);
            }
            if record.takes_seq() {
                self.places.push(base + body.len() as u64);
            }
            let raw = source.get(item.offset as usize..item.offset as usize + record.size);
            body.extend_from_slice(raw.unwrap_or_default());
        }
        if let Some(run) = run {
            self.push_gap(&mut body, base, run);
        }
        let payload = Commit { body: body.len() as u32, ..*commit }.encode();
        let place = self.id.place(self.at.next);
        push_kept(&mut self.out, kind::COMMIT, 0, &payload, (crc, self.at.chain), place);
        self.out.extend_from_slice(&body);
        self.body = body;
    }

    /// Appends the gap record of a run to `out`, which lies at `base`.
    fn push_gap(&mut self, out: &mut Vec<u8>, base: u64, run: Run) {
        self.places.push_gap(run.gap.count.into(), base + out.len() as u64);
        self.tombstones += u64::from(run.gap.tombstones);
        let place = self.id.place(run.number);
        push_kept(out, kind::GAP, FLAG_ERASED, &run.gap.encode(), (run.crc, run.prev), place);
    }

    fn write(&mut self) -> Result<()> {
        self.file.write_all(self.written, &self.out).map_err(|error| Error::io("write", &self.fresh, error))?;
        self.written += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    /// Seals it and brings it to the disk, still beside the segment as it was.
    fn finish(&mut self, end: u64) -> Result<()> {
        let trailer = &self.trailer;
        let behind = trailer.first.checked_add(trailer.count);
        if self.at.chain != trailer.chain
            || behind != Some(self.at.next)
            || end + TRAILER_LEN as u64 != self.bytes.len() as u64
        {
            return Err(self.damaged("its end does not agree with its commits"));
        }
        if let Some(run) = self.run.take() {
            let mut out = std::mem::take(&mut self.out);
            self.push_gap(&mut out, self.written, run);
            self.out = out;
        }
        let at = Position { offset: self.output(), ..self.at };
        let numbers = (self.name.first, self.places.count());
        push_seal(&mut self.out, &self.places.encode(true), at, numbers, self.tombstones, self.id);
        self.write()?;
        if planted(Bug::CompactionNotSynced) {
            return Ok(());
        }
        self.file.sync().map_err(|error| Error::io("sync", &self.fresh, error))
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::corrupt(Damage::new(&self.path, self.at.offset, record_size(0) as u64, reason))
    }

    /// Puts it in the place of the segment as it was; on the disk when this returns. Both are whole, whichever of the two a
    /// power cut leaves.
    pub(super) fn install(&self, shared: &Shared) -> Result<()> {
        let storage = &*shared.env.storage;
        let path = shared.dir.join(self.name.file_name());
        storage
            .rename(&self.fresh, &path)
            .and_then(|()| if planted(Bug::CompactionSkipDirSync) { Ok(()) } else { storage.sync_dir(&shared.dir) })
            .map_err(|error| Error::io("rename", &path, error))?;
        shared.table.supersede(self.name);
        if !planted(Bug::ErasedStays) {
            storage
                .remove(&self.path)
                .and_then(|()| storage.sync_dir(&shared.dir))
                .map_err(|error| Error::io("remove", &self.path, error))?;
        }
        // The last: that an entry is deleted must be said until nothing that has it can come back, and by whoever does not
        // say it any more the segment is found that knows of it.
        shared.erased(&self.erase.targets);
        Ok(())
    }

    /// Leaves nothing of it.
    pub(super) fn abandon(&self, storage: &dyn Storage) {
        // What is left is removed at the next opening.
        drop(storage.remove(&self.fresh));
    }
}
