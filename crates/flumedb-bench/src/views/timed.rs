//! [`Timed`], a view that measures another one.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use flumedb::{
    Result, Seq,
    view::{Checkpoint, Definition, Retraction, Run, View, ViewContext},
};

use super::disk_bytes;
use crate::measure::thread_cpu_seconds;

/// How long calls took, and what lay on the disk.
#[derive(Default)]
pub(super) struct Times {
    /// All of them.
    pub(super) total: Duration,
    /// Seconds that they spent on a core.
    pub(super) cpu: f64,
    /// The longest `apply` or `publish`, by time on a core.
    pub(super) cpu_pause: f64,
    /// The longest `apply` or `publish`.
    pub(super) pause: Duration,
    pub(super) sync: Duration,
    /// The most bytes an entry at any publish, a megabyte aside; measured only if asked for.
    pub(super) most_bytes: f64,
    entries: u64,
}

/// Passes everything on to a view, and measures.
pub(super) struct Timed<V> {
    view: V,
    times: Arc<Mutex<Times>>,
    sizes: bool,
    dir: Option<PathBuf>,
}

impl<V> Timed<V> {
    /// The view, and where its times will be; `sizes`: the disk is looked at, too, at each publish.
    pub(super) fn new(view: V, sizes: bool) -> (Self, Arc<Mutex<Times>>) {
        let times = Arc::new(Mutex::new(Times::default()));
        (Self { view, times: times.clone(), sizes, dir: None }, times)
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measured<T>(&mut self, work: impl FnOnce(&mut V) -> Result<T>) -> Result<T> {
        let (start, cpu) = (Instant::now(), thread_cpu_seconds());
        let done = work(&mut self.view);
        let (took, cpu) = (start.elapsed(), thread_cpu_seconds() - cpu);
        let mut times = self.times();
        times.total += took;
        times.cpu += cpu;
        times.pause = times.pause.max(took);
        times.cpu_pause = times.cpu_pause.max(cpu);
        done
    }
}

impl<V: View> View for Timed<V> {
    type Item = V::Item;
    type Reader = V::Reader;

    fn definition(&self) -> Definition {
        self.view.definition()
    }

    fn open(&mut self, cx: &ViewContext<V::Item>) -> Result<Option<Checkpoint>> {
        self.dir = cx.place.as_ref().map(|place| place.dir.clone());
        self.view.open(cx)
    }

    fn apply(&mut self, run: &Run<V::Item>) -> Result<()> {
        let done = self.measured(|view| view.apply(run));
        self.times().entries += run.len() as u64;
        done
    }

    fn retract(&mut self, seq: Seq, item: Option<&V::Item>) -> Result<Retraction> {
        self.view.retract(seq, item)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<V::Reader> {
        let reader = self.measured(|view| view.publish(at));
        if let (true, Some(dir)) = (self.sizes, &self.dir) {
            let bytes = disk_bytes(dir).saturating_sub(1 << 20) as f64;
            let mut times = self.times();
            times.most_bytes = times.most_bytes.max(bytes / times.entries.max(1) as f64);
        }
        reader
    }

    fn pending_bytes(&self) -> Option<usize> {
        self.view.pending_bytes()
    }

    fn sync(&mut self) -> Result<()> {
        let (start, cpu) = (Instant::now(), thread_cpu_seconds());
        let done = self.view.sync();
        let (took, cpu, mut times) = (start.elapsed(), thread_cpu_seconds() - cpu, self.times());
        times.total += took;
        times.cpu += cpu;
        times.sync = times.sync.max(took);
        done
    }
}
