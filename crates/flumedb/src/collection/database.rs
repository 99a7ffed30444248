//! [`Database`], some collections in one log.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    after, declare,
    envelope::{Envelope, Write},
    handle::Collection,
    pins::Pins,
    prune::{self, Pruning},
    record::Record,
    records::{Records, row::Refusal},
    snapshot::Snapshot,
    transaction::{self, Transaction},
};
use crate::{Call, ErrorKind, Flume, Result, Seq, log::Log, view::Live};

/// A database of collections. Cheap to clone; all clones are one. See the [module](super) for an example.
///
/// Underneath it is a [`Flume`], and its promises are the same: one process at a time, one await is durable, no runtime
/// needed.
#[derive(Clone)]
pub struct Database(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) flume: Flume<Envelope>,
    pub(super) records: Live<Records>,
    pub(super) pins: Pins,
    pub(super) pruning: Pruning,
    /// A position that every new reader is at or past.
    seen: AtomicU64,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    /// The database in the directory `path`, made if there is none; one process at a time.
    ///
    /// # Errors
    /// As [`Flume::open`], and [`Flume::view`]; `Faulted` if what is there is no database of collections.
    ///
    /// # Cancel safety
    /// A future dropped before it is ready leaves nothing open.
    pub fn open(path: impl AsRef<Path>) -> Call<'static, Result<Self>> {
        let opening = Flume::open(path, Envelope);
        Call::new(async move { Self::with_flume(opening.await?).await })
    }

    /// A database in memory, gone with its last handle. The same promises otherwise.
    ///
    /// # Errors
    /// `Io` if the machine gives no randomness.
    pub fn memory() -> Call<'static, Result<Self>> {
        Call::new(async move { Self::with_flume(Flume::memory(Envelope)?).await })
    }

    /// A database over a `Flume` that was opened with the settings that one wants.
    ///
    /// ```
    /// use flumedb::{Database, Env, Flume, collection::Envelope, log::Durability};
    /// let flume = Flume::builder(Envelope)
    ///     .env(Env::memory())
    ///     .set(|settings| settings.log.durability = Durability::System)
    ///     .open("data")
    ///     .blocking()?;
    /// let db = Database::with_flume(flume).blocking()?;
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Flume::view`]; `Invalid` if there is a database over it already.
    ///
    /// # Cancel safety
    /// A future dropped before it is ready drops the `Flume`.
    pub fn with_flume(flume: Flume<Envelope>) -> Call<'static, Result<Self>> {
        Call::new(async move {
            // An entry that is none of ours would be passed over, and with it what it changed.
            let records = flume.view("collections", Records::default()).strict().await?;
            let (pins, pruning, seen) = (Pins::default(), Pruning::default(), AtomicU64::new(0));
            let db = Self(Arc::new(Inner { flume, records, pins, pruning, seen }));
            db.snapshot().await?;
            Ok(db)
        })
    }

    /// The log and its views: to follow what happens, to add views over it. What is appended there by hand is taken for
    /// what it says.
    pub fn flume(&self) -> &Flume<Envelope> {
        &self.0.flume
    }

    /// The view that knows where the records are.
    pub fn records(&self) -> &Live<Records> {
        &self.0.records
    }

    /// The collection of records of type `T`, made if there is none. If the type's version or its indexes have changed,
    /// its records are written anew first, which takes time for each of them, and goes on where it stopped.
    ///
    /// # Errors
    /// `Unsupported` if a newer program has written it under a version of the type that this one does not know;
    /// `Invalid` if its key is of another type; `Conflict` if two records have one key in an index that is unique now;
    /// what [`Record::migrate`] says.
    ///
    /// # Cancel safety
    /// Dropping the future leaves some records written anew and others not; the next call goes on.
    pub fn collection<T: Record>(&self) -> Call<'_, Result<Collection<T>>> {
        Call::new(declare::declare(self))
    }

    /// All collections as they stand now, for reads that fit together.
    ///
    /// ```
    /// # use flumedb::{Database, Record};
    /// # #[derive(serde::Serialize, serde::Deserialize, Record)]
    /// # #[record(name = "posts")]
    /// # struct Post { #[key] id: u64 }
    /// # let db = Database::memory().blocking()?;
    /// let posts = db.collection::<Post>().blocking()?;
    /// let before = db.read().blocking()?;
    /// posts.put(&Post { id: 7 }).blocking()?;
    /// assert!(posts.at(&before).get(7).blocking()?.is_none());
    /// assert!(posts.get(7).blocking()?.is_some());
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Live::read`].
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub fn read(&self) -> Call<'_, Result<Snapshot>> {
        Call::new(self.snapshot())
    }

    /// Changes records of any collections, all or none of them, as if nobody else had written meanwhile.
    ///
    /// `body` reads and writes through the transaction, sees what it has written itself, and may run several times: when
    /// something that it read was changed before its changes got into the log, it is called again. If it fails, nothing
    /// is changed.
    ///
    /// ```
    /// # use flumedb::{Database, Error, ErrorKind, Record};
    /// #[derive(serde::Serialize, serde::Deserialize, Record)]
    /// #[record(name = "accounts")]
    /// struct Account { #[key] owner: String, balance: u64 }
    ///
    /// # let db = Database::memory().blocking()?;
    /// let accounts = db.collection::<Account>().blocking()?;
    /// accounts.put(&Account { owner: "alice".into(), balance: 10 }).blocking()?;
    /// accounts.put(&Account { owner: "bob".into(), balance: 0 }).blocking()?;
    /// db.write(|tx| {
    ///     let poor = || Error::new(ErrorKind::Invalid, "not enough");
    ///     tx.update(&accounts, "alice", |from| {
    ///         from.balance = from.balance.checked_sub(7).ok_or_else(poor)?;
    ///         Ok(())
    ///     })?;
    ///     tx.update(&accounts, "bob", |to| { to.balance += 7; Ok(()) })
    /// })
    /// .blocking()?;
    /// assert_eq!(accounts.get("bob").blocking()?.unwrap().balance, 7);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `body` says; `Conflict` if a key of a unique index belongs to another record, or if others were first too
    /// many times; otherwise as [`Flume::append`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the changes are made, but all of them or none.
    pub fn write<'a, R: Send + 'a>(
        &'a self,
        body: impl FnMut(&mut Transaction) -> Result<R> + Send + 'a,
    ) -> Call<'a, Result<R>> {
        Call::new(transaction::run(self, body))
    }

    /// Deletes from the log what nobody needs any more. Happens by itself every so many writes. Returns how many entries
    /// it deleted.
    ///
    /// # Errors
    /// As [`Flume::delete`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves some of it for the next time.
    pub fn prune(&self) -> Call<'_, Result<u64>> {
        Call::new(prune::prune(self))
    }

    /// Ends the database, for all its handles. See [`Flume::close`].
    ///
    /// # Errors
    /// As [`Flume::close`].
    ///
    /// # Cancel safety
    /// As [`Flume::close`].
    pub fn close(&self) -> Call<'_, Result<()>> {
        self.0.flume.close()
    }

    pub(super) async fn snapshot(&self) -> Result<Snapshot> {
        // Pinned before it is known where: nothing must be deleted in between.
        let early = self.0.pins.pin(self.0.seen.load(Ordering::Acquire));
        let reader = self.0.records.read().await?;
        let position = after(reader.since());
        self.saw(position);
        let pin = Arc::new(self.0.pins.pin(position));
        drop(early);
        Ok(Snapshot { reader, records: self.0.records.clone(), pin })
    }

    /// For whoever decides what is deleted: it must not stand in its own way.
    pub(super) async fn unpinned(&self) -> Result<Snapshot> {
        let reader = self.0.records.read().await?;
        self.saw(after(reader.since()));
        let pin = Arc::new(self.0.pins.pin(u64::MAX));
        Ok(Snapshot { reader, records: self.0.records.clone(), pin })
    }

    fn saw(&self, position: u64) {
        self.0.seen.fetch_max(position, Ordering::AcqRel);
    }

    /// Appends what was written, and says why it was refused, if it was. The writer holds a pin at `since`, or has seen
    /// nothing.
    pub(super) async fn commit(&self, mut write: Write) -> Result<Option<Refusal>> {
        let pin = self.0.pins.pin(self.0.seen.load(Ordering::Acquire));
        if write.time_ms == 0 {
            write.time_ms = self.now_ms();
        }
        let seq = self.0.flume.append(&write).await?;
        self.saw(after(Some(seq)));
        let rows = write.changes.iter().flat_map(|change| &change.rows);
        let certain = write.unchanged.is_empty() && write.absent.is_empty() && !rows.into_iter().any(|row| row.unique);
        let refusal = if certain { None } else { self.refusal(seq).await? };
        if refusal.is_some() {
            self.forget(&[seq]).await?;
        }
        drop(pin);
        self.0.pruning.wrote(self, 1).await;
        Ok(refusal)
    }

    /// As [`commit`](Self::commit), each for itself, with one wait for the disk.
    pub(super) async fn commit_all(&self, mut writes: Vec<Write>) -> Result<Vec<Option<Refusal>>> {
        let (pin, now) = (self.0.pins.pin(self.0.seen.load(Ordering::Acquire)), self.now_ms());
        for write in writes.iter_mut().filter(|write| write.time_ms == 0) {
            write.time_ms = now;
        }
        let seqs = self.append_all(&writes).await?;
        let mut refusals = Vec::new();
        if let Some(&last) = seqs.last() {
            let reader = self.0.records.read_at(last).await?;
            for &seq in &seqs {
                refusals.push(reader.refusal(seq)?);
            }
        }
        let refused: Vec<Seq> =
            seqs.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_some()).map(|(&seq, _)| seq).collect();
        if !refused.is_empty() {
            self.forget(&refused).await?;
        }
        drop(pin);
        self.0.pruning.wrote(self, seqs.len() as u64).await;
        Ok(refusals)
    }

    /// Deletes entries that were refused: if what they were refused for is deleted by hand one day, they must not come to
    /// life, whose writers were told that they would not.
    async fn forget(&self, refused: &[Seq]) -> Result<()> {
        match self.log().delete(refused).await {
            // The log takes no more deletions. That nothing was written still holds.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
            deleted => deleted,
        }
    }

    pub(super) async fn append_all(&self, writes: &[Write]) -> Result<Vec<Seq>> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let seqs = self.0.flume.append_all(writes).await?;
        self.saw(after(seqs.last().copied()));
        Ok(seqs)
    }

    async fn refusal(&self, seq: Seq) -> Result<Option<Refusal>> {
        self.0.records.read_at(seq).await?.refusal(seq)
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.0.flume.env().clock.unix_us() / 1000).unwrap_or(0)
    }

    pub(super) fn log(&self) -> &Arc<dyn Log> {
        self.0.flume.log()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
