//! The payloads of note records and of the carry record: what is known of the log besides its entries.

use std::{collections::BTreeMap, ops::Range};

use super::format::{u16_at, u64_at};
use crate::{Seq, log::Note};

pub(crate) fn encode_note(note: &Note, out: &mut Vec<u8>) {
    out.extend_from_slice(&(note.name.len() as u16).to_le_bytes());
    out.extend_from_slice(note.name.as_bytes());
    out.extend_from_slice(&note.position.to_le_bytes());
    out.extend_from_slice(&note.proof);
}

pub(crate) fn decode_note(payload: &[u8]) -> Option<Note> {
    let len = usize::from(u16_at(payload, 0));
    let name = std::str::from_utf8(payload.get(2..2 + len)?).ok()?.to_owned();
    let rest = payload.get(2 + len..)?;
    let proof = rest.get(8..)?.to_vec();
    Some(Note { name, position: u64_at(rest, 0), proof })
}

/// Which entries are deleted, and by which tombstone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deletions {
    by_target: BTreeMap<u64, u64>,
    /// Tombstones in the whole log.
    tombstones: u64,
}

impl Deletions {
    pub(crate) fn insert(&mut self, tombstone: u64, targets: impl Iterator<Item = Seq>) {
        self.tombstones = self.tombstones.saturating_add(1);
        for target in targets {
            self.by_target.entry(target.get()).or_insert(tombstone);
        }
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.by_target.contains_key(&seq)
    }

    pub(crate) fn len(&self) -> u64 {
        self.by_target.len() as u64
    }

    pub(crate) fn tombstones(&self) -> u64 {
        self.tombstones
    }

    /// These are carried out.
    pub(crate) fn forget(&mut self, targets: &[u64]) {
        for target in targets {
            self.by_target.remove(target);
        }
    }

    /// Whether there is one whose tombstone is at this number or behind it.
    pub(crate) fn any_from(&self, tombstone: u64) -> bool {
        self.by_target.values().any(|&by| by >= tombstone)
    }

    /// Each target in `from..to` with its tombstone, ascending.
    pub(crate) fn pairs(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
        self.by_target.range(from..to.max(from)).map(|(&target, &tombstone)| (target, tombstone))
    }

    /// Every target in `from..to`, ascending.
    pub(crate) fn within(&self, from: u64, to: u64) -> impl Iterator<Item = u64> {
        self.by_target.range(from..to.max(from)).map(|(&target, _)| target)
    }

    /// How many targets are still there: at or behind the log's beginning and in none of the gaps, which are ascending.
    pub(crate) fn pending(&self, begins: u64, gaps: &[Range<u64>]) -> u64 {
        let is_gone = |target: u64| {
            let behind = gaps.partition_point(|gap| gap.start <= target);
            behind.checked_sub(1).and_then(|at| gaps.get(at)).is_some_and(|gap| gap.contains(&target))
        };
        self.within(begins, u64::MAX).filter(|&target| !is_gone(target)).count() as u64
    }

    /// How many bytes of payload they are in a carry record.
    pub(crate) fn bytes(&self) -> u64 {
        8 + self.len() * 16
    }

    /// The payload of a carry record: the number of tombstones, then pairs of target and tombstone.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.by_target.len() * 16);
        out.extend_from_slice(&self.tombstones.to_le_bytes());
        for (target, tombstone) in &self.by_target {
            out.extend_from_slice(&target.to_le_bytes());
            out.extend_from_slice(&tombstone.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Self {
        let pairs = payload.get(8..).unwrap_or_default().as_chunks::<16>().0;
        Self {
            tombstones: u64_at(payload, 0),
            by_target: pairs.iter().map(|pair| (u64_at(pair, 0), u64_at(pair, 8))).collect(),
        }
    }
}
