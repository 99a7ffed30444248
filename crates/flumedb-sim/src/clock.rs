//! [`SimClock`], time that passes only when told to.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use flumedb::env::Clock;

/// A clock that stands still until somebody advances it. The wall clock starts on 2026-01-01.
#[derive(Default)]
pub struct SimClock {
    nanos: AtomicU64,
}

impl SimClock {
    const START_UNIX_US: i64 = 1_767_225_600_000_000;

    /// Lets `time` pass.
    pub fn advance(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::AcqRel);
    }

    pub(crate) fn advance_to(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_max(nanos, Ordering::AcqRel);
    }
}

impl Clock for SimClock {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Acquire))
    }

    fn unix_us(&self) -> i64 {
        Self::START_UNIX_US + self.monotonic().as_micros() as i64
    }
}
