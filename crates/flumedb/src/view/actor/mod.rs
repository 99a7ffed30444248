//! [`Actor`], one view's life on the pool: open, catch up, follow, publish, and what to do when something fails.

mod fault;
mod open;
mod publish;
mod reprocess;
mod step;

use std::{
    convert::Infallible,
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Definition, View,
    block::{Block, panicked},
    horizons::Horizons,
    host::Core,
    shared::{Order, Shared, Stage},
    status::{Status, StoredState},
};
use crate::{
    Error, Result, Seq,
    telemetry::{ViewMeters, events},
};
use fault::Suspect;
use reprocess::Anew;

pub(super) struct Actor<V: View> {
    id: u64,
    view: V,
    definition: Definition,
    name: Arc<str>,
    strict: bool,
    dir: Option<PathBuf>,
    core: Arc<Core<V::Item>>,
    shared: Arc<Shared<V::Reader>>,
    cursor: Cursor,
    /// What the view takes in at present.
    block: Option<Arc<Block<V::Item>>>,
    /// Blocks that know of fewer deletions are of no use to it.
    least_horizon: u64,
    /// Whether the store is on a disk.
    stored: bool,
    /// Whether the store is open and agrees with the cursor.
    open: bool,
    live: bool,
    closing: bool,
    /// Blocks that it has taken since it let others run.
    turns: u32,
    /// Entries since the last publish.
    pending: u64,
    /// About how much memory they take, if the view tells.
    pending_bytes: Option<usize>,
    published: u64,
    /// Whether entries were taken in anew since the last publish.
    touched: bool,
    anew: Anew,
    published_at: Duration,
    /// How long the next publish may wait, if nobody waits for it.
    publish_pause: Duration,
    unsynced: bool,
    sync_at: Duration,
    suspect: Option<Suspect>,
    attempts: u32,
    meters: Arc<ViewMeters>,
    /// When it began to open its store.
    begun: Duration,
    /// Its store is to be thrown away before it is opened; these want to know when that has been done.
    wipe: bool,
    wiped: Vec<oneshot::Sender<()>>,
}

/// How far the view has got.
#[derive(Default)]
struct Cursor {
    /// The next number to take in.
    position: u64,
    since: Option<Seq>,
    skipped: u64,
    horizons: Horizons,
}

/// Why the view stops what it is doing, and what comes next.
enum Turn {
    Close,
    /// Open the store again, and go on from its checkpoint.
    Reopen,
    /// Throw the store away, and begin anew.
    Rebuild,
    /// The same as reopen, after a pause.
    Retry(Error),
    /// Wait to be told.
    Park {
        error: Error,
        lost: bool,
    },
}

/// Tells the readers that nothing will come any more, however the actor ends.
struct End<R: Clone> {
    shared: Arc<Shared<R>>,
    result: Result<()>,
}

impl<R: Clone> Drop for End<R> {
    fn drop(&mut self) {
        self.shared.finish(std::mem::replace(&mut self.result, Ok(())));
    }
}

impl<V: View> Actor<V> {
    pub(super) fn new(
        id: u64,
        (view, definition): (V, Definition),
        name: Arc<str>,
        strict: bool,
        dir: Option<PathBuf>,
        core: Arc<Core<V::Item>>,
        shared: Arc<Shared<V::Reader>>,
    ) -> Self {
        Self {
            id,
            view,
            definition,
            meters: core.measure(&name),
            begun: Duration::ZERO,
            name,
            strict,
            dir,
            core,
            shared,
            cursor: Cursor::default(),
            block: None,
            least_horizon: 0,
            stored: false,
            open: false,
            live: false,
            closing: false,
            turns: 0,
            pending: 0,
            pending_bytes: None,
            published: 0,
            touched: false,
            anew: Anew::default(),
            published_at: Duration::ZERO,
            publish_pause: Duration::ZERO,
            unsynced: false,
            sync_at: Duration::ZERO,
            suspect: None,
            attempts: 0,
            wipe: false,
            wiped: Vec::new(),
        }
    }

