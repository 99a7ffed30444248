//! Random histories, with every read compared with a list of what was done.

use std::sync::Arc;

use flumedb::{
    ErrorKind, Seq, Span,
    log::{Log, ReadRequest, SlotKind},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};

use super::{
    Features, Subject, append, get, kind, wait,
    walk::{Read, walk},
};
use crate::soak_or;

/// A thing to do with a log.
#[derive(Clone, Debug)]
enum Act {
    Append(Vec<Vec<u8>>),
    Delete(Vec<Index>),
    Read { from: Bound, to: Bound, reverse: bool, max_bytes: usize },
    Get(Bound),
    Reopen,
}

/// A number, most often one of the log's, or next to it.
#[derive(Clone, Debug)]
enum Bound {
    Beside(Index, i8),
    Any(u64),
}

impl Bound {
    fn number(&self, slots: &[Read]) -> u64 {
        match self {
            Self::Beside(index, offset) if !slots.is_empty() => {
                slots[index.index(slots.len())].seq.get().saturating_add_signed((*offset).into())
            }
            Self::Beside(_, offset) => u64::from(offset.unsigned_abs()),
            Self::Any(number) => *number,
        }
    }
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        8 => (any::<Index>(), -1..=1i8).prop_map(|(index, offset)| Bound::Beside(index, offset)),
        1 => prop_oneof![Just(0), Just(u64::MAX), any::<u64>()].prop_map(Bound::Any),
    ]
}

fn payload(features: Features) -> impl Strategy<Value = Vec<u8>> {
    let least = usize::from(!features.empty_payloads);
    let sizes = prop_oneof![8 => least..40usize, 2 => least..600, 1 => 4000..70_000usize];
    let byte = if features.zero_payloads { 0..=255u8 } else { 1..=255 };
    (sizes, byte).prop_map(move |(size, byte)| vec![byte; size.min(features.payload_bytes)])
}

fn act(features: Features) -> impl Strategy<Value = Act> {
    let deletes = if features.deletes { 2 } else { 0 };
    let reopens = u32::from(features.survives);
    prop_oneof![
        4 => vec(payload(features), 1..6).prop_map(Act::Append),
        deletes => vec(any::<Index>(), 1..4).prop_map(Act::Delete),
        5 => (bound(), bound(), any::<bool>(), prop_oneof![Just(0), Just(1), 10..5000usize, Just(1 << 20)])
            .prop_map(|(from, to, reverse, max_bytes)| Act::Read { from, to, reverse, max_bytes }),
        2 => bound().prop_map(Act::Get),
        reopens => Just(Act::Reopen),
    ]
}

/// What a log should hold.
struct Model {
    features: Features,
    slots: Vec<Read>,
}

impl Model {
    fn appended(&mut self, seqs: &[Seq], payloads: &[Vec<u8>]) {
        assert_eq!(seqs.len(), payloads.len(), "a name for each entry");
        for (&seq, payload) in seqs.iter().zip(payloads) {
            self.push(Read { seq, kind: SlotKind::Entry, payload: payload.clone() });
        }
    }

    fn push(&mut self, read: Read) {
        let last = self.slots.last().map(|last| last.seq);
        assert!(last < Some(read.seq), "names grow: {last:?}, then {:?}", read.seq);
        assert!(!self.features.dense || read.seq.get() == self.slots.len() as u64, "names are dense: {:?}", read.seq);
        self.slots.push(read);
    }

    /// Picks entries to delete; some may be deleted already.
    fn targets(&self, picks: &[Index]) -> Vec<Seq> {
        // Where deletion overwrites in place, there is no mark for it in no bytes.
        let deletable = |slot: &&Read| match slot.kind {
            SlotKind::Entry => self.features.tombstones || !slot.payload.is_empty(),
            SlotKind::Deleted => true,
            SlotKind::Tombstone => false,
        };
        let entries: Vec<Seq> = self.slots.iter().filter(deletable).map(|slot| slot.seq).collect();
        picks.iter().filter(|_| !entries.is_empty()).map(|pick| entries[pick.index(entries.len())]).collect()
    }

