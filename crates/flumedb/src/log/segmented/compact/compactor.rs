//! [`Compactor`], the task that compacts: when it is asked to, or when enough was deleted.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tracing::Span;

use super::{
    super::{settings::Compaction, shared::Shared},
    Compacted,
    pass::{Bounds, Pass},
    rewrite::Rewrite,
};
use crate::{
    Error, ErrorKind, Result,
    env::{
        Signal, Step, Storage, Task, Worker,
        planted::{Bug, planted},
        sync::oneshot,
    },
    telemetry::events,
};

/// After so many deletions it looks whether there is something to do.
const LOOK_EVERY: u64 = 4096;

/// So much of a segment is read in one step.
const STEP_BYTES: u64 = 4 << 20;

/// So often it looks whether views have come along.
const AGAIN: Duration = Duration::from_millis(50);

/// In the background it looks no more often.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// The background is so many times as patient as one who waits for the answer.
const PATIENT: u32 = 60;

type Reply = oneshot::Sender<Result<Compacted>>;

/// What is asked of the compactor.
#[derive(Default)]
pub(crate) struct Compactions {
    state: Mutex<State>,
    stop: AtomicBool,
    signal: Arc<Signal>,
}

#[derive(Default)]
struct State {
    asked: Vec<Reply>,
    /// There may be something to do.
    look: bool,
    /// Deletions since it looked last.
    deleted: u64,
    worker: Option<Box<dyn Worker>>,
    closed: bool,
}

impl Compactions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for all that was deleted to be erased.
    pub(crate) fn ask(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        storage: &Arc<dyn Storage>,
        settings: Compaction,
        reply: Reply,
    ) {
        if let Err(error) = self.start(shared, storage, settings) {
            drop(reply.send(Err(error)));
            return;
        }
        self.state().asked.push(reply);
        self.signal.raise();
    }

    /// A segment was ended.
    pub(crate) fn look(&self) {
        self.state().look = true;
        self.signal.raise();
    }

    /// So many entries were deleted. Says whether it is worth to have a look at them.
    pub(crate) fn deleted(&self, entries: u64) -> bool {
        let mut state = self.state();
        state.deleted += entries;
        let look = state.deleted >= LOOK_EVERY;
        if look {
            (state.look, state.deleted) = (true, 0);
            drop(state);
            self.signal.raise();
        }
        look
    }

    /// Starts the task, unless it runs: a log from which nothing is ever deleted needs none.
    pub(crate) fn start(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        storage: &Arc<dyn Storage>,
        settings: Compaction,
    ) -> Result<()> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::closed());
        }
        if state.worker.is_none() {
            let compactor = Compactor {
                compactions: self.clone(),
                shared: shared.clone(),
                storage: storage.clone(),
                settings,
                opened: shared.env.clock.monotonic(),
                looked: None,
                job: None,
                blocked: None,
            };
            let worker = shared.env.threads.spawn("flume-compactor", Box::new(compactor), self.signal.clone());
            state.worker = Some(worker.map_err(|error| Error::io("start the compaction of", &shared.dir, error))?);
        }
        Ok(())
    }

    /// Ends the task, and waits until it has ended.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let (worker, asked) = {
            let mut state = self.state();
            state.closed = true;
            (state.worker.take(), std::mem::take(&mut state.asked))
        };
        self.signal.raise();
        drop(worker);
        for reply in asked {
            drop(reply.send(Err(Error::closed())));
        }
    }
}

struct Compactor {
    compactions: Arc<Compactions>,
    shared: Arc<Shared>,
    /// What segments are written through: that writing a copy fails is no reason for the log to stop.
    storage: Arc<dyn Storage>,
    settings: Compaction,
    opened: Duration,
    /// When it looked last by itself.
    looked: Option<Duration>,
    job: Option<Job>,
    /// Since when there has been something to do for which views had not come far enough.
    blocked: Option<Duration>,
}

/// A compaction under way.
struct Job {
    replies: Vec<Reply>,
    stage: Stage,
    /// When it was begun.
    begun: Duration,
    span: Span,
}

enum Stage {
    /// Waits until views have come past the deletions that there are, up to `head`, or until then.
    Waiting {
        head: u64,
        until: Duration,
    },
    Pass {
        pass: Box<Pass>,
        rewrite: Option<Box<Rewrite>>,
    },
}

impl Job {
    fn end(self, shared: &Shared, result: &Result<Compacted>) {
        let _span = self.span.enter();
        let took = shared.env.clock.monotonic().saturating_sub(self.begun);
        match result {
            // One in the background often finds that nothing is worth the while yet.
            Ok(done) if self.replies.is_empty() && done.segments + done.dropped == 0 => {}
            Ok(done) => {
                shared.meters.compacted(took);
                events::compacted(&shared.label, done, took);
            }
            // That it was closed meanwhile is told elsewhere.
            Err(error) if error.kind() == ErrorKind::Closed => {}
            Err(error) => events::compaction_failed(&shared.label, error, took),
        }
        for reply in self.replies {
            // Who has stopped waiting needs no answer.
            drop(reply.send(result.clone()));
        }
    }
}

impl Compactor {
    fn now(&self) -> Duration {
        self.shared.env.clock.monotonic()
    }

    /// Deletions below this are on the disk: what they name may go.
    fn durable(&self) -> u64 {
        if planted(Bug::ErasedTooEarly) {
            return self.shared.visible();
        }
        self.shared.durable().min(self.shared.visible())
    }

