//! [`Sim`], the whole machine.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use flumedb::{Env, env::Clock};

use crate::{Choices, Image, SimClock, SimDisk, SimRandom, SimThreads};

/// A machine on which everything follows from one seed. If it is dropped by a failing test, it prints that seed.
pub struct Sim {
    /// What the code under test is given.
    pub env: Env,
    /// Its disk.
    pub disk: SimDisk,
    /// Its clock.
    pub clock: Arc<SimClock>,
    /// Its tasks.
    pub threads: SimThreads,
    seed: u64,
}

impl Sim {
    /// More turns than any test needs: whoever takes so many waits for something that never comes.
    const MAX_TURNS: u64 = 1_000_000;

    /// A machine with an empty disk.
    pub fn new(seed: u64) -> Self {
        Self::boot(Image::new(), seed)
    }

    /// A machine with this on its disk.
    pub fn boot(image: Image, seed: u64) -> Self {
        Self::assemble(image, seed, Arc::default())
    }

    fn assemble(image: Image, seed: u64, clock: Arc<SimClock>) -> Self {
        let mut seeds = fastrand::Rng::with_seed(seed);
        let disk = SimDisk::new(image, seeds.u64(..), clock.clone());
        let threads = SimThreads::new(seeds.u64(..), clock.clone());
        let env = Env {
            storage: Arc::new(disk.clone()),
            clock: clock.clone(),
            random: Arc::new(SimRandom::new(seeds.u64(..))),
            threads: Arc::new(threads.clone()),
        };
        Self { env, disk, clock, threads, seed }
    }

    /// Runs `future` to its end, tasks taking turns with it.
    ///
    /// # Panics
    /// If it waits for something that never comes.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        for _ in 0..Self::MAX_TURNS {
            // The future is one of those that may go on; which one does, chance says.
            let ready = self.threads.ready();
            if woken.0.load(Ordering::Acquire) && self.threads.pick(ready + 1) == 0 {
                woken.0.store(false, Ordering::Release);
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            } else if ready > 0 {
                self.threads.step();
            } else if let Some(deadline) = self.threads.next_deadline() {
                self.clock.advance_to(deadline);
            } else {
                panic!(
                    "deadlock (seed {}): a future waits, and no task can go on; {}",
                    self.seed,
                    self.threads.describe()
                );
            }
        }
        panic!("no end (seed {}): a future waits, and tasks go on and on; {}", self.seed, self.threads.describe());
    }

    /// Lets tasks go on until all of them wait.
    ///
    /// # Panics
    /// If they never do.
    pub fn settle(&self) {
        let settled = (0..Self::MAX_TURNS).any(|_| !self.threads.step());
        assert!(settled, "no rest (seed {}): {}", self.seed, self.threads.describe());
    }

    /// Lets `time` pass, and tasks do what they do meanwhile.
    pub fn advance(&self, time: Duration) {
        let end = self.clock.monotonic() + time;
        self.settle();
        while let Some(deadline) = self.threads.next_deadline().filter(|deadline| *deadline <= end) {
            self.clock.advance_to(deadline);
            self.settle();
        }
        self.clock.advance_to(end);
        self.settle();
    }

    /// The process dies: tasks stop where they are, what it had open is dead, everything written stays. Gives the
    /// machine as the next process finds it.
    #[must_use]
    pub fn kill(&self) -> Self {
        self.restart(|image| image)
    }

    /// The power goes and comes back: as [`Sim::kill`], and of what was not synced only what `choices` say is kept.
    #[must_use]
    pub fn crash(&self, choices: &mut Choices) -> Self {
        self.restart(|image| image.crash(choices))
    }

    fn restart(&self, change: impl FnOnce(Image) -> Image) -> Self {
        let image = change(self.disk.power_off());
        self.threads.discard();
        Self::assemble(image, self.seed.wrapping_add(1), self.clock.clone())
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("simulated with seed {}", self.seed);
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}
