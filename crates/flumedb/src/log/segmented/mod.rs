//! Our own log: a directory of segments, written by one process and read by any number.
//!
//! `docs/format.md` has every byte, `docs/durability.md` what is promised.

mod active;
mod backup;
mod check;
mod compact;
mod dictionary;
mod directory;
mod flusher;
mod format;
mod group;
mod keyed;
mod note;
mod payload;
mod places;
mod queue;
mod recovery;
mod repair;
mod replay;
mod retention;
mod scrub;
mod segment;
mod settings;
mod shared;
mod sound;
mod table;
mod tail;
mod unpack;
mod walk;
mod writer;

use std::{
    path::Path,
    sync::{Arc, PoisonError, Weak},
};

use bytes::Bytes;

pub use backup::{BackedUp, Restored, Sharing, Verified};
pub use compact::Compacted;
pub use keyed::Keyed;
pub use settings::{Compaction, Compression, Durability, LogSettings, Retention};

use self::{
    compact::Compactions,
    queue::{Permit, Queue, Request},
    retention::Keeper,
    shared::Shared,
    tail::{Follower, Tail},
    writer::Writer,
};
use super::{
    Batch, Before, BoxFuture, Chunk, Log, LogIdentity, LogStat, Note, OnDamage, Passed, Proof, ReadRequest, Recovery,
    Scrub, unsupported,
};
use crate::{
    Env, Error, ErrorKind, Keys, Result, Seq,
    check::{Repair, Report},
    env::{
        Latched, Lock, OpenMode, Signal, Storage, Worker,
        planted::{Bug, planted},
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
            oneshot, watch,
        },
    },
    telemetry::{self, events},
};

/// A log on disk.
///
/// ```
/// # let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # rt.block_on(async {
/// use flumedb::{Env, Seq, log::{Batch, Log, LogSettings, SegmentedLog}};
/// let env = Env::memory();
/// let log = SegmentedLog::open(&env, "log".as_ref(), LogSettings::default())?;
/// let mut batch = Batch::new();
/// batch.push(b"hello");
/// log.append(batch).await?;
/// log.close().await?;
/// drop(log);
///
/// let log = SegmentedLog::open(&env, "log".as_ref(), LogSettings::default())?;
/// assert_eq!(log.get(Seq::new(0)).await?, "hello");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct SegmentedLog {
    /// The machine as it is given: what fails elsewhere than in the log's own files is no reason to stop writing those.
    env: Env,
    shared: Arc<Shared>,
    access: Access,
    recovery: Option<Recovery>,
    closed: AtomicBool,
}

enum Access {
    Write {
        queue: Arc<Queue>,
        settings: Box<LogSettings>,
        compactor: Compactor,
        keeper: Keeper,
        /// Ends before the lock is freed.
        worker: Mutex<Option<Box<dyn Worker>>>,
        lock: Mutex<Option<Box<dyn Lock>>>,
    },
    Read {
        tail: Arc<Tail>,
        stop: Arc<AtomicBool>,
        worker: Mutex<Option<Box<dyn Worker>>>,
    },
}

/// What it takes to start compacting.
struct Compactor {
    compactions: Arc<Compactions>,
    settings: Compaction,
    /// That of the machine: a copy that cannot be written is no reason to write no more.
    storage: Arc<dyn Storage>,
}

