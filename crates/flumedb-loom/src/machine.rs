//! Threads of loom's, time that stands still, and ids that are the same in every run.

use std::{io, sync::Arc, time::Duration};

use flumedb::{
    Env,
    env::{Clock, Random, Signal, Step, Storage, Task, Threads, Worker},
};
use loom::thread::{self, JoinHandle};

/// Runs `run` in every order of its threads in which at most `switches` of the changes from one to another are not forced.
pub fn model(switches: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.max_branches = 100_000;
    builder.check(run);
}

/// The machine over a storage.
pub fn env(storage: Arc<dyn Storage>) -> Env {
    Env { storage, clock: Arc::new(Still), random: Arc::new(Known), threads: Arc::new(LoomThreads) }
}

struct Still;

impl Clock for Still {
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn unix_us(&self) -> i64 {
        0
    }
}

struct Known;

impl Random for Known {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0x5a);
        Ok(())
    }
}

struct LoomThreads;

impl Threads for LoomThreads {
    fn spawn(&self, name: &str, mut task: Box<dyn Task>, signal: Arc<Signal>) -> io::Result<Box<dyn Worker>> {
        // Nothing is large enough here for it to be asked, and one thread less leaves far fewer orders.
        if name == "flume-flusher" {
            return Ok(Box::new(LoomWorker { handle: None }));
        }
        let handle = thread::spawn(move || {
            loop {
                match task.step() {
                    Step::Again => {}
                    Step::Yield => thread::yield_now(),
                    // That time passes wakes nobody here: whoever is not woken otherwise is stuck, and loom says so.
                    Step::Wait | Step::WaitFor(_) => drop(signal.wait(None)),
                    Step::Done => return,
                }
            }
        });
        Ok(Box::new(LoomWorker { handle: Some(handle) }))
    }
}

struct LoomWorker {
    handle: Option<JoinHandle<()>>,
}

impl Worker for LoomWorker {}

impl Drop for LoomWorker {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}
