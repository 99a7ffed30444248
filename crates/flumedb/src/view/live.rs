//! [`Live`], the handle on a view that runs: fresh, stale and positioned reads, progress, rebuild.

use std::{
    collections::HashSet,
    future::{Future, IntoFuture},
    pin::{Pin, pin},
    sync::{Arc, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use super::{
    Entries, Progress, View, after,
    horizons::Horizons,
    host::Core,
    shared::{Asked, Shared, Shown},
};
use crate::{
    Error, ErrorKind, Result, Seq,
    env::{
        block_on,
        planted::{Bug, planted},
    },
    log::BoxFuture,
};

/// A view that runs. Cheap to clone; the view goes on without it.
pub struct Live<V: View> {
    pub(super) name: Arc<str>,
    pub(super) shared: Arc<Shared<V::Reader>>,
    pub(super) core: Arc<Core<V::Item>>,
}

impl<V: View> Clone for Live<V> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), shared: self.shared.clone(), core: self.core.clone() }
    }
}

impl<V: View> Live<V> {
    /// The name it was added under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A reader of the view when it has caught up with the log as it stands at this call: what was appended before is
    /// in it. If the view has to come along for it, the reader shows exactly that position.
    ///
    /// # Errors
    /// `Faulted` (or `Corrupt`, or `Poisoned`) if the view has stopped, `Closed`, and `TimedOut` with
    /// [`timeout`](Read::timeout).
    ///
    /// # Cancel safety
    /// Dropping the future has no effect but that nobody waits.
    pub fn read(&self) -> Read<V> {
        Read { live: self.clone(), at: At::Head, timeout: None }
    }

    /// A reader of the view when it has come at least as far as `seq`, which may be beyond the head.
    ///
    /// # Errors
    /// As [`read`](Live::read).
    ///
    /// # Cancel safety
    /// As [`read`](Live::read).
    pub fn read_at(&self, seq: Seq) -> Read<V> {
        Read { live: self.clone(), at: At::Seq(seq), timeout: None }
    }

    /// The newest reader there is, without waiting; of a view that has stopped too. `None` only before the view's store
    /// was opened for the first time, and after the database was closed. While a view is opened again or rebuilt, this is
    /// a reader of its former state, which may fail with `Closed` if it needs a store that is gone (as an
    /// [`IndexReader`](crate::views::index::IndexReader) does).
    pub fn read_stale(&self) -> Option<V::Reader> {
        self.shared.stale()
    }

    /// Waits until the view's store is open, so that there is something to [`read_stale`](Live::read_stale).
    ///
    /// # Errors
    /// `Corrupt` if the store covers entries that the log has lost (see [`accept_loss`](Live::accept_loss)), `Faulted`
    /// if it cannot be opened, `Closed`; `Io`, `StorageFull` or `TimedOut` if the first attempt met that, although it is
    /// tried again.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn opened(&self) -> Result<()> {
        self.shared.opened().await
    }

    /// How far the view has got.
    pub fn progress(&self) -> Progress {
        self.shared.progress(self.core.scan.head())
    }

    /// The newest entry that stale reads show, and its changes; one more when the view was built anew and shows it again. While somebody holds such a receiver, the view shows
    /// new entries at once.
    pub fn watch(&self) -> watch::Receiver<Option<Seq>> {
        self.shared.since()
    }

    /// Discards what the view has built and begins anew from the log. Returns when it has begun; fresh reads wait for
    /// the new state.
    ///
    /// # Errors
    /// `Closed`.
    ///
    /// # Cancel safety
    /// Dropping the future does not call the rebuild off.
    pub async fn rebuild(&self) -> Result<()> {
        self.shared.ask_rebuild()?.await.map_err(|_| Error::closed())
    }

    /// Takes entries in anew that read otherwise than they did: after the codec got a key to decrypt them with, say, or
    /// whatever else its mapping rests on besides their bytes has changed. Ask after the change. What was made of them is
    /// taken back, and what they are now is taken in; a view that cannot do that is built anew. Returns when readers see it
    /// and the view's store has it on the disk (for a view that is built anew: when that has begun; fresh reads wait).
    ///
    /// After a crash in between it is done when the view is opened next, or has not begun: then ask again, which does no
    /// harm. Names of no entry are passed over. [`Flume::reprocess`](crate::Flume::reprocess) asks all views.
    ///
    /// # Errors
    /// Why the view stopped, if it did; `Closed`.
    ///
    /// # Cancel safety
    /// Dropping the future does not call it off.
    pub async fn reprocess(&self, seqs: impl IntoIterator<Item = Seq>) -> Result<()> {
        self.ask_reprocess(seqs.into_iter().collect())?.await.map_err(|_| Error::closed())?
    }

    pub(super) fn ask_reprocess(&self, seqs: Vec<Seq>) -> Result<oneshot::Receiver<Result<()>>> {
        // What was decoded before must not be taken in any more.
        self.core.scan.renew();
        self.shared.ask_reprocess(seqs)
    }

    /// If the view's store covers entries that the log does not have any more (it was restored from an older copy, or
    /// acknowledged entries were lost), a view does not open, and says so; this accepts the loss and rebuilds it.
    /// Otherwise does nothing.
    ///
    /// # Errors
    /// `Closed`; `Io`, `StorageFull` or `TimedOut` if its store has not been opened yet because of that, so that nobody
    /// knows what it covers.
    ///
    /// # Cancel safety
    /// As [`rebuild`](Live::rebuild).
    pub async fn accept_loss(&self) -> Result<()> {
        match self.opened().await {
            Err(_) if self.shared.is_lost() => self.rebuild().await,
            // It has stopped for another reason, which its readers get.
            Err(error) if matches!(error.kind(), ErrorKind::Faulted | ErrorKind::Corrupt | ErrorKind::Poisoned) => {
                Ok(())
            }
            opened => opened,
        }
    }

    /// A reader that shows an entry at or after `position`; waits for there to be one. What [`read_at`](Live::read_at)
    /// gives may show none: where names have gaps, a view is beyond a number before there is an entry behind it.
    pub(crate) async fn read_with_entry_at(&self, position: u64) -> Result<V::Reader> {
        let seen = self.shared.shows(position).await?;
        self.read_at(seen).await
    }

    /// Runs `future` on the threads of the views, until the database is closed.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.core.pool.spawn(future)
    }

    /// The log's entries.
    pub(crate) fn entries(&self) -> &Entries<V::Item> {
        &self.core.entries
    }

    pub(super) async fn read_below(&self, target: u64) -> Result<V::Reader> {
        Ok(self.waiting(self.shared.ask(target)).await?.reader)
    }

    fn waiting(&self, asked: Asked<V::Reader>) -> Waiting<'_, V::Reader> {
        Waiting { shared: &self.shared, asked }
    }
}

