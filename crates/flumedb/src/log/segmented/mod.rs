//! Our own log: a directory of segments, written by one process and read by any number.
//!
//! `docs/format.md` has every byte, `docs/durability.md` what is promised.

mod active;
mod check;
mod directory;
mod flusher;
mod format;
mod group;
mod note;
mod queue;
mod recovery;
mod repair;
mod replay;
mod segment;
mod settings;
mod shared;
mod table;
mod tail;
mod walk;
mod writer;

use std::{
    path::Path,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;

pub use settings::{Durability, LogSettings};

use self::{
    queue::{Queue, Request},
    shared::Shared,
    tail::{Follower, Tail},
    writer::Writer,
};
use super::{Batch, BoxFuture, Chunk, Log, LogIdentity, LogStat, Note, Proof, ReadRequest, Recovery, unsupported};
use crate::{
    Env, Error, ErrorKind, Result, Seq,
    check::{Repair, Report},
    env::{
        Latched, Lock, Signal, Worker,
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
            oneshot, watch,
        },
    },
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
    shared: Arc<Shared>,
    access: Access,
    recovery: Option<Recovery>,
    closed: AtomicBool,
}

enum Access {
    Write {
        queue: Arc<Queue>,
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

impl SegmentedLog {
    /// Opens the log in the directory `dir` to read and write, or makes one.
    ///
    /// Reads the last segment, however long the log is. What a crash tore is cut, kept and told by
    /// [`recovery`](Log::recovery).
    ///
    /// # Errors
    /// `Locked` if it is open for writing elsewhere, `Corrupt` if entries that were acknowledged are damaged or gone (then
    /// nothing is changed; [`read_only`](Self::read_only) reads around it), `Unsupported` if a newer version wrote it, `Io`.
    pub fn open(env: &Env, dir: &Path, settings: LogSettings) -> Result<Self> {
        let mut env = env.clone();
        env.storage = Arc::new(Latched::new(env.storage));
        env.storage.create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
        let lock = directory::lock(&*env.storage, dir)?;
        let opened = recovery::open(&env, dir, &settings)?;
        let recovery = opened.recovery.clone();
        let queue = Arc::new(Queue::new(settings.pending_bytes));
        let signal = queue.signal.clone();
        let (mut writer, shared) = Writer::new(opened, queue.clone(), settings)?;
        writer.begin()?;
        let worker = env.threads.spawn("flume-writer", Box::new(writer), signal);
        let worker = worker.map_err(|error| Error::io("start the writer of", dir, error))?;
        let access = Access::Write { queue, worker: Mutex::new(Some(worker)), lock: Mutex::new(Some(lock)) };
        Ok(Self { shared, access, recovery, closed: AtomicBool::new(false) })
    }

    /// Opens the log in the directory `dir` to read, beside a writer or without one, and follows what a writer in any
    /// process adds. Changes nothing. What is damaged is read around: only reading it fails.
    ///
    /// # Errors
    /// `NotFound` if there is no log, `Corrupt` if its segments do not fit together, `Unsupported`, `Io`.
    pub fn read_only(env: &Env, dir: &Path) -> Result<Self> {
        let tail = Arc::new(Tail::open(env, dir)?);
        let stop = Arc::new(AtomicBool::new(false));
        let follower = Box::new(Follower::new(tail.clone(), stop.clone())?);
        let worker = env.threads.spawn("flume-follower", follower, Arc::new(Signal::new()));
        let worker = worker.map_err(|error| Error::io("follow", dir, error))?;
        let shared = tail.shared().clone();
        let access = Access::Read { tail, stop, worker: Mutex::new(Some(worker)) };
        Ok(Self { shared, access, recovery: None, closed: AtomicBool::new(false) })
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
    ///
    /// # Errors
    /// `Unsupported` if a newer version wrote it, `Io`. Damage is no error: it is what the report says.
    pub fn check(env: &Env, dir: &Path) -> Result<Report> {
        let busy = directory::is_locked(&*env.storage, dir)?;
        Ok(check::examine(env, dir, busy)?.report)
    }

    /// Cuts a torn tail, keeping the bytes; with `skip_damage` also puts stubs where entries are damaged (they then read
    /// as deleted) and keeps the damaged files.
    ///
    /// # Errors
    /// `Corrupt` if there is damage and `skip_damage` is not given, `Locked` if it is open for writing, `Unsupported`, `Io`.
    pub fn repair(env: &Env, dir: &Path, settings: &LogSettings, skip_damage: bool) -> Result<Repair> {
        let _lock = directory::lock(&*env.storage, dir)?;
        repair::repair(env, dir, settings, skip_damage)
    }

    fn queue(&self) -> Result<&Queue> {
        match &self.access {
            Access::Write { queue, .. } => Ok(queue),
            Access::Read { .. } => Err(unsupported("writing: it is open read-only")),
        }
    }

    /// Lets go of what a closed log holds, once its thread is done.
    fn release(&self) {
        fn take<T: ?Sized>(held: &Mutex<Option<Box<T>>>) {
            drop(held.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        self.closed.store(true, Ordering::Release);
        match &self.access {
            Access::Write { worker, lock, .. } => {
                // The writer first: nothing may be written once the lock is free.
                take(worker);
                take(lock);
            }
            Access::Read { stop, worker, .. } => {
                stop.store(true, Ordering::Release);
                take(worker);
            }
        }
    }

    /// Hands a request to the writer and waits for its answer.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        let queue = self.queue()?;
        let (reply, answer) = oneshot::channel();
        queue.push(request(reply));
        answer.await.unwrap_or_else(|_| Err(self.shared.failure().cloned().unwrap_or_else(Error::closed)))
    }
}

fn check_batch(batch: &Batch) -> Result<()> {
    let too_much = |what: &str, limit: usize| {
        Err(Error::new(ErrorKind::Invalid, format!("{what} is longer than {limit} bytes; split it")))
    };
    if batch.payloads().any(|payload| payload.len() > format::MAX_PAYLOAD) {
        return too_much("an entry", format::MAX_PAYLOAD);
    }
    if batch.buffer_len() > 2 * format::MAX_PAYLOAD {
        return too_much("a batch", 2 * format::MAX_PAYLOAD);
    }
    match &batch.note {
        Some(note) if note.name.len() > note::MAX_NAME => too_much("the name of a note", note::MAX_NAME),
        Some(note) if note.proof.len() > note::MAX_PROOF => too_much("the proof of a note", note::MAX_PROOF),
        _ => Ok(()),
    }
}

impl Log for SegmentedLog {
    fn identity(&self) -> LogIdentity {
        LogIdentity(self.shared.id.0.to_vec())
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
        (self.shared.visible() > 0).then_some(Seq::new(0))
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
            check_batch(&batch)?;
            let queue = self.queue()?;
            if let Some(error) = self.shared.failure() {
                return Err(error.clone());
            }
            let permit = queue.room_for(batch.buffer_len()).await;
            let permit = permit.map_err(|error| self.shared.failure().cloned().unwrap_or(error))?;
            self.ask(|reply| Request::Append { batch, reply, permit }).await
        })
    }

    fn delete(&self, seqs: &[Seq]) -> BoxFuture<'_, Result<()>> {
        let targets = seqs.to_vec();
        Box::pin(self.ask(|reply| Request::Delete { targets, reply }))
    }

    fn sync(&self, to: Option<Seq>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
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
        Ok(self.shared.notes().get(name).cloned())
    }

    fn recovery(&self) -> Option<Recovery> {
        self.recovery.clone()
    }

    fn stat(&self) -> Result<LogStat> {
        let (deleted, tombstones) = {
            let deletions = self.shared.deletions();
            (deletions.len(), deletions.tombstones())
        };
        let mut bytes = 0;
        for name in self.shared.table.names() {
            let path = self.shared.dir.join(name.file_name());
            let file = self.shared.env.storage.open(&path, crate::env::OpenMode::Read);
            bytes += file.and_then(|file| file.len()).map_err(|error| Error::io("read", &path, error))?;
        }
        let entries = self.shared.visible().saturating_sub(deleted.saturating_add(tombstones));
        Ok(LogStat::new("flume", entries, deleted, bytes))
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
