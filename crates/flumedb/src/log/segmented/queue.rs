//! [`Queue`], where appends wait for the writer.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::settings::LogSettings;
use crate::{
    Error, Result, Seq,
    env::{
        Clock, Signal,
        sync::{
            Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore,
            atomic::{AtomicUsize, Ordering},
            oneshot,
        },
    },
    log::Batch,
};

/// What somebody asks of the writer, and where the answer goes. Whoever no longer waits has dropped the other end.
pub(crate) enum Request {
    Append {
        batch: Batch,
        reply: oneshot::Sender<Result<Vec<Seq>>>,
        permit: Permit,
    },
    Delete {
        targets: Vec<Seq>,
        reply: oneshot::Sender<Result<()>>,
        permit: Permit,
    },
    Sync {
        reply: oneshot::Sender<Result<()>>,
    },
    /// Ends the segment that is appended to if it could be smaller, so that it can be compacted. Says whether it did.
    Roll {
        reply: oneshot::Sender<Result<bool>>,
    },
    Close {
        reply: oneshot::Sender<Result<()>>,
    },
}

impl Request {
    /// Tells whoever waits that it was not to be.
    pub(crate) fn fail(self, error: &Error) {
        match self {
            Self::Append { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Roll { reply } => drop(reply.send(Err(error.clone()))),
            Self::Delete { reply, .. } | Self::Sync { reply } | Self::Close { reply } => {
                drop(reply.send(Err(error.clone())));
            }
        }
    }
}

/// The room that a request takes while it waits. It goes with the request, which may outlive whoever made it.
pub(crate) struct Permit {
    _bytes: OwnedSemaphorePermit,
    _place: Place,
}

/// One of the requests that may wait.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Where appends and deletions wait for the writer. Bounded by bytes: past that, appending waits; and by how many wait.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// In units of [`UNIT`] bytes.
    room: Arc<Semaphore>,
    units: u32,
    /// Appends and deletions that wait, for room or for the writer.
    places: Arc<AtomicUsize>,
    most: usize,
    clock: Arc<dyn Clock>,
    pub(crate) signal: Arc<Signal>,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    /// When the first of them came.
    since: Duration,
    /// No more requests are taken, and why.
    closed: Option<Error>,
}

const UNIT: usize = 256;

impl Queue {
    pub(crate) fn new(settings: &LogSettings, clock: Arc<dyn Clock>) -> Self {
        let units = u32::try_from((settings.pending_bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self {
            state: Mutex::default(),
            room: Arc::new(Semaphore::new(units as usize)),
            units,
            places: Arc::default(),
            most: settings.pending_requests,
            clock,
            signal: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room for `bytes` (for all the room there is, if they are more).
    ///
    /// # Errors
    /// `LimitExceeded` if too many requests wait already, `Closed`.
    pub(crate) async fn room_for(&self, bytes: usize) -> Result<Permit> {
        let more = |count| (count < self.most).then_some(count + 1);
        if self.places.try_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            let message = format!("{} appends and deletions wait already; let some of them return first", self.most);
            return Err(Error::over_limit(message, "pending_requests"));
        }
        let place = Place(self.places.clone());
        let units = u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX).min(self.units);
        let bytes = self.room.clone().acquire_many_owned(units).await.map_err(|_| Error::closed())?;
        Ok(Permit { _bytes: bytes, _place: place })
    }

    /// Bytes that wait, about, and how many requests.
    pub(crate) fn pending(&self) -> (usize, usize) {
        let free = self.room.available_permits();
        ((self.units as usize).saturating_sub(free) * UNIT, self.places.load(Ordering::Acquire))
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
                if first {
                    state.since = self.clock.monotonic();
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

    /// Takes everything that waits; says since when, if nothing had been taken before that still waits.
    pub(crate) fn take(&self, into: &mut VecDeque<Request>) -> Option<Duration> {
        let mut state = self.state();
        if into.is_empty() {
            std::mem::swap(&mut state.requests, into);
            Some(state.since)
        } else {
            into.append(&mut state.requests);
            None
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
