//! [`Host`], the views of one database: adds them, watches the log's head for them, closes them.

use std::{
    any::Any,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::AtomicU64},
    time::Duration,
};

use futures_util::future::try_join_all;
use tokio::sync::oneshot;

use super::{
    Definition, Entries, Live, LiveSet, Progress, View, actor::Actor, after, pool::Pool, scan::Scan, shared::Shared,
    status,
};
use crate::{
    Env, Error, ErrorKind, Result, Seq,
    env::{Lock, PathKind},
    log::{BoxFuture, Passed},
    telemetry::{self, ViewMeters},
};

/// How views are run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostSettings {
    /// Where views keep their stores, a directory each; `None`: in memory only.
    pub dir: Option<PathBuf>,
    /// How many threads views share; at least 2.
    pub threads: usize,
    /// About how many bytes of decoded entries are kept for views to share.
    pub memory: usize,
    /// A view that nobody waits for shows what it has taken in after so many entries.
    pub publish_entries: u64,
    /// Or when what it has taken in takes about so much memory, if it [tells](View::pending_bytes); a quarter more if it is
    /// being built and that much is left of the log.
    pub pending_bytes: usize,
    /// Or after this time, or longer where publishing takes long.
    pub publish_every: Duration,
    /// What was published into a store is brought to the disk after this time; a quarter as often while the view is being built,
    /// and less often where that takes long.
    pub sync_every: Duration,
    /// So many views there may be, each with a store and its cache; queries add some, too.
    pub views: usize,
    /// So many reads may wait for one view to catch up; one more fails.
    pub waiting_reads: usize,
    /// Stores grow no more once less than this many bytes are free where they are, so that the log has them: it can be
    /// appended to, and deleted from, where views cannot go on. At most a sixteenth of the file system.
    pub reserve_bytes: u64,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            dir: None,
            threads: 2,
            memory: 64 << 20,
            publish_entries: 128 << 10,
            pending_bytes: 16 << 20,
            publish_every: Duration::from_millis(250),
            sync_every: Duration::from_secs(1),
            views: 1000,
            waiting_reads: 100_000,
            reserve_bytes: 64 << 20,
        }
    }
}

/// What all views of a database share.
pub(super) struct Core<T> {
    pub(super) env: Env,
    pub(super) entries: Entries<T>,
    pub(super) codec: String,
    pub(super) settings: HostSettings,
    pub(super) pool: Arc<Pool>,
    pub(super) scan: Arc<Scan<T>>,
    /// The log is known to be on the disk below this position.
    pub(super) durable: AtomicU64,
    /// Taken by whoever holds several views at once.
    pub(super) holding: Mutex<()>,
    /// What events and metrics call the log.
    pub(super) log: String,
    /// Of each view that was added.
    meters: Mutex<Vec<Weak<ViewMeters>>>,
}

impl<T: Send + Sync + 'static> Core<T> {
    /// What is measured of the view `name`.
    pub(super) fn measure(&self, name: &str) -> Arc<ViewMeters> {
        let meters = Arc::new(ViewMeters::new(&self.log, name));
        let mut all = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|meters| meters.strong_count() > 0);
        all.push(Arc::downgrade(&meters));
        meters
    }

    /// The log ends before `head` now; views that have stopped fall behind, too.
    fn measure_growth(&self, head: u64) {
        let all = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).for_each(|meters| meters.grown(head));
    }

    /// The position after the head as it stands now.
    pub(super) async fn barrier(&self) -> Result<u64> {
        let head = self.entries.log().barrier().await?;
        // It may be newer than what the log has announced.
        self.scan.saw_head(head);
        Ok(after(head))
    }
}

/// The views of one database.
pub struct Host<T: Send + Sync + 'static> {
    core: Arc<Core<T>>,
    state: Arc<Mutex<State>>,
    /// By which the log learns how far the views have got.
    _passed: Arc<Passed>,
}