    fn deleted(&mut self, targets: &[Seq], head: Option<Seq>) {
        let mut gone = Vec::new();
        for slot in &mut self.slots {
            if slot.kind == SlotKind::Entry && targets.contains(&slot.seq) {
                (slot.kind, slot.payload) = (SlotKind::Deleted, Vec::new());
                gone.push(slot.seq);
            }
        }
        if gone.is_empty() || !self.features.tombstones {
            assert_eq!(head, self.head(), "nothing new to record, nothing recorded");
            return;
        }
        let payload = gone.iter().flat_map(|seq| seq.get().to_le_bytes()).collect();
        self.push(Read { seq: head.expect("a tombstone is the head"), kind: SlotKind::Tombstone, payload });
    }

    fn head(&self) -> Option<Seq> {
        self.slots.last().map(|slot| slot.seq)
    }

    fn read(&self, log: &dyn Log, request: ReadRequest) {
        let (read, accounted) = walk(log, request);
        let mut expected: Vec<Read> =
            self.slots.iter().filter(|slot| request.span.contains(slot.seq.get())).cloned().collect();
        if request.reverse {
            expected.reverse();
        }
        assert_eq!(read, expected, "{request:?}");
        if request.reverse || request.span.is_empty() {
            return;
        }
        // Past the head, what comes is not accounted for; up to it everything is.
        let end = self.head().map_or(0, |head| head.get() + 1).min(request.span.to);
        assert!(accounted.to >= end, "a reader gets to {end}: {accounted:?}");
    }

    fn get(&self, log: &dyn Log, seq: Seq) {
        let answer = get(log, seq);
        match self.slots.iter().find(|slot| slot.seq == seq) {
            Some(Read { kind: SlotKind::Entry, payload, .. }) => assert_eq!(answer.as_deref().ok(), Some(&payload[..])),
            Some(Read { kind: SlotKind::Deleted, .. }) => assert_eq!(kind(&answer), Some(ErrorKind::Deleted), "{seq}"),
            _ => assert_eq!(kind(&answer), Some(ErrorKind::NotFound), "{seq}"),
        }
    }

    fn stand(&self, log: &dyn Log) {
        assert_eq!(*log.head().borrow(), self.head());
        assert_eq!(wait(log.barrier()).expect("an open log knows its head"), self.head());
        assert_eq!(log.first(), self.slots.first().map(|slot| slot.seq));
        let count = |kind| self.slots.iter().filter(|slot| slot.kind == kind).count() as u64;
        let stat = log.stat().expect("an open log can be counted");
        assert_eq!((stat.entries, stat.deleted), (count(SlotKind::Entry), count(SlotKind::Deleted)));
    }
}

/// Appends, deletions, reads both ways within any bounds, single reads and reopening, in random order, agree with a list
/// of what was done.
pub fn against_a_model(subject: &Subject) {
    let features = subject.features;
    let mut runner =
        TestRunner::new(Config { cases: soak_or(10_000, 64), failure_persistence: None, ..Config::default() });
    let history = vec(act(features), 1..40);
    let outcome = runner.run(&history, |acts| {
        let (mut place, mut log) = subject.fresh();
        let mut model = Model { features, slots: Vec::new() };
        for act in acts {
            match act {
                Act::Append(payloads) => model.appended(&append(&*log, &payloads), &payloads),
                Act::Delete(picks) => {
                    let targets = model.targets(&picks);
                    wait(log.delete(&targets)).expect("entries can be deleted");
                    model.deleted(&targets, *log.head().borrow());
                }
                Act::Read { from, to, reverse, max_bytes } => {
                    let span = Span { from: from.number(&model.slots), to: to.number(&model.slots) };
                    model.read(&*log, ReadRequest { span, reverse, max_bytes });
                }
                Act::Get(bound) => model.get(&*log, Seq::new(bound.number(&model.slots))),
                Act::Reopen => {
                    wait(log.close()).expect("a sound log closes");
                    // The last handle, before the place is opened again.
                    log = reopen(log, || place.open());
                }
            }
            model.stand(&*log);
        }
        for reverse in [false, true] {
            model.read(&*log, ReadRequest { reverse, ..ReadRequest::forwards(Span::ALL) });
        }
        model.slots.iter().for_each(|slot| model.get(&*log, slot.seq));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn reopen(log: Arc<dyn Log>, open: impl FnOnce() -> Arc<dyn Log>) -> Arc<dyn Log> {
    drop(log);
    open()
}
