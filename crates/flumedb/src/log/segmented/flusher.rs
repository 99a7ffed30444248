//! [`Flusher`], which brings what nobody waits for to the disk while the writer goes on.
//!
//! Without it the end of a segment would wait for a whole segment's bytes, with the disk idle before and the writer idle
//! then; and a crash would find more that nobody vouches for.

use std::{
    ops::Deref,
    sync::{Arc, PoisonError},
};

use super::{segment::Segment, shared::Shared, walk::Position};
use crate::{
    Error, Result,
    env::{
        Signal, Step, Task, Worker,
        planted::{Bug, planted},
        sync::{
            Mutex, MutexGuard,
            atomic::{AtomicBool, Ordering},
        },
    },
    telemetry::events,
};

/// Begin once so many bytes are not on the disk.
pub(crate) const FLUSH_BYTES: u64 = 8 << 20;

/// What the writer asks of the flusher, and what it has done.
#[derive(Default)]
pub(crate) struct Flushes {
    state: Mutex<State>,
    stop: AtomicBool,
    signal: Arc<Signal>,
}

#[derive(Default)]
struct State {
    asked: Option<(Arc<Segment>, Position)>,
    busy: bool,
    done: Option<(u64, Position)>,
}

impl Flushes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for everything up to `to` to be brought to the disk, unless that is going on.
    pub(crate) fn ask(&self, segment: &Arc<Segment>, to: Position) {
        let mut state = self.state();
        if !state.busy {
            state.busy = true;
            state.asked = Some((segment.clone(), to));
            drop(state);
            self.signal.raise();
        }
    }

    /// What has been brought to the disk since the last call: which segment, and up to where.
    pub(crate) fn take_done(&self) -> Option<(u64, Position)> {
        self.state().done.take()
    }
}

/// The writer's side: what to ask, and the thread that does it. Dropping it waits until that is done.
pub(crate) struct Flushing {
    flushes: Arc<Flushes>,
    worker: Option<Box<dyn Worker>>,
}

impl Flushing {
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self> {
        let flushes = Arc::new(Flushes::default());
        let flusher = Flusher { shared: shared.clone(), flushes: flushes.clone() };
        let worker = shared.env.threads.spawn("flume-flusher", Box::new(flusher), flushes.signal.clone());
        let worker = worker.map_err(|error| Error::io("start the flusher of", &shared.dir, error))?;
        Ok(Self { flushes, worker: Some(worker) })
    }
}

impl Deref for Flushing {
    type Target = Flushes;

    fn deref(&self) -> &Flushes {
        &self.flushes
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        self.flushes.stop.store(true, Ordering::Release);
        self.flushes.signal.raise();
        drop(self.worker.take());
    }
}

/// The task that does it.
struct Flusher {
    shared: Arc<Shared>,
    flushes: Arc<Flushes>,
}

impl Task for Flusher {
    fn step(&mut self) -> Step {
        if self.flushes.stop.load(Ordering::Acquire) {
            return Step::Done;
        }
        let Some((segment, to)) = self.flushes.state().asked.take() else { return Step::Wait };
        let clock = &self.shared.env.clock;
        let before = clock.monotonic();
        let synced = segment.file.sync();
        let took = clock.monotonic().saturating_sub(before);
        let mut state = self.flushes.state();
        state.busy = false;
        match synced {
            Err(_) if planted(Bug::FlusherFailure) => state.done = Some((segment.name.ordinal, to)),
            Ok(()) => {
                state.done = Some((segment.name.ordinal, to));
                self.shared.meters.synced(took);
                events::synced(&self.shared.label, to.next, took);
            }
            // The system tells a failed sync once; nobody else will hear of it.
            Err(error) => drop(self.shared.poison(&Error::io("sync", &segment.path, error))),
        }
        Step::Again
    }
}
