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
        ALIGN, Fault, Gap, HEADER_LEN, KIND_AT, LogId, RECORD_LEN, Record, SegmentHeader, SegmentName, TRAILER_LEN,
        Trailer, kind, record_size, u32_at,
    },
    places::Places,
    replay::Replay,
    walk::{Next, Position, Stop, next_commit},
};
use crate::{
    Damage, Error, ErrorKind, Result, Seq, Span,
    env::{File, OpenMode, Storage},
    keys::Keys,
    log::{Forgotten, Slot, SlotKind, memory::deleted},
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
    /// So many of its seqs were tombstones and are gone.
    pub(crate) tombstones_gone: u64,
}

/// Where the entries begin.
enum Index {
    /// As the file itself says, in its index record: in units of [`ALIGN`] bytes from the start of the file.
    Sealed { offsets: Bytes, end: u64 },
    /// As it was written, or found by walking, or of a compacted segment.
    Found { places: RwLock<Places>, end: AtomicU64 },
}

/// An index that is looked at.
enum Look<'a> {
    Sealed { offsets: &'a [u8], end: u64 },
    Found { places: &'a Places, end: u64 },
}

impl Look<'_> {
    /// Where the record of a number begins, counted from the segment's first; the end, past the last.
    #[inline]
    fn at(&self, index: u64) -> u64 {
        match self {
            Self::Sealed { offsets, end } => {
                let raw = offsets.get(index as usize * 4..index as usize * 4 + 4);
                raw.map_or(*end, |raw| u64::from(u32_at(raw, 0)) * ALIGN as u64)
            }
            Self::Found { places, end } => places.at(index, *end),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Sealed { offsets, .. } => offsets.len() as u64 / 4,
            Self::Found { places, .. } => places.count(),
        }
    }

    /// See [`Places::gap`].
    #[inline]
    fn gap(&self, index: u64) -> Option<(u64, u64)> {
        match self {
            Self::Sealed { .. } => None,
            Self::Found { places, .. } => places.gap(index),
        }
    }
}

/// Some entries of a segment, in order.
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    pub(crate) slots: Vec<Slot>,
    /// Some of the payloads are not stored as they are.
    pub(super) packed: bool,
    /// Deletions of which it cannot tell any more.
    pub(crate) forgotten: Vec<Forgotten>,
    /// The read stopped here, before what was asked for, because of this.
    pub(crate) fault: Option<(u64, Error)>,
}

impl Segment {
    /// A segment that is appended to, or that was found by walking.
    pub(crate) fn active(name: SegmentName, path: PathBuf, file: Arc<dyn File>, id: LogId, end: u64) -> Self {
        let index = Index::Found { places: RwLock::default(), end: AtomicU64::new(end) };
        Self { name, path, file, id, keys: None, dictionary: OnceLock::new(), index, tombstones_gone: 0 }
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
        let header = check_header(&*file, &path, name, Some(id))?;
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
        let end = trailer.index_offset;
        let of_another = || damaged(end, body, "its index belongs to another segment");
        if record.kind != kind::INDEX || record.prev != trailer.chain {
            return Err(of_another());
        }
        let index = if header.is_compacted() {
            let places = Places::decode(record.payload, count).ok_or_else(of_another)?;
            Index::Found { places: RwLock::new(places), end: AtomicU64::new(end) }
        } else if record.payload.len() as u64 == count * 4 {
            Index::Sealed { offsets: bytes.slice_ref(record.payload), end }
        } else {
            return Err(of_another());
        };
        let (keys, dictionary, tombstones_gone) = (None, OnceLock::new(), trailer.tombstones);
        Ok(Self { name, path, file, id, keys, dictionary, index, tombstones_gone })
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
        let tombstones_gone = replay.tombstones_gone;
        let index = Index::Found { places: RwLock::new(replay.into_places()), end: AtomicU64::new(end) };
        let (keys, dictionary) = (None, OnceLock::new());
        let segment = Self { name, path, file, id, keys, dictionary, index, tombstones_gone };
        if segment.count() < count { Err(segment.misplaced(end)) } else { Ok(segment) }
    }

    pub(crate) fn id(&self) -> LogId {
        self.id
    }

    /// How many seqs it holds.
    pub(crate) fn count(&self) -> u64 {
        self.look(|look| look.count())
    }

    /// How many of its seqs are gone.
    pub(crate) fn gone(&self) -> u64 {
        match &self.index {
            Index::Sealed { .. } => 0,
            Index::Found { places, .. } => places.read().unwrap_or_else(PoisonError::into_inner).gone(),
        }
    }

