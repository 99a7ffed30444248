//! [`Signal`], what a sleeping task is woken by, and [`block_on`], which sleeps on one until a future is ready.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use super::sync::{
    Condvar, Mutex,
    atomic::{AtomicBool, Ordering},
    through_tokio,
};

/// A flag that one task waits for and anybody raises. Raising it before the wait is not lost.
#[derive(Default)]
pub struct Signal {
    raised: AtomicBool,
    sleeping: Mutex<bool>,
    wake: Condvar,
}

impl Signal {
    /// A signal that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the waiter, now or at its next wait.
    pub fn raise(&self) {
        if self.raised.swap(true, Ordering::AcqRel) {
            return;
        }
        // The lock orders this against a waiter that has looked at the flag and is about to sleep.
        if *self.sleeping.lock().unwrap_or_else(PoisonError::into_inner) {
            self.wake.notify_one();
        }
    }

    /// Takes the flag down; says whether it was up.
    pub fn take(&self) -> bool {
        self.raised.swap(false, Ordering::AcqRel)
    }

    /// Waits until the signal is raised, or for `timeout` or less, and takes it down. Says whether it was raised.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        if self.take() {
            return true;
        }
        let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        *sleeping = true;
        while !self.raised.load(Ordering::Acquire) {
            let Some(timeout) = timeout else {
                sleeping = self.wake.wait(sleeping).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // Who waits for a time looks for itself whether it has passed.
            sleeping = self.wake.wait_timeout(sleeping, timeout).unwrap_or_else(PoisonError::into_inner).0;
            break;
        }
        *sleeping = false;
        drop(sleeping);
        self.take()
    }
}

/// A signal is a waker: a future that a task polls raises it when it is worth polling again.
impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        through_tokio();
        self.raise();
    }
}

/// Waits on this thread for a future that other threads bring forward. Not for tasks: those must not wait for each
/// other.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let signal = Arc::new(Signal::new());
    let waker = Waker::from(signal.clone());
    through_tokio();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        signal.wait(None);
    }
}
