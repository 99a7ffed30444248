//! [`Segment`], one file of the log, to read from.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    format::{
        ALIGN, Fault, HEADER_LEN, LogId, RECORD_LEN, Record, SegmentHeader, SegmentName, TRAILER_LEN, Trailer, kind,
        record_size, u32_at,
    },
    replay::Replay,
    walk::{Next, Position, Stop, next_commit},
};
use crate::{
    Damage, Error, ErrorKind, Result, Seq,
    env::{File, OpenMode, Storage},
    keys::Keys,
    log::{Slot, SlotKind},
};

/// One file of the log.
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    pub(super) id: LogId,
    /// For encrypted records.
    pub(super) keys: Option<Keys>,
    /// What compressed payloads refer to, once one was read.
    pub(super) dictionary: OnceLock<Bytes>,
    index: Index,
}

/// Where the entries begin, in units of [`ALIGN`] bytes from the start of the file.
enum Index {
    /// As the file itself says, in its index record.
    Sealed { offsets: Bytes, end: u64 },
    /// As it was written, or found by walking.
    Active { offsets: RwLock<Offsets>, end: AtomicU64 },
}

#[derive(Default)]
struct Offsets {
    found: Vec<u32>,
    /// So many more are known to have been there, and the file ends before them.
    lost: u64,
    /// Where that damage is.
    lost_at: u64,
}

impl Offsets {
    fn count(&self) -> u64 {
        self.found.len() as u64 + self.lost
    }
}

/// Some entries of a segment, in order.
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    pub(crate) slots: Vec<Slot>,
    /// Some of the payloads are not stored as they are.
    pub(super) packed: bool,
    /// The read stopped here, before what was asked for, because of this.
    pub(crate) fault: Option<(u64, Error)>,
}

impl Segment {
    /// A segment that is appended to, or that was found by walking.
    pub(crate) fn active(name: SegmentName, path: PathBuf, file: Arc<dyn File>, id: LogId, end: u64) -> Self {
        let index = Index::Active { offsets: RwLock::default(), end: AtomicU64::new(end) };
        Self { name, path, file, id, keys: None, dictionary: OnceLock::new(), index }
    }

    /// With keys for what is encrypted in it.
    pub(crate) fn with_keys(mut self, keys: Option<Keys>) -> Self {
        self.keys = keys;
        self
    }

    /// Opens a sealed segment, of which `count` entries are expected.
    pub(crate) fn sealed(storage: &dyn Storage, dir: &Path, name: SegmentName, id: LogId, count: u64) -> Result<Self> {
        let path = dir.join(name.file_name());
        let file = storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
        check_header(&*file, &path, name, Some(id))?;
        let trailer = read_trailer(&*file, &path)?;
        let len = file.len().map_err(|error| Error::io("read", &path, error))?;
        let damaged = |offset, bytes, reason: &str| Error::corrupt(Damage::new(&path, offset, bytes, reason));
        if trailer.first != name.first || trailer.count != count {
            return Err(damaged(len - TRAILER_LEN as u64, TRAILER_LEN as u64, "its end belongs to another segment"));
        }
        let body = (len - TRAILER_LEN as u64).checked_sub(trailer.index_offset);
        let body =
            body.ok_or_else(|| damaged(len - TRAILER_LEN as u64, TRAILER_LEN as u64, "its end points past it"))?;
        let bytes = read_exactly(&*file, &path, trailer.index_offset, body as usize)?;
        let record = Record::parse(&bytes, id.place(name.first.wrapping_add(count)))
            .map_err(|fault| fault_error(&path, trailer.index_offset, fault))?;
        if record.kind != kind::INDEX || record.prev != trailer.chain || record.payload.len() as u64 != count * 4 {
            return Err(damaged(trailer.index_offset, body, "its index belongs to another segment"));
        }
        let offsets = bytes.slice_ref(record.payload);
        let index = Index::Sealed { offsets, end: trailer.index_offset };
        Ok(Self { name, path, file, id, keys: None, dictionary: OnceLock::new(), index })
    }

