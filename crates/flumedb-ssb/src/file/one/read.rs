//! How a [`One`] is read: from the nearest mark on, in one piece a chunk. Payloads are copied, because a deletion (by
//! another process, too) overwrites them in place.

use bytes::Bytes;
use flumedb::{
    Error, ErrorKind, Result, Seq, Span,
    log::{Chunk, ReadRequest, Slot, SlotKind},
};

use super::{
    Layout, One,
    chain::{Chain, Gap, Item, Record, checksum},
    is_erased,
};
use crate::file::records::not_found;

/// A chunk is no longer, whatever is asked for, so that it and what lies around it are read, and copied, in one piece that
/// the processor's cache can hold.
const CHUNK: u64 = 248 << 10;

/// A chunk has no more records, so that one of empty records is no larger than another. Backwards, where the last ones have
/// to be looked for, no more than twice as many are held.
const RECORDS: usize = 1 << 12;

/// Whether so many records that lie in so many bytes make a chunk of the size that is asked for.
fn fits(request: &ReadRequest, records: usize, bytes: u64) -> bool {
    records <= RECORDS && bytes <= CHUNK.min(request.max_bytes as u64)
}

impl<L: Layout> One<L> {
    /// Where the first record starts.
    pub(super) fn first_start(&self) -> Option<u64> {
        self.chain().first()
    }

    pub(super) fn payload(&self, seq: Seq) -> Result<Bytes> {
        let (chain, layout) = (self.chain(), self.layout());
        let record = chain.find(&layout, &self.source, seq.get())?.ok_or_else(|| not_found(seq))?;
        let payload = self.source.exact(record.payload::<L>(), record.size as usize)?;
        let payload = Bytes::copy_from_slice(&payload);
        if is_erased(&payload) {
            return Err(Error::new(ErrorKind::Deleted, format!("entry {seq} was deleted")));
        }
        Ok(payload)
    }

    /// Length and checksum of the record at `start`, if there is one.
    pub(super) fn digest(&self, start: u64) -> Result<Option<[u8; 12]>> {
        let (chain, layout) = (self.chain(), self.layout());
        let Some(record) = chain.find(&layout, &self.source, start)? else { return Ok(None) };
        let payload = self.source.exact(record.payload::<L>(), record.size as usize)?;
        let mut digest = [0; 12];
        let (length, sum) = digest.split_at_mut(4);
        length.copy_from_slice(&record.size.to_be_bytes());
        sum.copy_from_slice(&checksum(&payload).to_be_bytes());
        Ok(Some(digest))
    }

    pub(super) fn forwards(&self, request: ReadRequest) -> Result<Chunk> {
        let (chain, layout) = (self.chain(), self.layout());
        let Span { from, to } = request.span;
        let mut records: Vec<Record> = Vec::new();
        let mut covered_to = to.min(chain.end());
        let mut walk = chain.walk_from(&layout, &self.source, from).copying();
        while let Some(item) = walk.next()? {
            let record = match item {
                Item::Record(record) if record.start < from => continue,
                Item::Record(record) => record,
                Item::Gap(gap) if gap.to <= from => continue,
                Item::Gap(gap) if gap.from < to && records.is_empty() => {
                    return Err(self.damaged(gap, gap.to.min(to) - 1));
                }
                Item::Gap(gap) => {
                    covered_to = covered_to.min(gap.from);
                    break;
                }
            };
            if record.start >= to {
                break;
            }
            if let Some(first) = records.first()
                && !fits(&request, records.len() + 1, record.end - first.start)
            {
                covered_to = record.start;
                break;
            }
            records.push(record);
        }
        let covered = Span { from, to: covered_to.max(from) };
        let ends = records.first().zip(records.last());
        let bytes = ends.and_then(|(first, last)| walk.copied(first.start, last.end));
        self.chunk(&chain, &records, bytes, covered, false)
    }

    pub(super) fn backwards(&self, request: ReadRequest) -> Result<Chunk> {
        let (chain, layout) = (self.chain(), self.layout());
        let Span { from, to } = request.span;
        let upper = to.min(chain.end());
        // Records can only be walked over forwards, so the walk begins early enough to find what is asked for.
        let low = upper.saturating_sub((request.max_bytes as u64).clamp(1, CHUNK)).max(from);
        let (mut records, mut gap): (Vec<Record>, Option<Gap>) = (Vec::new(), None);
        let mut walk = chain.walk_from(&layout, &self.source, low);
        while let Some(item) = walk.next()? {
            match item {
                Item::Record(record) if record.start >= upper => break,
                Item::Record(record) if record.start >= from => {
                    if records.len() >= 2 * RECORDS {
                        records.drain(..RECORDS);
                    }
                    records.push(record);
                }
                Item::Record(_) => {}
                Item::Gap(found) if found.from >= upper => break,
                Item::Gap(found) => {
                    records.clear();
                    gap = Some(found);
                }
            }
        }
        let Some(newest) = records.last().copied() else {
            return match gap.filter(|gap| gap.to > from) {
                Some(gap) => Err(self.damaged(gap, gap.from.max(from))),
                None => Ok(Chunk::nothing(request.span, chain.end())),
            };
        };
        let taken = records
            .iter()
            .rev()
            .enumerate()
            .take_while(|(before, record)| *before == 0 || fits(&request, before + 1, newest.end - record.start));
        let taken = taken.count();
        let records = records.split_off(records.len() - taken);
        // Whether there is more is not known here; what the chunk does not cover is asked for again.
        let lowest = records.first().map_or(from, |record| record.start);
        self.chunk(&chain, &records, None, Span { from: lowest, to }, true)
    }

    /// The chunk of these records, which lie one after another, in a copy of their bytes or in one that is made here.
    fn chunk(
        &self,
        chain: &Chain,
        records: &[Record],
        bytes: Option<Bytes>,
        covered: Span,
        reverse: bool,
    ) -> Result<Chunk> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(Chunk::nothing(covered, chain.end()));
        };
        let low = first.start;
        let len = usize::try_from(last.end - low).unwrap_or(usize::MAX);
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => Bytes::copy_from_slice(&self.source.exact(low, len)?),
        };
        let slot = |record: &Record| {
            let start = (record.payload::<L>() - low) as usize;
            let erased = is_erased(bytes.get(start..start + record.size as usize).unwrap_or_default());
            let (kind, len) = if erased { (SlotKind::Deleted, 0) } else { (SlotKind::Entry, record.size) };
            // That it fits was seen to when the records were gathered.
            Slot { seq: Seq::new(record.start), kind, start: start as u32, len }
        };
        let slots = if reverse { records.iter().rev().map(slot).collect() } else { records.iter().map(slot).collect() };
        Ok(Chunk { slots, covered, horizon: chain.end(), bytes, forgotten: Vec::new() })
    }

    /// The error of a damaged place, which readers step over by the number `at` in it.
    fn damaged(&self, gap: Gap, at: u64) -> Error {
        Error::corrupt(gap.damage(&self.source)).at(Seq::new(at))
    }
}
