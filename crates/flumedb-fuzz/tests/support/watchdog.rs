//! [`Watchdog`], which ends the process when one input takes too long.
#![allow(clippy::disallowed_methods, reason = "it watches real time")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// More than any input needs, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// Watches until it is dropped.
pub(crate) struct Watchdog {
    runs: Arc<AtomicU64>,
    _watched: mpsc::Sender<()>,
}

impl Watchdog {
    /// Watches the runs of the target `name`, whose input is always in a file.
    pub(crate) fn new(name: &'static str, input: String) -> Self {
        let (watched, end) = mpsc::channel::<()>();
        let runs = Arc::new(AtomicU64::new(0));
        let seen = runs.clone();
        thread::spawn(move || {
            let mut last = u64::MAX;
            while end.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let now = seen.load(Ordering::Relaxed);
                if now == last {
                    eprintln!("{name} does not come to an end; its input is in {input}");
                    std::process::abort();
                }
                last = now;
            }
        });
        Self { runs, _watched: watched }
    }

    /// A run is over.
    pub(crate) fn pat(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}
