//! [`Pool`], which polls futures on a few threads of its own and wakes sleepers in time.
//!
//! A worker polls one future per step and never waits for another worker, so the simulator may step them all on one
//! thread. A future that does not return keeps its worker; the clerk, which also keeps the time, starts another in its
//! place. Knows nothing of views.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use crate::{
    Env, Error, ErrorKind, Result,
    env::{Signal, Step, Task, Worker},
    log::BoxFuture,
};

/// A worker that is this long in one step does not count as one.
const STUCK: Duration = Duration::from_millis(200);

pub(crate) struct Pool {
    env: Env,
    threads: usize,
    state: Mutex<State>,
    clerk: Arc<Signal>,
}

#[derive(Default)]
struct State {
    runnable: VecDeque<Arc<Job>>,
    /// All that is not done, so that stopping can drop it.
    jobs: BTreeMap<u64, Arc<Job>>,
    crew: Vec<Member>,
    idle: Vec<usize>,
    timers: BTreeMap<(Duration, u64), Waker>,
    /// The workers as the machine knows them; dropping them waits for them.
    threads: Vec<Box<dyn Worker>>,
    next_id: u64,
    started: bool,
    watched: bool,
    stopping: bool,
}

struct Member {
    signal: Arc<Signal>,
    busy_since: Option<Duration>,
}

impl Pool {
    /// A pool of so many workers; they start with the first future.
    pub(crate) fn new(env: Env, threads: usize) -> Arc<Self> {
        Arc::new(Self { env, threads: threads.max(1), state: Mutex::default(), clerk: Arc::default() })
    }

    pub(crate) fn now(&self) -> Duration {
        self.env.clock.monotonic()
    }

    /// Runs `future` to its end, or until the pool stops.
    pub(crate) fn spawn(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.start()?;
        if let Some(job) = self.admit(Box::pin(future)) {
            job.wake();
        }
        Ok(())
    }

    /// The same, polling it once right here, for what is likely to end at once.
    pub(crate) fn spawn_here(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(job) = self.admit(Box::pin(future)) {
            job.stage.store(RUNNING, Ordering::Release);
            job.run(self);
        }
    }

    /// Done at `deadline`, by the pool's clock.
    pub(crate) fn sleep_until(self: &Arc<Self>, deadline: Duration) -> Sleep {
        Sleep { pool: self.clone(), deadline, id: None }
    }

