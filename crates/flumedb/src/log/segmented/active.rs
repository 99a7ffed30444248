//! [`Active`], the segment that is appended to.

use std::{sync::Arc, time::Duration};

use super::{
    format::{
        COMMIT_LEN, Commit, Form, HEADER_LEN, LogId, SegmentHeader, SegmentName, Trailer, kind, push_formed,
        push_record, record_size,
    },
    group::pack_note,
    note::Deletions,
    payload::Packing,
    segment::Segment,
    settings::LogSettings,
    shared::Shared,
    walk::Position,
};
use crate::{
    Error, ErrorKind, Result,
    env::{
        OpenMode,
        planted::{Bug, planted},
    },
};

/// Space is claimed in steps of at least this many bytes, doubling up to [`MAX_GROWTH`]: a sync that need not record a
/// new length is cheaper.
const MIN_GROWTH: u64 = 256 << 10;
const MAX_GROWTH: u64 = 16 << 20;

/// The first segment of a log ends with so many bytes, if its entries are compressed: the next one learns from it.
const LESSON: u64 = 1 << 20;

/// The segment that is appended to.
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    /// Behind the last commit.
    pub(crate) at: Position,
    /// Length of the file: what is behind the last commit is zeros.
    allocated: u64,
    /// Bytes below this are on the disk.
    pub(crate) synced: u64,
    /// Where its own commits begin, behind what it carries from earlier segments.
    begun: u64,
    /// How it stores payloads.
    pub(crate) packing: Packing,
    /// Its header does not allow for what the settings ask for: the next commit begins a new one.
    pub(crate) outdated: bool,
    /// When it was begun, by the clock on the wall, in microseconds.
    created_us: i64,
    /// It has no dictionary, for want of entries to make one of.
    untrained: bool,
}

impl Active {
    /// A segment that was found, and of which everything up to `at` is on the disk.
    pub(crate) fn found(
        segment: Arc<Segment>,
        header: &SegmentHeader,
        at: Position,
        begun: u64,
        settings: &LogSettings,
    ) -> Result<Self> {
        let mut packing = Packing::wanted(settings, segment.id(), bytes::Bytes::new())?;
        let outdated = !packing.fits(header);
        if packing.compress && !outdated {
            packing.dictionary = segment.dictionary()?;
        }
        let untrained = packing.compress && packing.dictionary.is_empty() && header.ordinal == 0;
        let created_us = header.created_us;
        let (allocated, synced) = (at.offset, at.offset);
        Ok(Self { segment, at, allocated, synced, begun, packing, outdated, created_us, untrained })
    }

    /// Whether enough is in it now to learn from for a new one, which then compresses better.
    pub(crate) fn can_teach(&self) -> bool {
        self.untrained && self.size() >= LESSON
    }

    /// Whether it was begun so long ago.
    pub(crate) fn is_older_than(&self, period: Duration, unix_us: i64) -> bool {
        let period = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
        self.created_us.saturating_add(period) <= unix_us
    }

    /// Bytes of its own commits.
    pub(crate) fn size(&self) -> u64 {
        self.at.offset - self.begun
    }

    /// Bytes of what it carries from earlier segments.
    pub(crate) fn carried(&self) -> u64 {
        self.begun.saturating_sub(HEADER_LEN as u64)
    }