    /// Opens a sealed segment whose index cannot be trusted: its entries are found by walking. Those that are damaged
    /// keep the place of the damage.
    pub(crate) fn walked(storage: &dyn Storage, dir: &Path, name: SegmentName, id: LogId, count: u64) -> Result<Self> {
        let path = dir.join(name.file_name());
        let io = |error| Error::io("read", &path, error);
        let file = storage.open(&path, OpenMode::Read).map_err(io)?;
        let bytes = file.len().and_then(|len| file.read(0, len as usize)).map_err(io)?;
        let chain = check_header(&*file, &path, name, Some(id)).map_or(0, |header| header.chain);
        let mut replay = Replay::new(Position { offset: HEADER_LEN as u64, chain, next: name.first });
        let behind = name.first.saturating_add(count);
        replay.run_around(&bytes, id, behind, behind);
        let end = match replay.stop {
            Stop::Bad { .. } => bytes.len() as u64,
            _ => replay.position.offset,
        };
        let segment = Self::active(name, path, file, id, end);
        segment.lose(replay.lost, replay.lost_at());
        segment.extend(replay.offsets, end);
        if segment.count() < count { Err(segment.misplaced(end)) } else { Ok(segment) }
    }

    pub(crate) fn id(&self) -> LogId {
        self.id
    }

    /// How many seqs it holds.
    pub(crate) fn count(&self) -> u64 {
        match &self.index {
            Index::Sealed { offsets, .. } => offsets.len() as u64 / 4,
            Index::Active { offsets, .. } => offsets.read().unwrap_or_else(PoisonError::into_inner).count(),
        }
    }

    /// More entries were written, or found; they begin at these offsets, and the commits now end at `end`.
    pub(crate) fn extend(&self, new: impl IntoIterator<Item = u64>, new_end: u64) {
        if let Index::Active { offsets, end } = &self.index {
            let mut offsets = offsets.write().unwrap_or_else(PoisonError::into_inner);
            // The end first: whoever sees an offset must see an end behind it.
            end.store(new_end, Ordering::Release);
            offsets.found.extend(new.into_iter().map(|offset| (offset / ALIGN as u64) as u32));
        }
    }

    /// So many entries behind those that were found are lost, by the damage at `at`.
    pub(crate) fn lose(&self, lost: u64, at: u64) {
        if let Index::Active { offsets, .. } = &self.index {
            let mut offsets = offsets.write().unwrap_or_else(PoisonError::into_inner);
            (offsets.lost, offsets.lost_at) = (lost, at);
        }
    }

    /// The payload of an index record for this segment.
    pub(crate) fn encode_index(&self) -> Vec<u8> {
        match &self.index {
            Index::Sealed { offsets, .. } => offsets.to_vec(),
            Index::Active { offsets, .. } => {
                let offsets = offsets.read().unwrap_or_else(PoisonError::into_inner);
                offsets.found.iter().flat_map(|offset| offset.to_le_bytes()).collect()
            }
        }
    }

    /// Calls `with` with a function that tells where the entry at an index begins (the end, past the last).
    fn with_offsets<T>(&self, with: impl FnOnce(&dyn Fn(usize) -> u64, u64) -> T) -> T {
        let bytes = |unit: u32| u64::from(unit) * ALIGN as u64;
        match &self.index {
            Index::Sealed { offsets, end } => {
                let at = |index: usize| offsets.get(index * 4..index * 4 + 4).map_or(*end, |raw| bytes(u32_at(raw, 0)));
                with(&at, offsets.len() as u64 / 4)
            }
            Index::Active { offsets, end } => {
                let offsets = offsets.read().unwrap_or_else(PoisonError::into_inner);
                let end = end.load(Ordering::Acquire);
                let behind = |index: usize| if (index as u64) < offsets.count() { offsets.lost_at } else { end };
                let at = |index: usize| offsets.found.get(index).map_or_else(|| behind(index), |&unit| bytes(unit));
                with(&at, offsets.count())
            }
        }
    }

    /// Where the record of `seq` begins, and the next one.
    pub(super) fn range(&self, seq: u64) -> (u64, u64) {
        let index = (seq - self.name.first) as usize;
        self.with_offsets(|at, _| (at(index), at(index + 1)))
    }

