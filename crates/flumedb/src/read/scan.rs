//! [`Scan`], the entries in a span, either way.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use super::{Blocking, Cursor, Held, Source};
use crate::{
    Entry, Event, Result, Span,
    codec::{Codec, Raw},
    log::{ReadRequest, SlotKind},
};

/// What [`Flume::scan`](crate::Flume::scan) makes: a stream of the entries that the log has in a span when it is polled
/// first. It ends there, however fast the log grows.
///
/// An entry that cannot be read or decoded is an `Err` that names it ([`Error::seq`](crate::Error::seq)), and the stream
/// goes on behind it; any other error ends the stream. `LimitExceeded` does if there are as many
/// [`readers`](crate::Settings::readers) already.
///
/// # Cancel safety
/// Waiting for an item can be given up at any time; nothing is lost.
#[must_use = "nothing is read until it is polled"]
pub struct Scan<C> {
    source: Source<C>,
    request: ReadRequest,
    /// How many items may still be delivered.
    left: u64,
    /// There from the first poll on, with its place among the readers.
    cursor: Option<(Cursor, Held)>,
}

impl<C: Codec> Scan<C> {
    pub(crate) fn new(source: Source<C>, span: Span) -> Self {
        Self { source, request: ReadRequest::forwards(span), left: u64::MAX, cursor: None }
    }

    /// From the newest to the oldest (or back again, if called twice).
    pub fn rev(mut self) -> Self {
        self.request.reverse = !self.request.reverse;
        self
    }

    /// Delivers at most `n` items. What is not delivered (deleted entries, say) does not count.
    pub fn limit(mut self, n: u64) -> Self {
        self.left = self.left.min(n);
        self
    }

    /// Gives the entries' bytes instead of what the codec makes of them.
    pub fn raw(self) -> Scan<Raw> {
        Scan { source: self.source.with_codec(Raw), request: self.request, left: self.left, cursor: self.cursor }
    }

    /// Gives deleted entries too, as [`Event::Deleted`] at their places.
    pub fn events(self) -> ScanEvents<C> {
        ScanEvents(self)
    }

    /// The same as an iterator that blocks while it reads.
    pub fn blocking(self) -> Blocking<Self> {
        Blocking(self)
    }

    /// The next entry; `None` at the end. What `StreamExt::next` does, without the import.
    pub async fn next(&mut self) -> Option<Result<Entry<C::Item>>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn poll_item<T>(
        &mut self,
        cx: &mut Context<'_>,
        entry: fn(Entry<C::Item>) -> T,
        deleted: fn(crate::Seq) -> Option<T>,
    ) -> Poll<Option<Result<T>>> {
        loop {
            if self.left == 0 {
                self.cursor = None;
                return Poll::Ready(None);
            }
            let Self { source, request, cursor, .. } = self;
            let (cursor, _) = match cursor {
                Some(cursor) => cursor,
                None => match source.readers.hold() {
                    Ok(held) => cursor.insert((Cursor::bounded(source.log.clone(), *request), held)),
                    Err(error) => {
                        self.left = 0;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            };
            let item = match ready!(cursor.poll_slot(cx)) {
                Ok(None) => {
                    self.left = 0;
                    continue;
                }
                Ok(Some(slot)) => {
                    cursor.advance();
                    match slot.kind {
                        SlotKind::Entry => Some(source.entry(slot.seq, &cursor.payload(&slot)).map(entry)),
                        SlotKind::Deleted => deleted(slot.seq).map(Ok),
                        SlotKind::Tombstone => None,
                    }
                }
                Err(error) => Some(Err(error)),
            };
            if item.is_some() {
                self.left -= 1;
                return Poll::Ready(item);
            }
        }
    }
}

impl<C> Unpin for Scan<C> {}

impl<C: Codec> Stream for Scan<C> {
    type Item = Result<Entry<C::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx, |entry| entry, |_| None)
    }
}

/// What [`Scan::events`] makes: the entries of a span, and where there were some.
#[must_use = "nothing is read until it is polled"]
pub struct ScanEvents<C>(Scan<C>);

impl<C: Codec> ScanEvents<C> {
    /// The same as an iterator that blocks while it reads.
    pub fn blocking(self) -> Blocking<Self> {
        Blocking(self)
    }

    /// The next event; `None` at the end. What `StreamExt::next` does, without the import.
    pub async fn next(&mut self) -> Option<Result<Event<C::Item>>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<C> Unpin for ScanEvents<C> {}

impl<C: Codec> Stream for ScanEvents<C> {
    type Item = Result<Event<C::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_item(cx, Event::Entry, |seq| Some(Event::Deleted(seq)))
    }
}
