//! [`Append`], an append that is being described.

use std::{future::IntoFuture, marker::PhantomData};

use crate::{
    Call, Error, ErrorKind, Result, Seq,
    codec::Codec,
    log::{Batch, Condition, Log, Note},
};

/// An append: await it, or say first how it is to be done.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{ErrorKind, Flume, codec::Utf8};
/// let db = Flume::memory(Utf8)?;
/// let seq = db.append("balance 10").if_head(None).await?;
/// db.append("balance 7").if_head(seq).buffered().await?;
/// let late = db.append("balance 9").if_head(seq).await;
/// assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict);
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
#[must_use = "nothing is appended until it is awaited or blocked on"]
pub struct Append<'a, C, O> {
    log: &'a dyn Log,
    codec: &'a C,
    batch: Result<Batch>,
    condition_limit: u64,
    answer: PhantomData<fn() -> O>,
}

impl<'a, C: Codec, O: Answer> Append<'a, C, O> {
    pub(super) fn new(log: &'a dyn Log, codec: &'a C, batch: Result<Batch>, condition_limit: u64) -> Self {
        Self { log, codec, batch, condition_limit, answer: PhantomData }
    }

    /// Does not wait for the disk: answers, and lets readers see it, as soon as the system has the bytes. A crash of the
    /// program cannot undo that, a loss of power can; [`Flume::sync`](crate::Flume::sync) makes up for it.
    pub fn buffered(self) -> Self {
        self.with(|batch| batch.buffered = true)
    }

    /// Appends only if the newest entry is this one (`None`: if the log is empty); otherwise `Conflict`.
    pub fn if_head(self, seq: impl Into<Option<Seq>>) -> Self {
        let seq = seq.into();
        self.condition(Condition::Head(seq))
    }

    /// Appends only if no entry after `after` (`None`: no entry at all) is one that `matches` says yes to; otherwise
    /// `Conflict`. So it is too if there are more entries to test than [`Settings`](crate::Settings) allow: read up to
    /// the head, and give that as `after`. An entry that does not decode fails the append with its error.
    pub fn if_none(
        self,
        matches: impl Fn(&C::Item) -> bool + Send + Sync + 'static,
        after: impl Into<Option<Seq>>,
    ) -> Self {
        let (codec, limit) = (self.codec.clone(), self.condition_limit);
        self.condition(Condition::NoneAfter {
            after: after.into(),
            matches: Box::new(move |bytes| Ok(matches(&codec.decode(bytes)?))),
            limit,
        })
    }

    /// Keeps a position in the log, in one commit with the entries: both are there after a crash, or neither.
    pub fn note(self, note: Note) -> Self {
        self.with(|batch| batch.note = Some(note))
    }

    /// Appends, and blocks this thread until it is done. Needs no runtime.
    ///
    /// # Errors
    /// As [`Flume::append`](crate::Flume::append).
    pub fn blocking(self) -> Result<O> {
        self.into_future().blocking()
    }

    fn with(mut self, change: impl FnOnce(&mut Batch)) -> Self {
        if let Ok(batch) = &mut self.batch {
            change(batch);
        }
        self
    }

    fn condition(mut self, condition: Condition) -> Self {
        if let Ok(batch) = &mut self.batch
            && batch.condition.replace(condition).is_some()
        {
            self.batch = Err(Error::new(ErrorKind::Invalid, "an append takes one condition; put the two into one"));
        }
        self
    }
}

impl<'a, C: Codec, O: Answer> IntoFuture for Append<'a, C, O> {
    type Output = Result<O>;
    type IntoFuture = Call<'a, Result<O>>;

    fn into_future(self) -> Self::IntoFuture {
        let (log, batch) = (self.log, self.batch);
        Call::new(async move { O::from_seqs(log.append(batch?).await?) })
    }
}

/// What an append answers with.
pub trait Answer: Sized + Send + 'static {
    /// Makes the answer of the names of what was appended.
    ///
    /// # Errors
    /// If they are not as many as they should be, which is the log's fault.
    fn from_seqs(seqs: Vec<Seq>) -> Result<Self>;
}

impl Answer for Seq {
    fn from_seqs(seqs: Vec<Seq>) -> Result<Self> {
        let missing = || Error::new(ErrorKind::Io, "the log took the entry without naming it; reopen the database");
        seqs.first().copied().ok_or_else(missing)
    }
}

impl Answer for Vec<Seq> {
    fn from_seqs(seqs: Vec<Seq>) -> Result<Self> {
        Ok(seqs)
    }
}

impl Answer for () {
    fn from_seqs(_: Vec<Seq>) -> Result<Self> {
        Ok(())
    }
}