    /// Whether the payload of `seq` was taken out.
    pub(crate) fn is_gone(&self, seq: u64) -> bool {
        self.look(|look| look.gap(seq.saturating_sub(self.name.first)).is_some())
    }

    /// Bytes that the record of `seq` takes, with what lies before the next one; 0 if it was taken out.
    pub(crate) fn bytes_of(&self, seq: u64) -> u64 {
        let index = seq.saturating_sub(self.name.first);
        self.look(|look| if look.gap(index).is_some() { 0 } else { look.at(index + 1).saturating_sub(look.at(index)) })
    }

    /// Where the last of its commits ends.
    pub(crate) fn ends_at(&self) -> u64 {
        self.look(|look| look.at(look.count()))
    }

    /// Where its first entry begins.
    pub(crate) fn begins_at(&self) -> u64 {
        self.look(|look| look.at(0))
    }

    /// The seqs whose records are of this kind, as far as they are there. Looks at each record's first bytes only.
    pub(crate) fn numbers_of(&self, kind: u8) -> Result<Vec<u64>> {
        let bytes = self.bytes()?;
        Ok(self.look(|look| {
            let (mut numbers, mut index) = (Vec::new(), 0);
            while index < look.count() {
                if let Some((_, to)) = look.gap(index) {
                    index = to;
                    continue;
                }
                if bytes.get(look.at(index) as usize + KIND_AT) == Some(&kind) {
                    numbers.push(self.name.first + index);
                }
                index += 1;
            }
            numbers
        }))
    }

    /// Whether there are entries in it besides these, which are in order. Looks at the first bytes of records, up to the first
    /// such entry.
    pub(crate) fn holds_entries_but(&self, targets: &[u64]) -> Result<bool> {
        let bytes = self.bytes()?;
        Ok(self.look(|look| {
            let mut index = 0;
            while index < look.count() {
                if let Some((_, to)) = look.gap(index) {
                    index = to;
                    continue;
                }
                let is_entry = bytes.get(look.at(index) as usize + KIND_AT) == Some(&kind::ENTRY);
                if is_entry && targets.binary_search(&(self.name.first + index)).is_err() {
                    return true;
                }
                index += 1;
            }
            false
        }))
    }

    /// The lowest seq that a tombstone deleted which is gone; [`u64::MAX`] if there is none.
    pub(crate) fn least_forgotten(&self) -> Result<u64> {
        let header = check_header(&*self.file, &self.path, self.name, Some(self.id))?;
        let mut replay = Replay::new(Position::start(&header));
        replay.run(&self.bytes()?, self.id, u64::MAX);
        match replay.stop {
            Stop::Bad { offset, fault } => Err(fault_error(&self.path, offset, fault)),
            _ => Ok(replay.least_forgotten),
        }
    }

    /// The whole file.
    fn bytes(&self) -> Result<Bytes> {
        let bytes = self.file.len().and_then(|len| self.file.read(0, len as usize));
        bytes.map_err(|error| Error::io("read", &self.path, error))
    }

    /// More entries were written; they begin at these offsets, and the commits now end at `end`.
    pub(crate) fn extend(&self, new: impl IntoIterator<Item = u64>, new_end: u64) {
        self.change(new_end, |places| new.into_iter().for_each(|offset| places.push(offset)));
    }

    /// Changes the index of a segment that was found, whose commits now end at `end`.
    pub(crate) fn change(&self, new_end: u64, change: impl FnOnce(&mut Places)) {
        if let Index::Found { places, end } = &self.index {
            let mut places = places.write().unwrap_or_else(PoisonError::into_inner);
            // The end first: whoever sees an offset must see an end behind it.
            end.store(new_end, Ordering::Release);
            change(&mut places);
        }
    }

    /// The payload of an index record for this segment.
    pub(crate) fn encode_index(&self) -> Vec<u8> {
        match &self.index {
            Index::Sealed { offsets, .. } => offsets.to_vec(),
            Index::Found { places, .. } => places.read().unwrap_or_else(PoisonError::into_inner).encode(false),
        }
    }

