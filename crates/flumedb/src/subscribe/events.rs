//! [`Events`], everything that happens to the log.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    vec,
};

use futures_core::Stream;
use futures_util::future::{Either, select};

use super::From;
use crate::{
    Error, Event, Result, Seq, Span,
    codec::{Codec, Raw},
    env::{
        planted::{Bug, planted},
        sync::watch,
    },
    log::{BoxFuture, Note, ReadRequest, SlotKind},
    read::{Blocking, Cursor, Held, Source},
};

/// What [`Subscription::events`](super::Subscription::events) makes: the same stream, telling of deletions too, each
/// where the log records it (so also of entries that the stream has not delivered), and once, when everything that was
/// in the log has been delivered, [`Event::CaughtUp`].
///
/// # Cancel safety
/// Waiting for an event can be given up at any time; nothing is lost.
#[must_use = "nothing is read until it is polled"]
pub struct Events<C> {
    source: Source<C>,
    cursor: Cursor,
    /// The first number that was not in the log at the beginning; taken when `CaughtUp` has been said.
    caught_up_at: Option<u64>,
    /// What the last tombstone deleted, as far as it has not been told.
    deleted: vec::IntoIter<Seq>,
    head: watch::Receiver<Option<Seq>>,
    closed: watch::Receiver<bool>,
    waiting: Option<BoxFuture<'static, Result<()>>>,
    /// Why nothing will come, told once.
    failure: Option<Error>,
    /// Its place among the subscribers.
    held: Option<Held>,
}

impl<C: Codec> Events<C> {
    /// Bytes that one read asks for: what a subscriber that stands still keeps in memory at most.
    const CHUNK_BYTES: usize = 256 << 10;

    pub(crate) fn new(source: Source<C>, from: From<'_>, closed: watch::Receiver<bool>) -> Self {
        let head = source.log.head();
        let behind = |seq: Option<Seq>| seq.map_or(0, |seq| seq.get().saturating_add(1));
        let end = behind(*head.borrow());
        let start = match from {
            From::Start => Ok(0),
            From::After(seq) => Ok(behind(Some(seq))),
            From::Head => Ok(end),
            From::Stored(name) => {
                source.log.note(&Note::consumer_name(name)).map(|note| behind(note.map(|note| Seq::new(note.position))))
            }
        };
        let placed = start.and_then(|start| Ok((start, source.subscribers.hold()?)));
        let (span, held, failure) = match placed {
            Ok((start, held)) => (Span { from: start, ..Span::ALL }, Some(held), None),
            Err(error) => (Span { to: 0, ..Span::ALL }, None, Some(error)),
        };
        let request = ReadRequest { max_bytes: Self::CHUNK_BYTES, ..ReadRequest::forwards(span) };
        let cursor = Cursor::open(source.log.clone(), request);
        let deleted = Vec::new().into_iter();
        Self { source, cursor, caught_up_at: Some(end), deleted, head, closed, waiting: None, failure, held }
    }

    /// Gives the entries' bytes instead of what the codec makes of them.
    pub fn raw(self) -> Events<Raw> {
        Events {
            source: self.source.with_codec(Raw),
            cursor: self.cursor,
            caught_up_at: self.caught_up_at,
            deleted: self.deleted,
            head: self.head,
            closed: self.closed,
            waiting: self.waiting,
            failure: self.failure,
            held: self.held,
        }
    }

    /// The same as an iterator that blocks while there is nothing new.
    pub fn blocking(self) -> Blocking<Self> {
        Blocking(self)
    }

    /// The next event; `None` after the error that ended the stream. What `StreamExt::next` does, without the import.
    pub async fn next(&mut self) -> Option<Result<Event<C::Item>>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits until the log has grown since the last wait ended, or is closed.
    fn poll_grown(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if planted(Bug::LostWakeUp) && self.waiting.is_none() {
            self.head.mark_unchanged();
        }
        let (head, closed) = (&self.head, &self.closed);
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(grown_or_closed(head.clone(), closed.clone())));
        let grown = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        // Before the next read, so that growth during that read ends the next wait at once.
        self.head.mark_unchanged();
        Poll::Ready(grown)
    }
}

async fn grown_or_closed(mut head: watch::Receiver<Option<Seq>>, mut closed: watch::Receiver<bool>) -> Result<()> {
    match select(pin!(closed.wait_for(|closed| *closed)), pin!(head.changed())).await {
        Either::Right((Ok(()), _)) => Ok(()),
        _ => Err(Error::closed()),
    }
}

impl<C> Unpin for Events<C> {}

impl<C: Codec> Stream for Events<C> {
    type Item = Result<Event<C::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(error) = this.failure.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if let Some(seq) = this.deleted.next() {
                return Poll::Ready(Some(Ok(Event::Deleted(seq))));
            }
            let slot = if this.waiting.is_some() {
                None
            } else {
                match ready!(this.cursor.poll_slot(cx)) {
                    Ok(slot) => slot,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            };
            let Some(slot) = slot else {
                if this.cursor.is_finished() {
                    return Poll::Ready(None);
                }
                if this.caught_up_at.take().is_some() {
                    return Poll::Ready(Some(Ok(Event::CaughtUp)));
                }
                match ready!(this.poll_grown(cx)) {
                    Ok(()) => continue,
                    Err(error) => {
                        this.cursor.finish();
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            };
            if this.caught_up_at.take_if(|end| slot.seq.get() >= *end).is_some() {
                return Poll::Ready(Some(Ok(Event::CaughtUp)));
            }
            this.cursor.advance();
            match slot.kind {
                SlotKind::Entry => {
                    let entry = this.source.entry(slot.seq, &this.cursor.payload(&slot));
                    return Poll::Ready(Some(entry.map(Event::Entry)));
                }
                // Its tombstone comes later, and tells.
                SlotKind::Deleted => {}
                SlotKind::Tombstone => this.deleted = this.cursor.targets(&slot).into_iter(),
            }
        }
    }
}