struct State {
    views: Vec<Added>,
    /// How many views were ever added; 0: nothing runs yet.
    added: u64,
    ready: bool,
    closed: bool,
    /// On the directory of the stores, from the first view on.
    lock: Option<Box<dyn Lock>>,
}

struct Added {
    name: Arc<str>,
    definition: Definition,
    /// The directory it may keep its store in.
    dir: Option<PathBuf>,
    handle: Arc<dyn Handle>,
    /// It is being taken away; until it has ended it keeps its name, because it has its store open.
    removed: bool,
}

/// A view whose type does not matter.
trait Handle: Any + Send + Sync {
    fn progress(&self) -> Progress;
    fn caught_up(&self, target: u64) -> BoxFuture<'_, Result<()>>;
    fn passed(&self) -> u64;
    fn set_ready(&self, ready: bool);
    fn reprocess(&self, seqs: Vec<Seq>) -> Result<oneshot::Receiver<Result<()>>>;
    fn close(&self);
    fn closed(&self) -> BoxFuture<'_, Result<()>>;
    fn has_ended(&self) -> bool;
}

impl State {
    fn forget_ended(&mut self) {
        self.views.retain(|added| !(added.removed && added.handle.has_ended()));
    }
}

impl<V: View> Handle for Live<V> {
    fn progress(&self) -> Progress {
        Live::progress(self)
    }

    fn caught_up(&self, target: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.read_below(target).await.map(drop) })
    }

    fn passed(&self) -> u64 {
        self.shared.passed()
    }

    fn set_ready(&self, ready: bool) {
        self.shared.set_ready(ready);
    }

    fn reprocess(&self, seqs: Vec<Seq>) -> Result<oneshot::Receiver<Result<()>>> {
        self.ask_reprocess(seqs)
    }

    fn close(&self) {
        self.shared.close();
    }

    fn closed(&self) -> BoxFuture<'_, Result<()>> {
        let mut done = self.shared.done();
        Box::pin(async move {
            let done = done.wait_for(Option::is_some).await.map_err(|_| Error::closed())?;
            done.clone().unwrap_or(Ok(()))
        })
    }

    fn has_ended(&self) -> bool {
        self.shared.done().borrow().is_some()
    }
}

