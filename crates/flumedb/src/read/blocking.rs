//! [`Blocking`], a stream as an iterator.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use crate::env::block_on;

/// A stream as an iterator that blocks the thread while there is nothing to give.
///
/// ```
/// use flumedb::{Flume, codec::Utf8};
/// let db = Flume::memory(Utf8)?;
/// db.append("hello").blocking()?;
/// for entry in db.scan(..).blocking() {
///     assert_eq!(entry?.value, "hello");
/// }
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Debug)]
pub struct Blocking<S>(pub(crate) S);

impl<S: Stream + Unpin> Iterator for Blocking<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        // Most items come out of the chunk in hand; only a new chunk is worth the price of a parked thread.
        match Pin::new(&mut self.0).poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(item) => item,
            Poll::Pending => block_on(poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx))),
        }
    }
}
