//! [`SimThreads`], tasks that take turns on one thread in an order that follows from a seed.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use flumedb::env::{Clock, Signal, Step, Task, Threads, Worker};

use crate::SimClock;

/// Keeps spawned tasks and steps one at a time, when told to. Cheap to clone.
#[derive(Clone)]
pub struct SimThreads {
    shared: Arc<Mutex<Shared>>,
    clock: Arc<SimClock>,
}

struct Shared {
    rng: fastrand::Rng,
    slots: Vec<Slot>,
    next_id: u64,
}

struct Slot {
    id: u64,
    name: String,
    /// `None` while it is being stepped.
    task: Option<Box<dyn Task>>,
    signal: Arc<Signal>,
    wait: Wait,
}

#[derive(Clone, Copy, PartialEq)]
enum Wait {
    Ready,
    Signal,
    Until(Duration),
}

impl SimThreads {
    /// No tasks yet. Their order will follow from `seed`.
    pub fn new(seed: u64, clock: Arc<SimClock>) -> Self {
        let shared = Shared { rng: fastrand::Rng::with_seed(seed), slots: Vec::new(), next_id: 0 };
        Self { shared: Arc::new(Mutex::new(shared)), clock }
    }

    /// Steps one of the tasks that can go on. Says whether there was one.
    pub fn step(&self) -> bool {
        let mut shared = lock(&self.shared);
        let ready = shared.ready(self.clock.monotonic());
        if ready.is_empty() {
            return false;
        }
        let chosen = shared.rng.usize(0..ready.len());
        self.run(shared, ready[chosen])
    }

    /// How many tasks can go on now.
    pub(crate) fn ready(&self) -> usize {
        lock(&self.shared).ready(self.clock.monotonic()).len()
    }

    /// A seeded choice.
    pub(crate) fn pick(&self, size: usize) -> usize {
        lock(&self.shared).rng.usize(0..size.max(1))
    }

    /// When the next task would go on by itself.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let shared = lock(&self.shared);
        let deadlines = shared.slots.iter().filter_map(|slot| match slot.wait {
            Wait::Until(deadline) => Some(deadline),
            _ => None,
        });
        deadlines.min()
    }

    /// The process is dead: no task takes another step.
    pub(crate) fn discard(&self) {
        let slots = std::mem::take(&mut lock(&self.shared).slots);
        // Not under the lock: a task may own workers.
        drop(slots);
    }

    /// Names of the tasks, with what each waits for.
    pub(crate) fn describe(&self) -> String {
        let shared = lock(&self.shared);
        let names: Vec<&str> = shared.slots.iter().map(|slot| slot.name.as_str()).collect();
        format!("tasks: [{}]", names.join(", "))
    }

    fn run(&self, mut shared: MutexGuard<'_, Shared>, id: u64) -> bool {
        let Some((mut task, signal)) = shared.take(id) else { return false };
        drop(shared);
        let step = task.step();
        let mut shared = lock(&self.shared);
        let Some(index) = shared.slots.iter().position(|slot| slot.id == id) else {
            // The process died in this very step.
            drop(shared);
            return true;
        };
        if step == Step::Done {
            let slot = shared.slots.remove(index);
            drop(shared);
            drop((slot, task));
            return true;
        }
        let slot = &mut shared.slots[index];
        slot.task = Some(task);
        slot.wait = match step {
            Step::Again | Step::Yield => Wait::Ready,
            _ if signal.take() => Wait::Ready,
            Step::WaitFor(time) => Wait::Until(self.clock.monotonic() + time),
            _ => Wait::Signal,
        };
        true
    }

    /// Runs until the task `id` is done, and others where it cannot go on.
    fn finish(&self, id: u64) {
        loop {
            let mut shared = lock(&self.shared);
            let ready = shared.ready(self.clock.monotonic());
            match shared.slots.iter().find(|slot| slot.id == id) {
                // Done, or it is the task itself that waits.
                None | Some(Slot { task: None, .. }) => return,
                Some(_) if ready.contains(&id) => self.run(shared, id),
                Some(_) if ready.is_empty() => {
                    drop(shared);
                    match self.next_deadline() {
                        Some(deadline) => self.clock.advance_to(deadline),
                        None if thread::panicking() => return,
                        None => panic!("a worker is dropped, but its task waits for a signal; {}", self.describe()),
                    }
                    true
                }
                Some(_) => {
                    drop(shared);
                    self.step()
                }
            };
        }
    }
}

impl Shared {
    /// The tasks that can go on at `now`.
    fn ready(&mut self, now: Duration) -> Vec<u64> {
        let mut ready = Vec::new();
        for slot in self.slots.iter_mut().filter(|slot| slot.task.is_some()) {
            let due = match slot.wait {
                Wait::Ready => true,
                Wait::Signal => slot.signal.take(),
                Wait::Until(deadline) => slot.signal.take() || deadline <= now,
            };
            if due {
                slot.wait = Wait::Ready;
                ready.push(slot.id);
            }
        }
        ready
    }

    fn take(&mut self, id: u64) -> Option<(Box<dyn Task>, Arc<Signal>)> {
        let slot = self.slots.iter_mut().find(|slot| slot.id == id)?;
        Some((slot.task.take()?, slot.signal.clone()))
    }
}

impl Threads for SimThreads {
    fn spawn(&self, name: &str, task: Box<dyn Task>, signal: Arc<Signal>) -> io::Result<Box<dyn Worker>> {
        let mut shared = lock(&self.shared);
        let id = shared.next_id;
        shared.next_id += 1;
        shared.slots.push(Slot { id, name: name.to_owned(), task: Some(task), signal, wait: Wait::Ready });
        let shared = Arc::downgrade(&self.shared);
        Ok(Box::new(SimWorker { id, shared, clock: self.clock.clone() }))
    }
}

struct SimWorker {
    id: u64,
    /// Weak, as a task may own its workers.
    shared: Weak<Mutex<Shared>>,
    clock: Arc<SimClock>,
}

impl Worker for SimWorker {}

impl Drop for SimWorker {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            SimThreads { shared, clock: self.clock.clone() }.finish(self.id);
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
