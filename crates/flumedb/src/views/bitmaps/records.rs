//! [`Records`], record numbers: what jitdb calls `seq`, the position of an entry among all records of its log.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::op::Op;
use crate::{
    Result, Seq, Span,
    log::{Log, ReadRequest, SlotKind},
};

/// Where every so many records begin is remembered.
const STRIDE: u64 = 4096;

/// What is known of a log's records; it never changes, because records are only added.
#[derive(Default)]
pub(super) struct Records {
    /// Where record 0, 4096, 8192 … stands, or a number before it with nothing between.
    known: Mutex<Vec<u64>>,
}

impl Records {
    /// The entries at these record numbers, as far as there are any.
    pub(super) async fn find(&self, log: &Arc<dyn Log>, mut wanted: Vec<u64>) -> Result<BTreeMap<u64, Seq>> {
        wanted.sort_unstable();
        wanted.dedup();
        let mut found = BTreeMap::new();
        let Some(&last) = wanted.last() else { return Ok(found) };
        let end = log.barrier().await?.map_or(0, |head| head.get().saturating_add(1));
        let mut wanted = wanted.into_iter().peekable();
        let (mut record, mut position) = (0, 0);
        while let Some(&next) = wanted.peek()
            && record <= last
        {
            // As near to it as is known.
            let known = self.near(next);
            if known.0 > record {
                (record, position) = known;
            }
            if position >= end {
                break;
            }
            let chunk = log.read(ReadRequest::forwards(Span { from: position, to: end })).await?;
            for slot in chunk.slots.iter().filter(|slot| slot.kind != SlotKind::Tombstone) {
                if record.is_multiple_of(STRIDE) {
                    self.learn(record, slot.seq.get());
                }
                if wanted.next_if_eq(&record).is_some() {
                    found.insert(record, slot.seq);
                }
                record += 1;
            }
            if chunk.covered.to <= position {
                break;
            }
            position = chunk.covered.to;
        }
        Ok(found)
    }

    fn near(&self, record: u64) -> (u64, u64) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let index = (record / STRIDE).min((known.len() as u64).saturating_sub(1));
        known.get(index as usize).map_or((0, 0), |position| (index * STRIDE, *position))
    }

    fn learn(&self, record: u64, position: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() as u64 == record / STRIDE {
            known.push(position);
        }
    }
}

/// Adds the record numbers that are in `op`.
pub(super) fn listed(op: &Op, out: &mut Vec<u64>) {
    match op {
        Op::Seqs(records) => out.extend(records),
        Op::And(ops) | Op::Or(ops) => ops.iter().for_each(|op| listed(op, out)),
        Op::Not(op) => listed(op, out),
        _ => {}
    }
}

/// The entries at some of the record numbers that were found.
pub(super) fn pick(found: &BTreeMap<u64, Seq>, records: &[u64]) -> Arc<[u64]> {
    let mut numbers: Vec<u64> = records.iter().filter_map(|record| found.get(record)).map(|seq| seq.get()).collect();
    numbers.sort_unstable();
    numbers.into()
}
