//! [`Keeper`], the task that deletes what the settings keep no longer: whenever a segment is ended, and when one has become
//! too old. Erasing it is up to the compaction.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    super::{
        compact::Compactions,
        queue::Queue,
        settings::{Compaction, LogSettings, Retention},
        shared::Shared,
    },
    bounds::kept,
    expiry::Expiry,
};
use crate::{
    Error, ErrorKind, Result, Seq, Span,
    env::{Signal, Step, Storage, Task, Worker, sync::Mutex},
    log::BoxFuture,
    telemetry::events,
};

/// After a failure it waits for so long, the next time for twice as long; and so long while there is too much to erase.
const PAUSE: Duration = Duration::from_secs(1);

/// It never waits longer: the clock of the machine may be put forward.
const LONGEST: Duration = Duration::from_secs(60);

/// The handle on the task, of a log that has one.
#[derive(Default)]
pub(in super::super) struct Keeper {
    stop: Arc<AtomicBool>,
    signal: Arc<Signal>,
    worker: Mutex<Option<Box<dyn Worker>>>,
}

impl Keeper {
    /// What is to be raised when a segment was ended.
    pub(in super::super) fn signal(&self) -> Arc<Signal> {
        self.signal.clone()
    }

    /// Starts the task, if anything is to be dropped ever.
    pub(in super::super) fn start(
        &self,
        settings: &LogSettings,
        shared: &Arc<Shared>,
        queue: &Arc<Queue>,
        (compactions, storage): (&Arc<Compactions>, &Arc<dyn Storage>),
    ) -> Result<()> {
        if settings.retention == Retention::default() {
            return Ok(());
        }
        let keeping = Keeping {
            retention: settings.retention,
            expiry: Arc::new(Expiry::new(shared, queue, settings)),
            compactions: compactions.clone(),
            storage: storage.clone(),
            compaction: settings.compaction,
            stop: self.stop.clone(),
            signal: self.signal.clone(),
            done_to: 0,
            pause: PAUSE,
            work: None,
        };
        let worker = shared.env.threads.spawn("flume-retention", Box::new(keeping), self.signal.clone());
        let worker = worker.map_err(|error| Error::io("start the retention of", &shared.dir, error))?;
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
        Ok(())
    }

    /// Ends the task, and waits until it has ended.
    pub(in super::super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.signal.raise();
        // In one statement: whoever ends it at the same time waits, too.
        drop(self.worker.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// The stretch that is left, and how many entries were deleted.
type Deleted = Result<(Span, u64)>;

struct Keeping {
    retention: Retention,
    expiry: Arc<Expiry>,
    compactions: Arc<Compactions>,
    storage: Arc<dyn Storage>,
    compaction: Compaction,
    stop: Arc<AtomicBool>,
    signal: Arc<Signal>,
    /// Everything below has been deleted.
    done_to: u64,
    /// How long it waits after the next failure.
    pause: Duration,
    work: Option<BoxFuture<'static, Deleted>>,
}

impl Keeping {
    /// Looks whether anything is to be dropped, and begins with it.
    fn look(&mut self) -> Step {
        let shared = self.expiry.shared();
        if shared.failure().is_some() {
            return Step::Wait;
        }
        let (to, again) = match kept(shared, &self.retention) {
            Ok(kept) => kept,
            Err(error) => return self.failed(&error),
        };
        let span = Span { from: self.done_to.max(shared.table.first()), to };
        if span.is_empty() {
            return again.map_or(Step::Wait, |again| Step::WaitFor(again.min(LONGEST)));
        }
        let room = self.expiry.room(span.to);
        if room == 0 {
            self.erase();
            return Step::WaitFor(PAUSE);
        }
        let (expiry, mut span) = (self.expiry.clone(), span);
        self.work = Some(Box::pin(async move {
            let deleted = expiry.delete_some(&mut span, room).await?;
            Ok((span, deleted))
        }));
        Step::Again
    }

    fn deleted(&mut self, left: Span, entries: u64) -> Step {
        (self.done_to, self.pause) = (left.from, PAUSE);
        if entries > 0 {
            let label = &self.expiry.shared().label;
            events::expired(label, left.from.checked_sub(1).map(Seq::new), entries);
        }
        self.erase();
        Step::Yield
    }

    /// Has what was deleted erased, if that is not left to others.
    fn erase(&self) {
        if self.compaction.automatic {
            // Without a thread for it, erasing can still be asked for.
            drop(self.compactions.start(self.expiry.shared(), &self.storage, self.compaction));
            self.compactions.look();
        }
    }

    fn failed(&mut self, error: &Error) -> Step {
        if error.kind() == ErrorKind::Closed {
            return Step::Wait;
        }
        events::expiry_failed(&self.expiry.shared().label, error);
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        Step::WaitFor(pause)
    }
}

impl Task for Keeping {
    fn step(&mut self) -> Step {
        if self.stop.load(Ordering::Acquire) {
            return Step::Done;
        }
        let Some(work) = &mut self.work else { return self.look() };
        let waker = Waker::from(self.signal.clone());
        let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) else { return Step::Wait };
        self.work = None;
        match done {
            Ok((left, entries)) => self.deleted(left, entries),
            Err(error) => self.failed(&error),
        }
    }
}
