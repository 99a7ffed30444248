//! [`Call`], something to do that has been described and not yet done.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{env::block_on, log::BoxFuture};

/// A call that has been described and not yet made: await it, or make it with [`blocking`](Call::blocking).
#[must_use = "nothing happens until it is awaited or blocked on"]
pub struct Call<'a, T>(BoxFuture<'a, T>);

impl<'a, T> Call<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self(Box::pin(future))
    }

    /// Makes the call and blocks this thread until it is done. Needs no runtime.
    pub fn blocking(self) -> T {
        block_on(self.0)
    }
}

impl<T> Future for Call<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Call<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}
