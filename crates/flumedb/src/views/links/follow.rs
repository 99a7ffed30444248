//! [`FollowLinks`], the links that are asked for now and from now on, in one stream.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;

use super::{Find, LinkRow, LinkRows, Links, LinksReader, find::Asked, pending::distinct};
use crate::{
    Result, Seq, Span,
    log::{ReadRequest, SlotKind},
    view::Live,
};

/// What [`Live::follow_links`] yields.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FoundLink {
    /// A link that was asked for.
    Row(LinkRow),
    /// All that there was at the beginning has been told; what follows is new. Once.
    CaughtUp,
}

/// What [`Live::follow_links`] makes: a stream that goes on until the database is closed, or as many rows were told as were
/// asked for.
pub struct FollowLinks(Pin<Box<dyn Stream<Item = Result<FoundLink>> + Send>>);

impl FollowLinks {
    /// What is found next; `None` after the error that ended the stream. What `StreamExt::next` does, without the import.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<FoundLink>> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }
}

impl Stream for FollowLinks {
    type Item = Result<FoundLink>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T: Send + Sync + 'static> Live<Links<T>> {
    /// The links that `find` asks for in a fresh reader, in its order; then [`FoundLink::CaughtUp`]; then those of entries
    /// that are appended, in the order of the log. Nothing is lost or told twice where the two meet. Entries that read
    /// otherwise later are not told again. A limit counts rows, old and new.
    ///
    /// What was deleted before it was read is passed over: in the view when the first item is asked for, in the log a chunk at a
    /// time. What is deleted after that is told still.
    ///
    /// The stream ends with the error that ended it: `Closed`, or why the view stopped.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, views::{Link, Links, links::FoundLink}};
    /// let db = Flume::memory(Utf8)?;
    /// let links = Links::new(1, |line: &String| line.split_once(' ').map(|(who, what)| Link::new(who, "has", what)));
    /// let links = db.view("links", links).await?;
    /// db.append("ann cat").await?;
    ///
    /// let mut of_ann = links.follow_links(|reader| reader.from("ann"));
    /// assert!(matches!(of_ann.next().await, Some(Ok(FoundLink::Row(row))) if row.link.dest == "cat"));
    /// assert!(matches!(of_ann.next().await, Some(Ok(FoundLink::CaughtUp))));
    /// db.append_all(["bob dog", "ann hen"]).await?;
    /// assert!(matches!(of_ann.next().await, Some(Ok(FoundLink::Row(row))) if row.link.dest == "hen"));
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    pub fn follow_links(&self, find: impl FnOnce(&LinksReader<T>) -> Find<T> + Send + 'static) -> FollowLinks {
        let follower = Follower {
            live: self.clone(),
            stage: Stage::Start(Some(Box::new(find))),
            found: VecDeque::new(),
            left: None,
        };
        FollowLinks(Box::pin(stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Ok(found) => Some((Ok(found?), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        })))
    }
}

type Question<T> = Box<dyn FnOnce(&LinksReader<T>) -> Find<T> + Send>;

struct Follower<T: Send + Sync + 'static> {
    live: Live<Links<T>>,
    stage: Stage<T>,
    /// What was found and has not been told.
    found: VecDeque<LinkRow>,
    /// How many rows may still be told, once the old ones are.
    left: Option<u64>,
}

enum Stage<T> {
    /// Nothing has been asked; the question is taken when it is.
    Start(Option<Question<T>>),
    /// What a reader found is being told; what comes after it begins at `next`.
    Old { rows: LinkRows<T>, next: u64 },
    /// The log has been looked through up to `next`.
    New { asked: Asked, next: u64 },
}

impl<T: Send + Sync + 'static> Follower<T> {
    /// `None` when as many were told as were asked for.
    async fn next(&mut self) -> Result<Option<FoundLink>> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            if let Some(row) = self.found.pop_front() {
                self.left = self.left.map(|left| left - 1);
                return Ok(Some(FoundLink::Row(row)));
            }
            match &mut self.stage {
                Stage::Start(find) => {
                    let find = find.take();
                    let reader = self.live.read().await?;
                    let next = reader.since().map_or(0, |since| since.get().saturating_add(1));
                    let rows = find.map_or_else(|| reader.find(), |find| find(&reader)).into_iter();
                    self.stage = Stage::Old { rows, next };
                }
                Stage::Old { rows, next } => {
                    if let Some(row) = rows.next() {
                        return row.map(|row| Some(FoundLink::Row(row)));
                    }
                    let (asked, left) = rows.asked();
                    self.left = asked.limit.map(|_| left);
                    self.stage = Stage::New { asked: asked.clone(), next: *next };
                    return Ok(Some(FoundLink::CaughtUp));
                }
                Stage::New { asked, next } => {
                    let reader = self.live.read_at(Seq::new(*next)).await?;
                    let looked = look(&reader, asked, *next, &mut self.found).await?;
                    *next = if looked > *next {
                        looked
                    } else {
                        let reader = self.live.read_with_entry_at(*next).await?;
                        look(&reader, asked, *next, &mut self.found).await?
                    };
                }
            }
        }
    }
}

/// Looks through some of the entries from `next` on that `reader` covers; says where to go on.
async fn look<T: Send + Sync + 'static>(
    reader: &LinksReader<T>,
    asked: &Asked,
    next: u64,
    found: &mut VecDeque<LinkRow>,
) -> Result<u64> {
    let entries = reader.entries();
    let to = reader.since().map_or(0, |since| since.get().saturating_add(1));
    if to <= next {
        return Ok(next);
    }
    let chunk = entries.log().read(ReadRequest::forwards(Span { from: next, to })).await?;
    for slot in chunk.slots.iter().filter(|slot| slot.kind == SlotKind::Entry) {
        // One that does not decode says nothing; the view has passed it over as well.
        let Ok(item) = entries.decode(&chunk.payload_bytes(slot)) else { continue };
        let links = distinct((reader.links_of())(&item)).into_iter().filter(|link| asked.matches(link));
        found.extend(links.map(|link| LinkRow { seq: slot.seq, link }));
    }
    Ok(chunk.covered.to.min(to))
}