impl<T: Send + Sync + 'static> Host<T> {
    /// A host without views yet; its threads start with the first. `codec` names the codec that decodes `entries`:
    /// views built through another codec are other views.
    pub fn new(env: Env, entries: Entries<T>, codec: String, settings: HostSettings) -> Self {
        let threads = settings.threads.max(2);
        let pool = Pool::new(env.clone(), threads);
        let scan = Scan::new(entries.clone(), pool.clone(), settings.memory, threads);
        let (durable, holding) = (AtomicU64::new(0), Mutex::new(()));
        let (log, meters) = (entries.log().label(), Mutex::default());
        let core = Arc::new(Core { env, entries, codec, settings, pool, scan, durable, holding, log, meters });
        let state = State { views: Vec::new(), added: 0, ready: true, closed: false, lock: None };
        let state = Arc::new(Mutex::new(state));
        let weak = Arc::downgrade(&state);
        let passed: Arc<Passed> = Arc::new(move || weak.upgrade().map_or(u64::MAX, |state| passed(&state)));
        core.entries.log().followed_by(Arc::downgrade(&passed));
        Self { core, state, _passed: passed }
    }

    /// Adds a view, which begins to follow the log at once. With `strict` it stops at an entry that does not decode;
    /// otherwise it passes over it and counts it.
    ///
    /// # Errors
    /// `Invalid` for a name that is taken or cannot name a directory, `LimitExceeded` if there are as many views as there may
    /// be, `Locked` if somebody else keeps views in the same directory, `Closed`, `Io` if that directory cannot be made or there are no threads to run it.
    pub fn add<V: View<Item = T>>(&self, name: &str, view: V, strict: bool) -> Result<Live<V>> {
        self.add_to(&mut self.state(), name, view, strict)
    }

    /// The view of this name and definition if it is there, else adds it as [`add`](Host::add) does.
    ///
    /// # Errors
    /// As [`add`](Host::add); `Invalid` too if the view of this name is another.
    pub(crate) fn get_or_add<V: View<Item = T>>(&self, name: &str, view: V) -> Result<Live<V>> {
        self.get_or_add_to(&mut self.state(), name, view)
    }

    /// The views of these names and definitions, where they are not there added as [`add`](Host::add) does. `LimitExceeded`
    /// if that would be more than `new`, or more than there may be; then none is added.
    pub(crate) fn get_or_add_all<V: View<Item = T>>(
        &self,
        views: Vec<(String, V)>,
        new: usize,
    ) -> Result<Vec<Live<V>>> {
        let mut state = self.state();
        state.forget_ended();
        let is_there = |name: &str| state.views.iter().any(|added| &*added.name == name);
        let missing = views.iter().filter(|(name, _)| !is_there(name)).count();
        if missing > new {
            let message = format!(
                "the query would add {missing} views, and may add {new}; ask for fewer paths at once, or prepare them in \
                 several calls"
            );
            return Err(self.refused(Error::new(ErrorKind::LimitExceeded, message)));
        }
        let (there, most) = (state.views.len(), self.core.settings.views);
        if missing > 0 && there + missing > most {
            return Err(self.refused(full(there, missing)));
        }
        views.into_iter().map(|(name, view)| self.get_or_add_to(&mut state, &name, view)).collect()
    }

    fn get_or_add_to<V: View<Item = T>>(&self, state: &mut State, name: &str, view: V) -> Result<Live<V>> {
        if let Some(added) = state.views.iter().find(|added| !added.removed && &*added.name == name)
            && added.definition == view.definition()
        {
            let handle: &dyn Any = &*added.handle;
            if let Some(live) = handle.downcast_ref::<Live<V>>() {
                return Ok(live.clone());
            }
        }
        self.add_to(state, name, view, false)
    }

    fn refused(&self, error: Error) -> Error {
        telemetry::refused(&self.core.log, &error);
        error
    }

    fn add_to<V: View<Item = T>>(&self, state: &mut State, name: &str, view: V, strict: bool) -> Result<Live<V>> {
        check_name(name)?;
        if state.closed {
            return Err(Error::closed());
        }
        state.forget_ended();
        // Some file systems do not tell upper case from lower.
        if state.views.iter().any(|added| added.name.eq_ignore_ascii_case(name)) {
            let message = format!("there is a view \"{name}\" already; give each view a name of its own");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let core = &self.core;
        if state.views.len() >= core.settings.views {
            return Err(self.refused(full(state.views.len(), 1)));
        }
        if let (Some(dir), None) = (&core.settings.dir, &state.lock) {
            state.lock = Some(lock(&core.env, dir)?);
        }
        let definition = view.definition();
        let dir = core.settings.dir.as_ref().map(|dir| {
            let digest = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &identity(&definition, &core.codec));
            dir.join(format!("{name}-{digest:016x}"))
        });
        if state.added == 0 {
            core.pool.spawn(follow_head(core.clone()))?;
        }
        state.added += 1;
        let name: Arc<str> = name.into();
        let shared = Arc::new(Shared::new(state.ready, core.settings.waiting_reads));
        let live = Live { name: name.clone(), shared: shared.clone(), core: core.clone() };
        let id = state.added;
        let actor = Actor::new(id, (view, definition.clone()), name.clone(), strict, dir.clone(), core.clone(), shared);
        core.scan.expect(id);
        if let Err(error) = core.pool.spawn(actor.run()) {
            core.scan.leave(id);
            return Err(error);
        }
        state.views.push(Added { name, definition, dir, handle: Arc::new(live.clone()), removed: false });
        Ok(live)
    }

    /// The machine that it runs on.
    pub(crate) fn env(&self) -> &Env {
        &self.core.env
    }

    /// Takes a view away: what waits for it ends with `Closed`, its store stays. When it has ended, its name is
    /// free for another.
    ///
    /// # Errors
    /// `NotFound`, or what it met while it wrote what it had taken in; it is gone all the same.
    ///
    /// # Cancel safety
    /// If the future is dropped after its first poll, the view ends all the same, and its name is free then.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let handle = {
            let mut state = self.state();
            state.views.iter_mut().find(|added| !added.removed && &*added.name == name).map(|added| {
                added.removed = true;
                added.handle.clone()
            })
        };
        let Some(handle) = handle else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no view \"{name}\"")));
        };
        handle.close();
        let ended = handle.closed().await;
        self.state().forget_ended();
        ended
    }

    /// Whether reads are answered. While they are not, views build and reads wait. They are from the start.
    pub fn set_ready(&self, ready: bool) {
        let mut state = self.state();
        state.ready = ready;
        state.views.iter().for_each(|added| added.handle.set_ready(ready));
    }

    /// How far each view has got, in the order they were added.
    pub fn progress(&self) -> Vec<(String, Progress)> {
        let state = self.state();
        let views = state.views.iter().filter(|added| !added.removed);
        views.map(|added| (added.name.to_string(), added.handle.progress())).collect()
    }

    /// Waits until every view has caught up with the log as it stands at this call.
    ///
    /// # Errors
    /// As [`Live::read`], of the first view that fails.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn wait_all(&self) -> Result<()> {
        let target = self.core.barrier().await?;
        let handles = self.handles();
        // All are asked at once, so that they publish side by side.
        try_join_all(handles.iter().map(|handle| handle.caught_up(target))).await.map(drop)
    }

    /// Has every view take entries in anew; see [`Live::reprocess`].
    ///
    /// # Errors
    /// As [`Live::reprocess`], of the first view that fails; the others go on.
    ///
    /// # Cancel safety
    /// Dropping the future does not call it off.
    pub async fn reprocess(&self, seqs: &[Seq]) -> Result<()> {
        let asked: Vec<_> = self.handles().iter().map(|handle| handle.reprocess(seqs.to_vec())).collect();
        let mut result = Ok(());
        for answer in asked {
            let outcome = match answer {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(Error::closed())),
                Err(error) => Err(error),
            };
            result = result.and(outcome);
        }
        result
    }

    /// Builds `view`, which is to be what `live` is, anew beside it, and shows `compare` what both show at one and the same
    /// position. See [`Flume::verify_view`](crate::Flume::verify_view).
    pub(crate) async fn verify<V: View<Item = T>, R>(
        &self,
        live: &Live<V>,
        view: V,
        compare: impl FnOnce(&V::Reader, &V::Reader) -> Result<R>,
    ) -> Result<R> {
        let aside = format!("{}-verify", live.name());
        let (fresh, dir) = {
            let mut state = self.state();
            let same = state
                .views
                .iter()
                .any(|added| !added.removed && *added.name == *live.name && added.definition == view.definition());
            if !same {
                let message = format!("view \"{}\" is defined otherwise, or not of this database", live.name());
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            let fresh = self.add_to(&mut state, &aside, view, false)?;
            (fresh, state.views.last().and_then(|added| added.dir.clone()))
        };
        let compared = async {
            fresh.opened().await?;
            // What an earlier attempt has left counts for nothing.
            fresh.rebuild().await?;
            let (kept, anew) = (live, &fresh).read_all().await?;
            compare(&kept, &anew)
        };
        let compared = compared.await;
        let removed = self.remove(&aside).await;
        if let Some(dir) = dir {
            let storage = &self.core.env.storage;
            match status::remove(&**storage, &dir) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(|error| Error::io("remove", &dir, error))?,
            }
        }
        let compared = compared?;
        removed.map(|()| compared)
    }

    /// Removes the stores that views of these names have left behind under older definitions, and says which. An older
    /// program would have to build them again.
    ///
    /// # Errors
    /// `Io`.
    pub fn prune(&self) -> Result<Vec<String>> {
        let Some(dir) = &self.core.settings.dir else { return Ok(Vec::new()) };
        let storage = &self.core.env.storage;
        let failed = |error| Error::io("prune views in", dir, error);
        let state = self.state();
        let mut removed = Vec::new();
        if storage.kind(dir).map_err(failed)? != Some(PathKind::Dir) {
            return Ok(removed);
        }
        for entry in storage.list(dir).map_err(failed)? {
            let older = state.views.iter().any(|added| {
                is_store_of(&entry, &added.name)
                    && added.dir.as_deref().and_then(Path::file_name) != Some(entry.as_ref())
            });
            if older {
                status::remove(&**storage, &dir.join(&entry)).map_err(failed)?;
                removed.push(entry);
            }
        }
        Ok(removed)
    }

    /// Ends all views: reads that wait, and later ones, fail with `Closed`; what has been taken in is published and
    /// brought to the disk. To be called before the log is closed.
    ///
    /// # Errors
    /// The first that a view met while it wrote; the others were closed all the same.
    ///
    /// # Cancel safety
    /// If the future is dropped the views end all the same; call it again to wait for them.
    pub async fn close(&self) -> Result<()> {
        let handles = {
            let mut state = self.state();
            state.closed = true;
            state.views.iter().for_each(|added| added.handle.close());
            state.views.iter().map(|added| added.handle.clone()).collect::<Vec<_>>()
        };
        let mut result = Ok(());
        for handle in handles {
            result = result.and(handle.closed().await);
        }
        self.core.pool.stop();
        self.state().lock = None;
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handles(&self) -> Vec<Arc<dyn Handle>> {
        self.state().views.iter().filter(|added| !added.removed).map(|added| added.handle.clone()).collect()
    }
}

