//! [`Follower`], the task that notices what another process appends. It changes nothing.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use flumedb::env::{Step, Task};

use super::shared::Shared;

pub(super) struct Follower {
    pub(super) shared: Arc<Shared>,
}

impl Follower {
    /// How often it looks at the length of the file.
    const PAUSE: Duration = Duration::from_millis(20);
}

impl Task for Follower {
    fn step(&mut self) -> Step {
        if self.shared.closed.load(Ordering::Acquire) {
            return Step::Done;
        }
        // A failure may pass; whoever reads or asks for the barrier is told of one that stays.
        let _ = self.shared.refresh();
        Step::WaitFor(Self::PAUSE)
    }
}
