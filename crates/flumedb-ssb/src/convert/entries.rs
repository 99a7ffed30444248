//! [`Entries`], the entries of a log one after another, up to where it ended when they were asked for.

use std::{collections::VecDeque, sync::Arc};

use flumedb::{
    Bytes, Error, ErrorKind, Result, Seq, Span,
    log::{Log, ReadRequest, SlotKind},
};

/// A walk through the entries of a log that are not deleted. Holds one chunk.
pub(super) struct Entries {
    log: Arc<dyn Log>,
    first: u64,
    span: Span,
    chunk: VecDeque<(Seq, Bytes)>,
    deleted: u64,
}

impl Entries {
    /// Those that `log` has now.
    pub(super) async fn of(log: &Arc<dyn Log>) -> Result<Self> {
        let end = log.barrier().await?.map_or(0, |seq| seq.get().saturating_add(1));
        Ok(Self::up_to(log, end))
    }

    /// Those below `end`.
    pub(super) fn up_to(log: &Arc<dyn Log>, end: u64) -> Self {
        let first = log.first().map_or(0, Seq::get).min(end);
        let span = Span { from: first, to: end };
        Self { log: log.clone(), first, span, chunk: VecDeque::new(), deleted: 0 }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<(Seq, Bytes)>> {
        while self.chunk.is_empty() && !self.span.is_empty() {
            let chunk = self.log.read(ReadRequest::forwards(self.span)).await?;
            if chunk.covered.to <= self.span.from {
                let message = "another program cut the log while it was read; start again";
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            self.span.from = chunk.covered.to;
            for slot in &chunk.slots {
                match slot.kind {
                    SlotKind::Entry => self.chunk.push_back((slot.seq, chunk.payload_bytes(slot))),
                    SlotKind::Deleted => self.deleted += 1,
                    SlotKind::Tombstone => {}
                }
            }
        }
        Ok(self.chunk.pop_front())
    }

    /// Where they end.
    pub(super) fn end(&self) -> u64 {
        self.span.to
    }

    /// How many deleted ones were passed over.
    pub(super) fn deleted(&self) -> u64 {
        self.deleted
    }

    /// How far it has got.
    pub(super) fn done(&self) -> u64 {
        self.span.from.saturating_sub(self.first)
    }

    /// How far it goes.
    pub(super) fn total(&self) -> u64 {
        self.span.to.saturating_sub(self.first)
    }
}
