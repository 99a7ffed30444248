//! [`FileLog`], the [`Log`] over other people's files of any kind: one writer behind a lock, or a follower of somebody
//! else's. What a kind of file holds and how it is written is its [`Records`]' business; [`One`] is that for all logs in
//! one file, which differ in their [`Layout`] only.

mod builder;
mod follower;
pub(crate) mod keep;
mod one;
mod records;
mod source;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use flumedb::{
    Env, Error, ErrorKind, Result, Seq,
    check::{Repair, Report},
    env::{Signal, Worker},
    log::{Batch, BoxFuture, Chunk, Log, LogIdentity, LogStat, Proof, ReadRequest, Recovery},
};
use tokio::sync::{mpsc, oneshot, watch};

pub use builder::FileLogBuilder;
pub(crate) use keep::{keep, lock, sync_dir};
pub use one::{Chain, Detected, Finish, Layout, One, Verdict};
pub(crate) use one::{detect, is_erased, zero};
pub(crate) use records::not_found;
pub use records::{Access, Opening, Records, Staged};
pub use source::Source;
pub(crate) use source::Window;

use writer::{Command, closed};

/// A log in other people's files. What a [`Seq`] stands for is the format's business: the position of a record in most.
///
/// Deleting overwrites the payload with zeros in place (where it lies in one file that is the only mark, so a payload of zeros
/// is a deleted entry). A view that is running is not told; one that is stored notices at its next opening and is built anew.
///
/// Its names are [`OffsetLog`](crate::OffsetLog) and the like; [`open_any`](crate::open_any) tells which one a file needs.
pub struct FileLog<R: Records> {
    shared: Arc<Shared<R>>,
    recovery: Option<Recovery>,
    /// To the writer; nothing where the log is only read.
    commands: Option<mpsc::Sender<Command<R>>>,
    signal: Arc<Signal>,
    refused: AtomicBool,
    worker: Option<Box<dyn Worker>>,
}

/// What readers and the writer or the follower share.
struct Shared<R> {
    records: R,
    head: watch::Sender<Option<Seq>>,
    closed: AtomicBool,
}

impl<R: Records> Shared<R> {
    /// Tells of a new head. It is looked at in the turn of whoever tells, so that nobody goes back to an older one.
    fn tell(&self) {
        self.head.send_if_modified(|seen| {
            let head = self.records.head();
            std::mem::replace(seen, head) != head
        });
    }

    /// Takes in what another process has appended.
    fn refresh(&self) -> Result<()> {
        self.records.refresh()?;
        self.tell();
        Ok(())
    }
}

