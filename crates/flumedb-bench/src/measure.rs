//! One measurement: what a process of its own timed, and how it tells the process that started it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::Result;

/// What was measured, by name. `n` entries took `s` seconds and were `bytes` long; the rest is extra.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<(String, f64)>);

impl Sample {
    /// Times `work`, which returns how many entries of how many bytes it did.
    pub(crate) fn time(work: impl FnOnce() -> Result<(u64, u64)>) -> Result<Self> {
        let cpu = cpu_seconds();
        let start = Instant::now();
        let (n, bytes) = work()?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Self::of(n, seconds, bytes).with("cpu_s", cpu_seconds() - cpu))
    }

    /// What was timed in some other way.
    pub(crate) fn of(n: u64, seconds: f64, bytes: u64) -> Self {
        Self::default().with("n", n as f64).with("s", seconds).with("bytes", bytes as f64)
    }

    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// Entries a second.
    pub(crate) fn rate(&self) -> Option<f64> {
        Some(self.get("n")? / self.get("s")?)
    }

    /// The line that a measuring process prints.
    pub(crate) fn to_line(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn from_line(line: &str) -> Option<Self> {
        line.split(' ')
            .map(|pair| {
                let (name, value) = pair.split_once('=')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect::<Option<_>>()
            .map(Self)
    }
}

/// Seconds this process has spent on a core so far, in steps of 10 ms.
pub(crate) fn cpu_seconds() -> f64 {
    stat_seconds(11)
}

/// The same of those that it has started and that have ended.
pub(crate) fn children_cpu_seconds() -> f64 {
    stat_seconds(13)
}

/// Seconds that this thread has spent on a core so far. Quick, for it is asked at each call of a view.
pub(crate) fn thread_cpu_seconds() -> f64 {
    thread_local! {
        static STAT: Option<File> = File::open("/proc/thread-self/schedstat").ok();
    }
    let mut bytes = [0; 64];
    let read = STAT.with(|file| file.as_ref().and_then(|file| file.read_at(&mut bytes, 0).ok()));
    let stat = String::from_utf8_lossy(bytes.get(..read.unwrap_or(0)).unwrap_or_default());
    stat.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

/// The sum of two times of `/proc/self/stat`.
fn stat_seconds(skipped: usize) -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field after it, and those of
    // children the next two.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().skip(skipped).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Watches how much anonymous memory this process has.
pub(crate) struct MemoryWatch {
    peak_kb: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl MemoryWatch {
    pub(crate) fn start() -> Self {
        let (peak_kb, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (peak, stopped) = (peak_kb.clone(), stop.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                peak.fetch_max(rss_anon_kb(Path::new("/proc/self/status")), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        Self { peak_kb, stop, thread }
    }

    /// The most there was, in MB.
    pub(crate) fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.peak_kb.load(Ordering::Relaxed) as f64 / 1e3
    }
}

/// Anonymous memory of a process, by its file in `/proc`.
pub(crate) fn rss_anon_kb(status: &Path) -> u64 {
    let status = fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
