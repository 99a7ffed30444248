//! [`Writer`], the one task that writes to a log: it takes what waits, makes one commit of it, syncs if somebody waits
//! for that, lets readers see it, and answers.

mod admit;
mod commit;
mod roll;
mod sync;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    active::Active,
    compact::Compactions,
    directory::HeadFile,
    flusher::Flushing,
    group::Group,
    queue::{Queue, Request},
    recovery::Opened,
    settings::{Durability, LogSettings},
    shared::Shared,
};
use crate::{
    Error, ErrorKind, Result,
    env::{Signal, Step, Task},
};

/// A commit takes no more requests once it has this many bytes.
const GROUP_BYTES: usize = 8 << 20;

/// After so long without a request the writer settles: syncs what nobody waited for, and vouches for what it synced.
const IDLE: Duration = Duration::from_millis(20);

/// The longest time that a commit is put off to gather more requests.
const GATHER: Duration = Duration::from_micros(200);

pub(crate) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    flushing: Flushing,
    compactions: Arc<Compactions>,
    /// Raised when a segment was ended.
    retention: Arc<Signal>,
    settings: LogSettings,
    head: HeadFile,
    active: Active,
    /// The segment is sealed, but the next could not be made yet.
    sealed: bool,
    epoch: u64,
    waiting: VecDeque<Request>,
    /// When the first commit was made that is not synced.
    unsynced_since: Option<Duration>,
    /// Bytes that a commit vouches for.
    vouched: u64,
    /// When it last had something to do.
    busy_until: Duration,
    /// How many waited for the last sync, and how long it took: so many may soon wait again, and be worth so long.
    last_sync: (usize, Duration),
    /// When the oldest of the waiting requests came.
    waiting_since: Duration,
}

impl Writer {
    pub(crate) fn new(
        opened: Opened,
        queue: Arc<Queue>,
        (compactions, retention): (Arc<Compactions>, Arc<Signal>),
        settings: LogSettings,
    ) -> Result<(Self, Arc<Shared>)> {
        let Opened { shared, active, head, epoch, clean, .. } = opened;
        let vouched = if clean { active.synced } else { 0 };
        let writer = Self {
            shared: shared.clone(),
            queue,
            flushing: Flushing::start(&shared)?,
            compactions,
            retention,
            settings,
            head,
            active,
            sealed: false,
            epoch,
            waiting: VecDeque::new(),
            unsynced_since: None,
            vouched,
            busy_until: Duration::ZERO,
            last_sync: (0, Duration::ZERO),
            waiting_since: Duration::ZERO,
        };
        Ok((writer, shared))
    }

    /// Says that the log is open and how far it goes.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.write_head(false)
    }

    fn now(&self) -> Duration {
        self.shared.env.clock.monotonic()
    }

    /// Makes the longest commit that the waiting requests allow.
    fn commit_waiting(&mut self) {
        let mut group = Group::default();
        while let Some(request) = self.waiting.pop_front() {
            if let Some(request) = self.admit(request, &mut group) {
                self.waiting.push_front(request);
                break;
            }
            if group.size() >= GROUP_BYTES {
                break;
            }
        }
        if !group.is_empty() {
            self.commit(group);
        }
    }

    /// Whether more requests are likely to come before a sync would be done: those that waited for the last one were
    /// freed together and come back together. To take the first alone would make the others wait for a second sync.
    fn is_gathering(&self) -> bool {
        let (waited, took) = self.last_sync;
        self.waiting.len() < waited && self.now().saturating_sub(self.busy_until) < (took / 2).min(GATHER)
    }

    /// Nothing is asked: settle what is open, and say how long to sleep.
    fn idle(&mut self) -> Step {
        if self.shared.failure().is_some() {
            return Step::Wait;
        }
        let waits = match (self.settings.durability, self.unsynced_since) {
            (_, None) => self.vouched < self.active.synced && !self.sealed,
            (Durability::System, Some(_)) => return Step::Wait,
            (Durability::EveryCommit, Some(_)) => true,
            (Durability::Interval { period, .. }, Some(since)) => {
                let left = period.saturating_sub(self.now().saturating_sub(since));
                if !left.is_zero() {
                    return Step::WaitFor(left);
                }
                true
            }
        };
        if !waits {
            return Step::Wait;
        }
        let quiet = self.now().saturating_sub(self.busy_until);
        if quiet < IDLE {
            return Step::WaitFor(IDLE - quiet);
        }
        let settled = self.sync().and_then(|_| self.vouch()).and_then(|()| self.tell(false));
        match settled {
            Ok(()) => Step::Wait,
            // No room to vouch: nothing is lost by not doing it.
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                if let Err(worse) = self.take_back() {
                    self.shared.poison(&worse);
                }
                self.vouched = self.active.synced;
                Step::Wait
            }
            Err(error) => {
                self.shared.poison(&error);
                Step::Wait
            }
        }
    }

    /// The end of a log that was not poisoned: all on the disk, vouched for, and nothing behind it.
    fn finish(&mut self) -> Result<()> {
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        let finished = (|| {
            self.sync()?;
            if !self.sealed {
                // Without room for it the head page alone vouches.
                match self.vouch() {
                    Err(error) if error.kind() != ErrorKind::StorageFull => return Err(error),
                    _ => self.active.trim()?,
                }
                self.active.sync()?;
            }
            self.tell(!self.sealed)?;
            self.head.sync()
        })();
        self.forget_torn();
        finished.map_err(|error| self.shared.poison(&error))
    }
}

impl Task for Writer {
    fn step(&mut self) -> Step {
        if let Some(since) = self.queue.take(&mut self.waiting) {
            self.waiting_since = since;
        }
        self.heed_flusher();
        self.sync_if_due();
        if self.is_gathering() {
            return Step::Yield;
        }
        if !self.waiting.is_empty() {
            self.commit_waiting();
            self.busy_until = self.now();
            let (bytes, requests) = self.queue.pending();
            self.shared.meters.pending(bytes, requests);
            return Step::Again;
        }
        if self.queue.is_closed() {
            return Step::Done;
        }
        self.idle()
    }
}

impl Drop for Writer {
    /// Also when the task ends by a panic: nobody is left waiting.
    fn drop(&mut self) {
        let error = self.shared.failure().cloned().unwrap_or_else(Error::closed);
        self.waiting.drain(..).for_each(|request| request.fail(&error));
        self.queue.close(error);
    }
}
