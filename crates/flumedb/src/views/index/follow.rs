//! [`Follow`], what an index finds now and from now on, in one stream.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;

use super::{Index, IndexReader, Key, Match, Matches, matches::decode};
use crate::{
    Result, Seq, Span,
    log::{ReadRequest, SlotKind},
    view::Live,
    views::store::{
        Gathered,
        packs::{Within, is_within},
    },
};

/// What [`Live::follow`] yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found<K> {
    /// An entry with a key that was asked for.
    Match(Match<K>),
    /// All that the index held at the beginning has been told; what follows is new. Once.
    CaughtUp,
}

/// What [`Live::follow`] makes: a stream that goes on until the database is closed.
pub struct Follow<K>(Pin<Box<dyn Stream<Item = Result<Found<K>>> + Send>>);

impl<K> Follow<K> {
    /// What is found next; `None` after the error that ended the stream. What `StreamExt::next` does, without the
    /// import.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Found<K>>> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }
}

impl<K> Stream for Follow<K> {
    type Item = Result<Found<K>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T: Send + Sync + 'static, K: Key> Live<Index<T, K>> {
    /// What `query` finds in a fresh reader, in the order of the query; then [`Found::CaughtUp`]; then what is appended
    /// and has such keys, in the order of the log, when the index has taken it in. Nothing is lost or told twice where
    /// the two meet.
    ///
    /// What was deleted before it was read is passed over: in the index when the first item is asked for, in the log a chunk at a
    /// time. What is deleted after that is told still, since a look into the log for each match would cost more than the
    /// match; reading the entry then says `Deleted`.
    ///
    /// With a [`limit`](Matches::limit) it ends after so many, old and new together. Otherwise it ends with the error that ended
    /// it: `Closed`, or why the view stopped. An entry that is taken in anew is not told again.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, views::{Index, index::Found}};
    /// let db = Flume::memory(Utf8)?;
    /// let words = Index::new(1, |text: &String| text.split(' ').map(str::to_owned).collect::<Vec<_>>());
    /// let words = db.view("words", words).await?;
    /// db.append("the tide").await?;
    ///
    /// let mut tides = words.follow(|words| words.get("tide"));
    /// assert!(matches!(tides.next().await, Some(Ok(Found::Match(found))) if found.seq.get() == 0));
    /// assert!(matches!(tides.next().await, Some(Ok(Found::CaughtUp))));
    /// db.append_all(["high water", "ebb tide"]).await?;
    /// assert!(matches!(tides.next().await, Some(Ok(Found::Match(found))) if found.seq.get() == 2));
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    pub fn follow(&self, query: impl FnOnce(&IndexReader<T, K>) -> Matches<T, K> + Send + 'static) -> Follow<K> {
        self.follow_from(query, true)
    }

    /// The same without what the index holds already: [`Found::CaughtUp`] comes first, and then what is appended after
    /// that and has keys that `query` asks for. Of the query only the bounds and the limit count.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, views::{Index, index::Found}};
    /// let db = Flume::memory(Utf8)?;
    /// let lines = db.view("lines", Index::new(1, |line: &String| [line.clone()])).await?;
    /// db.append("tide").await?;
    ///
    /// let mut news = lines.follow_new(|lines| lines.prefix("t").limit(1));
    /// assert!(matches!(news.next().await, Some(Ok(Found::CaughtUp))));
    /// db.append_all(["moon", "tea"]).await?;
    /// assert!(matches!(news.next().await, Some(Ok(Found::Match(found))) if found.key == "tea"));
    /// assert!(news.next().await.is_none());
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    pub fn follow_new(&self, query: impl FnOnce(&IndexReader<T, K>) -> Matches<T, K> + Send + 'static) -> Follow<K> {
        self.follow_from(query, false)
    }

