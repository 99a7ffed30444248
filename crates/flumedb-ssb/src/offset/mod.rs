//! flumelog-offset files: [`OffsetLog`] reads, follows and appends to one as a [`Log`], [`check`] and [`repair`] look after
//! it. What is there is what a chain from the first byte proves; no payload byte is ever taken for framing. The format is
//! written down in `docs/format-offset.md`.

mod chain;
mod check;
mod detect;
mod follower;
mod framing;
mod keep;
mod shared;
mod source;
mod survey;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use flumedb::{
    Error, ErrorKind, Result, Seq,
    check::Report,
    env::{Env, Lock, OpenMode, PathKind, Signal, Worker},
    log::{Batch, BoxFuture, Chunk, Log, LogIdentity, LogStat, Proof, ReadRequest, Recovery},
};
use tokio::sync::{mpsc, oneshot, watch};

pub use check::{check, repair};
pub use framing::Framing;

use detect::Detected;
use follower::Follower;
use shared::Shared;
use source::Source;
use writer::{Command, Writer, closed};

/// A flumelog-offset file as a log. The [`Seq`] of an entry is the byte position of its record.
///
/// A payload of zeros is a deleted entry: the format has no other mark. Deleting overwrites the payload in place, so a
/// view that is running is not told; one that is stored notices at its next opening and is built anew.
///
/// ```
/// use flumedb::{Env, Seq, log::{Batch, Log}};
/// use flumedb_ssb::{Framing, OffsetLog};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let log = OffsetLog::builder().env(Env::memory()).framing(Framing::Bits32).create().open("log.offset")?;
/// let mut batch = Batch::new();
/// batch.push(b"hi");
/// batch.push(b"flume");
/// assert_eq!(log.append(batch).await?, [Seq::new(0), Seq::new(14)]);
/// assert_eq!(log.get(Seq::new(14)).await?, "flume");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct OffsetLog {
    shared: Arc<Shared>,
    /// Whether nothing fits the bytes of the file.
    unknown: bool,
    recovery: Option<Recovery>,
    /// To the writer; nothing where the log is only read.
    commands: Option<mpsc::Sender<Command>>,
    signal: Arc<Signal>,
    refused: AtomicBool,
    worker: Option<Box<dyn Worker>>,
}

/// How an [`OffsetLog`] is opened: read-only, on this machine, its framing told from its bytes, unless said otherwise.
#[derive(Clone)]
#[must_use]
pub struct OffsetLogBuilder {
    env: Env,
    framing: Option<Framing>,
    append: bool,
    create: bool,
}

