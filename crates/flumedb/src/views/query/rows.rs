//! [`Rows`], what a query finds, one row after another.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::{StreamExt, stream};

use crate::{
    Blocking, Entry, ErrorKind, Result, Seq,
    codec::Document,
    mfr::{Finish, Pipeline, Row, Running},
    view::Entries,
};

/// So many entries are looked at before others may have a turn.
const TURN: u32 = 128;

/// What a query finds: a stream of rows. An entry that cannot be read is an `Err` that names it, and the stream goes on
/// behind it; any other error ends it. Entries that do not decode are passed over, as views do.
///
/// # Cancel safety
/// Waiting for a row can be given up at any time, and the stream dropped; nothing is lost.
#[must_use = "nothing is read until it is polled"]
pub struct Rows(Pin<Box<dyn Stream<Item = Result<Row>> + Send>>);

impl Rows {
    pub(super) fn new<T: Document + Send + Sync + 'static>(
        entries: EntryStream<T>,
        query: &Pipeline,
        limit: Option<u64>,
    ) -> Self {
        let state = Walk { entries, stage: Stage::Looking(query.start()), left: limit.unwrap_or(u64::MAX), turn: 0 };
        Self(Box::pin(stream::unfold(state, |mut state| async {
            let row = state.next().await?;
            Some((row, state))
        })))
    }

    pub(super) fn boxed(rows: impl Stream<Item = Result<Row>> + Send + 'static) -> Self {
        Self(Box::pin(rows))
    }

    /// The next row; `None` at the end. What `StreamExt::next` does, without the import.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Row>> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }

    /// The same as an iterator that blocks the thread.
    pub fn blocking(self) -> Blocking<Self> {
        Blocking(self)
    }
}

impl Stream for Rows {
    type Item = Result<Row>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

pub(super) type EntryStream<T> = Pin<Box<dyn Stream<Item = Result<Entry<T>>> + Send>>;

/// The entries with these names; those that were deleted meanwhile are passed over.
pub(super) fn entries<T: Send + Sync + 'static>(
    found: Box<dyn Iterator<Item = Result<Seq>> + Send>,
    entries: Entries<T>,
) -> EntryStream<T> {
    Box::pin(stream::unfold((found, entries), |(mut found, entries)| async move {
        loop {
            let seq = match found.next()? {
                Ok(seq) => seq,
                Err(error) => return Some((Err(error), (found, entries))),
            };
            match entries.get(seq).await {
                Ok(value) => return Some((Ok(Entry { seq, value }), (found, entries))),
                Err(error) if error.kind() == ErrorKind::Deleted => {}
                Err(error) => {
                    return Some((Err(if error.seq().is_some() { error } else { error.at(seq) }), (found, entries)));
                }
            }
        }
    }))
}

struct Walk<T> {
    entries: EntryStream<T>,
    stage: Stage,
    /// How many rows may still come.
    left: u64,
    turn: u32,
}

enum Stage {
    Looking(Running),
    Finishing(Finish),
    Done,
}

impl<T: Document> Walk<T> {
    async fn next(&mut self) -> Option<Result<Row>> {
        let row = self.next_of_all().await;
        match &row {
            Some(Ok(_)) => self.left -= 1,
            Some(Err(error)) if error.seq().is_some() => {}
            _ => self.stage = Stage::Done,
        }
        row
    }

    async fn next_of_all(&mut self) -> Option<Result<Row>> {
        if self.left == 0 {
            return None;
        }
        loop {
            let running = match &mut self.stage {
                Stage::Looking(running) => running,
                Stage::Finishing(finish) => return finish.next(),
                Stage::Done => return None,
            };
            give_way(&mut self.turn).await;
            match self.entries.next().await {
                Some(Ok(entry)) => {
                    if let Some(row) = running.push(Some(entry.seq), &entry.value).transpose() {
                        return Some(row);
                    }
                }
                Some(Err(error)) if error.kind() == ErrorKind::Invalid => {}
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    let Stage::Looking(running) = std::mem::replace(&mut self.stage, Stage::Done) else { return None };
                    self.stage = Stage::Finishing(running.finish());
                }
            }
        }
    }
}

/// Lets others run now and then: reading a log that is in memory never waits by itself.
pub(super) async fn give_way(turn: &mut u32) {
    *turn += 1;
    if *turn >= TURN {
        *turn = 0;
        let mut given = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut given, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}
