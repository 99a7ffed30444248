//! [`Cursor`], a place in the log and the chunk in hand.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::{
    Bytes, Error, Result, Seq,
    log::{BoxFuture, Chunk, Log, ReadRequest, Slot},
};

/// Goes through a span of the log slot by slot, fetching a chunk when the one in hand is used up. What it holds is
/// bounded by `max_bytes` (or by one entry), however slowly it is read from.
pub(crate) struct Cursor {
    log: Arc<dyn Log>,
    /// What has not been read yet.
    rest: ReadRequest,
    chunk: Chunk,
    /// The next slot of the chunk.
    at: usize,
    /// Whether a chunk has been used up since others had their turn: local logs never make one wait, so that without
    /// this a long scan would keep a runtime's thread to itself.
    turn_over: bool,
    fetching: Fetching,
}

enum Fetching {
    Nothing,
    /// Where the log ends, before a first read that must not run after a log that grows.
    Head(BoxFuture<'static, Result<Option<Seq>>>),
    Chunk(BoxFuture<'static, Result<Chunk>>),
}

impl Cursor {
    /// A cursor over all that comes into the span, whenever it does.
    pub(crate) fn open(log: Arc<dyn Log>, rest: ReadRequest) -> Self {
        Self { log, rest, chunk: Chunk::nothing(rest.span, 0), at: 0, turn_over: false, fetching: Fetching::Nothing }
    }

    /// A cursor over what the log has in the span at the first poll.
    pub(crate) fn bounded(log: Arc<dyn Log>, rest: ReadRequest) -> Self {
        let head = log.clone();
        let fetching = Fetching::Head(Box::pin(async move { head.barrier().await }));
        Self { fetching, ..Self::open(log, rest) }
    }

    /// The slot at which the cursor stands; `None` where there is none (yet). An error that names an entry is passed
    /// over by the next poll; after any other there is nothing more.
    pub(crate) fn poll_slot(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Slot>>> {
        loop {
            if let Some(slot) = self.chunk.slots.get(self.at) {
                return Poll::Ready(Ok(Some(*slot)));
            }
            match &mut self.fetching {
                Fetching::Nothing if self.rest.span.is_empty() => return Poll::Ready(Ok(None)),
                Fetching::Nothing if std::mem::take(&mut self.turn_over) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Fetching::Nothing => {
                    let (log, request) = (self.log.clone(), self.rest);
                    self.fetching = Fetching::Chunk(Box::pin(async move { log.read(request).await }));
                }
                Fetching::Head(head) => {
                    let head = ready!(Pin::new(head).poll(cx));
                    self.fetching = Fetching::Nothing;
                    match head {
                        Ok(head) => self.stop_behind(head),
                        Err(error) => return Poll::Ready(Err(self.fail(error))),
                    }
                }
                Fetching::Chunk(chunk) => {
                    let chunk = ready!(Pin::new(chunk).poll(cx));
                    self.fetching = Fetching::Nothing;
                    match chunk {
                        Ok(chunk) => {
                            if !self.take(chunk) {
                                return Poll::Ready(Ok(None));
                            }
                        }
                        Err(error) => return Poll::Ready(Err(self.fail(error))),
                    }
                }
            }
        }
    }

    /// Goes to the next slot.
    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    /// Whether nothing can come any more.
    pub(crate) fn is_finished(&self) -> bool {
        self.rest.span.is_empty() && self.at >= self.chunk.slots.len()
    }

    /// The payload of the slot given last.
    pub(crate) fn payload(&self, slot: &Slot) -> Bytes {
        self.chunk.payload_bytes(slot)
    }

    /// What the tombstone given last deletes.
    pub(crate) fn targets(&self, slot: &Slot) -> Vec<Seq> {
        self.chunk.targets(slot).collect()
    }

    /// Lets nothing come any more.
    pub(crate) fn finish(&mut self) {
        self.rest.span.to = self.rest.span.from;
        self.chunk = Chunk::nothing(self.rest.span, 0);
    }

    /// Takes a chunk into the hand; says whether it brought anything, be it only that there is nothing.
    fn take(&mut self, chunk: Chunk) -> bool {
        let span = &mut self.rest.span;
        let before = *span;
        if self.rest.reverse {
            span.to = span.to.min(chunk.covered.from);
        } else {
            span.from = span.from.max(chunk.covered.to);
        }
        let moved = *span != before;
        self.turn_over = !chunk.slots.is_empty();
        (self.chunk, self.at) = (chunk, 0);
        moved
    }

    fn stop_behind(&mut self, head: Option<Seq>) {
        let end = head.map_or(0, |head| head.get().saturating_add(1));
        self.rest.span.to = self.rest.span.to.min(end);
    }

    /// Goes on behind the entry that `error` is about, or nowhere.
    fn fail(&mut self, error: Error) -> Error {
        let span = &mut self.rest.span;
        match error.seq() {
            Some(seq) if span.contains(seq.get()) => {
                if self.rest.reverse {
                    span.to = seq.get();
                } else {
                    span.from = seq.get().saturating_add(1);
                }
            }
            _ => self.finish(),
        }
        error
    }
}
