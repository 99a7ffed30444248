//! [`each`], the same work on many things, on all cores.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Env, Signal, Step, Task};

/// Threads are not worth it beyond so many: the disk or the memory is the limit then.
const MOST: usize = 8;

/// Does `work` for each item, on all cores and on this thread too, and gives what came of each, in order; `None` for one
/// whose work panicked. Where threads run only when they are waited for, this one does it all.
pub(crate) fn each<T, R>(env: &Env, items: Vec<T>, work: impl Fn(&T) -> R + Send + Sync + 'static) -> Vec<Option<R>>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let done = items.iter().map(|_| Mutex::new(None)).collect();
    let shared = Arc::new(Shared { items, work, next: AtomicUsize::new(0), done });
    let helpers = env.threads.cores().min(MOST).min(shared.items.len()).saturating_sub(1);
    // A machine that has no thread left does it all the same, on this one.
    let workers: Vec<_> = (0..helpers)
        .map_while(|_| env.threads.spawn("flume-check", Box::new(Helper(shared.clone())), Arc::new(Signal::new())).ok())
        .collect();
    while shared.step() {}
    // Waits for them.
    drop(workers);
    shared.done.iter().map(|done| done.lock().unwrap_or_else(PoisonError::into_inner).take()).collect()
}

struct Shared<T, R, W> {
    items: Vec<T>,
    work: W,
    next: AtomicUsize,
    done: Vec<Mutex<Option<R>>>,
}

impl<T, R, W: Fn(&T) -> R> Shared<T, R, W> {
    /// Does one; says whether there was one left.
    fn step(&self) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (Some(item), Some(place)) = (self.items.get(number), self.done.get(number)) else { return false };
        let done = catch_unwind(AssertUnwindSafe(|| (self.work)(item))).ok();
        *place.lock().unwrap_or_else(PoisonError::into_inner) = done;
        true
    }
}

struct Helper<T, R, W>(Arc<Shared<T, R, W>>);

impl<T, R, W> Task for Helper<T, R, W>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
    W: Fn(&T) -> R + Send + Sync + 'static,
{
    fn step(&mut self) -> Step {
        if self.0.step() { Step::Again } else { Step::Done }
    }
}
