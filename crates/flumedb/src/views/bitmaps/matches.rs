//! [`Matches`], what a query found, to be pulled.

use std::{pin::Pin, sync::Arc};

use futures_core::Stream;
use futures_util::stream;

use super::{Cursor, eval::Eval, sorted::Sorted, walk::Walk};
use crate::{Entry, ErrorKind, Result, Seq, codec::Document};

/// Some of what a query finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub seqs: Vec<Seq>,
    /// Where to go on; `None` if nothing is left.
    pub next: Option<Cursor>,
}

/// What a query found, in order, to be pulled row by row: what is not pulled is not worked out. It shows what was there when
/// the query was asked, whatever is appended meanwhile. May be dropped at any point.
pub struct Matches<T> {
    eval: Arc<Eval<T>>,
    order: Order<T>,
    skip: u64,
    left: u64,
    last: Option<Cursor>,
    /// The entry that is being fetched.
    fetching: Option<Seq>,
}

enum Order<T> {
    Log(Walk),
    Number(Box<Sorted<T>>),
}

impl<T: Document + Send + Sync + 'static> Matches<T> {
    pub(super) async fn new(
        eval: Arc<Eval<T>>,
        sort: Option<(usize, usize)>,
        reverse: bool,
        after: Option<Cursor>,
        skip: u64,
        limit: Option<u64>,
    ) -> Result<Self> {
        let order = match sort {
            // The view, and how many bytes sorting may take.
            Some((view, memory_bytes)) => {
                let wanted = limit.map(|limit| limit.saturating_add(skip));
                Order::Number(Box::new(Sorted::new(&eval, view, reverse, after, wanted, memory_bytes).await?))
            }
            None => {
                let (mut from, mut to) = (eval.begin(), eval.end());
                match after.map(Cursor::seq).transpose()? {
                    Some(seq) if reverse => to = to.min(seq),
                    Some(seq) => from = from.max(seq.saturating_add(1)),
                    None => {}
                }
                Order::Log(Walk::new(from, to, reverse, eval.node.checks()))
            }
        };
        Ok(Self { eval, order, skip, left: limit.unwrap_or(u64::MAX), last: None, fetching: None })
    }

    /// The newest entry of the log that the query looked at.
    pub fn since(&self) -> Option<Seq> {
        self.eval.readers.first().and_then(super::BitmapReader::since)
    }

    /// The next entry; `None` at the end, and after an error.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, what it was about to give is given next.
    pub async fn next(&mut self) -> Option<Result<Seq>> {
        while self.left > 0 {
            let row = match &mut self.order {
                Order::Log(walk) => {
                    walk.next(&self.eval).await.map(|seq| seq.map(|seq| (seq, Cursor::after(Seq::new(seq)))))
                }
                Order::Number(sorted) => sorted.next().map(|row| row.map(|row| (row.1, Cursor::of(row)))),
            };
            match row {
                Ok(Some(_)) if self.skip > 0 => self.skip -= 1,
                Ok(Some((seq, cursor))) => {
                    self.left -= 1;
                    self.last = Some(cursor);
                    return Some(Ok(Seq::new(seq)));
                }
                Ok(None) => self.left = 0,
                Err(error) => {
                    self.left = 0;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// The place behind what was given last, for [`Query::after`](super::Query::after).
    pub fn cursor(&self) -> Option<Cursor> {
        self.last
    }

    /// The entries, each fetched from the log when it is asked for. Those that were deleted meanwhile are passed over; one that
    /// cannot be read is an `Err`, and the next ones follow.
    ///
    /// # Cancel safety
    /// Dropping a future of the stream's next item loses nothing.
    pub fn entries(self) -> Pin<Box<dyn Stream<Item = Result<Entry<T>>> + Send>> {
        Box::pin(stream::unfold(self, |mut matches| async move {
            let entry = matches.next_entry().await?;
            Some((entry, matches))
        }))
    }

    /// The next entry with its value; otherwise as [`next`](Matches::next).
    ///
    /// # Cancel safety
    /// As [`next`](Matches::next).
    pub async fn next_entry(&mut self) -> Option<Result<Entry<T>>> {
        loop {
            let seq = match self.fetching {
                Some(seq) => seq,
                None => match self.next().await? {
                    Ok(seq) => *self.fetching.insert(seq),
                    Err(error) => return Some(Err(error)),
                },
            };
            let entries = match self.eval.readers.first() {
                Some(reader) => reader.entries(),
                None => return None,
            };
            let got = entries.get(seq).await;
            self.fetching = None;
            match got {
                Ok(value) => return Some(Ok(Entry { seq, value })),
                Err(error) if error.kind() == ErrorKind::Deleted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The names, as a stream.
    pub fn seqs(self) -> Pin<Box<dyn Stream<Item = Result<Seq>> + Send>> {
        Box::pin(stream::unfold(self, |mut matches| async move {
            let seq = matches.next().await?;
            Some((seq, matches))
        }))
    }
}
