//! [`Flume`], the database: a log, a codec, and the views that follow.

mod append;
mod builder;
mod view;

use std::{borrow::Borrow, fmt, ops::RangeBounds, path::Path, sync::Arc};

pub use append::{Answer, Append};
pub use builder::{Builder, Settings};
pub use view::AddView;

use crate::{
    Call, Damage, Env, From, Get, Result, Scan, Seq, Span, Subscription,
    codec::Codec,
    env::sync::watch,
    log::{BackedUp, Batch, Before, Compacted, Log, LogStat, Note, Recovery, Scrub, Sharing},
    read::{Open, Source},
    view::{Entries, Host, Live, LiveSet, Progress, View},
};

/// A database: an append-only log of entries that a codec reads and writes, and the views that follow it.
///
/// Cheap to clone; all clones are one database. When the last one is dropped, its threads stop and its lock is free
/// before the drop returns; what still reads from it (subscriptions, views) then gets `Closed`. [`close`](Flume::close)
/// does the same and tells what went wrong. Needs no async runtime: what is awaited can be blocked on instead
/// (`.blocking()`), and threads are its own.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, From, codec::Json};
///
/// let db = Flume::memory(Json::<Vec<u32>>::new())?;
/// let seq = db.append(&vec![1, 2]).await?;
/// assert_eq!(db.get(seq).await?, [1, 2]);
///
/// let mut feed = db.subscribe(From::Start);
/// assert_eq!(feed.next().await.unwrap()?.value, [1, 2]);
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct Flume<C: Codec>(Arc<Shared<C>>);

struct Shared<C: Codec> {
    source: Source<C>,
    settings: Settings,
    /// Dropping it, too, tells subscriptions that it is over.
    closed: watch::Sender<bool>,
    /// Stops before the log does.
    host: Host<C::Item>,
    _log: Stopped,
}

