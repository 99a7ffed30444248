//! [`torture`], what every kind of log is put through, whatever its bytes are.

use std::sync::Arc;

use flumedb::{
    Env, ErrorKind, Result, Seq, Span,
    check::{Repair, Report},
    log::{Batch, Chunk, Log, ReadRequest, Slot, SlotKind},
};

use crate::machine::Machine;

/// After so many errors a walk is given up: a number that a forged witness speaks for can be large.
const MANY: usize = 10_000;

type Opened = Result<Arc<dyn Log>>;

/// The calls of one kind of log.
pub(crate) struct Subject<'a> {
    /// Opens to read.
    pub(crate) read: &'a dyn Fn(&Env) -> Opened,
    /// Opens to append.
    pub(crate) write: &'a dyn Fn(&Env) -> Opened,
    pub(crate) check: &'a dyn Fn(&Env) -> Result<Report>,
    /// Repairs, skipping damage or not.
    pub(crate) repair: &'a dyn Fn(&Env, bool) -> Result<Repair>,
    /// Bytes whose checksums were made right may contradict themselves: they must do no harm, and need not add up.
    pub(crate) forged: bool,
}

/// Reads, checks, appends to and repairs the log that a machine holds.
pub(crate) fn torture(machine: &Machine, subject: &Subject<'_>) {
    read(machine, subject);
    append(&machine.twin(), subject);
    // Damage is skipped by a stub for each entry that a witness speaks for, and a forged one speaks for many.
    for skip_damage in if subject.forged { &[false][..] } else { &[false, true] } {
        repair(&machine.twin(), subject, *skip_damage);
    }
}

/// Reading and checking: they agree, and change nothing.
fn read(machine: &Machine, subject: &Subject<'_>) {
    let report = (subject.check)(machine.env());
    if let Ok(log) = (subject.read)(machine.env()) {
        let walk = walk(machine, subject, &*log);
        if let Ok(report) = &report
            && report.is_ok()
            && !subject.forged
        {
            assert_eq!(walk.errors, 0, "a log without damage cannot be read: {report:?}");
            assert_eq!((report.entries, report.deleted, report.head), (walk.entries, walk.deleted, walk.last));
        }
        drop(log.stat());
    }
    machine.assert_unchanged("reading");
}

/// Opening to append: what was there stays, and what is appended is there.
fn append(machine: &Machine, subject: &Subject<'_>) {
    let Ok(log) = (subject.write)(machine.env()) else { return };
    let before = walk(machine, subject, &*log);
    let mut batch = Batch::new();
    batch.push(b"{\"appended\":1}");
    batch.push(b"{\"appended\":2}");
    let appended = machine.run(log.append(batch));
    if let Ok(seqs) = &appended
        && !subject.forged
    {
        assert_eq!(machine.run(log.get(seqs[1])).unwrap(), "{\"appended\":2}");
        machine.run(log.delete(&seqs[..1])).unwrap();
    }
    drop(machine.run(log.close()));
    drop(log);
    let Ok(seqs) = appended else { return };
    let log = match (subject.write)(machine.env()) {
        Ok(log) => log,
        Err(_) if subject.forged => return,
        // With more in it, more sizes of block may fit: now it has to be named.
        Err(error) if error.kind() == ErrorKind::Invalid => return,
        Err(error) => panic!("appended to, and cannot be opened again: {error}"),
    };
    let after = scan(machine, &*log, false, before.count);
    if before.errors == 0 && !subject.forged {
        assert_eq!(after.errors, 0);
        assert_eq!(after.sum_there, before.sum, "an append changed what was there");
    }
    if subject.forged {
        return;
    }
    assert_eq!(machine.run(log.get(seqs[1])).unwrap(), "{\"appended\":2}");
    assert_eq!(machine.run(log.get(seqs[0])).unwrap_err().kind(), ErrorKind::Deleted);
}

/// A repair that says that it worked has worked.
fn repair(machine: &Machine, subject: &Subject<'_>, skip_damage: bool) {
    let Ok(before) = (subject.check)(machine.env()) else { return };
    if (subject.repair)(machine.env(), skip_damage).is_err() {
        // Not before it is sure of what to do.
        return;
    }
    let after = match (subject.check)(machine.env()) {
        Ok(after) => after,
        Err(_) if subject.forged => return,
        Err(error) => panic!("repaired, and yet it cannot be checked: {error}"),
    };
    assert!(after.is_ok() || subject.forged, "repaired, and yet {after:?}; before {before:?}");
    let Ok(again) = (subject.repair)(machine.env(), skip_damage) else {
        assert!(subject.forged, "what was repaired cannot be repaired again");
        return;
    };
    assert!(subject.forged || again.torn_tail.is_none() && again.damage.is_empty(), "a second repair found {again:?}");
}