    /// Ends the threads, then drops every future that is left.
    pub(crate) fn stop(&self) {
        let threads = {
            let mut state = self.state();
            state.stopping = true;
            state.crew.iter().for_each(|member| member.signal.raise());
            std::mem::take(&mut state.threads)
        };
        self.clerk.raise();
        drop(threads);
        let (jobs, runnable, timers) = {
            let mut state = self.state();
            (std::mem::take(&mut state.jobs), std::mem::take(&mut state.runnable), std::mem::take(&mut state.timers))
        };
        drop((runnable, timers));
        for job in jobs.into_values() {
            job.forget();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(self: &Arc<Self>, future: BoxFuture<'static, ()>) -> Option<Arc<Job>> {
        let mut state = self.state();
        if state.stopping {
            return None;
        }
        let id = state.next_id();
        let job = Job { id, pool: Arc::downgrade(self), stage: AtomicU8::new(IDLE), future: Mutex::new(Some(future)) };
        let job = Arc::new(job);
        state.jobs.insert(id, job.clone());
        Some(job)
    }

    fn push(&self, job: Arc<Job>) {
        let mut state = self.state();
        if state.stopping {
            return;
        }
        state.runnable.push_back(job);
        let idle = state.idle.pop().and_then(|index| state.crew.get(index)).map(|member| member.signal.clone());
        let call_clerk = idle.is_none() && !std::mem::replace(&mut state.watched, true);
        drop(state);
        if let Some(signal) = idle {
            signal.raise();
        } else if call_clerk {
            self.clerk.raise();
        }
    }

    fn start(self: &Arc<Self>) -> Result<()> {
        if std::mem::replace(&mut self.state().started, true) {
            return Ok(());
        }
        self.hire("flume-clerk", Box::new(Clerk { pool: self.clone() }), self.clerk.clone())?;
        (0..self.threads).try_for_each(|_| self.hire_worker())
    }

    fn hire_worker(self: &Arc<Self>) -> Result<()> {
        let signal = Arc::<Signal>::default();
        let index = {
            let mut state = self.state();
            state.crew.push(Member { signal: signal.clone(), busy_since: None });
            state.crew.len() - 1
        };
        self.hire("flume-views", Box::new(Crew { pool: self.clone(), index }), signal)
    }

    fn hire(&self, name: &str, task: Box<dyn Task>, signal: Arc<Signal>) -> Result<()> {
        let worker = self.env.threads.spawn(name, task, signal).map_err(|error| {
            Error::with_source(ErrorKind::Io, format!("cannot start a thread for views: {error}"), error)
        })?;
        self.state().threads.push(worker);
        Ok(())
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// One worker: polls what is runnable, a future per step.
struct Crew {
    pool: Arc<Pool>,
    index: usize,
}

impl Task for Crew {
    fn step(&mut self) -> Step {
        let now = self.pool.now();
        let mut state = self.pool.state();
        if state.stopping {
            return Step::Done;
        }
        let job = state.runnable.pop_front();
        if let Some(member) = state.crew.get_mut(self.index) {
            member.busy_since = job.is_some().then_some(now);
        }
        match job {
            Some(job) => {
                state.idle.retain(|&index| index != self.index);
                drop(state);
                job.run(&self.pool);
                Step::Again
            }
            None => {
                if !state.idle.contains(&self.index) {
                    state.idle.push(self.index);
                }
                Step::Wait
            }
        }
    }
}

/// Keeps the time, and sees that stuck workers are made up for.
struct Clerk {
    pool: Arc<Pool>,
}

impl Task for Clerk {
    fn step(&mut self) -> Step {
        let now = self.pool.now();
        let mut state = self.pool.state();
        if state.stopping {
            return Step::Done;
        }
        let later = state.timers.split_off(&(now + Duration::from_nanos(1), 0));
        let due = std::mem::replace(&mut state.timers, later);
        let next = state.timers.keys().next().map(|(deadline, _)| deadline.saturating_sub(now));
        state.watched = !state.runnable.is_empty() && state.idle.is_empty();
        let short = state.watched && {
            let stuck = state.crew.iter().filter(|member| member.busy_since.is_some_and(|since| now > since + STUCK));
            let (stuck, crew) = (stuck.count(), state.crew.len());
            crew - stuck < self.pool.threads && crew < self.pool.threads + state.jobs.len()
        };
        let watched = state.watched;
        drop(state);
        due.into_values().for_each(Waker::wake);
        if short {
            // If the machine has no thread to spare, there is nothing to do but wait for the stuck one.
            let _ = self.pool.hire_worker();
        }
        match (next, watched) {
            (Some(next), true) => Step::WaitFor(next.min(STUCK)),
            (Some(next), false) => Step::WaitFor(next),
            (None, true) => Step::WaitFor(STUCK),
            (None, false) => Step::Wait,
        }
    }
}

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
/// Running, and woken since it began to.
const AGAIN: u8 = 3;

/// A future and where it stands.
struct Job {
    id: u64,
    pool: Weak<Pool>,
    stage: AtomicU8,
    future: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Job {
    fn run(self: &Arc<Self>, pool: &Pool) {
        self.stage.store(RUNNING, Ordering::Release);
        let waker = Waker::from(self.clone());
        let mut slot = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = match slot.as_mut() {
            // What a future has to say of its own panic, its drop says.
            Some(future) => catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker)))),
            None => Ok(Poll::Ready(())),
        };
        if !matches!(polled, Ok(Poll::Pending)) || pool.state().stopping {
            let future = slot.take();
            drop(slot);
            drop(future);
            pool.state().jobs.remove(&self.id);
            return;
        }
        drop(slot);
        if self.stage.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_err() {
            self.stage.store(QUEUED, Ordering::Release);
            pool.push(self.clone());
        }
    }

    /// Drops the future, unless it is this very one that is being polled here.
    fn forget(&self) {
        let future = match self.future.try_lock() {
            Ok(mut slot) => slot.take(),
            Err(_) => None,
        };
        drop(future);
    }
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        let woken = self.stage.try_update(Ordering::AcqRel, Ordering::Acquire, |stage| match stage {
            IDLE => Some(QUEUED),
            RUNNING => Some(AGAIN),
            _ => None,
        });
        if woken == Ok(IDLE)
            && let Some(pool) = self.pool.upgrade()
        {
            pool.push(self);
        }
    }
}

/// See [`Pool::sleep_until`].
pub(crate) struct Sleep {
    pool: Arc<Pool>,
    deadline: Duration,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.pool.now() >= self.deadline {
            return Poll::Ready(());
        }
        let pool = self.pool.clone();
        let mut state = pool.state();
        let id = *self.id.get_or_insert_with(|| state.next_id());
        let key = (self.deadline, id);
        // A waker of somebody else may do anything when it is dropped: not under the lock.
        let former = state.timers.insert(key, cx.waker().clone());
        let first = state.timers.keys().next() == Some(&key);
        drop(state);
        drop(former);
        if first {
            pool.clerk.raise();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let waker = self.pool.state().timers.remove(&(self.deadline, id));
            drop(waker);
        }
    }
}

/// Lets others run, then goes on.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
