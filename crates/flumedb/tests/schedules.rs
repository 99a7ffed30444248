//! Guards against a read that misses what was there when it was asked, and against anybody who waits for ever, in an order
//! of threads that no machine happens to run: writers, readers, a follower, rebuilds and a close go on beside each other,
//! and which of them or of the database's own tasks is next follows from a seed. With `FLUME_SOAK` set, 100,000 seeds.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    cell::{Cell, RefCell},
    future::{Future, IntoFuture},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use flumedb::{ErrorKind, Flume, From, Result, codec::Json, log::Durability, view::Live, views::Reduce};
use flumedb_sim::{Choices, Sim, on_all_cores, soak_or};

type Numbers = Reduce<u64, Vec<u64>, fn(&mut Vec<u64>, &u64)>;

fn numbers() -> Numbers {
    Reduce::new(1, Vec::new(), |numbers, number| numbers.push(*number))
}

/// Futures that go on beside each other, one poll at a time, in an order that follows from the choices.
struct Together<'a> {
    chance: Choices,
    clients: Vec<(Pin<Box<dyn Future<Output = ()> + 'a>>, Arc<Woken>)>,
}

struct Woken {
    up: AtomicBool,
    all: std::sync::Mutex<Option<Waker>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.up.store(true, Ordering::SeqCst);
        if let Some(all) = self.all.lock().unwrap().as_ref() {
            all.wake_by_ref();
        }
    }
}

impl<'a> Together<'a> {
    fn add(&mut self, client: impl Future<Output = ()> + 'a) {
        let woken = Woken { up: AtomicBool::new(true), all: std::sync::Mutex::default() };
        self.clients.push((Box::pin(client), Arc::new(woken)));
    }
}

impl Future for Together<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.clients.iter().for_each(|(_, woken)| *woken.all.lock().unwrap() = Some(cx.waker().clone()));
        let ready: Vec<usize> =
            (0..this.clients.len()).filter(|at| this.clients[*at].1.up.load(Ordering::SeqCst)).collect();
        if !ready.is_empty() {
            let at = ready[this.chance.pick(ready.len() as u64) as usize];
            let (client, woken) = &mut this.clients[at];
            woken.up.store(false, Ordering::SeqCst);
            if client.as_mut().poll(&mut Context::from_waker(&Waker::from(woken.clone()))).is_ready() {
                drop(this.clients.swap_remove(at));
            }
            // The database's tasks may have their turn before the next of these.
            cx.waker().wake_by_ref();
        }
        if this.clients.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// What the clients of one schedule know.
struct Run {
    db: Flume<Json<u64>>,
    view: Live<Numbers>,
    next: Cell<u64>,
    /// What somebody was told is in the log.
    acked: RefCell<Vec<u64>>,
    closing: Cell<bool>,
}

impl Run {
    /// Whether an error says no more than that the database is being closed.
    fn closed<T>(&self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                assert!(error.kind() == ErrorKind::Closed && self.closing.get(), "{error}");
                None
            }
        }
    }

    async fn write(&self, count: u64) {
        for _ in 0..count {
            let number = self.next.replace(self.next.get() + 1);
            let Some(_) = self.closed(self.db.append(&number).into_future().await) else { return };
            self.acked.borrow_mut().push(number);
            if !self.read().await {
                return;
            }
        }
    }

    /// Reads, and holds it against what was known when the question was asked. Whether the database is still open.
    async fn read(&self) -> bool {
        let known = self.acked.borrow().clone();
        let Some(seen) = self.closed(self.view.read().into_future().await) else { return false };
        assert!(known.iter().all(|number| seen.contains(number)), "{known:?} is known, {seen:?} was read");
        let mut once: Vec<u64> = seen.to_vec();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{seen:?}: an entry was taken in twice");
        true
    }

    async fn follow(&self, from: From<'_>) {
        let mut feed = self.db.subscribe(from);
        let mut last = None;
        while let Some(entry) = feed.next().await {
            let Some(entry) = self.closed(entry) else { return };
            assert!(last.is_none_or(|last| entry.seq.get() == last + 1), "{last:?}, then {}", entry.seq);
            last = Some(entry.seq.get());
        }
    }

    async fn rebuild(&self, times: u64) {
        for _ in 0..times {
            let Some(()) = self.closed(self.view.rebuild().await) else { return };
            if !self.read().await {
                return;
            }
        }
    }
}

fn schedule(seed: u64) {
    let mut chance = Choices::seeded(seed);
    let sim = Sim::new(seed);
    let on_disk = chance.pick(2) == 0;
    let publish_every = Duration::from_micros([0, 100, 20_000][chance.pick(3) as usize]);
    let builder = Flume::builder(Json::<u64>::new()).env(sim.env.clone()).set(|settings| {
        settings.log.durability = if seed.is_multiple_of(2) { Durability::EveryCommit } else { Durability::System };
        settings.log.segment_bytes = 4096;
        settings.views.publish_every = publish_every;
        settings.views.memory = 4 << 10;
    });
    let builder = if on_disk { builder } else { builder.views_in_memory() };
    let db = sim.block_on(builder.open("/db").into_future()).unwrap();
    let view = sim.block_on(db.view("numbers", numbers()).into_future()).unwrap();
    let run = Rc::new(Run { db, view, next: Cell::new(0), acked: RefCell::default(), closing: Cell::new(false) });
    let mut together = Together { chance: Choices::seeded(seed.wrapping_mul(31)), clients: Vec::new() };
    for _ in 0..1 + chance.pick(3) {
        let count = 1 + chance.pick(4);
        together.add(run.write(count));
    }
    for _ in 0..chance.pick(3) {
        together.add(async {
            run.read().await;
        });
    }
    if chance.pick(2) == 0 {
        let times = 1 + chance.pick(3);
        together.add(run.rebuild(times));
    }
    if chance.pick(2) == 0 {
        // A follower ends with the database only, so that somebody closes it.
        let from = if chance.pick(2) == 0 { From::Start } else { From::Head };
        together.add(run.follow(from));
    }
    let patience = chance.pick(40);
    together.add(async {
        for _ in 0..patience {
            let mut turn = false;
            std::future::poll_fn(|cx| {
                if std::mem::replace(&mut turn, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        run.closing.set(true);
        run.db.close().into_future().await.unwrap();
    });
    sim.block_on(together);
    let mut acked = run.acked.take();
    drop(run);
    // What was acknowledged is there when it is opened again, and a view shows it.
    let db = sim.block_on(Flume::builder(Json::<u64>::new()).env(sim.env.clone()).open("/db").into_future()).unwrap();
    let view = sim.block_on(db.view("numbers", numbers()).into_future()).unwrap();
    let stored = sim.block_on(view.read().into_future()).unwrap();
    acked.retain(|number| !stored.contains(number));
    assert!(acked.is_empty(), "{acked:?} was acknowledged and is gone");
    sim.block_on(db.close().into_future()).unwrap();
}

#[test]
fn reads_are_fresh_and_everybody_is_answered_in_any_order() {
    on_all_cores(soak_or(100_000, 2_000), |seed| schedule(seed as u64));
}
