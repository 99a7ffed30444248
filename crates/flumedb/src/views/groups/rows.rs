//! [`GroupRows`], some groups in order.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    iter::FusedIterator,
    marker::PhantomData,
    ops::Bound,
    sync::Arc,
};

use redb::Range;

use super::{base::Base, state::GroupState};
use crate::{
    Error, Result,
    views::{Key, aggregate::Aggregate},
};

/// A group, as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group<K, V> {
    /// Its key.
    pub key: K,
    /// How many entries are in it.
    pub entries: u64,
    /// What the aggregate says of them.
    pub value: V,
}

/// Groups in the order of their keys, as they stood when the reader was made: an iterator from both ends.
pub struct GroupRows<T, K, A> {
    rows: State,
    base: Base,
    aggregate: Arc<A>,
    marker: PhantomData<fn() -> (T, K)>,
}

enum State {
    Rows(Box<Range<'static, &'static [u8], &'static [u8]>>),
    Failed(Error),
    Done,
}

/// A key, and what is kept of its group.
type Found<S> = (Vec<u8>, GroupState<S>);

impl<T, K: Key, A: Aggregate<T>> GroupRows<T, K, A> {
    pub(super) fn new(base: Base, aggregate: Arc<A>, start: Bound<Vec<u8>>, end: Bound<Vec<u8>>) -> Self {
        let bounds = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
        let rows = match base.groups() {
            Some(groups) if !is_empty(&start, &end) => match groups.range::<&[u8]>(bounds) {
                Ok(rows) => State::Rows(Box::new(rows)),
                Err(error) => State::Failed(base.failed(error)),
            },
            _ => State::Done,
        };
        Self { rows, base, aggregate, marker: PhantomData }
    }

    /// What is kept of all these groups taken together: a day from its hours, say. Entries that are in several of them count
    /// several times.
    ///
    /// # Errors
    /// `Corrupt`, `Io` or `Closed`, as the store says.
    pub fn total(mut self) -> Result<A::Value> {
        let mut total = A::State::default();
        while let Some(row) = self.step(false) {
            self.aggregate.merge(&mut total, &row?.1.state);
        }
        Ok(self.aggregate.value(&total))
    }

    /// The `n` of these groups with the greatest `by`, the greatest first; of equal ones the first in order. Looks at all of
    /// them, and keeps `n` in memory.
    ///
    /// ```no_run
    /// # fn main() -> flumedb::Result<()> {
    /// # use flumedb::views::{aggregate::{Count, Mean}, groups::GroupsReader};
    /// # let reader: GroupsReader<(), String, (Count, Mean<(), u32>)> = unimplemented!();
    /// for busiest in reader.prefix("music/").top(10, |(count, _)| *count)? {
    ///     println!("{}: {:?}", busiest.key, busiest.value.1);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`total`](GroupRows::total).
    pub fn top<B: PartialOrd>(self, n: usize, by: impl Fn(&A::Value) -> B) -> Result<Vec<Group<K, A::Value>>> {
        let mut best = BinaryHeap::new();
        for (place, group) in self.enumerate() {
            let group = group?;
            best.push(Reverse(Ranked { by: by(&group.value), place, group }));
            if best.len() > n {
                best.pop();
            }
        }
        Ok(best.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked.group).collect())
    }

    fn step(&mut self, from_end: bool) -> Option<Result<Found<A::State>>> {
        let State::Rows(rows) = &mut self.rows else {
            return match std::mem::replace(&mut self.rows, State::Done) {
                State::Failed(error) => Some(Err(error)),
                _ => None,
            };
        };
        let row = if from_end { rows.next_back() } else { rows.next() };
        let Some(row) = row else {
            self.rows = State::Done;
            return None;
        };
        let found = match row {
            Ok((key, row)) => self.base.decode(row.value()).map(|group| (key.value().to_owned(), group)),
            Err(error) => Err(self.base.failed(error)),
        };
        if found.is_err() {
            // What follows cannot be trusted to be all.
            self.rows = State::Done;
        }
        Some(found)
    }

    fn group(&self, (key, group): Found<A::State>) -> Result<Group<K, A::Value>> {
        let mut rest = key.as_slice();
        let key = K::decode(&mut rest).filter(|_| rest.is_empty()).ok_or_else(|| self.base.damaged())?;
        Ok(Group { key, entries: group.entries, value: self.aggregate.value(&group.state) })
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

impl<T, K: Key, A: Aggregate<T>> Iterator for GroupRows<T, K, A> {
    type Item = Result<Group<K, A::Value>>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step(false)?;
        Some(found.and_then(|found| self.group(found)))
    }
}

impl<T, K: Key, A: Aggregate<T>> DoubleEndedIterator for GroupRows<T, K, A> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let found = self.step(true)?;
        Some(found.and_then(|found| self.group(found)))
    }
}

impl<T, K: Key, A: Aggregate<T>> FusedIterator for GroupRows<T, K, A> {}

/// Orders groups by a number of theirs; what cannot be compared counts as equal.
struct Ranked<B, G> {
    by: B,
    place: usize,
    group: G,
}

impl<B: PartialOrd, G> Ord for Ranked<B, G> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by = self.by.partial_cmp(&other.by).unwrap_or(Ordering::Equal);
        by.then(other.place.cmp(&self.place))
    }
}

impl<B: PartialOrd, G> PartialOrd for Ranked<B, G> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<B: PartialOrd, G> PartialEq for Ranked<B, G> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<B: PartialOrd, G> Eq for Ranked<B, G> {}