    fn job(&self, replies: Vec<Reply>, stage: Stage) -> Job {
        Job { replies, stage, begun: self.now(), span: Span::none() }
    }

    /// Lets a job that has waited long enough go its way through the segments.
    fn begin(&mut self, mut job: Job, bounds: Bounds) -> Step {
        match Pass::new(&self.shared, bounds, !job.replies.is_empty()) {
            Ok(pass) => {
                job.stage = Stage::Pass { pass: Box::new(pass), rewrite: None };
                self.job = Some(job);
            }
            Err(error) => job.end(&self.shared, &Err(error)),
        }
        Step::Yield
    }

    /// Looks whether there is something to do.
    fn idle(&mut self) -> Step {
        let (asked, look) = {
            let mut state = self.compactions.state();
            (std::mem::take(&mut state.asked), std::mem::take(&mut state.look))
        };
        if !asked.is_empty() {
            let stage = Stage::Waiting { head: self.durable(), until: self.now() + self.settings.patience };
            self.job = Some(self.job(asked, stage));
            if look {
                self.compactions.state().look = true;
            }
            return Step::Again;
        }
        if !self.settings.automatic || !(look || self.blocked.is_some()) || self.shared.failure().is_some() {
            return Step::Wait;
        }
        let now = self.now();
        let since =
            (self.opened + self.settings.delay).max(self.looked.map_or(Duration::ZERO, |looked| looked + LEAST_PAUSE));
        if now < since {
            self.compactions.state().look = true;
            return Step::WaitFor(since - now);
        }
        self.looked = Some(now);
        if self.shared.deletions().len() == 0 {
            self.blocked = None;
            return Step::Wait;
        }
        let (durable, passed) = (self.durable(), self.shared.passed());
        let percent = u64::from(self.settings.least_percent.max(1));
        let waited =
            self.blocked.is_some_and(|blocked| now.saturating_sub(blocked) >= self.settings.patience * PATIENT);
        let erase = if waited { durable } else { durable.min(passed) };
        let waits = erase < durable && self.shared.deletions().any_from(erase);
        self.blocked = waits.then(|| self.blocked.unwrap_or(now));
        let job = self.job(Vec::new(), Stage::Waiting { head: erase, until: now });
        self.begin(job, Bounds { erase, forget: durable.min(passed), percent })
    }

    /// Goes on with the compaction under way.
    fn go_on(&mut self, mut job: Job) -> Step {
        if let Some(error) = self.shared.failure().cloned() {
            self.abandon(&job);
            job.end(&self.shared, &Err(error));
            return Step::Wait;
        }
        let span = job.span.clone();
        let _span = span.enter();
        match &mut job.stage {
            Stage::Waiting { head, until } => {
                let (head, passed) = (*head, self.shared.passed());
                if passed < head && self.now() < *until {
                    self.job = Some(job);
                    return Step::WaitFor(AGAIN);
                }
                self.begin(job, Bounds { erase: self.durable(), forget: head.min(passed), percent: 0 })
            }
            Stage::Pass { pass, rewrite: rewrite @ None } => {
                match pass.next(&self.shared, &*self.storage) {
                    Some(next) => {
                        *rewrite = Some(Box::new(next));
                        if job.span.is_none() {
                            job.span = events::compacting(&self.shared.label);
                        }
                    }
                    None => {
                        let done = pass.finish(&self.shared);
                        let failed = pass.failed.take();
                        job.end(&self.shared, &done.and_then(|done| failed.map_or(Ok(done), Err)));
                        return Step::Again;
                    }
                }
                self.job = Some(job);
                Step::Yield
            }
            Stage::Pass { pass, rewrite: slot @ Some(_) } => {
                let Some(mut rewrite) = slot.take() else { return Step::Again };
                let before = rewrite.output();
                let more = rewrite.step(STEP_BYTES);
                let written = rewrite.output().saturating_sub(before);
                match more {
                    Ok(true) => *slot = Some(rewrite),
                    Ok(false) => match rewrite.install(&self.shared) {
                        Ok(()) => {
                            self.shared.meters.rewritten(rewrite.erase.targets.len() as u64, rewrite.freed());
                            pass.installed(&rewrite);
                        }
                        Err(error) => {
                            rewrite.abandon(&*self.storage);
                            pass.fail(error);
                        }
                    },
                    Err(error) => {
                        rewrite.abandon(&*self.storage);
                        pass.fail(error);
                    }
                }
                let is_asked = !job.replies.is_empty();
                self.job = Some(job);
                let pause = Duration::from_secs_f64(written as f64 / self.settings.bytes_per_second.max(1) as f64);
                if is_asked || pause.is_zero() { Step::Yield } else { Step::WaitFor(pause) }
            }
        }
    }

    fn abandon(&self, job: &Job) {
        if let Stage::Pass { rewrite: Some(rewrite), .. } = &job.stage {
            rewrite.abandon(&*self.storage);
        }
    }
}

impl Task for Compactor {
    fn step(&mut self) -> Step {
        if self.compactions.stop.load(Ordering::Acquire) {
            if let Some(job) = self.job.take() {
                self.abandon(&job);
                job.end(&self.shared, &Err(Error::closed()));
            }
            return Step::Done;
        }
        match self.job.take() {
            Some(job) => self.go_on(job),
            None => self.idle(),
        }
    }
}