/// A place in the list of those who wait, or an answer already; dropping it leaves the list.
struct Waiting<'a, R: Clone> {
    shared: &'a Shared<R>,
    asked: Asked<R>,
}

impl<R: Clone> Unpin for Waiting<'_, R> {}

impl<R: Clone> Future for Waiting<'_, R> {
    type Output = Result<Shown<R>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.asked {
            Asked::Now(answer) => Poll::Ready(answer.clone()),
            Asked::Later { answer, .. } => {
                Pin::new(answer).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(Error::closed())))
            }
        }
    }
}

impl<R: Clone> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        if let Asked::Later { id, .. } = self.asked {
            self.shared.forget(id);
        }
    }
}

#[derive(Clone, Copy)]
enum At {
    Head,
    Seq(Seq),
}

/// A read that has not begun; `.await` it, or call [`blocking`](Read::blocking).
#[must_use = "nothing is read before it is awaited"]
pub struct Read<V: View> {
    live: Live<V>,
    at: At,
    timeout: Option<Duration>,
}

impl<V: View> Read<V> {
    /// Gives up with `TimedOut` after so long.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Waits on this thread. Not for async code: it would hold up its runtime.
    ///
    /// # Errors
    /// As [`Live::read`].
    pub fn blocking(self) -> Result<V::Reader> {
        block_on(self.into_future())
    }

    async fn run(self) -> Result<V::Reader> {
        let Some(timeout) = self.timeout else { return self.wait().await };
        let pool = &self.live.core.pool;
        let mut late = pin!(pool.sleep_until(pool.now().saturating_add(timeout)));
        let mut read = pin!(self.wait());
        std::future::poll_fn(|cx| match read.as_mut().poll(cx) {
            Poll::Pending => late.as_mut().poll(cx).map(|()| Err(self.timed_out(timeout))),
            ready => ready,
        })
        .await
    }

    async fn wait(&self) -> Result<V::Reader> {
        let target = match self.at {
            At::Head if planted(Bug::FreshReadNotFresh) => 0,
            At::Head => self.live.core.barrier().await?,
            At::Seq(seq) => after(Some(seq)),
        };
        self.live.read_below(target).await
    }

    fn timed_out(&self, timeout: Duration) -> Error {
        let message = format!(
            "view \"{}\" did not catch up within {timeout:?}; it goes on: wait longer, or read what is there with \
             read_stale",
            self.live.name
        );
        Error::new(ErrorKind::TimedOut, message)
    }
}

impl<V: View> IntoFuture for Read<V> {
    type Output = Result<V::Reader>;
    type IntoFuture = BoxFuture<'static, Result<V::Reader>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Several views of one database, for [`Flume::read_all`](crate::Flume::read_all): a tuple of references to two to six, or a
/// slice.
pub trait LiveSet {
    /// A reader of each.
    type Readers;

    /// See [`Flume::read_all`](crate::Flume::read_all).
    fn read_all(self) -> impl Future<Output = Result<Self::Readers>> + Send;
}

/// Any number of views of one type; none give no readers.
impl<V: View> LiveSet for &[Live<V>] {
    type Readers = Vec<V::Reader>;