impl SegmentedLog {
    /// Opens the log in the directory `dir` to read and write, or makes one.
    ///
    /// Reads the last segment, however long the log is. What a crash tore is cut, kept and told by
    /// [`recovery`](Log::recovery).
    ///
    /// # Errors
    /// `Locked` if it is open for writing elsewhere, `Corrupt` if entries that were acknowledged are damaged or gone (then
    /// nothing is changed; [`read_only`](Self::read_only) reads around it), `Key` if it is encrypted and the settings have
    /// not its key (nothing is changed then either), `Unsupported` if a newer version wrote it, `Invalid` for a backup, `Io`.
    pub fn open(env: &Env, dir: &Path, settings: LogSettings) -> Result<Self> {
        let machine = env.clone();
        let label = dir.display().to_string();
        let _span = events::opening(&label).entered();
        let begun = env.clock.monotonic();
        let mut env = env.clone();
        backup::refuse_to_write(&*env.storage, dir)?;
        let storage = env.storage.clone();
        env.storage = Arc::new(Latched::new(env.storage));
        env.storage.create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
        let lock = directory::lock(&*env.storage, dir)?;
        directory::refuse_links(&*env.storage, dir)?;
        let opened = recovery::open(&env, dir, &settings)?;
        let recovery = opened.recovery.clone();
        if let Some(cut) = &recovery {
            events::recovered(&label, cut);
        }
        // If that fails it is tried again.
        drop(directory::forget_torn(&env, dir, &label, &settings));
        let queue = Arc::new(Queue::new(&settings, env.clock.clone()));
        let signal = queue.signal.clone();
        let compactor = Compactor { compactions: Arc::default(), settings: settings.compaction, storage };
        let keeper = Keeper::default();
        let rolled = (compactor.compactions.clone(), keeper.signal());
        let (mut writer, shared) = Writer::new(opened, queue.clone(), rolled, settings.clone())?;
        writer.begin()?;
        let worker = env.threads.spawn("flume-writer", Box::new(writer), signal);
        let worker = worker.map_err(|error| Error::io("start the writer of", dir, error))?;
        let (head, took) = (*shared.head().borrow(), env.clock.monotonic().saturating_sub(begun));
        events::opened(&label, head, shared.table.names().len(), took);
        let (worker, lock) = (Mutex::new(Some(worker)), Mutex::new(Some(lock)));
        let access = Access::Write { queue, settings: Box::new(settings), compactor, keeper, worker, lock };
        let log = Self { env: machine, shared, access, recovery, closed: AtomicBool::new(false) };
        log.keep_what_settings_say()?;
        if log.shared.deletions().len() > 0 {
            log.compact_by_itself(0, true);
        }
        Ok(log)
    }

    /// Opens the log in the directory `dir` to read, beside a writer or without one, and follows what a writer in any
    /// process adds. Changes nothing. What is damaged is read around: only reading it fails.
    ///
    /// # Errors
    /// `NotFound` if there is no log, `Corrupt` if its segments do not fit together, `Unsupported`, `Io`.
    pub fn read_only(env: &Env, dir: &Path) -> Result<Self> {
        Self::follow(env, dir, None)
    }