    fn follow_from(
        &self,
        query: impl FnOnce(&IndexReader<T, K>) -> Matches<T, K> + Send + 'static,
        old: bool,
    ) -> Follow<K> {
        let stage = Stage::Start { query: Some(Box::new(query)), old };
        let follower = Follower { live: self.clone(), stage, found: VecDeque::new(), left: usize::MAX };
        Follow(Box::pin(stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Ok(found) => found.map(|found| (Ok(found), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        })))
    }
}

type Query<T, K> = Box<dyn FnOnce(&IndexReader<T, K>) -> Matches<T, K> + Send>;

struct Follower<T: Send + Sync + 'static, K: Key> {
    live: Live<Index<T, K>>,
    stage: Stage<T, K>,
    /// What was found and has not been told.
    found: VecDeque<Match<K>>,
    /// How many more are to be told.
    left: usize,
}

enum Stage<T, K> {
    /// Nothing has been asked; the query is taken when it is. Whether what is old is told.
    Start { query: Option<Query<T, K>>, old: bool },
    /// What a reader found is being told; what comes after it begins at `next`.
    Old { matches: Matches<T, K>, next: u64 },
    /// The log has been looked through up to `next`.
    New { within: Within, next: u64 },
}

impl<T: Send + Sync + 'static, K: Key> Follower<T, K> {
    /// `None` when as many have been told as were asked for.
    async fn next(&mut self) -> Result<Option<Found<K>>> {
        loop {
            if self.left == 0 {
                return Ok(None);
            }
            if let Some(found) = self.found.pop_front() {
                self.left -= 1;
                return Ok(Some(Found::Match(found)));
            }
            match &mut self.stage {
                Stage::Start { query, old } => {
                    let (query, old) = (query.take(), *old);
                    let reader = self.live.read().await?;
                    let next = reader.since().map_or(0, |since| since.get().saturating_add(1));
                    let matches = query.map_or_else(|| reader.all(), |query| query(&reader));
                    self.left = matches.left();
                    let within = matches.within().clone();
                    self.stage = if old { Stage::Old { matches, next } } else { Stage::New { within, next } };
                    if !old {
                        return Ok(Some(Found::CaughtUp));
                    }
                }
                Stage::Old { matches, next } => {
                    if let Some(found) = matches.next() {
                        self.left -= 1;
                        return found.map(|found| Some(Found::Match(found)));
                    }
                    self.stage = Stage::New { within: matches.within().clone(), next: *next };
                    return Ok(Some(Found::CaughtUp));
                }
                Stage::New { within, next } => {
                    let reader = self.live.read_at(Seq::new(*next)).await?;
                    let looked = look(&reader, within, *next, &mut self.found).await?;
                    *next = if looked > *next {
                        looked
                    } else {
                        let reader = self.live.read_with_entry_at(*next).await?;
                        look(&reader, within, *next, &mut self.found).await?
                    };
                }
            }
        }
    }
}

/// Looks through some of the entries from `next` on that `reader` covers; says where to go on.
async fn look<T, K: Key>(
    reader: &IndexReader<T, K>,
    within: &Within,
    next: u64,
    found: &mut VecDeque<Match<K>>,
) -> Result<u64> {
    let (entries, keys) = reader.source();
    let to = reader.since().map_or(0, |since| since.get().saturating_add(1));
    if to <= next {
        return Ok(next);
    }
    let chunk = entries.log().read(ReadRequest::forwards(Span { from: next, to })).await?;
    let mut rows = Gathered::default();
    for slot in chunk.slots.iter().filter(|slot| slot.kind == SlotKind::Entry) {
        // One that does not decode has no keys; the view has passed it over as well.
        let Ok(item) = entries.decode(&chunk.payload_bytes(slot)) else { continue };
        keys(&item, slot.seq, &mut rows);
        let wanted = rows.sorted().filter(|(row, _)| is_within(row, within));
        found.extend(wanted.filter_map(|(row, _)| decode(row)));
        rows.clear();
    }
    Ok(chunk.covered.to.min(to))
}
