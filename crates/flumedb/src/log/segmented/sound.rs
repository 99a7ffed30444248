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

/// A sealed segment that is being read.
pub(crate) struct Sounding {
    name: SegmentName,
    header: SegmentHeader,
    trailer: Trailer,
    bytes: Bytes,
    /// Where the payload of its index record lies.
    index: Range<usize>,
    at: Position,
    entries: u64,
    tombstones_gone: u64,
    /// Where entries are and where they were taken out, of a compacted one.
    places: Places,
}

/// A sealed segment of which every byte is as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    pub(crate) header: SegmentHeader,
    /// Where its commits end.
    pub(crate) end: Position,
    /// Entries that it has, deleted ones among them.
    pub(crate) entries: u64,
    /// So many of its tombstones are gone.
    pub(crate) tombstones_gone: u64,
    /// Where entries were taken out; nothing of one that was not compacted.
    pub(crate) places: Places,
    pub(crate) bytes: Bytes,
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
        if !fits {
            return Err(damaged(start, "its index belongs to another segment"));
        }
        let from = record.payload.as_ptr().addr() - bytes.as_ptr().addr();
        let index = from..from + record.payload.len();
        let at = Position::start(&header);
        let (entries, tombstones_gone, places) = (0, 0, Places::default());
        Ok(Self { name, header, trailer, bytes, index, at, entries, tombstones_gone, places })
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

    /// Holds the entries of a commit against the index, or, if that is by runs, gathers what it should say.
    fn compare(&mut self, path: &Path, items: &[Item<'_>]) -> Result<()> {
        let compacted = self.header.is_compacted();
        let index = self.bytes.get(self.index.clone()).unwrap_or_default();
        for Item { number, offset, record } in items {
            self.entries += u64::from(record.kind == kind::ENTRY && !record.is_erased());
            let agrees = match record.kind {
                kind::GAP => {
                    let gap = Gap::decode(record.payload);
                    self.places.push_gap(gap.count.into(), *offset);
                    self.tombstones_gone += u64::from(gap.tombstones);
                    compacted
                }
                _ if !record.takes_seq() => true,
                _ if compacted => {
                    self.places.push(*offset);
                    true
                }
                _ => {
                    let told = index.get((number - self.name.first) as usize * 4..).filter(|rest| rest.len() >= 4);
                    told.map(|rest| u64::from(u32_at(rest, 0)) * ALIGN as u64) == Some(*offset)
                }
            };
            if !agrees {
                return Err(self.disagrees(path));
            }
        }
        Ok(())
    }

    fn disagrees(&self, path: &Path) -> Error {
        let (at, len) = (self.trailer.index_offset, self.index.len() as u64);
        Error::corrupt(Damage::new(path, at, len, "its index does not agree with its entries"))
    }

    fn is_at_end(&self) -> bool {
        let behind = self.trailer.first.wrapping_add(self.trailer.count);
        self.at == Position { offset: self.trailer.index_offset, chain: self.trailer.chain, next: behind }
            && self.at.offset >= HEADER_LEN as u64
            && self.tombstones_gone == self.trailer.tombstones
            && (!self.header.is_compacted()
                || self.bytes.get(self.index.clone()) == Some(self.places.encode(true).as_slice()))
    }

    /// What was found, once all has been read.
    pub(crate) fn end(self) -> Sound {
        Sound {
            header: self.header,
            end: self.at,
            entries: self.entries,
            tombstones_gone: self.tombstones_gone,
            places: self.places,
            bytes: self.bytes,
        }
    }
}
