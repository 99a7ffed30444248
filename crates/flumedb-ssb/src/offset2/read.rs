//! How an [`Offset2`] is read: the places of a run of entries in one piece, then the entries in one piece. Payloads are
//! copied, because a deletion (by another process, too) overwrites them in place.

use bytes::Bytes;
use flumedb::{
    Damage, Error, ErrorKind, Result, Seq, Span,
    log::{Chunk, ReadRequest, Slot, SlotKind},
};

use super::{
    Offset2,
    chain::{Chain, Gap, number},
    head::Head,
};
use crate::file::not_found;

/// A slot says where in a chunk its payload is with 32 bits.
const LONGEST: u64 = u32::MAX as u64;

/// Where an entry is.
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) head: Head,
}

impl Place {
    /// Where its payload starts.
    pub(super) fn payload(&self) -> u64 {
        self.start + Head::BYTES as u64
    }
}

impl Offset2 {
    /// Where the entry `seq` is.
    ///
    /// # Errors
    /// `NotFound`, `Corrupt`, `Io`.
    pub(super) fn find(&self, chain: &Chain, seq: u64) -> Result<Place> {
        if seq >= chain.count() {
            return Err(not_found(Seq::new(seq)));
        }
        if let Some(gap) = chain.gap_from(seq).filter(|gap| gap.from <= seq) {
            return Err(self.damaged(gap, seq));
        }
        let bounds = self.bounds(chain, seq, seq + 1)?;
        let &[start, end] = bounds.as_slice() else { return Err(self.changed(seq)) };
        let head = Head::parse(&self.files.data.up_to(start, Head::BYTES)?).filter(|head| head.end(start) == end);
        Ok(Place { start, head: head.ok_or_else(|| self.changed(seq))? })
    }

    pub(super) fn payload(&self, seq: Seq) -> Result<Bytes> {
        // While it is held, nothing is overwritten.
        let chain = self.chain();
        let place = self.find(&chain, seq.get())?;
        if place.head.deleted {
            return Err(Error::new(ErrorKind::Deleted, format!("entry {seq} was deleted")));
        }
        Ok(Bytes::copy_from_slice(&self.files.data.exact(place.payload(), place.head.size as usize)?))
    }

    /// Length and checksum of the entry `seq`, if it can be read or was deleted.
    pub(super) fn digest(&self, seq: u64) -> Result<Option<[u8; 16]>> {
        let chain = self.chain();
        let place = match self.find(&chain, seq) {
            Ok(place) => place,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let payload = self.files.data.exact(place.payload(), place.head.size as usize)?;
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &payload);
        let mut digest = [0; 16];
        let (head, checksum) = digest.split_at_mut(Head::BYTES);
        head.copy_from_slice(&place.head.bytes());
        checksum.copy_from_slice(&sum.to_be_bytes());
        Ok(Some(digest))
    }

    pub(super) fn forwards(&self, request: ReadRequest) -> Result<Chunk> {
        let chain = self.chain();
        let Span { from, to } = request.span;
        let mut upper = to.min(chain.count());
        if from >= upper {
            return Ok(Chunk::nothing(Span { from, to: upper.max(from) }, chain.count()));
        }
        if let Some(gap) = chain.gap_from(from) {
            if gap.from <= from {
                return Err(self.damaged(gap, gap.to.min(to) - 1));
            }
            upper = upper.min(gap.from);
        }
        let room = room(&request);
        let mut bounds = self.bounds(&chain, from, upper.min(from.saturating_add(most(room, &chain))))?;
        let first = bounds.first().copied().unwrap_or(0);
        let fits = bounds.iter().skip(1).take_while(|end| end.saturating_sub(first) <= room).count().max(1);
        bounds.truncate(fits + 1);
        self.chunk(&chain, &bounds, from, Span { from, to: from + fits as u64 }, false)
    }