/// There is no place for `more` views beside those that are there.
fn full(there: usize, more: usize) -> Error {
    let message =
        format!("there are {there} views already, and {more} to be added; remove those that are not asked any more");
    Error::over_limit(message, "views")
}

/// Below which number deletions need not be told to any of the views.
fn passed(state: &Mutex<State>) -> u64 {
    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let views = state.views.iter().filter(|added| !added.removed);
    views.map(|added| added.handle.passed()).min().unwrap_or(u64::MAX)
}

/// Stops the threads; unlike [`close`](Host::close), without publishing what views have taken in.
impl<T: Send + Sync + 'static> Drop for Host<T> {
    fn drop(&mut self) {
        for added in &self.state().views {
            added.handle.close();
        }
        self.core.pool.stop();
    }
}

/// Makes `dir` the stores' directory of this host alone: two of them would write into the same files.
pub(super) fn lock(env: &Env, dir: &Path) -> Result<Box<dyn Lock>> {
    let path = dir.join("lock");
    env.storage.create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    env.storage.lock(&path).map_err(|error| Error::io("lock", &path, error))?.ok_or_else(|| {
        let dir = dir.display();
        let message = format!(
            "another database, or another handle on this one, keeps its views in {dir}; close it, or give this one a \
             directory of its own for views"
        );
        Error::new(ErrorKind::Locked, message)
    })
}

/// Tells the scan of every new head.
async fn follow_head<T: Send + Sync + 'static>(core: Arc<Core<T>>) {
    let mut head = core.entries.log().head();
    loop {
        let seen = *head.borrow_and_update();
        core.scan.saw_head(seen);
        core.measure_growth(after(seen));
        if head.changed().await.is_err() {
            return;
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 100 || !name.bytes().all(fits) {
        let message = format!(
            "\"{name}\" cannot be a view's name, which is also that of a directory; use up to 100 of the letters a-z \
             and A-Z, digits, - and _"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

/// What decides a store's directory beside the view's name.
fn identity(definition: &Definition, codec: &str) -> Vec<u8> {
    // Writing to memory cannot fail, and every field has a representation.
    rmp_serde::to_vec(&(definition, codec)).unwrap_or_default()
}

fn is_store_of(entry: &str, name: &str) -> bool {
    split_store(entry) == Some(name)
}

/// The name of the view whose store a directory of this name is.
pub(super) fn split_store(entry: &str) -> Option<&str> {
    let (name, digest) = entry.rsplit_once('-')?;
    (digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(name)
}
