//! [`Ask`], a query that is about to be asked.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use futures_util::{StreamExt, stream};

use super::{
    Explain, Query,
    rows::{self, EntryStream, Rows, give_way},
};
use crate::{
    Blocking, Call, Entry, Error, ErrorKind, From, Result, Seq,
    codec::{Codec, Document},
    mfr::{Pipeline, Row, Running},
};

/// What [`Query::ask`] makes: say how, then take the [`rows`](Ask::rows), [`follow`](Ask::follow) them, or have it
/// [`explain`](Ask::explain)ed.
#[must_use = "nothing is asked until its rows are taken"]
pub struct Ask<C: Codec>
where
    C::Item: Document,
{
    set: Query<C>,
    query: Pipeline,
    reverse: bool,
    limit: Option<u64>,
    freshness: Freshness,
    timeout: Option<Duration>,
    old: bool,
}

#[derive(Clone, Copy)]
enum Freshness {
    Fresh,
    Stale,
    At(Seq),
}

/// What [`Ask::follow`] tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Told {
    /// A row.
    Row(Row),
    /// What there was at the beginning has been told; what follows is new. Once.
    CaughtUp,
}

impl<C: Codec> Ask<C>
where
    C::Item: Document,
{
    pub(super) fn new(set: Query<C>, query: Pipeline) -> Self {
        let freshness = Freshness::Fresh;
        Self { set, query, reverse: false, limit: None, freshness, timeout: None, old: true }
    }

    /// From the end of the index, or from the newest entry, back.
    pub fn reverse(self) -> Self {
        Self { reverse: true, ..self }
    }

    /// At most so many rows come out of the last stage.
    pub fn limit(self, rows: u64) -> Self {
        Self { limit: Some(rows), ..self }
    }

    /// What is there at once, and not only when the index has caught up with the log.
    pub fn stale(self) -> Self {
        Self { freshness: Freshness::Stale, ..self }
    }

    /// At least as far as `seq`, which may be beyond the head, and not as far as the log goes now.
    pub fn at(self, seq: Seq) -> Self {
        Self { freshness: Freshness::At(seq), ..self }
    }

    /// Gives up waiting for the index with `TimedOut` after so long.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// For [`follow`](Ask::follow): only what comes from now on.
    pub fn only_new(self) -> Self {
        Self { old: false, ..self }
    }

    /// The rows: in the order of the index that was chosen, or of the log if none fits.
    ///
    /// # Errors
    /// The stream's first item is an error if the index cannot be read: as [`Live::read`](crate::view::Live::read).
    pub fn rows(self) -> Rows {
        let start = async move {
            match self.source().await {
                Ok((entries, _)) => Rows::new(entries, &self.query, self.limit),
                Err(error) => Rows::boxed(stream::iter([Err(error)])),
            }
        };
        Rows::boxed(stream::once(start).flatten())
    }

    /// The rows, then [`Told::CaughtUp`], then those of entries that are appended, in the order of the log. Nothing is
    /// lost or told twice where the two meet. The stream ends when the database is closed, with the error that says so, or
    /// after [`limit`](Ask::limit) rows.
    ///
    /// # Errors
    /// As [`rows`](Ask::rows), and `Invalid` for a query with `$reduce` or `$sort`, which never would end.
    pub fn follow(self) -> Followed {
        let start = async move {
            match self.follower().await {
                Ok(follower) => stream::unfold(follower, |mut follower| async {
                    let told = follower.next().await?;
                    Some((told, follower))
                })
                .boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        Followed(stream::once(start).flatten().boxed())
    }

    /// The entries that are looked at, in order, without looking at them: all that the index leads to, or that the log has.
    ///
    /// # Errors
    /// As [`Live::read`](crate::view::Live::read), and what the store and the log say.
    pub fn candidates(self) -> Call<'static, Result<Vec<Seq>>> {
        Call::new(async move {
            if let Some(chosen) = self.set.chosen(&self.query) {
                let reader = self.reader(chosen).await?;
                if let Some(plan) = reader.plan(&self.query) {
                    return reader.found(&plan, self.query.compat(), self.reverse).collect();
                }
            }
            let (mut entries, _) = self.source().await?;
            let mut seqs = Vec::new();
            while let Some(entry) = entries.next().await {
                match entry {
                    Ok(entry) => seqs.push(entry.seq),
                    Err(error) if error.kind() == ErrorKind::Invalid => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(seqs)
        })
    }

    /// Which index is chosen, which part of it is looked at, how many rows that are, and what is tested afterwards. Costs
    /// a look at each of them, but reads no entry.
    ///
    /// # Errors
    /// As [`Live::read`](crate::view::Live::read).
    pub fn explain(self) -> Call<'static, Result<Explain>> {
        Call::new(async move {
            let scores = self.set.scores(&self.query);
            let Some(chosen) = self.set.chosen(&self.query) else {
                return Ok(Explain {
                    index: None,
                    ranges: Vec::new(),
                    reverse: self.reverse,
                    rows: self.set.count().await?,
                    filtered: self.query.shown_tests(),
                    scores,
                });
            };
            let explained = self.reader(chosen).await?.explain(&self.query, self.reverse)?;
            let unfit = || Error::new(ErrorKind::Invalid, "the index does not fit the query");
            Ok(Explain { scores, ..explained.ok_or_else(unfit)? })
        })
    }

    /// The entries to look at, and the newest one that they may have among them.
    async fn source(&self) -> Result<(EntryStream<C::Item>, Option<Seq>)> {
        if let Some(chosen) = self.set.chosen(&self.query) {
            let reader = self.reader(chosen).await?;
            if let Some(plan) = reader.plan(&self.query) {
                let found = reader.found(&plan, self.query.compat(), self.reverse);
                return Ok((rows::entries(found, reader.entries.clone()), reader.since()));
            }
        }
        let db = &self.set.db;
        let head = match self.freshness {
            Freshness::Fresh => db.barrier().await?,
            Freshness::Stale => db.head(),
            Freshness::At(seq) => {
                let mut changes = db.head_changes();
                let reached = changes.wait_for(|head| head.is_some_and(|head| head >= seq)).await;
                *reached.map_err(|_| Error::closed())?
            }
        };
        let Some(head) = head else { return Ok((stream::empty().boxed(), None)) };
        let scan = db.scan(..=head);
        Ok((if self.reverse { scan.rev() } else { scan }.boxed(), Some(head)))
    }

    async fn reader(&self, chosen: usize) -> Result<super::QueryReader<C::Item>> {
        let live = self.set.live(chosen)?;
        let read = match self.freshness {
            Freshness::Fresh => live.read(),
            Freshness::Stale => match live.read_stale() {
                Some(reader) => return Ok(reader),
                None => live.read(),
            },
            Freshness::At(seq) => live.read_at(seq),
        };
        match self.timeout {
            Some(timeout) => read.timeout(timeout).await,
            None => read.await,
        }
    }

    async fn follower(self) -> Result<Follower<C::Item>> {
        if !self.query.is_streaming() {
            let message =
                "a query with $reduce or $sort cannot be followed: it gives rows at its end, and there is none";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let (old, since) = if self.old {
            let (entries, since) = self.source().await?;
            (Some(entries), since)
        } else {
            (None, self.set.db.barrier().await?)
        };
        let new = self.set.db.subscribe(since.map_or(From::Start, From::After)).boxed();
        let (running, left) = (self.query.start(), self.limit.unwrap_or(u64::MAX));
        Ok(Follower { old, new, running, left, caught_up: false, turn: 0 })
    }
}

/// What [`Ask::follow`] makes: an endless stream.
///
/// # Cancel safety
/// Waiting for an item can be given up at any time; nothing is lost.
#[must_use = "nothing is read until it is polled"]
pub struct Followed(Pin<Box<dyn Stream<Item = Result<Told>> + Send>>);

impl Followed {
    /// What is told next; `None` at the end. What `StreamExt::next` does, without the import.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Told>> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }

    /// The same as an iterator that blocks the thread.
    pub fn blocking(self) -> Blocking<Self> {
        Blocking(self)
    }
}

impl Stream for Followed {
    type Item = Result<Told>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

struct Follower<T> {
    /// What was there, as far as it has not been looked at.
    old: Option<EntryStream<T>>,
    new: EntryStream<T>,
    running: Running,
    left: u64,
    caught_up: bool,
    turn: u32,
}

impl<T: Document> Follower<T> {
    async fn next(&mut self) -> Option<Result<Told>> {
        while self.left > 0 {
            give_way(&mut self.turn).await;
            let entry = match &mut self.old {
                Some(old) => match old.next().await {
                    Some(entry) => entry,
                    None => {
                        self.old = None;
                        continue;
                    }
                },
                None if !self.caught_up => {
                    self.caught_up = true;
                    return Some(Ok(Told::CaughtUp));
                }
                None => self.new.next().await?,
            };
            match entry.and_then(|Entry { seq, value }| self.running.push(Some(seq), &value)) {
                Ok(Some(row)) => {
                    self.left -= 1;
                    return Some(Ok(Told::Row(row)));
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Invalid && error.seq().is_some() => {}
                Err(error) => {
                    if error.seq().is_none() {
                        self.left = 0;
                    }
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