    /// The record of `seq`, to look at through `with`, and the memory that it is at the start of.
    #[inline]
    pub(crate) fn record<T>(&self, seq: u64, with: impl FnOnce(&Record<'_>) -> T) -> Result<(T, Bytes)> {
        let (start, end) = self.range(seq);
        let len = end.checked_sub(start).ok_or_else(|| self.misplaced(start))?;
        let bytes = self.file.read(start, len as usize).map_err(|error| Error::io("read", &self.path, error))?;
        let record = Record::parse(&bytes, self.id.place(seq)).map_err(|fault| self.fault(start, fault, seq))?;
        if !record.takes_seq() {
            return Err(self.misplaced(start).at(Seq::new(seq)));
        }
        let seen = with(&record);
        Ok((seen, bytes))
    }

    /// The entries `from..to`, as many as fit `max_bytes` (one at least), from that end which `reverse` says. Nothing is
    /// given of those that are deleted, if it takes work to give it.
    pub(crate) fn read(
        &self,
        (from, to): (u64, u64),
        max_bytes: usize,
        reverse: bool,
        is_deleted: impl Fn(u64) -> bool,
    ) -> Result<Part> {
        let mut from = from;
        loop {
            let (low, high) = ((from - self.name.first) as usize, (to - self.name.first) as usize);
            let (low, high, start, end) = self.with_offsets(|at, count| {
                let high = high.min(count as usize);
                let fits = |a: usize, b: usize| at(b).saturating_sub(at(a)) <= max_bytes as u64;
                let (mut low, mut high) = (low, high);
                if !fits(low, high) {
                    // The offsets ascend, so the farthest that fits is found by halving.
                    let (mut yes, mut no) = if reverse { (high - 1, low) } else { (low + 1, high) };
                    while yes.abs_diff(no) > 1 {
                        let middle = yes.midpoint(no);
                        let good = if reverse { fits(middle, high) } else { fits(low, middle) };
                        if good { yes = middle } else { no = middle }
                    }
                    if reverse { low = yes } else { high = yes }
                }
                (low, high, at(low), at(high))
            });
            let number = self.name.first + low as u64;
            let part = self.parse(number, self.name.first + high as u64, start, end)?;
            match &part.fault {
                // Backwards the entries behind the damage come first.
                Some((bad, error)) if reverse => {
                    if bad + 1 >= to {
                        return Err(error.clone());
                    }
                    from = self.behind_hole(*bad).clamp(bad + 1, to - 1);
                }
                Some((bad, error)) if *bad == number => return Err(error.clone()),
                _ => return self.unpack_part(part, max_bytes, reverse, is_deleted),
            }
        }
    }

    /// The first seq behind `seq` whose record begins elsewhere: those that were lost together share a place.
    fn behind_hole(&self, seq: u64) -> u64 {
        self.with_offsets(|at, count| {
            let place = at((seq - self.name.first) as usize);
            let (mut inside, mut behind) = (seq - self.name.first, count);
            while behind.saturating_sub(inside) > 1 {
                let middle = inside.midpoint(behind);
                if at(middle as usize) == place { inside = middle } else { behind = middle }
            }
            self.name.first + behind
        })
    }

    fn parse(&self, from: u64, to: u64, start: u64, end: u64) -> Result<Part> {
        let len = end.checked_sub(start).ok_or_else(|| self.misplaced(start))?;
        let bytes = self.file.read(start, len as usize).map_err(|error| Error::io("read", &self.path, error))?;
        // No more than there can be: of those that are lost there are no bytes.
        let mut slots = Vec::with_capacity((bytes.len() / record_size(0)).min((to - from) as usize));
        let mut packed = false;
        let (mut number, mut done, mut chain) = (from, 0, None);
        let mut place = self.id.place(number);
        let mut fault = None;
        while number < to {
            let record = Record::parse(bytes.get(done..).unwrap_or_default(), place).and_then(|record| {
                let follows = chain.is_none_or(|chain| chain == record.prev);
                follows.then_some(record).ok_or(Fault::Bad("it does not follow the record before it"))
            });
            let record = match record {
                Ok(record) => record,
                Err(bad) => {
                    fault = Some((number, self.fault(start + done as u64, bad, number)));
                    break;
                }
            };
            if record.takes_seq() {
                let (kind, len) = match (record.is_erased(), record.kind) {
                    (true, _) => (SlotKind::Deleted, 0),
                    (false, kind::TOMBSTONE) => (SlotKind::Tombstone, record.payload.len()),
                    (false, _) => (SlotKind::Entry, record.payload.len()),
                };
                let start = (done + RECORD_LEN) as u32;
                packed |= !record.form.is_plain();
                slots.push(Slot { seq: Seq::new(number), kind, start, len: len as u32 });
                number += 1;
                place = self.id.place(number);
            }
            chain = Some(record.crc);
            done += record.size;
        }
        Ok(Part { bytes, slots, fault, packed })
    }

    fn fault(&self, offset: u64, fault: Fault, seq: u64) -> Error {
        fault_error(&self.path, offset, fault).at(Seq::new(seq))
    }

    pub(super) fn misplaced(&self, offset: u64) -> Error {
        Error::corrupt(Damage::new(&self.path, offset, ALIGN as u64, "its index points to the wrong place"))
    }
}

/// What a fault at a place is to the user.
pub(crate) fn fault_error(path: &Path, offset: u64, fault: Fault) -> Error {
    match fault {
        Fault::Bad(reason) => Error::corrupt(Damage::new(path, offset, record_size(0) as u64, reason)),
        Fault::Newer(what, number) => {
            let place = format!("{} at byte {offset}", path.display());
            let message = format!("{place} has {what} {number}, which this version does not know; use a newer one");
            Error::new(ErrorKind::Unsupported, message)
        }
    }
}

/// Reads and checks a segment's header against its file's name.
pub(crate) fn check_header(
    file: &dyn File,
    path: &Path,
    name: SegmentName,
    id: Option<LogId>,
) -> Result<SegmentHeader> {
    let bytes = file.read(0, HEADER_LEN).map_err(|error| Error::io("read", path, error))?;
    let header = SegmentHeader::decode(&bytes).map_err(|fault| fault_error(path, 0, fault))?;
    let named = SegmentName { ordinal: header.ordinal, first: header.first, generation: header.generation };
    if named != name || id.is_some_and(|id| id != header.id) {
        let damage = Damage::new(path, 0, HEADER_LEN as u64, "it is a segment of another place or another log");
        return Err(Error::corrupt(damage));
    }
    Ok(header)
}

/// Whether a segment's header and its first commit are whole. That one says what still counts of earlier segments.
pub(crate) fn is_begun(file: &dyn File, path: &Path, name: SegmentName) -> Result<bool> {
    let header = match check_header(file, path, name, None) {
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(false),
        other => other?,
    };
    let len = file.len().map_err(|error| Error::io("read", path, error))?;
    let bytes = read_exactly(file, path, 0, len as usize)?;
    let first = next_commit(&bytes, header.id, Position::start(&header), &mut Vec::new());
    Ok(matches!(first, Ok(Next::Commit(..)) | Err((_, Fault::Newer(..)))))
}

/// Reads the trailer at a segment's end.
pub(crate) fn read_trailer(file: &dyn File, path: &Path) -> Result<Trailer> {
    let len = file.len().map_err(|error| Error::io("read", path, error))?;
    let offset = len.saturating_sub(TRAILER_LEN as u64);
    let bytes = file.read(offset, TRAILER_LEN).map_err(|error| Error::io("read", path, error))?;
    Trailer::decode(&bytes).map_err(|fault| fault_error(path, offset, fault))
}

/// Reads a range that must be there.
pub(crate) fn read_exactly(file: &dyn File, path: &Path, offset: u64, len: usize) -> Result<Bytes> {
    let bytes = file.read(offset, len).map_err(|error| Error::io("read", path, error))?;
    if bytes.len() < len {
        let damage = Damage::new(path, offset, len as u64, "the file is shorter than it was");
        return Err(Error::corrupt(damage));
    }
    Ok(bytes)
}
