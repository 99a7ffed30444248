//! Guards against a simulated machine that cannot be trusted to replay, or that hides a deadlock.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use flumedb::env::{Clock, Signal, Step, Task, Worker};
use flumedb_sim::Sim;
use tokio::sync::oneshot;

/// Writes its name down at each step, so many times.
struct Writer {
    name: char,
    left: u32,
    said: Arc<Mutex<String>>,
}

impl Task for Writer {
    fn step(&mut self) -> Step {
        self.said.lock().unwrap().push(self.name);
        self.left -= 1;
        if self.left == 0 { Step::Done } else { Step::Again }
    }
}

fn run(seed: u64) -> (String, [u8; 8]) {
    let sim = Sim::new(seed);
    let said = Arc::<Mutex<String>>::default();
    let workers: Vec<Box<dyn Worker>> = ['a', 'b', 'c']
        .map(|name| Box::new(Writer { name, left: 5, said: said.clone() }))
        .into_iter()
        .map(|task| sim.env.threads.spawn("writer", task, Arc::default()).unwrap())
        .collect();
    sim.settle();
    drop(workers);
    let mut bytes = [0; 8];
    sim.env.random.fill(&mut bytes).unwrap();
    let said = said.lock().unwrap().clone();
    (said, bytes)
}

#[test]
fn one_seed_is_one_run_and_other_seeds_are_others() {
    assert_eq!(run(7), run(7));
    let different: std::collections::HashSet<_> = (0..20).map(run).collect();
    assert!(different.len() > 15, "seeds change nothing");
}

/// Waits for its signal, then answers.
struct Answerer {
    go: Arc<AtomicBool>,
    answer: Option<oneshot::Sender<u32>>,
    otherwise: Step,
}

impl Task for Answerer {
    fn step(&mut self) -> Step {
        if !self.go.load(Ordering::Acquire) {
            return self.otherwise;
        }
        self.answer.take().unwrap().send(42).unwrap();
        Step::Done
    }
}

fn answerer(sim: &Sim, otherwise: Step) -> (Arc<AtomicBool>, Arc<Signal>, oneshot::Receiver<u32>, Box<dyn Worker>) {
    let (sender, answer) = oneshot::channel();
    let (go, signal) = (Arc::new(AtomicBool::new(false)), Arc::new(Signal::new()));
    let task = Box::new(Answerer { go: go.clone(), answer: Some(sender), otherwise });
    let worker = sim.env.threads.spawn("answerer", task, signal.clone()).unwrap();
    (go, signal, answer, worker)
}

#[test]
fn a_future_and_a_task_wake_each_other() {
    for seed in 0..50 {
        let sim = Sim::new(seed);
        let (go, signal, answer, _worker) = answerer(&sim, Step::Wait);
        let answer = sim.block_on(async {
            go.store(true, Ordering::Release);
            signal.raise();
            answer.await.unwrap()
        });
        assert_eq!(answer, 42);
    }
}

#[test]
#[should_panic(expected = "deadlock (seed 3)")]
fn a_lost_wake_up_is_a_deadlock() {
    let sim = Sim::new(3);
    let (go, _signal, answer, worker) = answerer(&sim, Step::Wait);
    sim.settle();
    // Nobody raises the signal.
    go.store(true, Ordering::Release);
    std::mem::forget(worker);
    let _ = sim.block_on(answer);
}

#[test]
fn time_passes_when_everybody_waits() {
    let sim = Sim::new(1);
    let (go, _signal, answer, _worker) = answerer(&sim, Step::WaitFor(Duration::from_secs(5)));
    sim.settle();
    assert_eq!(sim.clock.monotonic(), Duration::ZERO);
    go.store(true, Ordering::Release);
    assert_eq!(sim.block_on(answer).unwrap(), 42);
    assert_eq!(sim.clock.monotonic(), Duration::from_secs(5));
}

/// Counts its steps; never done by itself.
struct Counter {
    steps: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
}

impl Task for Counter {
    fn step(&mut self) -> Step {
        self.steps.fetch_add(1, Ordering::AcqRel);
        if self.stop.load(Ordering::Acquire) { Step::Done } else { Step::WaitFor(Duration::from_millis(10)) }
    }
}

#[test]
fn advancing_runs_what_is_due_and_a_worker_is_waited_for() {
    let sim = Sim::new(1);
    let (steps, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let task = Counter { steps: steps.clone(), stop: stop.clone() };
    let worker = sim.env.threads.spawn("counter", Box::new(task), Arc::default()).unwrap();
    sim.advance(Duration::from_millis(35));
    assert_eq!(steps.load(Ordering::Acquire), 4);
    stop.store(true, Ordering::Release);
    drop(worker);
    assert_eq!(steps.load(Ordering::Acquire), 5);
}

#[test]
fn the_dead_take_no_step() {
    let sim = Sim::new(1);
    let (steps, stop) = (Arc::new(AtomicU32::new(0)), Arc::default());
    let task = Counter { steps: steps.clone(), stop };
    let worker = sim.env.threads.spawn("counter", Box::new(task), Arc::default()).unwrap();
    let sim = sim.kill();
    sim.advance(Duration::from_secs(1));
    drop(worker);
    assert_eq!(steps.load(Ordering::Acquire), 0);
}