    #[inline]
    fn look<T>(&self, with: impl FnOnce(&Look<'_>) -> T) -> T {
        match &self.index {
            Index::Sealed { offsets, end } => with(&Look::Sealed { offsets, end: *end }),
            Index::Found { places, end } => {
                let places = places.read().unwrap_or_else(PoisonError::into_inner);
                with(&Look::Found { places: &places, end: end.load(Ordering::Acquire) })
            }
        }
    }

    /// Where the record of `seq` begins, and the next one; and the gap that it is in, if it was taken out.
    pub(super) fn range(&self, seq: u64) -> (u64, u64, Option<(u64, u64)>) {
        let index = seq - self.name.first;
        self.look(|look| (look.at(index), look.at(index + 1), look.gap(index)))
    }

    /// The record of `seq`, to look at through `with`, and the memory that it is at the start of.
    #[inline]
    pub(crate) fn record<T>(&self, seq: u64, with: impl FnOnce(&Record<'_>) -> T) -> Result<(T, Bytes)> {
        let (start, end, gap) = self.range(seq);
        if gap.is_some() {
            return Err(deleted(Seq::new(seq)));
        }
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
            let (low, high) = (from - self.name.first, to - self.name.first);
            let (low, high, begin, start, end) = self.look(|look| {
                let high = high.min(look.count());
                // Of what was taken out there are no bytes, but there is an end to it too.
                let fits = |a: u64, b: u64| {
                    look.at(b).saturating_sub(look.at(a)).max((b - a) * RECORD_LEN as u64) <= max_bytes as u64
                };
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
                // A gap is one record: it is read from its start to its end.
                let begin = look.gap(low).map_or(low, |(from, _)| from);
                let end = look.gap(high).filter(|gap| gap.0 < high).map_or(high, |(_, to)| to);
                (low, high, begin, look.at(low), look.at(end))
            });
            let number = self.name.first + low;
            let span = Span { from: number, to: self.name.first + high };
            let part = self.parse(self.name.first + begin, span, start, end)?;
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
        self.look(|look| {
            let place = look.at(seq - self.name.first);
            let (mut inside, mut behind) = (seq - self.name.first, look.count());
            while behind.saturating_sub(inside) > 1 {
                let middle = inside.midpoint(behind);
                if look.at(middle) == place { inside = middle } else { behind = middle }
            }
            self.name.first + behind
        })
    }

    /// The slots of `span`, read from the bytes `start..end`, which begin with the record of `number`.
    fn parse(&self, mut number: u64, span: Span, start: u64, end: u64) -> Result<Part> {
        let len = end.checked_sub(start).ok_or_else(|| self.misplaced(start))?;
        let bytes = self.file.read(start, len as usize).map_err(|error| Error::io("read", &self.path, error))?;
        // No more than there can be: of those that are lost there are no bytes.
        let mut slots = Vec::with_capacity((bytes.len() / record_size(0)).min((span.to - span.from) as usize));
        let mut packed = false;
        let (mut done, mut chain) = (0, None);
        let mut place = self.id.place(number);
        let (mut forgotten, mut fault) = (Vec::new(), None);
        while number < span.to {
            let record = Record::parse(bytes.get(done..).unwrap_or_default(), place).and_then(|record| {
                let follows = chain.is_none_or(|chain| chain == record.prev);
                follows.then_some(record).ok_or(Fault::Bad("it does not follow the record before it"))
            });
            let record = match record {
                Ok(record) => record,
                Err(bad) => {
                    let number = number.max(span.from);
                    fault = Some((number, self.fault(start + done as u64, bad, number)));
                    break;
                }
            };
            let at = (done + RECORD_LEN) as u32;
            if record.takes_seq() {
                let (kind, len) = match (record.is_erased(), record.kind) {
                    (true, _) => (SlotKind::Deleted, 0),
                    (false, kind::TOMBSTONE) => (SlotKind::Tombstone, record.payload.len()),
                    (false, _) => (SlotKind::Entry, record.payload.len()),
                };
                packed |= !record.form.is_plain();
                slots.push(Slot { seq: Seq::new(number), kind, start: at, len: len as u32 });
                number += 1;
                place = self.id.place(number);
            } else if record.kind == kind::GAP {
                let gap = Gap::decode(record.payload);
                let behind = number.saturating_add(gap.count.into());
                let gone = (number.max(span.from)..behind.min(span.to)).map(Seq::new);
                slots.extend(gone.map(|seq| Slot { seq, kind: SlotKind::Deleted, start: at, len: 0 }));
                if gap.tombstones > 0 && behind <= span.to {
                    forgotten.push(Forgotten { at: Seq::new(behind - 1), least: Seq::new(gap.least) });
                }
                number = behind;
                place = self.id.place(number);
            }
            chain = Some(record.crc);
            done += record.size;
        }
        Ok(Part { bytes, slots, forgotten, fault, packed })
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
