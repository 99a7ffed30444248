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
        settings::{Compaction, Retention},
        shared::Shared,
    },
    ERASE_EVERY,
    bounds::kept,
    expiry::Expiry,
};
use crate::{
    Error, ErrorKind, Result, Seq, Span,
    env::{Signal, Step, Storage, Task, Worker, sync::Mutex},
    log::BoxFuture,
    telemetry::events,
};

/// After a failure, and while there is too much to erase, it looks so often.
const AGAIN: Duration = Duration::from_secs(1);

/// So often it looks at the clock: that of the machine may be put forward.
const LOOK: Duration = Duration::from_secs(60);

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
        retention: Retention,
        shared: &Arc<Shared>,
        queue: &Arc<Queue>,
        erase: (&Arc<Compactions>, &Arc<dyn Storage>, Compaction),
    ) -> Result<()> {
        if retention == Retention::default() {
            return Ok(());
        }
        let (compactions, storage, compaction) = erase;
        let keeping = Keeping {
            retention,
            expiry: Arc::new(Expiry { shared: shared.clone(), queue: queue.clone() }),
            compactions: compactions.clone(),
            storage: storage.clone(),
            compaction,
            stop: self.stop.clone(),
            signal: self.signal.clone(),
            done_to: 0,
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
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(worker);
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
    work: Option<BoxFuture<'static, Deleted>>,
}

impl Keeping {
    /// Looks whether anything is to be dropped, and begins with it.
    fn look(&mut self) -> Step {
        let shared = &self.expiry.shared;
        if shared.failure().is_some() {
            return Step::Wait;
        }
        let (to, again) = match kept(shared, &self.retention) {
            Ok(kept) => kept,
            Err(error) => return self.failed(&error),
        };
        let span = Span { from: self.done_to.max(shared.table.first()), to };
        if span.is_empty() {
            return again.map_or(Step::Wait, |again| Step::WaitFor(again.min(LOOK)));
        }
        if self.compaction.automatic && shared.deletions().len() >= ERASE_EVERY {
            return Step::WaitFor(AGAIN);
        }
        let (expiry, mut span) = (self.expiry.clone(), span);
        self.work = Some(Box::pin(async move {
            let deleted = expiry.delete_some(&mut span).await?;
            Ok((span, deleted))
        }));
        Step::Again
    }

    fn deleted(&mut self, left: Span, entries: u64) -> Step {
        let shared = &self.expiry.shared;
        self.done_to = left.from;
        if entries > 0 {
            events::expired(&shared.label, left.from.checked_sub(1).map(Seq::new), entries);
        }
        if self.compaction.automatic {
            // Without a thread for it, erasing can still be asked for.
            drop(self.compactions.start(shared, &self.storage, self.compaction));
            self.compactions.look();
        }
        Step::Yield
    }

    fn failed(&self, error: &Error) -> Step {
        if error.kind() == ErrorKind::Closed {
            return Step::Wait;
        }
        events::expiry_failed(&self.expiry.shared.label, error);
        Step::WaitFor(AGAIN)
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
