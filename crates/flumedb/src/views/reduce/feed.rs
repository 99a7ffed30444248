//! [`Feed`], what a replica elsewhere needs to follow a [`Reduce`]: the state once, then each item that is folded in.

use std::{
    collections::VecDeque,
    future::{Future, pending, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Fold, Reduce, Reduced};
use crate::{
    Result, Seq, Span,
    log::{ReadRequest, SlotKind},
    view::Live,
};

/// What a [`Feed`] tells, in this order; a [`Replica`](super::Replica) takes it. Written by serde, it may travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Told<S, M> {
    /// The whole state. First of all, and again whenever it has changed otherwise than by a new item: an entry was
    /// deleted, or reads otherwise now, or the view was built anew.
    Snapshot {
        /// The newest entry that is in it.
        since: Option<Seq>,
        /// The state.
        state: S,
    },
    /// The next item that was folded in.
    Item {
        /// The entry that it comes from.
        seq: Seq,
        /// The item: the entry itself, or what it was mapped to.
        item: M,
    },
    /// What came since the last item, up to this entry, was skipped by the map, or does not decode.
    Skipped {
        /// The newest entry that is covered.
        since: Seq,
    },
}

/// What [`Live::feed`] makes: a stream that goes on until the database is closed.
pub struct Feed<S, M>(Pin<Box<dyn Stream<Item = Result<Told<S, M>>> + Send>>);

impl<S, M> Feed<S, M> {
    /// What is told next; `None` after the error that ended the stream. What `StreamExt::next` does, without the import.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Told<S, M>>> {
        poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }
}

impl<S, M> Stream for Feed<S, M> {
    type Item = Result<Told<S, M>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T, S, F> Live<Reduce<T, S, F>>
where
    T: Send + Sync + 'static,
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fold<T, S>,
{
    /// The state as a fresh read gives it, once; then every item that is folded in, in the order of the log. A
    /// [`Replica`](super::Replica) that takes what is told, in another process say, has after each of them the state that
    /// the view had at that entry. Nothing is lost or told twice where the two meet.
    ///
    /// A deletion is told as a new snapshot, and so is whatever else changes the state otherwise than by a new item. A
    /// feed that is not read costs nothing and holds nothing back: it reads the log when it is asked for more.
    ///
    /// The stream ends with the error that ended it: `Closed`, or why the view stopped.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, views::{Reduce, reduce::Replica}};
    /// let db = Flume::memory(Utf8)?;
    /// let words = |sum: &mut usize, text: &String| *sum += text.split(' ').count();
    /// let view = db.view("words", Reduce::new(1, 0, words)).await?;
    /// db.append("the tide").await?;
    ///
    /// let mut replica = Replica::new(move |sum: &mut usize, text: &String, _| words(sum, text));
    /// let mut feed = view.feed();
    /// while replica.state() != Some(&5) {
    ///     let told = feed.next().await.expect("it goes on")?; // send it somewhere
    ///     replica.take(told)?;
    ///     if replica.state() == Some(&2) {
    ///         db.append("comes in again").await?;
    ///     }
    /// }
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    pub fn feed(&self) -> Feed<S, F::Item> {
        let follower = Follower { live: self.clone(), told_to: None, told: VecDeque::new() };
        Feed(Box::pin(stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Ok(told) => Some((Ok(told), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        })))
    }
}

struct Follower<T, S, F>
where
    T: Send + Sync + 'static,
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fold<T, S>,
{
    live: Live<Reduce<T, S, F>>,
    told_to: Option<ToldTo>,
    /// What comes next, of one chunk of the log.
    told: VecDeque<Told<S, F::Item>>,
}

/// How far the replica is.
struct ToldTo {
    epoch: u64,
    /// The next number to tell.
    next: u64,
}

impl<T, S, F> Follower<T, S, F>
where
    T: Send + Sync + 'static,
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fold<T, S>,
{
    async fn next(&mut self) -> Result<Told<S, F::Item>> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Ok(told);
            }
            let Some(ToldTo { epoch, next }) = self.told_to else {
                let reader = self.live.read().await?;
                return Ok(self.snapshot(&reader));
            };
            let reader = news(&self.live, epoch, next).await?;
            if reader.epoch != epoch || !self.tell(&reader, next).await? {
                return Ok(self.snapshot(&reader));
            }
        }
    }

    fn snapshot(&mut self, reader: &Reduced<S, F::Map>) -> Told<S, F::Item> {
        let next = reader.since.map_or(0, |since| since.get().saturating_add(1));
        self.told_to = Some(ToldTo { epoch: reader.epoch, next });
        Told::Snapshot { since: reader.since, state: S::clone(&reader.state) }
    }

    /// Tells some of the entries from `next` on that `reader` covers, unless something was deleted among them: the log
    /// does not have it any more, and the state of `reader` may have it still.
    async fn tell(&mut self, reader: &Reduced<S, F::Map>, next: u64) -> Result<bool> {
        let entries = self.live.entries();
        let to = reader.since.map_or(0, |since| since.get().saturating_add(1));
        let chunk = entries.log().read(ReadRequest::forwards(Span { from: next, to })).await?;
        if chunk.slots.iter().any(|slot| slot.kind != SlotKind::Entry) {
            return Ok(false);
        }
        let mut told = VecDeque::with_capacity(chunk.slots.len());
        for slot in &chunk.slots {
            let item = entries.decode(&chunk.payload_bytes(slot)).ok();
            told.extend(
                item.and_then(|item| F::told(&reader.map, item)).map(|item| Told::Item { seq: slot.seq, item }),
            );
        }
        let last = chunk.slots.last().map(|slot| slot.seq);
        let last_told = told.back().and_then(|told| if let Told::Item { seq, .. } = told { Some(*seq) } else { None });
        told.extend(last.filter(|last| last_told.is_none_or(|seq| seq < *last)).map(|since| Told::Skipped { since }));
        self.told = told;
        self.told_to = Some(ToldTo { epoch: reader.epoch, next: chunk.covered.to.min(to).max(next) });
        Ok(true)
    }
}

/// A reader that shows an entry at or after `next`, or a state that has changed otherwise since `epoch`.
async fn news<T, S, F>(live: &Live<Reduce<T, S, F>>, epoch: u64, next: u64) -> Result<Reduced<S, F::Map>>
where
    T: Send + Sync + 'static,
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fold<T, S>,
{
    let mut watch = live.watch();
    let mut entry = pin!(live.read_with_entry_at(next));
    let mut other = pin!(async {
        while live.read_stale().is_none_or(|reader| reader.epoch == epoch) {
            if watch.changed().await.is_err() {
                // Then the view is gone, and `entry` says so.
                return pending().await;
            }
        }
    });
    let found = poll_fn(|cx| match entry.as_mut().poll(cx) {
        Poll::Pending => other.as_mut().poll(cx).map(|()| None),
        Poll::Ready(found) => Poll::Ready(Some(found)),
    });
    match found.await {
        Some(found) => found,
        None => live.read().await,
    }
}
