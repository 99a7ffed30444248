//! [`Sounding`], a sealed segment read from its header to its trailer, piece by piece, to find that all of it is as it was
//! written. It keeps nothing of what it reads, so that it goes as fast as checksums do. It says where a segment is bad,
//! but not what of it can still be had: that is for [`check`](super::check).

use std::{ops::Range, path::Path};

use bytes::Bytes;

use super::{
    format::{ALIGN, Fault, Gap, HEADER_LEN, Record, SegmentHeader, SegmentName, TRAILER_LEN, Trailer, kind, u32_at},
    places::Places,
    segment::{check_header, fault_error, read_trailer},
    walk::{Item, Next, Position, Stop, next_commit},
};
use crate::{
    Damage, Error, Result,
    env::{File, OpenMode, Storage},
};

/// What a segment's index record says.
enum Index {
    /// Where its payload lies.
    Plain(Range<usize>),
    /// Of a compacted segment.
    ByRuns(Places),
}

/// A sealed segment that is being read.
pub(crate) struct Sounding {
    name: SegmentName,
    header: SegmentHeader,
    trailer: Trailer,
    bytes: Bytes,
    index: Index,
    at: Position,
    entries: u64,
    tombstones_gone: u64,
    packed: bool,
}

/// A sealed segment of which every byte is as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    pub(crate) header: SegmentHeader,
    /// Where its commits end.
    pub(crate) end: Position,
    /// Entries that it has, deleted ones among them.
    pub(crate) entries: u64,
    /// What was taken out of it, and how many of those were tombstones.
    pub(crate) places: Places,
    pub(crate) tombstones_gone: u64,
    pub(crate) bytes: Bytes,
    /// Some payloads are compressed or encrypted. What is in them was not looked at.
    pub(crate) packed: bool,
}

/// Reads all of a sealed segment.
///
/// # Errors
/// `Corrupt` with the first place that is not as it was written, `NotFound`, `Unsupported`, `Io`.
pub(crate) fn sound(storage: &dyn Storage, dir: &Path, name: SegmentName) -> Result<Sound> {
    let path = dir.join(name.file_name());
    let mut sounding = Sounding::begin(storage, &path, name)?;
    while !sounding.step(&path, u64::MAX)? {}
    Ok(sounding.end())
}

impl Sounding {
    /// Reads the header, the trailer and the index.
    pub(crate) fn begin(storage: &dyn Storage, path: &Path, name: SegmentName) -> Result<Self> {
        let file = storage.open(path, OpenMode::Read).map_err(|error| Error::io("open", path, error))?;
        Self::of(&*file, path, name)
    }

    /// The same of a file that is open; what is wrong is said to be at `path`.
    pub(crate) fn of(file: &dyn File, path: &Path, name: SegmentName) -> Result<Self> {
        let header = check_header(file, path, name, None)?;
        let trailer = read_trailer(file, path)?;
        let io = |error| Error::io("read", path, error);
        let bytes = file.len().and_then(|len| file.read(0, usize::try_from(len).unwrap_or(usize::MAX))).map_err(io)?;
        let end = bytes.len() - TRAILER_LEN.min(bytes.len());
        let damaged = |at: usize, reason: &str| {
            Error::corrupt(Damage::new(path, at as u64, bytes.len().saturating_sub(at) as u64, reason))
        };
        let start = usize::try_from(trailer.index_offset).unwrap_or(usize::MAX);
        let record = bytes.get(start..end).ok_or_else(|| damaged(end, "its end points past it"))?;
        let behind = trailer.first.wrapping_add(trailer.count);
        let record = Record::parse(record, header.id.place(behind));
        let record = record.map_err(|fault| fault_error(path, trailer.index_offset, fault))?;
        let fits = record.kind == kind::INDEX
            && record.prev == trailer.chain
            && trailer.first == name.first
            && start + record.size == end
            && (header.is_compacted() || record.payload.len() as u64 == trailer.count.saturating_mul(4));
        let of_another = || damaged(start, "its index belongs to another segment");
        if !fits {
            return Err(of_another());
        }
        let index = if header.is_compacted() {
            Index::ByRuns(Places::decode(record.payload, trailer.count).ok_or_else(of_another)?)
        } else {
            let from = record.payload.as_ptr().addr() - bytes.as_ptr().addr();
            Index::Plain(from..from + record.payload.len())
        };
        let at = Position::start(&header);
        Ok(Self { name, header, trailer, bytes, index, at, entries: 0, tombstones_gone: 0, packed: false })
    }

    /// How many of them have been read.
    pub(crate) fn done(&self) -> u64 {
        self.at.offset
    }

    /// Reads on: about `budget` bytes, whole commits. Says whether that was all.
    pub(crate) fn step(&mut self, path: &Path, budget: u64) -> Result<bool> {
        let enough = self.at.offset.saturating_add(budget);
        let bytes = self.bytes.clone();
        let mut items = Vec::new();
        while self.at.offset < enough {
            let next = next_commit(&bytes, self.header.id, self.at, &mut items);
            match next.map_err(|(offset, fault)| fault_error(path, offset, fault))? {
                Next::Commit(_, after) if after.offset <= self.trailer.index_offset => {
                    self.compare(path, &items)?;
                    self.at = after;
                }
                Next::Stop(Stop::Index { .. }) if self.is_at_end() => return Ok(true),
                _ => {
                    let fault = Fault::Bad("its commits do not end where its index begins");
                    return Err(fault_error(path, self.at.offset, fault));
                }
            }
        }
        Ok(false)
    }

    /// Holds the entries of a commit against the index.
    fn compare(&mut self, path: &Path, items: &[Item<'_>]) -> Result<()> {
        for Item { number, offset, record } in items.iter().filter(|item| item.record.seqs() > 0) {
            let index = number - self.name.first;
            let agrees = match &self.index {
                Index::Plain(payload) => {
                    let units = self.bytes.get(payload.clone()).unwrap_or_default();
                    let told = units.get(index as usize * 4..).filter(|rest| rest.len() >= 4);
                    told.map(|rest| u64::from(u32_at(rest, 0)) * ALIGN as u64) == Some(*offset)
                }
                Index::ByRuns(places) => {
                    let gap = (record.kind == kind::GAP).then(|| (index, index + record.seqs()));
                    places.at(index, u64::MAX) == *offset && places.gap(index) == gap
                }
            };
            if record.kind == kind::GAP {
                self.tombstones_gone += u64::from(Gap::decode(record.payload).tombstones);
            }
            if !agrees {
                let at = self.trailer.index_offset;
                let len = (self.bytes.len() as u64).saturating_sub(at);
                return Err(Error::corrupt(Damage::new(path, at, len, "its index does not agree with its entries")));
            }
            self.packed |= !record.form.is_plain();
            self.entries += u64::from(record.kind == kind::ENTRY && !record.is_erased());
        }
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        let behind = self.trailer.first.wrapping_add(self.trailer.count);
        self.at == Position { offset: self.trailer.index_offset, chain: self.trailer.chain, next: behind }
            && self.at.offset >= HEADER_LEN as u64
            && self.tombstones_gone == self.trailer.tombstones
    }

    /// What was found, once all has been read.
    pub(crate) fn end(self) -> Sound {
        let places = match self.index {
            Index::Plain(_) => Places::default(),
            Index::ByRuns(places) => places,
        };
        Sound {
            header: self.header,
            end: self.at,
            entries: self.entries,
            places,
            tombstones_gone: self.tombstones_gone,
            bytes: self.bytes,
            packed: self.packed,
        }
    }
}