/// What a walk met. Little is kept of it, as the memory that a run takes is measured.
#[derive(Default)]
struct Walk {
    count: u64,
    entries: u64,
    deleted: u64,
    last: Option<Seq>,
    /// Of everything that was met, in whatever order.
    sum: u64,
    /// The same when a number was reached that the caller asked about.
    sum_there: u64,
    /// Some of the slots, with every so many left out.
    sample: Vec<(Seq, SlotKind, Vec<u8>)>,
    every: u64,
    errors: usize,
}

impl Walk {
    const SAMPLE: usize = 512;

    fn meet(&mut self, chunk: &Chunk, slot: &Slot, there: u64) {
        if self.count == there {
            self.sum_there = self.sum;
        }
        let payload = chunk.payload(slot);
        let place = slot.seq.get().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (slot.kind as u64 + 1) << 40;
        self.sum = self.sum.wrapping_add(place.wrapping_mul(u64::from(crc_fast::crc32_iscsi(payload)) | 1 << 33));
        if self.count.is_multiple_of(self.every.max(1)) {
            if self.sample.len() >= Self::SAMPLE {
                let mut number = 0;
                self.sample.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.every = self.every.max(1) * 2;
            }
            self.sample.push((slot.seq, slot.kind, payload.to_vec()));
        }
        self.count += 1;
        self.entries += u64::from(slot.kind == SlotKind::Entry);
        self.deleted += u64::from(slot.kind == SlotKind::Deleted);
        self.last = Some(slot.seq);
    }
}

/// Walks forwards and backwards, which must agree, and looks up some of what it met one by one.
fn walk(machine: &Machine, subject: &Subject<'_>, log: &dyn Log) -> Walk {
    let forwards = scan(machine, log, false, 0);
    let backwards = scan(machine, log, true, 0);
    if forwards.errors == 0 && backwards.errors == 0 && !subject.forged {
        let both = [&forwards, &backwards].map(|walk| (walk.count, walk.sum));
        assert_eq!(both[0], both[1], "backwards reads otherwise than forwards");
    }
    for (seq, kind, payload) in &forwards.sample {
        let got = machine.run(log.get(*seq));
        match kind {
            // Beside damage a look-up may know less than a walk, never another thing.
            _ if subject.forged || got.is_err() && forwards.errors > 0 => {}
            SlotKind::Entry => {
                assert_eq!(got.as_ref().ok().map(|got| &got[..]), Some(&payload[..]), "{seq} by itself: {got:?}");
            }
            SlotKind::Deleted => assert_eq!(got.unwrap_err().kind(), ErrorKind::Deleted),
            SlotKind::Tombstone => assert_eq!(got.unwrap_err().kind(), ErrorKind::NotFound),
        }
        drop(log.proof(*seq));
    }
    let head = forwards.last.map_or(0, Seq::get);
    for number in [0, 1, head / 2, head.saturating_add(1), u64::MAX - 1, u64::MAX] {
        drop(machine.run(log.get(Seq::new(number))));
        drop(log.proof(Seq::new(number)));
        for (from, to, reverse) in [(number, u64::MAX, false), (0, number, true)] {
            drop(machine.run(log.read(ReadRequest { span: Span { from, to }, reverse, max_bytes: 1 })));
        }
    }
    forwards
}

fn scan(machine: &Machine, log: &dyn Log, reverse: bool, there: u64) -> Walk {
    let mut walk = Walk::default();
    let Ok(head) = machine.run(log.barrier()) else {
        walk.errors += 1;
        return walk;
    };
    let mut span = Span { from: 0, to: head.map_or(0, |seq| seq.get().saturating_add(1)) };
    while !span.is_empty() {
        let covered = match machine.run(log.read(ReadRequest { span, reverse, max_bytes: ReadRequest::SCAN_BYTES })) {
            Ok(chunk) => {
                for slot in &chunk.slots {
                    let ordered = walk.last.is_none_or(|last| last != slot.seq && (last < slot.seq) != reverse);
                    assert!(ordered, "entries are out of order");
                    walk.meet(&chunk, slot, there);
                }
                chunk.covered
            }
            Err(error) => {
                walk.errors += 1;
                if walk.errors > MANY {
                    break;
                }
                let Some(seq) = error.seq().filter(|seq| span.contains(seq.get())) else { break };
                Span { from: seq.get(), to: seq.get().saturating_add(1) }
            }
        };
        let before = span;
        if reverse {
            span.to = span.to.min(covered.from);
        } else {
            span.from = span.from.max(covered.to);
        }
        assert_ne!(span, before, "a read that accounts for nothing: {covered:?}");
    }
    if walk.count == there {
        walk.sum_there = walk.sum;
    }
    walk
}
