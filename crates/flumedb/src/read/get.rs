//! [`Get`], one entry.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{
    Bytes, Result, Seq,
    codec::{Codec, Raw},
    env::block_on,
    log::{BoxFuture, Log},
};

/// What [`Flume::get`](crate::Flume::get) makes: await it. A local log answers at the first poll and allocates nothing.
#[must_use = "nothing happens until it is awaited or blocked on"]
pub struct Get<'a, C> {
    log: &'a dyn Log,
    codec: &'a C,
    seq: Seq,
    fetching: Option<BoxFuture<'a, Result<Bytes>>>,
}

impl<'a, C: Codec> Get<'a, C> {
    pub(crate) fn new(log: &'a dyn Log, codec: &'a C, seq: Seq) -> Self {
        Self { log, codec, seq, fetching: None }
    }

    /// The entry's bytes instead of what the codec makes of them.
    pub fn raw(self) -> Get<'a, Raw> {
        Get { log: self.log, codec: &Raw, seq: self.seq, fetching: self.fetching }
    }

    /// Blocks this thread until the entry is there.
    ///
    /// # Errors
    /// As [`Flume::get`](crate::Flume::get).
    pub fn blocking(self) -> Result<C::Item> {
        match self.log.get_now(self.seq) {
            Some(answer) => self.decode(&answer?),
            None => block_on(self),
        }
    }

    fn decode(&self, bytes: &Bytes) -> Result<C::Item> {
        self.codec.decode(bytes).map_err(|error| error.at(self.seq))
    }
}

impl<C: Codec> Future for Get<'_, C> {
    type Output = Result<C::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.fetching.is_none()
            && let Some(answer) = this.log.get_now(this.seq)
        {
            return Poll::Ready(answer.and_then(|bytes| this.decode(&bytes)));
        }
        let (log, seq) = (this.log, this.seq);
        let bytes = ready!(this.fetching.get_or_insert_with(|| log.get(seq)).as_mut().poll(cx));
        Poll::Ready(bytes.and_then(|bytes| this.decode(&bytes)))
    }
}
