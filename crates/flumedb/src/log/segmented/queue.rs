//! [`Queue`], where appends wait for the writer.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
};

use crate::{
    Error, Result, Seq,
    env::{
        Signal,
        sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore, oneshot},
    },
    log::Batch,
};

/// What somebody asks of the writer, and where the answer goes. Whoever no longer waits has dropped the other end.
pub(crate) enum Request {
    Append { batch: Batch, reply: oneshot::Sender<Result<Vec<Seq>>>, permit: OwnedSemaphorePermit },
    Delete { targets: Vec<Seq>, reply: oneshot::Sender<Result<()>> },
    Sync { reply: oneshot::Sender<Result<()>> },
    Close { reply: oneshot::Sender<Result<()>> },
}

impl Request {
    /// Tells whoever waits that it was not to be.
    pub(crate) fn fail(self, error: &Error) {
        match self {
            Self::Append { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Delete { reply, .. } | Self::Sync { reply } | Self::Close { reply } => {
                drop(reply.send(Err(error.clone())));
            }
        }
    }
}

/// Where appends wait for the writer. Bounded by bytes: past that, appending waits.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// In units of [`UNIT`] bytes.
    room: Arc<Semaphore>,
    units: u32,
    pub(crate) signal: Arc<Signal>,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    /// No more requests are taken, and why.
    closed: Option<Error>,
}

const UNIT: usize = 256;

impl Queue {
    pub(crate) fn new(pending_bytes: usize) -> Self {
        let units = u32::try_from((pending_bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self { state: Mutex::default(), room: Arc::new(Semaphore::new(units as usize)), units, signal: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room for `bytes` (for all the room there is, if they are more).
    pub(crate) async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX).min(self.units);
        self.room.clone().acquire_many_owned(units).await.map_err(|_| Error::closed())
    }

    /// Hands a request to the writer, or fails it if the log is closed.
    pub(crate) fn push(&self, request: Request) {
        let mut state = self.state();
        match &state.closed {
            None => {
                let first = state.requests.is_empty();
                if matches!(request, Request::Close { .. }) {
                    state.closed = Some(Error::closed());
                }
                state.requests.push_back(request);
                drop(state);
                if first {
                    self.signal.raise();
                }
            }
            // Closing twice is fine.
            Some(_) if matches!(request, Request::Close { .. }) => {
                if let Request::Close { reply } = request {
                    drop(reply.send(Ok(())));
                }
            }
            Some(error) => {
                let error = error.clone();
                drop(state);
                request.fail(&error);
            }
        }
    }

    /// Takes everything that waits.
    pub(crate) fn take(&self, into: &mut VecDeque<Request>) {
        let mut state = self.state();
        if into.is_empty() {
            std::mem::swap(&mut state.requests, into);
        } else {
            into.append(&mut state.requests);
        }
    }

    /// Whether no more requests come.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.state();
        state.closed.is_some() && state.requests.is_empty()
    }

    /// Takes no more requests and fails those that wait.
    pub(crate) fn close(&self, error: Error) {
        let mut state = self.state();
        let requests = std::mem::take(&mut state.requests);
        state.closed.get_or_insert_with(|| error.clone());
        drop(state);
        self.room.close();
        for request in requests {
            request.fail(&error);
        }
    }
}
