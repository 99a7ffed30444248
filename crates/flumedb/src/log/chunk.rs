//! [`Chunk`], what a read gives: a run of entries over shared bytes.

use bytes::Bytes;

use crate::{Seq, Span};

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Which numbers.
    pub span: Span,
    /// From the newest to the oldest.
    pub reverse: bool,
    /// Stop once the payloads exceed this many bytes (at least one entry is given).
    pub max_bytes: usize,
}

impl ReadRequest {
    /// The most that one read of a scan asks for.
    pub const SCAN_BYTES: usize = 1 << 20;

    /// Forwards through `span`, in chunks of a good size for scanning.
    pub fn forwards(span: Span) -> Self {
        Self { span, reverse: false, max_bytes: Self::SCAN_BYTES }
    }

    /// Backwards through `span`, in chunks of a good size for scanning.
    pub fn backwards(span: Span) -> Self {
        Self { reverse: true, ..Self::forwards(span) }
    }
}

/// What a number of the log stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// An entry that can be read.
    Entry,
    /// An entry that was deleted; its payload is not given.
    Deleted,
    /// The record of a deletion; its payload lists what was deleted.
    Tombstone,
}

/// One number of the log in a [`Chunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The number.
    pub seq: Seq,
    /// What it stands for.
    pub kind: SlotKind,
    /// Where its payload starts in the chunk's bytes.
    pub start: u32,
    /// Length of its payload.
    pub len: u32,
}

/// A run of slots, in the order of the read, over one piece of memory.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// What the slots' payloads are slices of.
    pub bytes: Bytes,
    /// The slots.
    pub slots: Vec<Slot>,
    /// The numbers this chunk accounts for: everything that the log has within is in `slots`. A forward scan goes on at
    /// `covered.to`, a reverse scan below `covered.from`.
    pub covered: Span,
    /// Deletions recorded at numbers below this one are known to the slots' kinds; later ones are not.
    pub horizon: u64,
    /// Deletions in `covered` that are not told any more, because tombstones were erased with what they had deleted.
    pub forgotten: Vec<Forgotten>,
}

/// Tombstones that were erased. Whoever took in an entry that they deleted, and had not come to them, has missed that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// They were at this number and numbers before it.
    pub at: Seq,
    /// The lowest number that one of them deleted.
    pub least: Seq,
}

impl Chunk {
    /// A chunk that says that the log has nothing in `covered`.
    pub fn nothing(covered: Span, horizon: u64) -> Self {
        Self { bytes: Bytes::new(), slots: Vec::new(), covered, horizon, forgotten: Vec::new() }
    }

    /// The payload of one of its slots.
    pub fn payload(&self, slot: &Slot) -> &[u8] {
        let start = slot.start as usize;
        self.bytes.get(start..start + slot.len as usize).unwrap_or_default()
    }

    /// The payload of one of its slots, sharing the chunk's memory.
    pub fn payload_bytes(&self, slot: &Slot) -> Bytes {
        self.bytes.slice_ref(self.payload(slot))
    }

    /// The entries that can be read, with their payloads.
    pub fn entries(&self) -> impl Iterator<Item = (Seq, &[u8])> {
        self.slots.iter().filter(|slot| slot.kind == SlotKind::Entry).map(|slot| (slot.seq, self.payload(slot)))
    }

    /// What a tombstone deleted.
    pub fn targets(&self, slot: &Slot) -> impl Iterator<Item = Seq> {
        decode_targets(self.payload(slot))
    }
}

/// The payload of a tombstone: the numbers it deletes, each as u64 little-endian, ascending.
pub(crate) fn encode_targets(targets: &[Seq], out: &mut Vec<u8>) {
    for target in targets {
        out.extend_from_slice(&target.get().to_le_bytes());
    }
}

/// Reads what [`encode_targets`] wrote.
pub(crate) fn decode_targets(payload: &[u8]) -> impl Iterator<Item = Seq> {
    payload.as_chunks::<8>().0.iter().map(|bytes| Seq::new(u64::from_le_bytes(*bytes)))
}