    /// For [`read_only`](Self::read_only) and [`check`](Self::check) of a log that is encrypted.
    pub fn with_keys(keys: &Keys) -> Keyed<'_> {
        Keyed::new(keys)
    }

    fn follow(env: &Env, dir: &Path, keys: Option<&Keys>) -> Result<Self> {
        backup::refuse_unfinished(&*env.storage, dir)?;
        let tail = Arc::new(Tail::open(env, dir, keys)?);
        let stop = Arc::new(AtomicBool::new(false));
        let follower = Box::new(Follower::new(tail.clone(), stop.clone())?);
        let worker = env.threads.spawn("flume-follower", follower, Arc::new(Signal::new()));
        let worker = worker.map_err(|error| Error::io("follow", dir, error))?;
        let shared = tail.shared().clone();
        events::following(&shared.label, *shared.head().borrow());
        let access = Access::Read { tail, stop, worker: Mutex::new(Some(worker)) };
        Ok(Self { env: env.clone(), shared, access, recovery: None, closed: AtomicBool::new(false) })
    }

    /// Whether there is a log in `dir`.
    ///
    /// # Errors
    /// `Io` if the directory cannot be looked at.
    pub fn is_at(env: &Env, dir: &Path) -> Result<bool> {
        directory::is_log(&*env.storage, dir)
    }

    /// The readers' side, unless the log is closed.
    fn open_shared(&self) -> Result<&Shared> {
        if self.closed.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(&self.shared) }
    }

    /// Reads every byte of the log in `dir` and says what is wrong with it. Changes nothing, and may run beside a writer.
    /// What is encrypted is looked into [with keys](Self::with_keys) only; the checksums and the chain tell of damage
    /// without.
    ///
    /// # Errors
    /// `Unsupported` if a newer version wrote it, `Io`. Damage is no error: it is what the report says.
    pub fn check(env: &Env, dir: &Path) -> Result<Report> {
        Self::examine(env, dir, None)
    }

    fn examine(env: &Env, dir: &Path, keys: Option<&Keys>) -> Result<Report> {
        let busy = directory::is_locked(&*env.storage, dir)?;
        Ok(check::examine(env, dir, busy, keys)?.report)
    }

    /// Cuts a torn tail, keeping the bytes; with `skip_damage` also puts stubs where entries are damaged (they then read
    /// as deleted) and keeps the damaged files.
    ///
    /// # Errors
    /// `Corrupt` if there is damage and `skip_damage` is not given, `Locked` if it is open for writing, `Unsupported`, `Io`.
    pub fn repair(env: &Env, dir: &Path, settings: &LogSettings, skip_damage: bool) -> Result<Repair> {
        backup::refuse_to_write(&*env.storage, dir)?;
        let _lock = directory::lock(&*env.storage, dir)?;
        repair::repair(env, dir, settings, skip_damage)
    }

    /// Checks as [`check`](Self::check) does, in the background, and reads about so many bytes a second. A damaged place is
    /// told when it is found; the report comes at the end. What is encrypted is looked into [with keys](Self::with_keys).
    ///
    /// # Errors
    /// `Unsupported` if a newer version wrote it, `Io`.
    pub fn scrub_at(env: &Env, dir: &Path, bytes_per_second: u64, on_damage: OnDamage) -> Result<Scrub> {
        scrub::start(env, dir, None, bytes_per_second, on_damage)
    }

    /// Backs up the log in `dir` to the directory `to`, while another process writes to the log or nobody does. Reading
    /// `dir` is enough. The backup has all that was on the disk when this was called, and maybe more.
    ///
    /// `to` is a new directory, or has an earlier backup of this log: then only what is new is taken. It is itself a log
    /// that can be opened read-only. If this is interrupted, the earlier backup is as it was, and the next call goes on.
    /// `on_progress` is told how many files are done, of how many.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Env, Seq, log::{Batch, Log, LogSettings, SegmentedLog, Sharing}};
    /// let env = Env::memory();
    /// let log = SegmentedLog::open(&env, "log".as_ref(), LogSettings::default())?;
    /// let mut batch = Batch::new();
    /// batch.push(b"hello");
    /// log.append(batch).await?;
    ///
    /// let done = SegmentedLog::backup_at(&env, "log".as_ref(), "backup".as_ref(), Sharing::Share, |_, _| ())?;
    /// assert_eq!(done.head, Some(Seq::new(0)));
    /// assert!(SegmentedLog::verify(&env, "backup".as_ref())?.report.is_ok());
    /// SegmentedLog::restore(&env, "backup".as_ref(), "restored".as_ref(), |_, _| ())?;
    /// let restored = SegmentedLog::open(&env, "restored".as_ref(), LogSettings::default())?;
    /// assert_eq!(restored.get(Seq::new(0)).await?, "hello");
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `NotFound` if there is no log, `Corrupt` if what would be new in the backup is damaged (the earlier backup is as it
    /// was), `Invalid` if `to` holds anything else or a backup of another log or of another history of this one,
    /// `Locked` if another backup to it is going on, `Unsupported`, `StorageFull`, `Io`.
    pub fn backup_at(
        env: &Env,
        dir: &Path,
        to: &Path,
        sharing: Sharing,
        on_progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<BackedUp> {
        backup::Run::new(env, dir, to, sharing, Box::new(on_progress)).finish()
    }

    /// Reads every byte of the backup in `dir`: is it what was written, and is it a log? Changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no backup, `Unsupported` if a newer version wrote it, `Io`. Damage is no error: it is what
    /// the report says.
    pub fn verify(env: &Env, dir: &Path) -> Result<Verified> {
        backup::verify(env, dir)
    }

    /// Makes a database in the directory `to` of the backup in `dir`, which is verified first. Interrupted, the same call
    /// goes on; until it is done, `to` is not opened.
    ///
    /// What is restored has the identity of the log that it is from. If both are written to from then on, they are two
    /// histories of one log: their [proofs](Log::proof) differ from the first entry on that only one has, and views and
    /// backups of one take no part in the other.
    ///
    /// # Errors
    /// `Corrupt` if the backup is damaged, `NotFound` if there is none, `Invalid` if `to` is not empty, `Locked`,
    /// `StorageFull`, `Unsupported`, `Io`.
    pub fn restore(
        env: &Env,
        dir: &Path,
        to: &Path,
        on_progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Restored> {
        backup::restore(env, dir, to, Box::new(on_progress))
    }

    fn queue(&self) -> Result<(&Arc<Queue>, &LogSettings)> {
        match &self.access {
            Access::Write { queue, settings, .. } => Ok((queue, settings)),
            Access::Read { .. } => Err(unsupported("writing: it is open read-only")),
        }
    }

    /// Waits until there is room for a request of so many bytes among those that wait.
    async fn room_for(&self, bytes: usize) -> Result<Permit> {
        let permit = self.queue()?.0.room_for(bytes).await;
        permit.map_err(|error| match error.kind() {
            ErrorKind::Closed => self.shared.failure().cloned().unwrap_or(error),
            _ => self.refused(error),
        })
    }

    fn refused(&self, error: Error) -> Error {
        telemetry::refused(&self.shared.label, &error);
        error
    }

    /// Lets go of what a closed log holds, once its thread is done.
    fn release(&self) {
        fn take<T: ?Sized>(held: &Mutex<Option<Box<T>>>) {
            drop(held.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        if !self.closed.swap(true, Ordering::AcqRel) {
            events::closed(&self.shared.label, *self.shared.head().borrow());
        }
        match &self.access {
            Access::Write { compactor, keeper, worker, lock, .. } => {
                // Nothing may be written once the lock is free, whoever else closes the log at the same time.
                let mut lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
                keeper.stop();
                compactor.compactions.stop();
                take(worker);
                if planted(Bug::LockNotReleased) {
                    std::mem::forget(lock.take());
                }
                drop(lock.take());
            }
            Access::Read { stop, worker, .. } => {
                stop.store(true, Ordering::Release);
                take(worker);
            }
        }
    }

    /// Entries were deleted: sees that they are erased, if that is wanted.
    fn compact_by_itself(&self, deleted: u64, look: bool) {
        if let Access::Write { compactor, .. } = &self.access
            && compactor.settings.automatic
        {
            // Without a thread for it, erasing can still be asked for.
            drop(compactor.compactions.start(&self.shared, &compactor.storage, compactor.settings));
            if look {
                compactor.compactions.look();
            } else {
                compactor.compactions.deleted(deleted);
            }
        }
    }

    /// Starts what deletes the beginning of the log, if that is wanted.
    fn keep_what_settings_say(&self) -> Result<()> {
        let Access::Write { queue, settings, compactor, keeper, .. } = &self.access else { return Ok(()) };
        keeper.start(settings, &self.shared, queue, (&compactor.compactions, &compactor.storage))
    }

    /// Hands a request to the writer and waits for its answer.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let (queue, _) = self.queue()?;
        let (reply, answer) = oneshot::channel();
        queue.push(request(reply));
        answer.await.unwrap_or_else(|_| Err(self.shared.failure().cloned().unwrap_or_else(Error::closed)))
    }
}

impl Log for SegmentedLog {
    fn identity(&self) -> LogIdentity {
        LogIdentity(self.shared.id.0.to_vec())
    }

    fn label(&self) -> String {
        self.shared.label.clone()
    }

    fn head(&self) -> watch::Receiver<Option<Seq>> {
        self.shared.head()
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Option<Seq>>> {
        let looked = match &self.access {
            Access::Write { .. } => Ok(()),
            Access::Read { tail, .. } => tail.refresh(),
        };
        let head = looked.map(|()| format::head_of(self.shared.visible()));
        Box::pin(std::future::ready(head))
    }

    fn first(&self) -> Option<Seq> {
        let first = self.shared.table.first();
        (self.shared.visible() > first).then_some(Seq::new(first))
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>> {
        Box::pin(std::future::ready(self.open_shared().and_then(|shared| shared.read(request))))
    }

    fn get_now(&self, seq: Seq) -> Option<Result<Bytes>> {
        Some(self.open_shared().and_then(|shared| shared.get(seq)))
    }

    fn deleted_payload(&self, seq: Seq) -> Option<Bytes> {
        if seq.get() < self.shared.visible() { self.shared.payload(seq).ok() } else { None }
    }

    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Seq>>> {
        Box::pin(async move {
            let (_, settings) = self.queue()?;
            settings.check(&batch).map_err(|error| self.refused(error))?;
            if let Some(error) = self.shared.failure() {
                return Err(error.clone());
            }
            let permit = self.room_for(batch.buffer_len()).await?;
            self.ask(|reply| Request::Append { batch, reply, permit }).await
        })
    }

    fn delete(&self, seqs: &[Seq]) -> BoxFuture<'_, Result<()>> {
        let targets = seqs.to_vec();
        Box::pin(async move {
            let (_, settings) = self.queue()?;
            settings.check_targets(targets.len()).map_err(|error| self.refused(error))?;
            let permit = self.room_for(size_of_val(targets.as_slice())).await?;
            let count = targets.len() as u64;
            self.ask(|reply| Request::Delete { targets, reply, permit }).await?;
            self.compact_by_itself(count, false);
            Ok(())
        })
    }

    fn compact(&self) -> BoxFuture<'_, Result<Compacted>> {
        Box::pin(async move {
            let Access::Write { compactor, .. } = &self.access else {
                return Err(unsupported("compaction: it is open read-only"));
            };
            self.open_shared()?;
            let once = async || {
                let (reply, answer) = oneshot::channel();
                compactor.compactions.ask(&self.shared, &compactor.storage, compactor.settings, reply);
                answer.await.unwrap_or_else(|_| Err(self.shared.failure().cloned().unwrap_or_else(Error::closed)))
            };
            let done = once().await?;
            // What is appended to is not written anew, so if it should be it is ended: now, when the next segment need not
            // begin with all the deletions that have just been carried out.
            if self.ask(|reply| Request::Roll { reply }).await? { Ok(done.and(once().await?)) } else { Ok(done) }
        })
    }

    fn drop_before(&self, before: Before) -> BoxFuture<'_, Result<Compacted>> {
        Box::pin(self.drop_segments(before))
    }

    fn followed_by(&self, passed: Weak<Passed>) {
        self.shared.follow(passed);
    }

    fn sync(&self, to: Option<Seq>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if let (None, Some(error)) = (to, self.shared.failure()) {
                // Of what was being written when it failed nobody knows whether it is on the disk.
                return Err(error.clone());
            }
            let wanted = to.map_or_else(|| self.shared.written(), |seq| seq.get().saturating_add(1));
            // What another process writes, that process makes durable.
            if self.shared.durable() >= wanted || matches!(self.access, Access::Read { .. }) {
                return Ok(());
            }
            self.ask(|reply| Request::Sync { reply }).await
        })
    }

    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        self.shared.proof(seq)
    }

    fn note(&self, name: &str) -> Result<Option<Note>> {
        self.shared.note(name)
    }

    fn is_encrypted(&self) -> bool {
        self.shared.keys.is_some()
    }

    fn recovery(&self) -> Option<Recovery> {
        self.recovery.clone()
    }

    fn stat(&self) -> Result<LogStat> {
        let (entries, deleted) = self.shared.count()?;
        let (storage, dir) = (&*self.shared.env.storage, &self.shared.dir);
        let (mut bytes, mut segments) = (0, 0);
        for name in self.shared.table.names() {
            let path = dir.join(name.file_name());
            match storage.open(&path, OpenMode::Read).and_then(|file| file.len()) {
                Ok(len) => bytes += len,
                // It has been written anew, or dropped, since.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("read", &path, error)),
            }
            segments += 1;
        }
        let (torn, damaged) = directory::kept(storage, dir)?;
        let durable = format::head_of(self.shared.durable().min(self.shared.visible()));
        Ok(LogStat { segments, durable, torn, damaged, ..LogStat::new("flume", entries, deleted, bytes) })
    }

    fn backup(&self, to: &Path, sharing: Sharing) -> BoxFuture<'_, Result<BackedUp>> {
        let to = to.to_owned();
        Box::pin(async move {
            self.sync(None).await?;
            let dir = &self.open_shared()?.dir;
            backup::start(backup::Run::new(&self.env, dir, &to, sharing, Box::new(|_, _| ())))?.done().await
        })
    }

    fn scrub(&self, bytes_per_second: u64, on_damage: OnDamage) -> Result<Scrub> {
        let shared = self.open_shared()?;
        scrub::start(&self.env, &shared.dir, shared.keys.as_ref(), bytes_per_second, on_damage)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let closed = match &self.access {
                Access::Write { .. } => self.ask(|reply| Request::Close { reply }).await,
                Access::Read { .. } => Ok(()),
            };
            self.release();
            closed
        })
    }

    fn stop(&self) {
        if let Access::Write { queue, .. } = &self.access {
            queue.close(Error::closed());
            queue.signal.raise();
        }
        self.release();
    }
}

impl Drop for SegmentedLog {
    fn drop(&mut self) {
        self.stop();
    }
}