    /// Makes a new segment, on the disk when this returns, beginning with what earlier ones said that still counts.
    pub(crate) fn create(
        shared: &Shared,
        ordinal: u64,
        Position { chain, next: first, .. }: Position,
        epoch: u64,
        packing: Packing,
    ) -> Result<Self> {
        let name = SegmentName { ordinal, first, generation: 0 };
        let path = shared.dir.join(name.file_name());
        let storage = &*shared.env.storage;
        if storage.kind(&path).map_err(|error| Error::io("look at", &path, error))?.is_some() {
            // Left by an attempt of ours that failed: nothing was ever acknowledged from it.
            storage.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
        let mut salt = [0; 16];
        shared.env.random.fill(&mut salt).map_err(|error| Error::io("get randomness for", &path, error))?;
        let created_us = shared.env.clock.unix_us();
        let header = SegmentHeader {
            id: shared.id,
            ordinal,
            first,
            generation: 0,
            chain,
            created_us,
            salt,
            features: packing.features(),
            key: packing.key(),
            key_check: packing.cipher.as_ref().map_or([0; 16], |cipher| cipher.check(&salt, &shared.id.0)),
        };
        let mut bytes = header.encode().to_vec();
        let at = push_carry(&mut bytes, shared, Position::start(&header), epoch, &packing)?;

        let file = storage.open(&path, OpenMode::CreateNew).map_err(|error| Error::io("create", &path, error))?;
        let written = (|| {
            file.write_all(0, &bytes)?;
            file.sync()?;
            if planted(Bug::SkipDirSync) { Ok(()) } else { storage.sync_dir(&shared.dir) }
        })();
        written.map_err(|error| Error::io("write", &path, error))?;
        let segment = Segment::active(name, path, file, shared.id, at.offset).with_keys(shared.keys.clone());
        let untrained = packing.compress && packing.dictionary.is_empty() && ordinal == 0;
        let (segment, begun, outdated) = (Arc::new(segment), at.offset, false);
        Ok(Self { segment, at, allocated: begun, synced: begun, begun, packing, outdated, created_us, untrained })
    }

    /// Writes `pieces` behind the last commit, without counting them as written. On failure nothing has changed, if
    /// that can be had.
    pub(crate) fn write(&mut self, pieces: &[Vec<u8>]) -> Result<()> {
        let path = &self.segment.path;
        let file = &self.segment.file;
        let size: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        let end = self.at.offset + size;
        if end > self.allocated {
            let growth = self.allocated.clamp(MIN_GROWTH, MAX_GROWTH);
            let len = end.max(self.allocated + growth).next_multiple_of(4096);
            file.allocate(len)
                .or_else(|error| {
                    // The step may be too much for a disk that has room for the commit.
                    if error.kind() == std::io::ErrorKind::StorageFull { file.allocate(end) } else { Err(error) }
                })
                .map_err(|error| Error::io("extend", path, error))?;
            self.allocated = file.len().map_err(|error| Error::io("extend", path, error))?;
        }
        let mut offset = self.at.offset;
        for piece in pieces {
            file.write_all(offset, piece).map_err(|error| Error::io("write", path, error))?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Takes back what a failed write may have left behind the last commit.
    pub(crate) fn take_back(&mut self) -> Result<()> {
        let path = &self.segment.path;
        self.segment.file.set_len(self.at.offset).map_err(|error| Error::io("cut", path, error))?;
        self.allocated = self.at.offset;
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> Result<()> {
        if !planted(Bug::SkipSync) {
            self.segment.file.sync().map_err(|error| fatal(Error::io("sync", &self.segment.path, error)))?;
        }
        self.synced = self.at.offset;
        Ok(())
    }

    /// Ends the segment: writes where its entries are, and that it is whole. On the disk when this returns. Returns how
    /// many seqs it holds.
    pub(crate) fn seal(&mut self) -> Result<u64> {
        let count = self.segment.count();
        let mut bytes = Vec::new();
        push_seal(
            &mut bytes,
            &self.segment.encode_index(),
            self.at,
            (self.segment.name.first, count),
            0,
            self.segment.id(),
        );
        let end = self.at.offset + bytes.len() as u64;
        self.write(&[bytes])?;
        self.segment.file.set_len(end).map_err(|error| Error::io("cut", &self.segment.path, error))?;
        self.allocated = end;
        if !planted(Bug::SealWithoutSync) {
            self.sync()?;
        }
        Ok(count)
    }

    /// Gives back the space that was claimed and not used.
    pub(crate) fn trim(&mut self) -> Result<()> {
        if self.allocated > self.at.offset { self.take_back() } else { Ok(()) }
    }
}

/// An error after which it is unknown what the disk holds, whatever the system calls it.
pub(crate) fn fatal(error: Error) -> Error {
    if error.kind() == ErrorKind::StorageFull {
        Error::with_source(ErrorKind::Io, error.to_string(), error)
    } else {
        error
    }
}

/// What ends a sealed segment of so many seqs whose commits end at `at`: the index record and the trailer. `tombstones`: so
/// many were taken out.
pub(crate) fn push_seal(
    out: &mut Vec<u8>,
    index: &[u8],
    at: Position,
    (first, count): (u64, u64),
    tombstones: u64,
    id: LogId,
) {
    push_record(out, kind::INDEX, index, at.chain, id.place(at.next));
    let trailer = Trailer { first, count, index_offset: at.offset, chain: at.chain, tombstones };
    out.extend_from_slice(&trailer.encode());
}

/// The first commit of a segment: its dictionary, deletions that are not carried out yet, and the newest note of each name.
fn push_carry(out: &mut Vec<u8>, shared: &Shared, at: Position, epoch: u64, packing: &Packing) -> Result<Position> {
    let place = shared.id.place(at.next);
    let notes = shared.notes();
    let mut nonces = packing.nonces(&shared.env, 1 + notes.len())?;
    let mut body = Vec::with_capacity(2 + notes.len());
    if !packing.dictionary.is_empty() {
        let plain = Packing { compress: false, ..packing.clone() };
        let mut stored = Vec::new();
        let form = plain.pack(kind::DICTIONARY, at.next, &packing.dictionary, &mut nonces, &mut stored);
        body.push((kind::DICTIONARY, form, stored));
    }
    let deletions =
        if planted(Bug::DeletionsNotCarried) { Deletions::default().encode() } else { shared.deletions().encode() };
    body.push((kind::CARRY, Form::default(), deletions));
    for note in notes.values().filter(|_| !planted(Bug::NotesNotCarried)) {
        let (form, stored) = pack_note(note, packing, at.next, &mut nonces);
        body.push((kind::NOTE, form, stored));
    }
    let size: usize = body.iter().map(|(_, _, stored)| record_size(stored.len())).sum();
    let commit = Commit {
        first: at.next,
        count: 0,
        body: size as u32,
        watermark: at.next,
        synced: 0,
        time_us: shared.env.clock.unix_us(),
        epoch,
    };
    let mut chain = push_record(out, kind::COMMIT, &commit.encode(), at.chain, place);
    for (kind, form, stored) in body {
        chain = push_formed(out, kind, (form, &stored), chain, place);
    }
    debug_assert_eq!(out.len(), HEADER_LEN + record_size(COMMIT_LEN) + size);
    Ok(Position { offset: out.len() as u64, chain, next: at.next })
}