    async fn read_all(self) -> Result<Vec<V::Reader>> {
        let Some((first, rest)) = self.split_first() else { return Ok(Vec::new()) };
        if rest.iter().any(|live| !Arc::ptr_eq(&first.core, &live.core)) {
            return Err(different());
        }
        each_once(self.iter().map(|live| &*live.name))?;
        let mut target = first.core.barrier().await?;
        loop {
            let asked: Vec<_> = {
                // One at a time: nobody else ever holds two views.
                let _turn = first.core.holding.lock().unwrap_or_else(PoisonError::into_inner);
                let mut held: Vec<_> = self.iter().map(|live| live.shared.hold()).collect();
                let target = held.iter().map(|held| held.claimed()).fold(target, u64::max);
                held.iter_mut().map(|held| held.ask(target)).collect()
            };
            let waiting: Vec<_> = self.iter().zip(asked).map(|(live, asked)| live.waiting(asked)).collect();
            let mut shown = Vec::with_capacity(waiting.len());
            for waiting in waiting {
                shown.push(waiting.await?);
            }
            let knew: Vec<_> = shown.iter().map(|shown| (shown.position, &shown.horizons)).collect();
            match settled_at(&first.core, &knew).await? {
                Some(later) => target = later,
                None => return Ok(shown.into_iter().map(|shown| shown.reader).collect()),
            }
        }
    }
}

/// Where views that have been asked for one position have come past all deletions of which only some of them knew; `None` if
/// they show the same entries already.
///
/// A view that comes to an entry after it was deleted never takes it in, while one that came by before has it until it is
/// past the deletion. And while reads wait for the database to be ready, each view goes on beyond what it was asked for.
async fn settled_at<T: Send + Sync + 'static>(core: &Core<T>, knew: &[(u64, &Horizons)]) -> Result<Option<u64>> {
    let alike = knew.iter().zip(knew.iter().skip(1)).all(|((_, one), (_, next))| one == next);
    let at = knew.iter().map(|(position, _)| *position).max().unwrap_or(0);
    let reach = knew.iter().map(|(_, horizons)| horizons.reach()).max().unwrap_or(0);
    if knew.iter().any(|(position, _)| *position < at) {
        return Ok(Some(at));
    }
    if alike || reach <= at {
        return Ok(None);
    }
    // Where deletions take no numbers one may be named that is behind the head: nothing comes there to be waited for.
    Ok(Some(reach.min(core.barrier().await?)).filter(|&later| later > at))
}

fn different() -> Error {
    Error::new(ErrorKind::Invalid, "these are views of different databases; read each alone")
}

/// To hold a view twice would wait for ever. Views of one database have names of their own.
fn each_once<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(name) => {
            let message = format!("view \"{name}\" is among the views to read twice; name each once");
            Err(Error::new(ErrorKind::Invalid, message))
        }
        None => Ok(()),
    }
}

macro_rules! live_set {
    ($first:ident $view:ident $number:tt, $($more:ident $views:ident $numbers:tt),+) => {
        impl<T: Send + Sync + 'static, $view: View<Item = T>, $($views: View<Item = T>),+> LiveSet
            for (&Live<$view>, $(&Live<$views>),+)
        {
            type Readers = ($view::Reader, $($views::Reader),+);

            async fn read_all(self) -> Result<Self::Readers> {
                let ($first, $($more),+) = self;
                $(if !Arc::ptr_eq(&$first.core, &$more.core) {
                    return Err(different());
                })+
                each_once([&*$first.name, $(&*$more.name),+])?;
                let mut target = $first.core.barrier().await?;
                loop {
                    let asked = {
                        // One at a time: nobody else ever holds two views.
                        let _turn = $first.core.holding.lock().unwrap_or_else(PoisonError::into_inner);
                        let (mut $first, $(mut $more),+) = ($first.shared.hold(), $($more.shared.hold()),+);
                        let target = target.max($first.claimed())$(.max($more.claimed()))+;
                        ($first.ask(target), $($more.ask(target)),+)
                    };
                    let waiting = ($first.waiting(asked.$number), $($more.waiting(asked.$numbers)),+);
                    let shown = (waiting.$number.await?, $(waiting.$numbers.await?),+);
                    let knew = [
                        (shown.$number.position, &shown.$number.horizons),
                        $((shown.$numbers.position, &shown.$numbers.horizons)),+
                    ];
                    match settled_at(&$first.core, &knew).await? {
                        Some(later) => target = later,
                        None => return Ok((shown.$number.reader, $(shown.$numbers.reader),+)),
                    }
                }
            }
        }
    };
}
live_set!(a A 0, b B 1);
live_set!(a A 0, b B 1, c C 2);
live_set!(a A 0, b B 1, c C 2, d D 3);
live_set!(a A 0, b B 1, c C 2, d D 3, e E 4);
live_set!(a A 0, b B 1, c C 2, d D 3, e E 4, f F 5);
