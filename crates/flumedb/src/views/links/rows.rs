//! [`LinkRows`], links that were found.

use std::{iter::FusedIterator, ops::Bound, path::PathBuf, pin::Pin, sync::Arc};

use futures_core::Stream;
use futures_util::stream;
use redb::{AccessGuard, Range, StorageError};

use super::{
    LinkRow, LinksReader,
    find::{Asked, Plan},
    pending::{NO_LINK, decode, split},
    reader::Tables,
};
use crate::{Damage, Entry, Error, ErrorKind, Result, Seq, view::Entries, views::store::failed};

/// Links that were found: an iterator, which can be turned into a stream of entries. It sees the links as they stood when
/// the reader was made, for as long as it lives. Rows are read as they are asked for.
pub struct LinkRows<T> {
    walk: Walk,
    tables: Arc<Tables>,
    asked: Asked,
    left: u64,
    entries: Entries<T>,
}

/// What is walked through.
enum Walk {
    Order(Box<Range<'static, &'static [u8], ()>>),
    Arrival(Box<Range<'static, (u64, u32), &'static [u8]>>),
    Failed(Error),
    Done,
}

impl<T: Send + Sync + 'static> LinkRows<T> {
    pub(super) fn new(reader: &LinksReader<T>, asked: Asked) -> Self {
        let tables = reader.tables().clone();
        let walk = match Plan::new(reader.orders(), &asked) {
            Ok(plan) => Walk::new(&tables, &plan),
            Err(error) => Walk::Failed(error),
        };
        Self { walk, tables, left: asked.limit.unwrap_or(u64::MAX), asked, entries: reader.entries().clone() }
    }

    /// What is asked, and how many rows may still come.
    pub(super) fn asked(&self) -> (&Asked, u64) {
        (&self.asked, self.left)
    }

    /// As [`Find::entries`](super::Find::entries), of the rows that are left.
    pub fn entries(self) -> Pin<Box<dyn Stream<Item = Result<Entry<T>>> + Send>> {
        Box::pin(stream::unfold(self, |mut rows| async move {
            loop {
                let seq = match rows.next()? {
                    Ok(row) => row.seq,
                    Err(error) => return Some((Err(error), rows)),
                };
                match rows.entries.get(seq).await {
                    Ok(value) => return Some((Ok(Entry { seq, value }), rows)),
                    Err(error) if error.kind() == ErrorKind::Deleted => {}
                    Err(error) => return Some((Err(error), rows)),
                }
            }
        }))
    }
}

impl Walk {
    fn new(tables: &Tables, plan: &Plan) -> Self {
        let (start, end) = &plan.within;
        let walk = if plan.order.is_none() {
            tables.rows.range::<(u64, u32)>(..).map(|range| Self::Arrival(Box::new(range)))
        } else if is_empty(start, end) {
            return Self::Done;
        } else {
            let within = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
            tables.orders.range::<&[u8]>(within).map(|range| Self::Order(Box::new(range)))
        };
        walk.unwrap_or_else(|error| Self::Failed(failed(error, &tables.path)))
    }
}

/// Whether no row can be within; redb does not take such bounds.
fn is_empty(start: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        _ => false,
    }
}

fn step<K: redb::Key, V: redb::Value>(
    range: &mut Range<'static, K, V>,
    reverse: bool,
) -> Option<Result<(AccessGuard<'static, K>, AccessGuard<'static, V>), StorageError>> {
    if reverse { range.next_back() } else { range.next() }
}

impl<T> LinkRows<T> {
    /// The next row of what is walked, whether it was asked for or not.
    fn walked(&mut self) -> Option<Result<LinkRow>> {
        let path = &self.tables.path;
        let (place, link) = match &mut self.walk {
            Walk::Order(range) => match step(range, self.asked.reverse)? {
                Ok((key, _)) => match split(key.value()) {
                    Some((_, place)) => (place, self.tables.link(place)),
                    None => return Some(Err(damaged(path))),
                },
                Err(error) => return Some(Err(failed(error, path))),
            },
            Walk::Arrival(range) => match step(range, self.asked.reverse)? {
                Ok((place, link)) => (place.value(), decode(link.value()).ok_or_else(|| damaged(path))),
                Err(error) => return Some(Err(failed(error, path))),
            },
            Walk::Failed(error) => return Some(Err(error.clone())),
            Walk::Done => return None,
        };
        Some(link.map(|link| LinkRow { seq: Seq::new(place.0), link }))
    }
}

pub(super) fn damaged(path: &PathBuf) -> Error {
    Error::corrupt(Damage::new(path, 0, 0, NO_LINK))
}

impl<T> Iterator for LinkRows<T> {
    type Item = Result<LinkRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            self.walk = Walk::Done;
        }
        loop {
            let row = self.walked();
            match &row {
                Some(Ok(row)) if !self.asked.matches(&row.link) => continue,
                Some(Ok(_)) => self.left -= 1,
                // What follows an error cannot be trusted to be all.
                Some(Err(_)) | None => self.walk = Walk::Done,
            }
            return row;
        }
    }
}

impl<T> FusedIterator for LinkRows<T> {}