/// Stops a log when it is dropped: readers and subscriptions keep the log's memory, so that to drop a handle on it would
/// not free the lock.
struct Stopped(Arc<dyn Log>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<C: Codec> Clone for Flume<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Codec> fmt::Debug for Flume<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flume").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl<C: Codec> Flume<C> {
    /// The database in the directory `path`, made if there is none; one process at a time.
    ///
    /// # Errors
    /// `Locked` if another handle has it open to write, `Corrupt` if entries that were acknowledged are damaged or gone
    /// (nothing is changed then; [`read_only`](Flume::read_only) reads around the damage), `Unsupported` if a newer
    /// version wrote it, `Io`.
    ///
    /// # Cancel safety
    /// A future dropped before it is ready leaves nothing open.
    pub fn open(path: impl AsRef<Path>, codec: C) -> Call<'static, Result<Self>> {
        Self::builder(codec).open(path)
    }

    /// The database in the directory `path`, to read and to follow while another process writes, or none does. Changes
    /// nothing there: views are kept in memory, unless the [`builder`](Flume::builder) names a directory for them.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Corrupt` if its files do not fit together, `Unsupported`, `Io`.
    ///
    /// # Cancel safety
    /// A future dropped before it is ready leaves nothing open.
    pub fn read_only(path: impl AsRef<Path>, codec: C) -> Call<'static, Result<Self>> {
        Self::builder(codec).read_only(path)
    }

    /// A database in memory, gone with its last handle. The same promises otherwise.
    ///
    /// # Errors
    /// `Io` if the machine gives no randomness.
    pub fn memory(codec: C) -> Result<Self> {
        Self::builder(codec).memory()
    }

    /// A database over any log, which from now on is its own: closing the database closes the log.
    ///
    /// # Errors
    /// None yet: a log that is there can be followed.
    ///
    /// # Cancel safety
    /// Dropping the future drops this handle on the log, and closes nothing.
    pub fn with_log(log: Arc<dyn Log>, codec: C) -> Call<'static, Result<Self>> {
        Self::builder(codec).with_log(log)
    }

    /// For everything that can be set; what is not set has a good default.
    pub fn builder(codec: C) -> Builder<C> {
        Builder::new(codec)
    }

    fn start(env: Env, log: Arc<dyn Log>, codec: C, settings: Settings) -> Self {
        let stopped = Stopped(log.clone());
        let decode = codec.clone();
        let entries = Entries::new(log.clone(), move |bytes| decode.decode(bytes));
        let host = Host::new(env, entries, codec.identity(), settings.views.clone());
        host.set_ready(!settings.gated);
        let label: Arc<str> = log.label().into();
        let readers = Open::readers(&label, settings.readers);
        let subscribers = Open::subscribers(&label, settings.subscribers);
        let source = Source { log, codec, readers, subscribers };
        Self(Arc::new(Shared { source, settings, closed: watch::Sender::new(false), host, _log: stopped }))
    }

    /// Appends an entry and answers with its name. Once this returns, the entry is as durable as the database's setting
    /// says; what is read afterwards, in the log or in a view, has it. See [`Append`] for conditions and more.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{ErrorKind, Flume, codec::Utf8};
    /// let db = Flume::memory(Utf8)?;
    /// let seq = db.append("claim alice").if_none(|text| text == "claim alice", None).await?;
    /// let again = db.append("claim alice").if_none(|text| text == "claim alice", None).await;
    /// assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Invalid` if the codec refuses the item, `LimitExceeded` if it is too large or too many appends wait
    /// ([`LogSettings`](crate::log::LogSettings)), `Conflict` if a condition does not hold, `StorageFull`, `Poisoned`,
    /// `Closed`; `Unsupported` if the log is read-only.
    ///
    /// # Cancel safety
    /// A future dropped before its first poll appends nothing. Later the entry may or may not be appended, but whole.
    pub fn append(&self, item: &C::Input) -> Append<'_, C, Seq> {
        self.append_encoded(|codec, batch| batch.push_with(|out| codec.encode(item, out)))
    }

    /// Appends entries together: all of them get into the log, or none. Answers with their names, in order.
    ///
    /// # Errors
    /// As [`append`](Flume::append).
    ///
    /// # Cancel safety
    /// As [`append`](Flume::append).
    pub fn append_all<T: Borrow<C::Input>>(&self, items: impl IntoIterator<Item = T>) -> Append<'_, C, Vec<Seq>> {
        self.append_encoded(|codec, batch| {
            items.into_iter().try_for_each(|item| batch.push_with(|out| codec.encode(item.borrow(), out)))
        })
    }

    fn append_encoded<O: Answer>(&self, encode: impl FnOnce(&C, &mut Batch) -> Result<()>) -> Append<'_, C, O> {
        let Source { log, codec, .. } = &self.0.source;
        let mut batch = Batch::new();
        let encoded = encode(codec, &mut batch);
        Append::new(&**log, codec, encoded.map(|()| batch), self.0.settings.condition_limit)
    }

    /// The entry `seq`.
    ///
    /// # Errors
    /// `NotFound` if no entry has this name, `Deleted`, `Corrupt`; `Invalid` if the codec cannot read it.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub fn get(&self, seq: Seq) -> Get<'_, C> {
        Get::new(&*self.0.source.log, &self.0.source.codec, seq)
    }

    /// The entries within `bounds` that the log has now. Bounds are filters: any number is legal.
    ///
    /// ```
    /// use flumedb::{Flume, Seq, codec::Utf8};
    /// let db = Flume::memory(Utf8)?;
    /// db.append_all(["a", "b", "c"]).blocking()?;
    /// let newest = db.scan(..).rev().limit(2).blocking().map(|entry| Ok(entry?.value));
    /// assert_eq!(newest.collect::<flumedb::Result<Vec<_>>>()?, ["c", "b"]);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn scan(&self, bounds: impl RangeBounds<Seq>) -> Scan<C> {
        Scan::new(self.0.source.clone(), Span::of(bounds))
    }

    /// History and then what comes, as one stream.
    ///
    /// ```
    /// use flumedb::{Flume, From, codec::Utf8};
    /// let db = Flume::memory(Utf8)?;
    /// db.append("before").blocking()?;
    /// let mut feed = db.subscribe(From::Start).blocking();
    /// assert_eq!(feed.next().unwrap()?.value, "before");
    /// db.append("after").blocking()?;
    /// assert_eq!(feed.next().unwrap()?.value, "after");
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn subscribe(&self, from: From<'_>) -> Subscription<C> {
        Subscription::new(self.0.source.clone(), from, self.0.closed.subscribe())
    }

    /// Says that the consumer `name` is done with everything up to `seq`: a subscription [`From::Stored`] goes on behind
    /// it. Until then it would begin with `seq` again, so that what it does for an entry happens at least once; for
    /// exactly once see [`Note::consumer`].
    ///
    /// # Errors
    /// As [`append`](Flume::append).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open whether the acknowledgement is stored.
    pub fn ack(&self, name: &str, seq: Seq) -> Append<'_, C, ()> {
        self.append_encoded(|_, _| Ok(())).note(Note::consumer(name, seq))
    }

    /// The note appended last under `name`.
    ///
    /// # Errors
    /// What the log says.
    pub fn note(&self, name: &str) -> Result<Option<Note>> {
        self.0.source.log.note(name)
    }

    /// Adds a view under a name of its own. It begins to follow the log at once; this returns when its store is open, and
    /// reads of it wait until it has caught up.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, views::Reduce};
    /// let db = Flume::memory(Utf8)?;
    /// let count = db.view("count", Reduce::new(1, 0, |count: &mut u64, _: &String| *count += 1)).await?;
    /// db.append("one more").await?;
    /// assert_eq!(*count.read().await?, 1);
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a name that is taken or cannot name a directory; `Corrupt` if the view's store covers entries that
    /// the log does not have any more, so that acknowledged entries were lost (or the log was restored from an older
    /// copy): [`accept_loss`](AddView::accept_loss) then rebuilds it; `Faulted`, `Io` or `StorageFull` if the store cannot
    /// be opened, `Locked` if another handle keeps its views in the same directory, `Closed`. The name is free again
    /// then.
    ///
    /// # Cancel safety
    /// A future dropped before its first poll adds nothing; later the view may go on, without a handle.
    pub fn view<'a, V: View<Item = C::Item>>(&'a self, name: &'a str, view: V) -> AddView<'a, C, V> {
        AddView::new(self, name, view)
    }

    /// Readers of several views at one and the same position: what was appended before the call is in all of them, and
    /// nothing is in one that is not in the others. Where some of them have passed over entries that were deleted since, it
    /// waits until all have come past those deletions.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, views::{Index, Reduce}};
    /// let db = Flume::memory(Utf8)?;
    /// let count = db.view("count", Reduce::new(1, 0, |count: &mut usize, _: &String| *count += 1)).await?;
    /// let texts = db.view("texts", Index::new(1, |text: &String| Some(text.clone()))).await?;
    /// db.append("one more").await?;
    /// let (count, texts) = db.read_all((&count, &texts)).await?;
    /// assert_eq!(*count, texts.all().count());
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Live::read`](crate::view::Live::read), of whichever view fails first; `Invalid` if the views are not of one
    /// database, or one is named twice.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub fn read_all<'a, L: LiveSet + Send + 'a>(&self, lives: L) -> Call<'a, Result<L::Readers>> {
        Call::new(lives.read_all())
    }

    /// Waits until every view has caught up with the log as it stands at this call.
    ///
    /// # Errors
    /// As [`Live::read`](crate::view::Live::read), of the first view that fails.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub fn wait_all(&self) -> Call<'_, Result<()>> {
        Call::new(self.0.host.wait_all())
    }

    /// How far each view has got, in the order they were added.
    pub fn progress(&self) -> Vec<(String, Progress)> {
        self.0.host.progress()
    }

    /// Answers reads of views from now on, if the database was built [`gated`](Builder::gated).
    pub fn open_gate(&self) {
        self.0.host.set_ready(true);
    }

    /// Has every view take entries in anew that read otherwise than they did, because the codec's mapping rests on more
    /// than their bytes: a key to decrypt them with has come, say. Ask after the change; one view alone is asked with
    /// [`Live::reprocess`](crate::view::Live::reprocess), which says more.
    ///
    /// ```
    /// use flumedb::{Error, ErrorKind, Flume, codec::{Codec, Utf8}, views::Index};
    /// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
    /// let (has_key, ours) = (Arc::<AtomicBool>::default(), Error::new(ErrorKind::Invalid, "no key to read it"));
    /// let key = has_key.clone();
    /// let codec = Utf8.map(1, move |text: String| match text.strip_prefix("secret ") {
    ///     Some(_) if !key.load(Ordering::SeqCst) => Err(ours.clone()),
    ///     Some(secret) => Ok(secret.to_owned()),
    ///     None => Ok(text),
    /// });
    /// let db = Flume::memory(codec)?;
    /// let words = db.view("words", Index::new(1, |text: &String| Some(text.clone()))).blocking()?;
    /// let seq = db.append("secret tide").blocking()?;
    /// assert_eq!(words.read().blocking()?.get("tide").count(), 0);
    ///
    /// has_key.store(true, Ordering::SeqCst);
    /// db.reprocess([seq]).blocking()?;
    /// assert_eq!(words.read().blocking()?.get("tide").count(), 1);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Live::reprocess`](crate::view::Live::reprocess), of the first view that fails; the others go on.
    ///
    /// # Cancel safety
    /// Dropping the future does not call it off once it was polled.
    pub fn reprocess(&self, seqs: impl IntoIterator<Item = Seq>) -> Call<'_, Result<()>> {
        let seqs: Vec<Seq> = seqs.into_iter().collect();
        Call::new(async move { self.0.host.reprocess(&seqs).await })
    }

    /// Holds what a view shows against what the log says: builds `fresh`, which must be the same view as `live`, anew beside
    /// it (as `NAME-verify`, removed afterwards) and shows `compare` readers of both at one and the same position, the
    /// one that is kept first. A view that is healthy shows the same as one that has just been built.
    ///
    /// ```
    /// use flumedb::{Env, Flume, codec::Utf8, views::Index};
    /// let db = Flume::builder(Utf8).env(Env::memory()).open("data").blocking()?;
    /// let index = || Index::new(1, |text: &String| Some(text.clone()));
    /// let texts = db.view("texts", index()).blocking()?;
    /// db.append("hello").blocking()?;
    /// let difference = db.verify_view(&texts, index(), |kept, fresh| kept.difference(fresh)).blocking()?;
    /// assert_eq!(difference, None);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` if `fresh` is another view, or this one is being verified already; as
    /// [`Live::read`](crate::view::Live::read) of both, and what `compare` says.
    ///
    /// # Cancel safety
    /// If the future is dropped, the view beside stays until the database is closed, and its store until the next call.
    pub fn verify_view<'a, V: View<Item = C::Item>, R: Send + 'a>(
        &'a self,
        live: &'a Live<V>,
        fresh: V,
        compare: impl FnOnce(&V::Reader, &V::Reader) -> Result<R> + Send + 'a,
    ) -> Call<'a, Result<R>> {
        Call::new(self.0.host.verify(live, fresh, compare))
    }

    /// Removes the stores that the views here have left behind under older definitions, and names them. An older program
    /// would have to build them again.
    ///
    /// # Errors
    /// `Io`.
    pub fn prune_views(&self) -> Result<Vec<String>> {
        self.0.host.prune()
    }

    /// Deletes entries: once this returns they cannot be read any more. Those already deleted are passed over.
    ///
    /// ```
    /// use flumedb::{ErrorKind, Flume, codec::Utf8};
    /// let db = Flume::memory(Utf8)?;
    /// let seq = db.append("a secret").blocking()?;
    /// db.delete([seq]).blocking()?;
    /// assert_eq!(db.get(seq).blocking().unwrap_err().kind(), ErrorKind::Deleted);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound` if a number is no entry's; then nothing is deleted. Otherwise as [`append`](Flume::append).
    ///
    /// # Cancel safety
    /// A future dropped before its first poll deletes nothing. Later all of them may or may not be deleted.
    pub fn delete(&self, seqs: impl IntoIterator<Item = Seq>) -> Call<'_, Result<()>> {
        let seqs: Vec<Seq> = seqs.into_iter().collect();
        Call::new(async move { self.0.source.log.delete(&seqs).await })
    }

    /// Erases what was deleted: its bytes leave the disk, the names of all entries stay, and so do views. What was deleted
    /// before this call is in no file of the log when it returns, apart from what a repair or a recovery has kept
    /// ([`Compacted::bytes_aside`]) and from backups. It happens [in the background](crate::log::Compaction) too, once there
    /// is enough.
    ///
    /// Waits for views to come past the deletions first, up to a [time](crate::log::Compaction::patience): a view that has
    /// not taken back an entry whose bytes are gone may have to be built anew.
    ///
    /// ```
    /// # use flumedb::{Env, Flume, codec::Utf8};
    /// let db = Flume::builder(Utf8).env(Env::memory()).set(|settings| settings.log.segment_bytes = 4096).open("db").blocking()?;
    /// let seq = db.append(&"a secret".repeat(500)).blocking()?;
    /// db.append("the next segment begins").blocking()?;
    /// db.append(&"more".repeat(500)).blocking()?;
    /// db.delete([seq]).blocking()?;
    /// let done = db.compact().blocking()?;
    /// assert_eq!((done.erased, done.dropped), (1, 1));
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Log::compact`].
    ///
    /// # Cancel safety
    /// Dropping the future does not call it off once it was polled.
    pub fn compact(&self) -> Call<'_, Result<Compacted>> {
        Call::new(self.0.source.log.compact())
    }

    /// Retention: drops what is before an entry, or older than an age, as far as it fills whole segments of the log; the
    /// [segment's length](crate::log::LogSettings::segment_bytes) is the grain. What is dropped is deleted like anything
    /// else, so that views take it back and say what they would say if they were built anew from what is left; then it is
    /// [erased](Flume::compact), and the log [begins](Flume::first) behind it. A view that cannot take entries back is built
    /// anew each time: keep segments large, and call this seldom, where there are such views.
    ///
    /// ```
    /// # use flumedb::{Env, Flume, Seq, codec::Utf8, log::Before};
    /// let db = Flume::builder(Utf8).env(Env::memory()).set(|settings| settings.log.segment_bytes = 4096).open("db").blocking()?;
    /// for number in 0..100 {
    ///     db.append(&format!("{number} {}", "x".repeat(1000))).blocking()?;
    /// }
    /// db.drop_before(Before::Seq(Seq::new(50))).blocking()?;
    /// let first = db.first().unwrap().get();
    /// assert!(first > 40 && first <= 50);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`delete`](Flume::delete) and [`compact`](Flume::compact).
    ///
    /// # Cancel safety
    /// Dropping the future leaves it half done: the oldest entries are deleted, others not yet.
    pub fn drop_before(&self, before: Before) -> Call<'_, Result<Compacted>> {
        Call::new(self.0.source.log.drop_before(before))
    }

    /// The oldest number that the log still holds; what was before has been deleted and is gone.
    pub fn first(&self) -> Option<Seq> {
        self.0.source.log.first()
    }

    /// The newest entry (or tombstone) that can be read; `None` in an empty log.
    pub fn head(&self) -> Option<Seq> {
        *self.0.source.log.head().borrow()
    }

    /// The head and its changes, to wait for.
    pub fn head_changes(&self) -> watch::Receiver<Option<Seq>> {
        self.0.source.log.head()
    }

    /// The head as it stands now, wherever it is kept: also what another process has just appended.
    ///
    /// # Errors
    /// What the log says.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub fn barrier(&self) -> Call<'_, Result<Option<Seq>>> {
        Call::new(self.0.source.log.barrier())
    }

    /// Waits until everything appended so far is on the disk, `.buffered()` or not.
    ///
    /// # Errors
    /// `Poisoned`, `StorageFull`, `Io`, `Closed`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect; the sync may still happen.
    pub fn sync(&self) -> Call<'_, Result<()>> {
        Call::new(self.0.source.log.sync(None))
    }

    /// A few numbers about the log.
    ///
    /// # Errors
    /// What the log says.
    pub fn stat(&self) -> Result<LogStat> {
        self.0.source.log.stat()
    }

    /// Backs the log up to the directory `to`, while everything goes on: all that was appended before this call, and maybe
    /// more. A second call to the same directory takes only what is new. Views are not in it: they are built from the log.
    /// [`SegmentedLog::backup_at`](crate::log::SegmentedLog::backup_at) does the same without an open database and says
    /// more, [`verify`](crate::log::SegmentedLog::verify) and [`restore`](crate::log::SegmentedLog::restore) go with it.
    ///
    /// ```
    /// use flumedb::{Env, Flume, codec::Utf8, log::{SegmentedLog, Sharing}};
    /// let env = Env::memory();
    /// let db = Flume::builder(Utf8).env(env.clone()).open("data").blocking()?;
    /// let seq = db.append("hello").blocking()?;
    /// let done = db.backup("backup", Sharing::Share).blocking()?;
    /// assert_eq!(done.head, Some(seq));
    /// assert!(SegmentedLog::verify(&env, "backup".as_ref())?.report.is_ok());
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SegmentedLog::backup_at`](crate::log::SegmentedLog::backup_at); `Unsupported` if the log is no directory of
    /// files; `Poisoned`, `Closed`.
    ///
    /// # Cancel safety
    /// Dropping the future ends it; an earlier backup there is as it was, and the next call goes on.
    pub fn backup(&self, to: impl AsRef<Path>, sharing: Sharing) -> Call<'_, Result<BackedUp>> {
        let to = to.as_ref().to_owned();
        Call::new(async move { self.0.source.log.backup(&to, sharing).await })
    }

    /// Checks every byte of the log's files in the background, reading about so many bytes a second, while everything goes
    /// on. `on_damage` is told of each damaged place when it is found; awaiting the answer gives the whole report, and
    /// dropping it ends the check. What the system has in memory it takes for what is on the disk.
    ///
    /// # Errors
    /// `Unsupported` if the log is no directory of files, `Closed`, `Io`.
    pub fn scrub(&self, bytes_per_second: u64, on_damage: impl FnMut(&Damage) + Send + 'static) -> Result<Scrub> {
        self.0.source.log.scrub(bytes_per_second, Box::new(on_damage))
    }

    /// What opening dropped after an unclean stop: bytes above everything that was ever vouched for.
    pub fn recovery(&self) -> Option<Recovery> {
        self.0.source.log.recovery()
    }

    /// The machine that it runs on.
    pub(crate) fn env(&self) -> &Env {
        self.0.host.env()
    }

    /// The log.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.0.source.log
    }

    /// What runs the views.
    pub(crate) fn host(&self) -> &Host<C::Item> {
        &self.0.host
    }

    /// Ends the database, for all its handles: makes durable what was appended and what views have taken in, ends what
    /// waits with `Closed`, stops the threads, frees the lock.
    ///
    /// # Errors
    /// What could not be made durable: `Poisoned`, `StorageFull`, `Io`. It is closed all the same.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the database closing; calling this again, or dropping the last handle, completes it.
    pub fn close(&self) -> Call<'_, Result<()>> {
        Call::new(self.0.close())
    }
}

impl<C: Codec> Shared<C> {
    async fn close(&self) -> Result<()> {
        self.closed.send_replace(true);
        // The views first: they make the log durable before they store what they have taken in.
        let views = self.host.close().await;
        self.source.log.close().await.and(views)
    }
}