impl<R: Records> FileLog<R> {
    /// Opens what is at `path` to read it and to follow what others append. Never changes it.
    ///
    /// Every file opens: what a walk from the first byte proves is there, and [`check`](Self::check) says what is behind.
    ///
    /// # Errors
    /// `NotFound`, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path.as_ref())
    }

    /// Opens with settings.
    pub fn builder() -> FileLogBuilder<R> {
        FileLogBuilder::new()
    }

    /// Looks at every byte of framing at `path` and says what is there. `options`: what the bytes may not tell. Changes
    /// nothing.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `Invalid` if the bytes are not what the options say.
    pub fn check(env: &Env, path: impl AsRef<Path>, options: &R::Options) -> Result<Report> {
        R::check(env, path.as_ref(), options)
    }

    /// Cuts a torn tail off what is at `path`. With `skip_damage`, damaged stretches become deleted entries or padding of
    /// the same length first, so that the entries behind them are in reach again and keep their positions. What is cut or
    /// overwritten is kept in files beside it.
    ///
    /// # Errors
    /// `Corrupt` if there is damage and `skip_damage` is not set: nothing was changed then. `Locked` while a writer has
    /// the file, `Invalid` if the layout cannot be told for certain.
    pub fn repair(env: &Env, path: impl AsRef<Path>, options: &R::Options, skip_damage: bool) -> Result<Repair> {
        R::repair(env, path.as_ref(), options, skip_damage)
    }

    /// What the files hold as they are now: [`check`](Self::check) without opening them again. What another program has
    /// deleted meanwhile may count as an entry.
    ///
    /// # Errors
    /// `Io`.
    pub fn report(&self) -> Result<Report> {
        self.shared.records.report()
    }

    /// Whether no format of this kind fits the bytes.
    pub fn is_unknown(&self) -> bool {
        self.shared.records.unknown()
    }

    pub(crate) fn records(&self) -> &R {
        &self.shared.records
    }

    pub(crate) fn start(env: &Env, opening: Opening<R>) -> Result<Self> {
        /// Callers that wait for their turn before the next one waits to ask.
        const QUEUE: usize = 1024;
        let Opening { records, recovery, lock } = opening;
        let head = watch::Sender::new(records.head());
        let shared = Arc::new(Shared { records, head, closed: AtomicBool::new(false) });
        let signal = Arc::new(Signal::new());
        let (name, task, commands): (_, Box<dyn flumedb::env::Task>, _) = match lock {
            Some(lock) => {
                let (commands, receiver) = mpsc::channel(QUEUE);
                ("flume-write", Box::new(writer::Writer::new(shared.clone(), receiver, lock)), Some(commands))
            }
            None => ("flume-follow", Box::new(follower::Follower { shared: shared.clone() }), None),
        };
        let worker = env
            .threads
            .spawn(name, task, signal.clone())
            .map_err(|error| Error::with_source(ErrorKind::Io, format!("cannot start a thread: {error}"), error))?;
        Ok(Self { shared, recovery, commands, signal, refused: AtomicBool::new(false), worker: Some(worker) })
    }

    /// What it holds, unless it is closed.
    fn open_records(&self) -> Result<&R> {
        if self.refused.load(Ordering::Acquire) { Err(closed()) } else { Ok(&self.shared.records) }
    }

    /// Appends a batch, into one block if `whole`.
    pub(crate) async fn append_batch(&self, batch: Batch, whole: bool) -> Result<Vec<Seq>> {
        self.ask(|answer| Command::Append(batch, whole, answer)).await
    }

    /// Lets the writer do something in its turn.
    pub(crate) async fn in_turn(&self, call: impl FnOnce(&R) -> Result<()> + Send + 'static) -> Result<()> {
        self.ask(|answer| Command::Call(Box::new(call), answer)).await
    }

    /// Sends a command to the writer and waits for the answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command<R>) -> Result<T> {
        self.open_records()?;
        let Some(commands) = &self.commands else {
            let message = "this log is open for reading only; open it to append";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let (sender, answer) = oneshot::channel();
        commands.send(command(sender)).await.map_err(|_| closed())?;
        self.signal.raise();
        answer.await.map_err(|_| closed())?
    }
}

impl<R: Records> Log for FileLog<R> {
    fn identity(&self) -> LogIdentity {
        // Unreadable bytes prove nothing, and a log without an identity is every view's stranger.
        self.shared.records.identity().unwrap_or(LogIdentity(Vec::new()))
    }

    fn head(&self) -> watch::Receiver<Option<Seq>> {
        self.shared.head.subscribe()
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Option<Seq>>> {
        let refreshed = if self.commands.is_none() { self.shared.refresh() } else { Ok(()) };
        let head = *self.shared.head.borrow();
        Box::pin(std::future::ready(refreshed.map(|()| head)))
    }

    fn first(&self) -> Option<Seq> {
        self.shared.records.first()
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>> {
        Box::pin(std::future::ready(self.open_records().and_then(|records| records.read(request))))
    }

    fn get_now(&self, seq: Seq) -> Option<Result<Bytes>> {
        Some(self.open_records().and_then(|records| records.get(seq)))
    }

    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Seq>>> {
        Box::pin(self.append_batch(batch, false))
    }

    fn delete(&self, seqs: &[Seq]) -> BoxFuture<'_, Result<()>> {
        let seqs = seqs.to_vec();
        Box::pin(self.ask(|answer| Command::Delete(seqs, answer)))
    }

    fn sync(&self, _to: Option<Seq>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            // What is only read was synced, or not, by whoever wrote it.
            if self.commands.is_none() { Ok(()) } else { self.ask(Command::Sync).await }
        })
    }

    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        self.shared.records.proof(seq)
    }

    fn recovery(&self) -> Option<Recovery> {
        self.recovery.clone()
    }

    fn stat(&self) -> Result<LogStat> {
        self.shared.records.stat()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if self.commands.is_some() && !self.refused.load(Ordering::Acquire) {
                self.ask(Command::Close).await?;
            }
            self.refused.store(true, Ordering::Release);
            self.shared.closed.store(true, Ordering::Release);
            self.signal.raise();
            Ok(())
        })
    }
}

impl<R: Records> Drop for FileLog<R> {
    fn drop(&mut self) {
        self.commands = None;
        self.shared.closed.store(true, Ordering::Release);
        self.signal.raise();
        self.worker = None;
    }
}
