//! [`Scrub`], a check of a log's files that goes on in the background.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::{
    Damage, Error, Result,
    check::Report,
    env::{Signal, Worker, block_on},
};

/// Is told of each damaged place when it is found.
pub type OnDamage = Box<dyn FnMut(&Damage) + Send>;

/// A check of a log's files that goes on in the background: await it for the report, or drop it, and it ends.
///
/// ```
/// use flumedb::{Env, Flume, codec::Utf8};
/// let db = Flume::builder(Utf8).env(Env::memory()).open("data").blocking()?;
/// db.append("hello").blocking()?;
/// // At most 10 MB a second are read.
/// let scrub = db.scrub(10_000_000, |damage| eprintln!("damaged: {}", damage.reason))?;
/// assert!(scrub.blocking()?.is_ok());
/// # Ok::<(), flumedb::Error>(())
/// ```
#[must_use = "it ends when it is dropped"]
pub struct Scrub {
    ties: Arc<Ties>,
    answer: oneshot::Receiver<Result<Report>>,
    worker: Option<Box<dyn Worker>>,
}

/// What a scrub and the task that does it have in common.
#[derive(Default)]
pub(crate) struct Ties {
    pub(crate) stop: AtomicBool,
    pub(crate) done: AtomicU64,
    pub(crate) signal: Arc<Signal>,
}

impl Scrub {
    pub(crate) fn new(ties: Arc<Ties>, answer: oneshot::Receiver<Result<Report>>, worker: Box<dyn Worker>) -> Self {
        Self { ties, answer, worker: Some(worker) }
    }

    /// How many bytes have been read.
    pub fn bytes(&self) -> u64 {
        self.ties.done.load(Ordering::Relaxed)
    }

    /// Waits for the report on this thread. Needs no runtime.
    ///
    /// # Errors
    /// `Unsupported` if a newer version wrote something of it, `Io`. Damage is no error: it is what the report says.
    pub fn blocking(self) -> Result<Report> {
        block_on(self)
    }
}

impl Future for Scrub {
    type Output = Result<Report>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(Error::closed())))
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        self.ties.stop.store(true, Ordering::Release);
        self.ties.signal.raise();
        drop(self.worker.take());
    }
}
