//! [`power`]: what a view has brought to the disk is there after a power cut.
//!
//! That its answers are right is not enough to see it: a view whose store is gone is built anew, and answers right.

use std::{
    future::IntoFuture,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Entry, Flume, Result, Seq,
    codec::Json,
    view::{Checkpoint, Definition, Live, Retraction, Run, View, ViewContext},
};

use super::Subject;
use crate::{Call, Choices, Image, Sim, crashes, figure, on_all_cores, soak_or};

/// Has a view take in entries and bring them to the disk, and cuts the power at each call to the disk that it makes. Each
/// disk that is left then must open, with what was synced last or more, and show what its log says.
///
/// # Panics
/// If one does not.
pub fn power<S: Subject>(subject: &S, name: &str) {
    let cases = AtomicU64::new(0);
    on_all_cores(soak_or(40, 2), |seed| {
        let moments = moments(subject, seed as u64);
        assert!(moments.len() > 30, "{} moments", moments.len());
        for (number, (image, synced)) in moments.into_iter().enumerate() {
            for (which, disk) in crashes(&image, soak_or(24, 8), number as u64).into_iter().enumerate() {
                survive(subject, disk, synced, &format!("seed {seed}, call {number}, disk {which}"));
                cases.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    figure(name, cases.into_inner());
}

/// The disk at a call, and how far the view had been synced.
type Moment = (Image, Option<Seq>);

/// Every moment of a history in which the power may go.
fn moments<S: Subject>(subject: &S, seed: u64) -> Vec<Moment> {
    let (sim, mut chance) = (Sim::new(seed), Choices::seeded(seed));
    let told = Arc::<Mutex<Told>>::default();
    let moments = Arc::<Mutex<Vec<Moment>>>::default();
    let (seen, known) = (moments.clone(), told.clone());
    sim.disk.set_hook(Some(Box::new(move |call: Call, image: &Image| {
        if call.changes() {
            lock(&seen).push((image.clone(), lock(&known).synced));
        }
    })));
    for _ in 0..2 {
        let (db, view) = open(&sim, subject, &told);
        for _ in 0..4 {
            let items: Vec<S::Item> = (0..=chance.pick(12)).map(|_| subject.item(&mut chance)).collect();
            let seqs = sim.block_on(db.append_all(&items).into_future()).unwrap_or_else(|error| panic!("{error}"));
            if chance.pick(2) == 0 {
                let deleted = seqs[chance.pick(seqs.len() as u64) as usize];
                sim.block_on(db.delete([deleted]).into_future()).unwrap_or_else(|error| panic!("{error}"));
            }
            drop(sim.block_on(view.read().into_future()).unwrap_or_else(|error| panic!("{error}")));
            // It is synced meanwhile.
            sim.advance(Duration::from_millis(500));
        }
        assert!(lock(&told).synced.is_some(), "it was never synced");
        sim.block_on(db.close().into_future()).unwrap_or_else(|error| panic!("{error}"));
    }
    sim.disk.set_hook(None);
    std::mem::take(&mut *lock(&moments))
}

fn survive<S: Subject>(subject: &S, disk: Image, synced: Option<Seq>, case: &str) {
    let sim = Sim::boot(disk, 1);
    let told = Arc::<Mutex<Told>>::default();
    let (db, view) = open(&sim, subject, &told);
    let reader = sim.block_on(view.read().into_future()).unwrap_or_else(|error| panic!("{case}: {error}"));
    let opened = lock(&told).opened.take().unwrap_or_else(|| panic!("{case}: it was never opened"));
    let since = opened.unwrap_or_else(|error| panic!("{case}: the store does not open: {error}"));
    assert!(since >= synced, "{case}: synced up to {synced:?}, and now it has {since:?}");
    let mut entries = Vec::new();
    let mut scan = db.scan(..);
    while let Some(entry) = sim.block_on(scan.next()) {
        let entry = entry.unwrap_or_else(|error| panic!("{case}: {error}"));
        entries.push(Entry { seq: entry.seq, value: entry.value });
    }
    assert_eq!(sim.block_on(subject.look(&reader)), subject.expect(1, &entries), "{case}");
}

type Opened<S> = (Flume<Json<<S as Subject>::Item>>, Live<Watched<<S as Subject>::View>>);

fn open<S: Subject>(sim: &Sim, subject: &S, told: &Arc<Mutex<Told>>) -> Opened<S> {
    let builder = Flume::builder(Json::new()).env(sim.env.clone()).set(|settings| {
        settings.log.segment_bytes = 4096;
        settings.views.publish_every = Duration::from_millis(1);
        settings.views.sync_every = Duration::from_millis(1);
    });
    let db = sim.block_on(builder.open("/db").into_future()).unwrap_or_else(|error| panic!("{error}"));
    let view = Watched { inner: subject.view(1), told: told.clone(), published: None };
    let view = sim.block_on(db.view("view", view).into_future()).unwrap_or_else(|error| panic!("{error}"));
    (db, view)
}

/// What a view was told and has told.
#[derive(Default)]
struct Told {
    /// How far it has been synced.
    synced: Option<Seq>,
    /// What the first opening found.
    opened: Option<Result<Option<Seq>>>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A view that is watched.
struct Watched<V> {
    inner: V,
    told: Arc<Mutex<Told>>,
    published: Option<Seq>,
}

impl<V: View> View for Watched<V> {
    type Item = V::Item;
    type Reader = V::Reader;

    fn definition(&self) -> Definition {
        self.inner.definition()
    }

    fn open(&mut self, cx: &ViewContext<V::Item>) -> Result<Option<Checkpoint>> {
        let opened = self.inner.open(cx);
        if let Ok(None) = opened {
            lock(&self.told).synced = None;
        }
        let since = opened.as_ref().map(|checkpoint| checkpoint.as_ref().and_then(Checkpoint::since));
        lock(&self.told).opened.get_or_insert_with(|| since.map_err(Clone::clone));
        opened
    }

    fn apply(&mut self, run: &Run<V::Item>) -> Result<()> {
        self.inner.apply(run)
    }

    fn retract(&mut self, seq: Seq, item: Option<&V::Item>) -> Result<Retraction> {
        let done = self.inner.retract(seq, item)?;
        if done == Retraction::Rebuild {
            lock(&self.told).synced = None;
        }
        Ok(done)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&V::Item>) -> Result<Retraction> {
        self.inner.reprocess(seq, item)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<V::Reader> {
        let reader = self.inner.publish(at)?;
        self.published = at.since();
        Ok(reader)
    }

    fn pending_bytes(&self) -> Option<usize> {
        self.inner.pending_bytes()
    }

    fn sync(&mut self) -> Result<()> {
        self.inner.sync()?;
        lock(&self.told).synced = self.published;
        Ok(())
    }
}
