//! [`Shared`], what readers see of the log, whoever moves its end: a writer in this process or the follower of another.

use std::sync::{
    PoisonError, RwLock, RwLockReadGuard,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use flumedb::{
    Error, ErrorKind, Result, Seq, Span,
    log::{Chunk, LogIdentity, LogStat, Proof, ReadRequest, Slot, SlotKind},
};
use tokio::sync::watch;

use super::{
    chain::Chain,
    framing::{Framing, is_erased},
    source::Source,
};

/// A slot says where in a chunk its payload is with 32 bits.
const LONGEST: u64 = u32::MAX as u64;

/// The readers' side.
pub(super) struct Shared {
    pub(super) source: Source,
    chain: RwLock<Chain>,
    pub(super) head: watch::Sender<Option<Seq>>,
    /// Entries that were deleted through this handle.
    pub(super) deleted: AtomicU64,
    pub(super) closed: AtomicBool,
}

impl Shared {
    pub(super) fn new(source: Source, chain: Chain) -> Self {
        let head = watch::Sender::new(chain.last.map(Seq::new));
        Self { source, chain: RwLock::new(chain), head, deleted: AtomicU64::new(0), closed: AtomicBool::new(false) }
    }

    pub(super) fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the chain and tells of the new head.
    pub(super) fn advance<T>(&self, change: impl FnOnce(&mut Chain) -> T) -> T {
        let mut chain = self.chain.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut chain);
        let head = chain.last.map(Seq::new);
        self.head.send_if_modified(|seen| std::mem::replace(seen, head) != head);
        changed
    }

    /// Takes in what another process has appended.
    pub(super) fn refresh(&self) -> Result<()> {
        let len = self.source.len()?;
        if len > self.chain().end {
            // Why it stops does not matter: a record that is being written looks like a torn one.
            self.advance(|chain| chain.extend(&self.source, len))?;
        }
        Ok(())
    }

    pub(super) fn get(&self, seq: Seq) -> Result<Bytes> {
        let chain = self.chain();
        let Some(size) = chain.size(&self.source, seq.get())? else { return Err(not_found(seq)) };
        // Copied, because a deletion (by another process, too) overwrites the bytes in place.
        let payload = Bytes::copy_from_slice(&self.source.exact(seq.get() + 4, size as usize)?);
        if is_erased(&payload) {
            Err(Error::new(ErrorKind::Deleted, format!("entry {seq} was deleted")))
        } else {
            Ok(payload)
        }
    }

    pub(super) fn read(&self, request: ReadRequest) -> Result<Chunk> {
        let chain = self.chain();
        let Span { from, to } = request.span;
        let starts = if request.reverse { self.backwards(&chain, request)? } else { self.forwards(&chain, request)? };
        let (low, high) = match (starts.first(), starts.last()) {
            (Some(first), Some(last)) => (first.0.min(last.0), first.0.max(last.0)),
            _ if request.reverse => return Ok(Chunk::nothing(request.span, chain.end)),
            _ => return Ok(Chunk::nothing(Span { from, to: to.min(chain.end).max(from) }, chain.end)),
        };
        let high = chain.after(high, self.source.number(high)?);
        // Copied for the same reason as in `get`, in one piece.
        let bytes = Bytes::copy_from_slice(&self.source.exact(low, (high - low) as usize)?);
        let mut slots = Vec::with_capacity(starts.len());
        for (start, len) in starts {
            let at = (start - low) as usize + 4;
            let erased = is_erased(bytes.get(at..at + len as usize).unwrap_or_default());
            let kind = if erased { SlotKind::Deleted } else { SlotKind::Entry };
            slots.push(Slot { seq: Seq::new(start), kind, start: at as u32, len: if erased { 0 } else { len } });
        }
        let covered = match request.reverse {
            // Whether there is more is not known here; what the chunk does not cover is asked for again.
            true => Span { from: if low > from { low } else { from }, to },
            false => Span { from, to: high.min(to) },
        };
        Ok(Chunk { bytes, slots, covered, horizon: chain.end })
    }

    /// Starts and sizes of the records of a forward read.
    fn forwards(&self, chain: &Chain, request: ReadRequest) -> Result<Vec<(u64, u32)>> {
        let (mut starts, mut bytes): (Vec<(u64, u32)>, usize) = (Vec::new(), 0);
        let Some(mut at) = chain.at_or_after(&self.source, request.span.from)? else { return Ok(starts) };
        while at < chain.end && at < request.span.to {
            let size = self.source.number(at)?;
            bytes = bytes.saturating_add(size as usize);
            if let Some(&(first, _)) = starts.first()
                && (bytes > request.max_bytes || chain.after(at, size) - first > LONGEST)
            {
                break;
            }
            starts.push((at, size));
            at = chain.after(at, size);
        }
        Ok(starts)
    }

    /// The same, backwards.
    fn backwards(&self, chain: &Chain, request: ReadRequest) -> Result<Vec<(u64, u32)>> {
        let (mut starts, mut bytes): (Vec<(u64, u32)>, usize) = (Vec::new(), 0);
        let Some(newest) = request.span.to.checked_sub(1) else { return Ok(starts) };
        let mut next = chain.at_or_before(&self.source, newest)?.map(|(start, _)| start);
        while let Some(at) = next.filter(|&at| at >= request.span.from) {
            let size = self.source.number(at)?;
            bytes = bytes.saturating_add(size as usize);
            if let Some(&(newest, newest_size)) = starts.first()
                && (bytes > request.max_bytes || chain.after(newest, newest_size) - at > LONGEST)
            {
                break;
            }
            starts.push((at, size));
            next = chain.before(&self.source, at)?;
        }
        Ok(starts)
    }

    pub(super) fn identity(&self) -> Result<LogIdentity> {
        let chain = self.chain();
        let mut identity = format!("flumelog-{}/", chain.framing).into_bytes();
        if chain.last.is_some() {
            identity.extend_from_slice(&self.digest(0)?);
        }
        Ok(LogIdentity(identity))
    }

    pub(super) fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        let chain = self.chain();
        if chain.size(&self.source, seq.get())?.is_none() {
            return Ok(None);
        }
        let mut proof = chain.framing.name().as_bytes().to_vec();
        proof.extend_from_slice(&self.digest(0)?);
        proof.extend_from_slice(&self.digest(seq.get())?);
        proof.extend_from_slice(&chain.erased_up_to(seq.get()).to_be_bytes());
        Ok(Some(Proof(proof)))
    }

    /// Length and checksum of the record at `start`.
    fn digest(&self, start: u64) -> Result<[u8; 12]> {
        let size = self.source.number(start)?;
        let payload = self.source.exact(start + 4, size as usize)?;
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &payload);
        let mut digest = [0; 12];
        let (length, checksum) = digest.split_at_mut(4);
        length.copy_from_slice(&size.to_be_bytes());
        checksum.copy_from_slice(&sum.to_be_bytes());
        Ok(digest)
    }

    pub(super) fn stat(&self) -> Result<LogStat> {
        let chain = self.chain();
        let deleted = chain.erased() + self.deleted.load(Ordering::Acquire);
        Ok(LogStat::new(chain.framing.name(), chain.count.saturating_sub(deleted), deleted, self.source.len()?))
    }

    pub(super) fn framing(&self) -> Framing {
        self.chain().framing
    }
}

pub(super) fn not_found(seq: Seq) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no entry {seq}; a number here is the position of a record"))
}