impl OffsetLogBuilder {
    /// Reaches the file through `env`.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Takes the file for one of this framing.
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = Some(framing);
        self
    }

    /// Opens to append and delete: takes the lock, and cuts a torn tail after keeping its bytes in a `.torn` file.
    pub fn append(mut self) -> Self {
        self.append = true;
        self
    }

    /// As [`append`](Self::append), and makes a new file if there is none (of 32 bits, if no framing is named).
    pub fn create(mut self) -> Self {
        self.create = true;
        self.append()
    }

    /// Opens the file.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `Invalid` if the bytes are another framing's than the one named. To append also `Locked`,
    /// `Corrupt` if whole records follow a damaged place, `Invalid` if the framing cannot be told for certain, and
    /// `Unsupported` if none fits.
    pub fn open(self, path: impl Into<PathBuf>) -> Result<OffsetLog> {
        let path = path.into();
        if self.append { self.open_writer(path) } else { self.open_reader(path) }
    }

    fn open_reader(self, path: PathBuf) -> Result<OffsetLog> {
        let source = Source::open(&self.env, path, OpenMode::Read)?;
        let detected = detect::detect(&source, source.len()?, self.framing)?;
        let shared = Arc::new(Shared::new(source, detected.chain));
        let signal = Arc::new(Signal::new());
        let task = Box::new(Follower { shared: shared.clone() });
        let worker = spawn(&self.env, "flume-follow", task, &signal)?;
        Ok(OffsetLog {
            shared,
            unknown: !detected.known,
            recovery: None,
            commands: None,
            signal,
            refused: AtomicBool::new(false),
            worker: Some(worker),
        })
    }

    fn open_writer(self, path: PathBuf) -> Result<OffsetLog> {
        let env = &self.env;
        let found = env.storage.kind(&path).map_err(|error| Error::io("look for", &path, error))?;
        if found.is_none() && !self.create {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no file {}", path.display())));
        }
        if found == Some(PathKind::Dir) {
            return Err(Error::new(ErrorKind::Invalid, format!("{} is a directory, not a log file", path.display())));
        }
        if found.is_some() && self.framing.is_none() {
            let source = Source::open(env, path.clone(), OpenMode::Read)?;
            if !detect::begins(&source, source.len()?)? {
                let message = format!("{} is no flumelog-offset file; nothing was changed", path.display());
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        let lock = keep::lock(env, &path)?;
        let source = match found {
            Some(_) => Source::open(env, path, OpenMode::Write)?,
            None => {
                let source = Source::open(env, path, OpenMode::CreateNew)?;
                keep::sync_dir(env, &source.path)?;
                source
            }
        };
        let len = source.len()?;
        let detected = detect::detect(&source, len, self.framing)?;
        let recovery = recover(env, &source, &detected, len)?;
        self.start_writer(Shared::new(source, detected.chain), recovery, lock)
    }

    fn start_writer(&self, shared: Shared, recovery: Option<Recovery>, lock: Box<dyn Lock>) -> Result<OffsetLog> {
        /// Callers that wait for their turn before the next one waits to ask.
        const QUEUE: usize = 1024;
        let shared = Arc::new(shared);
        let (commands, receiver) = mpsc::channel(QUEUE);
        let signal = Arc::new(Signal::new());
        let task = Box::new(Writer::new(shared.clone(), receiver, lock));
        let worker = spawn(&self.env, "flume-write", task, &signal)?;
        Ok(OffsetLog {
            shared,
            unknown: false,
            recovery,
            commands: Some(commands),
            signal,
            refused: AtomicBool::new(false),
            worker: Some(worker),
        })
    }
}

fn spawn(env: &Env, name: &str, task: Box<dyn flumedb::env::Task>, signal: &Arc<Signal>) -> Result<Box<dyn Worker>> {
    env.threads
        .spawn(name, task, signal.clone())
        .map_err(|error| Error::with_source(ErrorKind::Io, format!("cannot start a thread: {error}"), error))
}

/// Cuts what a stopped writer left behind the chain, keeping its bytes.
fn recover(env: &Env, source: &Source, detected: &Detected, len: u64) -> Result<Option<Recovery>> {
    let chain = &detected.chain;
    if !detected.certain {
        return Err(check::uncertain(&source.path));
    }
    let survey = survey::survey(source, chain.framing, chain.end, len, detected.stop)?;
    if let Some(damage) = survey.damage.into_iter().next() {
        return Err(Error::corrupt(damage));
    }
    let Some(tail) = survey.torn_tail else { return Ok(None) };
    let kept = keep::keep(env, source, tail.offset, tail.bytes, "torn")?;
    source.file.set_len(tail.offset).map_err(|error| Error::io("cut", &source.path, error))?;
    source.file.sync().map_err(|error| Error::io("sync", &source.path, error))?;
    let mut recovery = Recovery::new(chain.last.map(Seq::new), tail.file, tail.offset, tail.bytes);
    recovery.kept_in = Some(kept);
    Ok(Some(recovery))
}

impl OffsetLog {
    /// Opens the file at `path` to read it and to follow what others append. Never changes it.
    ///
    /// Every file opens: what a chain of records from the first byte proves is there, and [`check`] says what is behind.
    ///
    /// # Errors
    /// `NotFound`, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path.as_ref())
    }

    /// Opens with settings.
    pub fn builder() -> OffsetLogBuilder {
        OffsetLogBuilder { env: Env::os(), framing: None, append: false, create: false }
    }

    /// The framing of its records; `None` if no framing fits the bytes of the file.
    pub fn framing(&self) -> Option<Framing> {
        (!self.unknown).then(|| self.shared.framing())
    }

    /// The readers' side, unless the log is closed.
    fn open_shared(&self) -> Result<&Shared> {
        if self.refused.load(Ordering::Acquire) { Err(closed()) } else { Ok(&self.shared) }
    }

    /// What the file holds as it is now: [`check`] without opening it again.
    ///
    /// # Errors
    /// `Io`.
    pub fn report(&self) -> Result<Report> {
        let bytes = self.shared.source.len()?;
        let mut chain = self.shared.chain().clone();
        let stop = chain.extend(&self.shared.source, bytes)?;
        check::report(&self.shared.source, (!self.unknown).then_some(&chain), stop, bytes)
    }

    /// Sends a command to the writer and waits for the answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command) -> Result<T> {
        self.open_shared()?;
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

impl Log for OffsetLog {
    fn identity(&self) -> LogIdentity {
        // Unreadable bytes prove nothing, and a log without an identity is every view's stranger.
        self.shared.identity().unwrap_or(LogIdentity(Vec::new()))
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
        self.shared.head.borrow().map(|_| Seq::new(0))
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>> {
        Box::pin(std::future::ready(self.open_shared().and_then(|shared| shared.read(request))))
    }

    fn get_now(&self, seq: Seq) -> Option<Result<Bytes>> {
        Some(self.open_shared().and_then(|shared| shared.get(seq)))
    }

    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Seq>>> {
        Box::pin(self.ask(|answer| Command::Append(batch, answer)))
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
        self.shared.proof(seq)
    }

    fn recovery(&self) -> Option<Recovery> {
        self.recovery.clone()
    }

    fn stat(&self) -> Result<LogStat> {
        self.shared.stat()
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

impl Drop for OffsetLog {
    fn drop(&mut self) {
        self.commands = None;
        self.shared.closed.store(true, Ordering::Release);
        self.signal.raise();
        self.worker = None;
    }
}
