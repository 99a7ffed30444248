//! [`Records`], what one kind of other people's logs offers to the machinery that all of them share. Says how its files are
//! read and written, never who waits for whom.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use flumedb::{
    Error, Result, Seq,
    check::{Repair, Report},
    env::{Env, Lock},
    log::{Batch, Chunk, LogIdentity, LogStat, Proof, ReadRequest, Recovery},
};

/// The records of a log in other people's files. Reading takes `&self` from any thread; what changes the files is called
/// by one writer alone.
pub trait Records: Sized + Send + Sync + 'static {
    /// What the bytes may not tell: a framing, a block size.
    type Options: Clone + Default + Send + Sync;

    /// Opens what is at `path`.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `Invalid` if the bytes are not what the options say. To append also `Locked`, `Corrupt` if
    /// whole records follow a damaged place, `Invalid` if the layout cannot be told for certain, `Unsupported` if none
    /// fits.
    fn open(env: &Env, path: PathBuf, options: &Self::Options, access: Access) -> Result<Opening<Self>>;

    /// Looks at every byte of framing at `path` and says what is there. Changes nothing.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `Invalid` if the bytes are not what the options say.
    fn check(env: &Env, path: &Path, options: &Self::Options) -> Result<Report>;

    /// Cuts a torn tail; with `skip_damage` also takes damaged stretches out of the way of what lies behind them.
    ///
    /// # Errors
    /// `Corrupt` if there is damage and `skip_damage` is not set, or nothing fits: nothing was changed then. `Locked`,
    /// `Invalid` if the layout cannot be told for certain.
    fn repair(env: &Env, path: &Path, options: &Self::Options, skip_damage: bool) -> Result<Repair>;

    /// Whether nothing that is known here fits the bytes.
    fn unknown(&self) -> bool;

    /// The oldest entry's number.
    fn first(&self) -> Option<Seq>;

    /// The newest entry's number, as far as has been looked.
    fn head(&self) -> Option<Seq>;

    /// Takes in what another process has appended.
    fn refresh(&self) -> Result<()>;

    /// As [`Log::read`](flumedb::log::Log::read).
    fn read(&self, request: ReadRequest) -> Result<Chunk>;

    /// As [`Log::get`](flumedb::log::Log::get).
    fn get(&self, seq: Seq) -> Result<Bytes>;

    /// Which log this is.
    fn identity(&self) -> Result<LogIdentity>;

    /// Evidence for an entry.
    fn proof(&self, seq: Seq) -> Result<Option<Proof>>;

    /// A few numbers.
    fn stat(&self) -> Result<LogStat>;

    /// What [`check`](Self::check) says, without opening it again.
    fn report(&self) -> Result<Report>;

    /// Frames a batch behind what is staged. If it fails, `staged` is as before.
    fn stage(&self, batch: &Batch, staged: &mut Staged) -> Result<Vec<Seq>> {
        let (_, _) = (batch, staged);
        Err(only_read())
    }

    /// Writes what is staged. After `StorageFull` the files are as before; after any other failure nobody knows what they
    /// hold.
    fn write(&self, staged: &Staged) -> Result<()> {
        let _ = staged;
        Err(only_read())
    }

    /// Shows readers what was written: it is as durable as it has to be.
    fn show(&self, staged: &Staged) {
        let _ = staged;
    }

    /// Overwrites the payloads of entries in place. Says how many were not deleted before.
    ///
    /// # Errors
    /// `NotFound` or `Unsupported`, with nothing done; after any other failure nobody knows what the files hold.
    fn delete(&self, seqs: &[Seq]) -> Result<u64> {
        let _ = seqs;
        Err(only_read())
    }

    /// Makes what was written durable.
    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// What a log is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and following. Changes nothing.
    Read,
    /// Appending and deleting.
    Append,
    /// The same, and a new log is made if there is none.
    Create,
}

/// A log as opening found it.
pub struct Opening<R> {
    /// What it holds.
    pub records: R,
    /// What had to be cut.
    pub recovery: Option<Recovery>,
    /// The right to write.
    pub lock: Option<Box<dyn Lock>>,
}

/// Records that will be written together.
#[derive(Default)]
pub struct Staged {
    /// What is to be written behind the last record.
    pub bytes: Vec<u8>,
    /// Where each record starts (its number, where those are no positions), and the length of its payload.
    pub records: Vec<(u64, u32)>,
    /// It is one batch, which must lie in one block, and after a power cut be there as a whole or not at all.
    pub whole: bool,
    /// Readers will be shown it only once it is on the disk.
    pub durable: bool,
}

impl Staged {
    /// Lets `frame` add to what is staged; takes back what it added if it fails.
    pub(crate) fn undo_on_error<T>(&mut self, frame: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (bytes, records) = (self.bytes.len(), self.records.len());
        let framed = frame(self);
        if framed.is_err() {
            self.bytes.truncate(bytes);
            self.records.truncate(records);
        }
        framed
    }
}

/// What a kind of log says that is never opened for writing, so that nobody should come to ask.
fn only_read() -> Error {
    Error::new(flumedb::ErrorKind::Unsupported, "logs of this kind are only read; convert this one to write to it")
}

/// There is no such entry.
pub(crate) fn not_found(seq: Seq) -> Error {
    let message = format!("there is no entry {seq}; take the number of an entry as `scan` or `flume cat` give it");
    Error::new(flumedb::ErrorKind::NotFound, message)
}