    /// Runs the view until the database is closed.
    pub(super) async fn run(mut self) {
        let mut end = End { shared: self.shared.clone(), result: Ok(()) };
        end.result = self.live().await;
        self.tell(StoredState::Closed);
        events::view_closed(&self.core.log, &self.name, self.cursor.since);
        // The store is closed before anybody is told that it is.
        drop(self);
    }

    async fn live(&mut self) -> Result<()> {
        loop {
            let Err(mut turn) = self.session().await;
            self.core.scan.leave(self.id);
            self.block = None;
            while let Err(next) = self.turn(turn).await {
                turn = next;
            }
            if self.closing {
                return self.finish().await;
            }
            self.open = false;
        }
    }

    async fn session(&mut self) -> Result<Infallible, Turn> {
        self.open().await?;
        self.follow().await
    }

    /// Gets ready for the next session, unless something else comes up.
    async fn turn(&mut self, turn: Turn) -> Result<(), Turn> {
        match turn {
            Turn::Close => {
                self.closing = true;
                return Ok(());
            }
            Turn::Reopen => {}
            Turn::Rebuild => {
                self.meters.rebuilds();
                events::rebuilding(&self.core.log, &self.name);
                self.wipe = true;
            }
            Turn::Retry(error) => {
                self.open = false;
                self.pause(error).await?;
            }
            Turn::Park { error, lost } => {
                self.open = false;
                self.anew.settle(&Err(error.clone()));
                self.meters.parked();
                events::parked(&self.core.log, &self.name, &error);
                self.tell(StoredState::Faulted);
                self.shared.park(error, lost);
                let Err(turn) = self.unless_ordered(pending::<Infallible>()).await;
                return Err(turn);
            }
        }
        Ok(())
    }

    /// Lets some time pass after something was refused, longer each time.
    async fn pause(&mut self, error: Error) -> Result<(), Turn> {
        const LONGEST: Duration = Duration::from_secs(5);
        self.core.scan.leave(self.id);
        self.live = false;
        let pause = Duration::from_millis(10).saturating_mul(1 << self.attempts.min(10)).min(LONGEST);
        self.meters.retries();
        events::retrying(&self.core.log, &self.name, &error, pause);
        self.tell(StoredState::Retrying);
        self.shared.retry(error);
        self.attempts = self.attempts.saturating_add(1);
        let deadline = self.core.pool.now() + pause;
        self.unless_ordered(self.core.pool.clone().sleep_until(deadline)).await?;
        self.shared.stage(Stage::Building);
        Ok(())
    }

    /// What `future` gives, unless an order comes first. The last work before closing is not interrupted.
    async fn unless_ordered<F: Future>(&mut self, future: F) -> Result<F::Output, Turn> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if !self.closing
                && let Some(order) = self.shared.order(cx.waker())
            {
                return Poll::Ready(Err(self.obey(order)));
            }
            future.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    fn obey(&mut self, order: Order) -> Turn {
        match order {
            Order::Close => Turn::Close,
            Order::Rebuild(begun) => {
                self.wiped.extend(begun);
                // Whoever rebuilds has mended something.
                self.suspect = None;
                self.attempts = 0;
                Turn::Rebuild
            }
        }
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut V) -> Result<R>) -> Result<R> {
        catch_unwind(AssertUnwindSafe(|| call(&mut self.view)))
            .unwrap_or_else(|panic| Err(panicked("the view", panic.as_ref())))
    }

    /// Says beside the store, for other processes, what it does. That it cannot be said is no reason to stop.
    fn tell(&self, state: StoredState) {
        if let Some(dir) = self.dir.as_ref().filter(|_| self.stored) {
            let (env, at) = (&self.core.env, (self.cursor.since, self.cursor.skipped));
            let status = Status::new(state, at, self.definition.clone(), env.clock.unix_us());
            drop(status.write(&*env.storage, dir));
        }
    }

    /// Whether something has been taken in that is not published.
    fn is_dirty(&self) -> bool {
        self.touched || self.published != self.cursor.position
    }
}
