//! Subscriptions: history, then what comes, in one stream that pulls.
//!
//! A subscription holds a place in the log and at most one chunk of it. It cannot overflow, and however slowly it is
//! read, the writer does not notice.

mod consumer;
mod events;

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

pub use events::Events;

use crate::{
    Entry, Event, Result, Seq,
    codec::{Codec, Raw},
    env::sync::watch,
    read::{Blocking, Source},
};

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From<'a> {
    /// At the first entry of the log.
    Start,
    /// Behind this one. Any number is legal.
    After(Seq),
    /// Behind the newest entry there is now: only what comes.
    Head,
    /// Behind the last entry that the consumer of this name has acknowledged with [`Flume::ack`](crate::Flume::ack); at
    /// the first entry if it never has.
    Stored(&'a str),
}

/// What [`Flume::subscribe`](crate::Flume::subscribe) makes: an endless stream of entries, each once and in order, those
/// in the log first and then those that come.
///
/// An entry that cannot be read or decoded is an `Err` that names it ([`Error::seq`](crate::Error::seq)), and the stream
/// goes on behind it. Any other error ends the stream; `Closed` does when the database is closed, `LimitExceeded` if there
/// are as many [`subscribers`](crate::Settings::subscribers) already.
///
/// # Cancel safety
/// Waiting for an entry can be given up at any time; nothing is lost.
#[must_use = "nothing is read until it is polled"]
pub struct Subscription<C>(Events<C>);

impl<C: Codec> Subscription<C> {
    pub(crate) fn new(source: Source<C>, from: From<'_>, closed: watch::Receiver<bool>) -> Self {
        Self(Events::new(source, from, closed))
    }

    /// Gives the entries' bytes instead of what the codec makes of them.
    pub fn raw(self) -> Subscription<Raw> {
        Subscription(self.0.raw())
    }

    /// Tells of deletions too, and when everything that was there has been delivered.
    pub fn events(self) -> Events<C> {
        self.0
    }

    /// The same as an iterator that blocks while there is nothing new.
    pub fn blocking(self) -> Blocking<Self> {
        Blocking(self)
    }

    /// The next entry; `None` after the error that ended the stream. What `StreamExt::next` does, without the import.
    pub async fn next(&mut self) -> Option<Result<Entry<C::Item>>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<C> Unpin for Subscription<C> {}

impl<C: Codec> Stream for Subscription<C> {
    type Item = Result<Entry<C::Item>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_next(cx)) {
                Some(Ok(Event::Entry(entry))) => return Poll::Ready(Some(Ok(entry))),
                Some(Ok(Event::Deleted(_) | Event::CaughtUp)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