    pub(super) fn backwards(&self, request: ReadRequest) -> Result<Chunk> {
        let chain = self.chain();
        let Span { from, to } = request.span;
        let upper = to.min(chain.count());
        if from >= upper {
            return Ok(Chunk::nothing(request.span, chain.count()));
        }
        let mut lower = from;
        if let Some(gap) = chain.gap_before(upper) {
            if gap.to >= upper {
                return Err(self.damaged(gap, gap.from.max(from)));
            }
            lower = lower.max(gap.to);
        }
        let room = room(&request);
        let bounds = self.bounds(&chain, lower.max(upper.saturating_sub(most(room, &chain))), upper)?;
        let last = bounds.last().copied().unwrap_or(0);
        let fits = bounds.iter().rev().skip(1).take_while(|start| last.saturating_sub(**start) <= room).count().max(1);
        let bounds = bounds.get(bounds.len().saturating_sub(fits + 1)..).unwrap_or_default();
        let lowest = upper - fits as u64;
        self.chunk(&chain, bounds, lowest, Span { from: lowest, to }, true)
    }

    /// Where the entries `from..to` start, which are in no gap, and where the last of them ends.
    fn bounds(&self, chain: &Chain, from: u64, to: u64) -> Result<Vec<u64>> {
        const WORD: u64 = Head::BYTES as u64;
        let len = usize::try_from((to - from) * WORD).unwrap_or(usize::MAX);
        let words = self.files.ofst.exact(from * WORD, len)?;
        let mut bounds: Vec<u64> = words.chunks_exact(Head::BYTES).filter_map(number).collect();
        bounds.push(match chain.gap_from(to) {
            _ if to == chain.count() => chain.end(),
            Some(gap) if gap.from == to => gap.start,
            _ => number(&self.files.ofst.exact(to * WORD, Head::BYTES)?).ok_or_else(|| self.changed(to))?,
        });
        Ok(bounds)
    }

    /// The chunk of entries one after another, the first of which is `seq`.
    fn chunk(&self, chain: &Chain, bounds: &[u64], seq: u64, covered: Span, reverse: bool) -> Result<Chunk> {
        let (Some(&low), Some(&high)) = (bounds.first(), bounds.last()) else { return Err(self.changed(seq)) };
        let len = high.checked_sub(low).and_then(|len| usize::try_from(len).ok()).ok_or_else(|| self.changed(seq))?;
        let bytes = Bytes::copy_from_slice(&self.files.data.exact(low, len)?);
        let mut slots = Vec::with_capacity(bounds.len() - 1);
        for (seq, bound) in (seq..).zip(bounds.array_windows()) {
            let &[start, end] = bound;
            let at = start.checked_sub(low).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
            let head = bytes.get(at..).and_then(Head::parse).filter(|head| head.end(start) == end);
            let Some(head) = head else { return Err(self.changed(seq)) };
            let (kind, len) = if head.deleted { (SlotKind::Deleted, 0) } else { (SlotKind::Entry, head.size) };
            // That it fits was seen to when the entries were gathered.
            slots.push(Slot { seq: Seq::new(seq), kind, start: (at + Head::BYTES) as u32, len });
        }
        if reverse {
            slots.reverse();
        }
        Ok(Chunk { slots, covered, horizon: chain.count(), bytes, forgotten: Vec::new() })
    }

    /// The error of entries of which the files say different things; readers step over them by the number `at`.
    fn damaged(&self, gap: Gap, at: u64) -> Error {
        Error::corrupt(gap.damage(&self.files)).at(Seq::new(at))
    }

    fn changed(&self, seq: u64) -> Error {
        let reason = "another program changed the files while they were open";
        Error::corrupt(Damage::new(&self.files.data.path, 0, 0, reason)).at(Seq::new(seq))
    }
}

/// How many bytes of `data` a chunk may have.
fn room(request: &ReadRequest) -> u64 {
    (request.max_bytes as u64).min(LONGEST)
}

/// Of how many entries the places are read, to see how many fit so many bytes: twice as many as do on average.
fn most(room: u64, chain: &Chain) -> u64 {
    let mean = chain.end() / chain.count().max(1);
    2 * (room / mean.max(Head::BYTES as u64)) + 1
}
