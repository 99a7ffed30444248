//! [`Open`], what reads from a database at present, counted, and how much of it there may be.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use metrics::Gauge;

use crate::{Error, Result, telemetry};

/// Those of one kind that are open, and how many there may be.
pub(crate) struct Open {
    log: Arc<str>,
    /// What is open, and what the setting is called.
    what: &'static str,
    setting: &'static str,
    count: AtomicUsize,
    most: usize,
    gauge: Gauge,
}

/// One of those that are open; dropping it, however that comes about, makes place for another.
pub(crate) struct Held(Arc<Open>);

impl Open {
    /// Scans of a log.
    pub(crate) fn readers(log: &Arc<str>, most: usize) -> Arc<Self> {
        Self::new(log, "scans are under way", "readers", most, telemetry::readers(log))
    }

    /// Subscriptions of a log.
    pub(crate) fn subscribers(log: &Arc<str>, most: usize) -> Arc<Self> {
        Self::new(log, "subscriptions are open", "subscribers", most, telemetry::subscribers(log))
    }

    fn new(log: &Arc<str>, what: &'static str, setting: &'static str, most: usize, gauge: Gauge) -> Arc<Self> {
        Arc::new(Self { log: log.clone(), what, setting, count: AtomicUsize::new(0), most, gauge })
    }

    /// One more.
    ///
    /// # Errors
    /// `LimitExceeded` if there are as many as there may be.
    pub(crate) fn hold(self: &Arc<Self>) -> Result<Held> {
        let more = |count| (count < self.most).then_some(count + 1);
        if self.count.try_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            let message = format!("{} {} already; drop some of them", self.most, self.what);
            let error = Error::over_limit(message, self.setting);
            telemetry::refused(&self.log, &error);
            return Err(error);
        }
        self.gauge.increment(1.0);
        Ok(Held(self.clone()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.gauge.decrement(1.0);
    }
}
