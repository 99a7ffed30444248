//! [`Follow`], what a query finds now and from now on, in one stream.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;

use super::{Matches, Plan, Query, eval::Eval, walk::Walk};
use crate::{
    Entry, ErrorKind, Result, Seq,
    codec::{Codec, Document},
    view::LiveSet,
};

/// What [`Query::follow`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// An entry that the query is true of.
    Match(Seq),
    /// All that was there at the beginning has been told; what follows is new. Once.
    CaughtUp,
}

/// What [`Query::follow`] makes: a stream that goes on until the database is closed, and ends with the error that ended it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, Seq, codec::JsonDocs, views::{Bitmaps, Op, bitmaps::Told}};
/// let db = Flume::memory(JsonDocs)?;
/// db.append(r#"{"tag":"tide"}"#).await?;
/// let mut tides = Bitmaps::new(&db).query(Op::equal("tag", "tide")).follow(true);
/// assert_eq!(tides.next().await.unwrap()?, Told::Match(Seq::new(0)));
/// assert_eq!(tides.next().await.unwrap()?, Told::CaughtUp);
/// db.append_all([r#"{"tag":"ebb"}"#, r#"{"tag":"tide"}"#]).await?;
/// assert_eq!(tides.next().await.unwrap()?, Told::Match(Seq::new(2)));
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct Follow<C: Codec> {
    told: Pin<Box<dyn Stream<Item = Result<Told>> + Send>>,
    query: Query<C>,
}

impl<C: Codec<Item: Document>> Follow<C> {
    pub(super) fn new(query: Query<C>, old: bool) -> Self {
        let follower = Follower { query: query.clone(), stage: Stage::Start { old } };
        let told = stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Ok(told) => Some((Ok(told), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Self { told: Box::pin(told), query }
    }

    /// What is found next; `None` after the error that ended it.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Told>> {
        std::future::poll_fn(|cx| self.told.as_mut().poll_next(cx)).await
    }

    /// The entries with their values, without the mark. Those that are deleted before they are told are passed over.
    pub fn entries(self) -> Pin<Box<dyn Stream<Item = Result<Entry<C::Item>>> + Send>> {
        Box::pin(stream::unfold(self, |mut follow| async move {
            loop {
                let seq = match follow.next().await? {
                    Ok(Told::Match(seq)) => seq,
                    Ok(Told::CaughtUp) => continue,
                    Err(error) => return Some((Err(error), follow)),
                };
                let got = follow.query.parts().0.db.get(seq).await;
                match got {
                    Ok(value) => return Some((Ok(Entry { seq, value }), follow)),
                    Err(error) if error.kind() == ErrorKind::Deleted => {}
                    Err(error) => return Some((Err(error), follow)),
                }
            }
        }))
    }
}

impl<C: Codec> Stream for Follow<C> {
    type Item = Result<Told>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Told>>> {
        self.told.as_mut().poll_next(cx)
    }
}

struct Follower<C: Codec> {
    query: Query<C>,
    stage: Stage<C::Item>,
}

enum Stage<T> {
    Start {
        old: bool,
    },
    /// What there was is being told; what comes after it begins at `next`.
    Old {
        matches: Option<Matches<T>>,
        next: u64,
    },
    /// The log has been looked through up to `next`.
    New {
        next: u64,
        walk: Option<(Eval<T>, Walk)>,
    },
}

impl<C: Codec<Item: Document>> Follower<C> {
    async fn next(&mut self) -> Result<Told> {
        loop {
            match &mut self.stage {
                Stage::Start { old } => {
                    let matches = self.query.run().await?;
                    let next = matches.since().map_or(0, |since| since.get().saturating_add(1));
                    self.stage = Stage::Old { matches: old.then_some(matches), next };
                }
                Stage::Old { matches, next } => {
                    if let Some(matches) = matches
                        && let Some(seq) = matches.next().await
                    {
                        return seq.map(Told::Match);
                    }
                    self.stage = Stage::New { next: *next, walk: None };
                    return Ok(Told::CaughtUp);
                }
                Stage::New { walk: Some((eval, current)), next } => match current.next(eval).await? {
                    Some(seq) => return Ok(Told::Match(Seq::new(seq))),
                    None => self.stage = Stage::New { next: *next, walk: None },
                },
                Stage::New { next, walk } => {
                    let (bitmaps, op) = self.query.parts();
                    let Plan { node, views, .. } = bitmaps.plan(op, None).await?;
                    if let Some(view) = views.first() {
                        view.read_with_entry_at(*next).await?;
                    }
                    let eval = Eval { node: Arc::new(node), readers: views.as_slice().read_all().await?, ever: false };
                    let (from, to) = (*next, eval.end());
                    let looks = eval.node.checks();
                    (*next, *walk) = (to.max(from), Some((eval, Walk::new(from, to, false, looks))));
                }
            }
        }
    }
}
