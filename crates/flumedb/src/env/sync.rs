//! Locks, atomics and channels of what threads hand to each other. A build with `--cfg loom` puts those of loom in their
//! place, which tries every order in which threads can reach them (`cargo xtask loom`); the code that uses them is the same.

#[cfg(loom)]
pub(crate) use modelled::*;

#[cfg(not(loom))]
pub(crate) use {
    std::sync::{Condvar, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic},
    tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
};

/// A waker has come through tokio's hands, or is about to: its locks order what came before against what comes then. One that is
/// registered while another is woken, so without a step in between, loom would take for unordered.
pub(crate) fn through_tokio() {
    #[cfg(loom)]
    atomic::fence(atomic::Ordering::SeqCst);
}

/// What loom has no own form of. Each is the real one with an atomic beside it that is touched before every call, so that
/// loom sees the calls as steps that others can come between. What happens within a call of tokio's is tokio's to prove.
#[cfg(loom)]
mod modelled {
    use std::{
        future::poll_fn,
        pin::pin,
        sync::Arc,
        task::{Context, Poll},
    };

    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};
    use tokio::sync::AcquireError;

    use self::atomic::{AtomicUsize, Ordering};

    #[derive(Clone, Default)]
    struct Steps(Arc<AtomicUsize>);

    impl Steps {
        fn step(&self) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }

        /// Waits, with a step before each look.
        async fn each<T>(&self, future: impl Future<Output = T>) -> T {
            let mut future = pin!(future);
            poll_fn(|cx| {
                self.step();
                future.as_mut().poll(cx)
            })
            .await
        }
    }

    pub(crate) struct OnceLock<T> {
        cell: std::sync::OnceLock<T>,
        steps: Steps,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self { cell: std::sync::OnceLock::new(), steps: Steps::default() }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            self.steps.step();
            self.cell.get()
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            self.steps.step();
            self.cell.set(value)
        }
    }

    pub(crate) struct Semaphore {
        inner: Arc<tokio::sync::Semaphore>,
        steps: Steps,
    }

    pub(crate) struct OwnedSemaphorePermit {
        inner: Option<tokio::sync::OwnedSemaphorePermit>,
        steps: Steps,
    }

    impl Semaphore {
        pub(crate) const MAX_PERMITS: usize = tokio::sync::Semaphore::MAX_PERMITS;

        pub(crate) fn new(permits: usize) -> Self {
            Self { inner: Arc::new(tokio::sync::Semaphore::new(permits)), steps: Steps::default() }
        }

        pub(crate) async fn acquire_many_owned(
            self: Arc<Self>,
            count: u32,
        ) -> Result<OwnedSemaphorePermit, AcquireError> {
            let permit = self.steps.each(self.inner.clone().acquire_many_owned(count)).await?;
            Ok(OwnedSemaphorePermit { inner: Some(permit), steps: self.steps.clone() })
        }

        /// Only told, never acted upon: no step.
        pub(crate) fn available_permits(&self) -> usize {
            self.inner.available_permits()
        }

        pub(crate) fn close(&self) {
            self.steps.step();
            self.inner.close();
        }
    }

    impl Drop for OwnedSemaphorePermit {
        fn drop(&mut self) {
            self.steps.step();
            drop(self.inner.take());
        }
    }

    pub(crate) mod oneshot {
        use std::pin::Pin;

        use tokio::sync::oneshot::{self, error::RecvError};

        use super::{Context, Poll, Steps};

        pub(crate) struct Sender<T> {
            inner: Option<oneshot::Sender<T>>,
            steps: Steps,
        }

        pub(crate) struct Receiver<T> {
            inner: oneshot::Receiver<T>,
            steps: Steps,
        }

        pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
            let (sender, inner) = oneshot::channel();
            let steps = Steps::default();
            (Sender { inner: Some(sender), steps: steps.clone() }, Receiver { inner, steps })
        }

        impl<T> Sender<T> {
            pub(crate) fn send(mut self, value: T) -> Result<(), T> {
                self.steps.step();
                match self.inner.take() {
                    Some(inner) => inner.send(value),
                    None => Err(value),
                }
            }
        }

        impl<T> Drop for Sender<T> {
            fn drop(&mut self) {
                if let Some(inner) = self.inner.take() {
                    self.steps.step();
                    drop(inner);
                }
            }
        }

        impl<T> Future for Receiver<T> {
            type Output = Result<T, RecvError>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                self.steps.step();
                Pin::new(&mut self.inner).poll(cx)
            }
        }
    }

    /// Its receivers are in the crate's interface: without loom they are tokio's.
    #[allow(missing_docs, unreachable_pub, reason = "tokio's own documentation says it")]
    pub mod watch {
        use tokio::sync::watch::{self, Ref, error::RecvError};

        use super::Steps;

        pub struct Sender<T> {
            inner: watch::Sender<T>,
            steps: Steps,
        }

        pub struct Receiver<T> {
            inner: watch::Receiver<T>,
            steps: Steps,
        }

        impl<T> Sender<T> {
            pub fn new(first: T) -> Self {
                Self { inner: watch::Sender::new(first), steps: Steps::default() }
            }

            pub fn subscribe(&self) -> Receiver<T> {
                self.steps.step();
                Receiver { inner: self.inner.subscribe(), steps: self.steps.clone() }
            }

            pub fn borrow(&self) -> Ref<'_, T> {
                self.steps.step();
                self.inner.borrow()
            }

            pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
                self.steps.step();
                self.inner.send_if_modified(modify)
            }

            pub fn send_replace(&self, value: T) -> T {
                self.steps.step();
                self.inner.send_replace(value)
            }
        }

        impl<T> Receiver<T> {
            pub fn borrow(&self) -> Ref<'_, T> {
                self.steps.step();
                self.inner.borrow()
            }

            pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
                self.steps.step();
                self.inner.borrow_and_update()
            }

            pub fn mark_unchanged(&mut self) {
                self.steps.step();
                self.inner.mark_unchanged();
            }

            pub async fn changed(&mut self) -> Result<(), RecvError> {
                self.steps.each(self.inner.changed()).await
            }

            pub async fn wait_for(&mut self, test: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, RecvError> {
                self.steps.each(self.inner.wait_for(test)).await
            }
        }

        impl<T> Clone for Receiver<T> {
            fn clone(&self) -> Self {
                self.steps.step();
                Self { inner: self.inner.clone(), steps: self.steps.clone() }
            }
        }
    }
}
