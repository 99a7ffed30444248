//! Reading a span chunk by chunk, with everything checked that a chunk promises about itself.

use flumedb::{
    Seq, Span,
    log::{Chunk, Log, ReadRequest, Slot, SlotKind},
};

use super::wait;

/// A slot with its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) seq: Seq,
    pub(super) kind: SlotKind,
    pub(super) payload: Vec<u8>,
}

/// All slots in the request's span, in its order, and what the chunks have accounted for together.
pub(super) fn walk(log: &dyn Log, request: ReadRequest) -> (Vec<Read>, Span) {
    let (mut all, mut rest) = (Vec::new(), request.span);
    loop {
        if rest.is_empty() {
            break;
        }
        let chunk = wait(log.read(ReadRequest { span: rest, ..request })).expect("an undamaged log can be read");
        check(&chunk, rest, &request);
        all.extend(chunk.slots.iter().map(|slot| Read {
            seq: slot.seq,
            kind: slot.kind,
            payload: chunk.payload(slot).to_vec(),
        }));
        let before = rest;
        if request.reverse {
            rest.to = chunk.covered.from;
        } else {
            rest.from = chunk.covered.to;
        }
        if rest == before {
            assert!(!request.reverse, "only the end of the log, which may grow, stops a reader: {chunk:?}");
            break;
        }
        assert!(
            !chunk.slots.is_empty() || rest.is_empty() || !request.reverse,
            "nothing found accounts for all: {chunk:?}"
        );
    }
    let accounted =
        if request.reverse { Span { from: rest.to, ..request.span } } else { Span { to: rest.from, ..request.span } };
    (all, accounted)
}

/// The slots of a whole log.
pub(super) fn everything(log: &dyn Log) -> Vec<Read> {
    walk(log, ReadRequest::forwards(Span::ALL)).0
}

/// Payloads of what can be read in a whole log.
pub(super) fn entries(log: &dyn Log) -> Vec<Vec<u8>> {
    everything(log).into_iter().filter(|read| read.kind == SlotKind::Entry).map(|read| read.payload).collect()
}

fn check(chunk: &Chunk, span: Span, request: &ReadRequest) {
    let Chunk { slots, covered, .. } = chunk;
    assert!(
        span.from <= covered.from && covered.to <= span.to,
        "covered {covered:?} is within what was asked {span:?}"
    );
    if request.reverse {
        assert_eq!(covered.to, span.to, "a reverse read accounts for the end of what was asked");
    } else {
        assert_eq!(covered.from, span.from, "a forward read accounts for the start of what was asked");
    }
    for slot in slots {
        assert!(covered.contains(slot.seq.get()), "{slot:?} is within {covered:?}");
        assert!(slot.kind != SlotKind::Deleted || slot.len == 0, "a deleted payload is not given: {slot:?}");
    }
    let in_order = |pair: &[Slot]| if request.reverse { pair[0].seq > pair[1].seq } else { pair[0].seq < pair[1].seq };
    assert!(slots.windows(2).all(in_order), "slots are in the order of the read: {slots:?}");
    let bytes: usize = slots.iter().map(|slot| slot.len as usize).sum();
    assert!(slots.len() <= 1 || bytes <= request.max_bytes, "{bytes} bytes, though {} were asked", request.max_bytes);
}
