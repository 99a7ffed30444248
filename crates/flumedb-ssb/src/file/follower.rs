//! [`Follower`], the task that notices what another process appends. It changes nothing.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flumedb::env::{Step, Task};

use super::{Records, Shared};

pub(super) struct Follower<R> {
    pub(super) shared: Arc<Shared<R>>,
}

impl<R> Follower<R> {
    /// How often it looks.
    const PAUSE: Duration = Duration::from_millis(20);
}

impl<R: Records> Task for Follower<R> {
    fn step(&mut self) -> Step {
        if self.shared.closed.load(Ordering::Acquire) {
            return Step::Done;
        }
        // A failure may pass; whoever reads or asks for the barrier is told of one that stays.
        let _ = self.shared.refresh();
        Step::WaitFor(Self::PAUSE)
    }
}
