//! [`GroupsReader`], groups as they stood at one moment.

use std::{
    marker::PhantomData,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use redb::ReadableTableMetadata;

use super::{
    base::Base,
    keys::after_prefix,
    rows::{Group, GroupRows},
};
use crate::{
    Result, Seq,
    views::{AsKey, Key, Prefix, aggregate::Aggregate},
};

/// A consistent snapshot of [`Groups`](super::Groups): whatever is appended or deleted meanwhile, it gives the same answers.
/// When the view is opened again after a failure, rebuilt or closed, the snapshot ends with its store, and what is not in
/// memory is answered with `Closed`: read again. Cheap to clone. While one is alive, the space of what it shows is not used
/// again, so do not keep it for long.
pub struct GroupsReader<T, K, A> {
    base: Base,
    aggregate: Arc<A>,
    since: Option<Seq>,
    marker: PhantomData<fn() -> (T, K)>,
}

impl<T, K, A> Clone for GroupsReader<T, K, A> {
    fn clone(&self) -> Self {
        Self { base: self.base.clone(), aggregate: self.aggregate.clone(), since: self.since, marker: PhantomData }
    }
}

impl<T, K: Key, A: Aggregate<T>> GroupsReader<T, K, A> {
    pub(super) fn new(base: Base, aggregate: Arc<A>, since: Option<Seq>) -> Self {
        Self { base, aggregate, since, marker: PhantomData }
    }

    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }

    /// How many groups there are.
    ///
    /// # Errors
    /// `Corrupt`, `Io` or `Closed`, as the store says.
    pub fn count(&self) -> Result<u64> {
        self.base.groups().map_or(Ok(0), |groups| groups.len().map_err(|error| self.base.failed(error)))
    }

    /// What is kept of the group with this key; `None` if no entry has it.
    ///
    /// # Errors
    /// As [`count`](GroupsReader::count).
    pub fn get<Q: AsKey<K>>(&self, key: Q) -> Result<Option<A::Value>> {
        let mut row = Vec::new();
        key.encode(&mut row);
        let group = self.base.group(&row)?.map(|row| self.base.decode(&row)).transpose()?;
        Ok(group.map(|group| self.aggregate.value(&group.state)))
    }

    /// All groups, by key. What they come to taken together is `all().total()`.
    pub fn all(&self) -> GroupRows<T, K, A> {
        self.rows(Bound::Unbounded, Bound::Unbounded)
    }

    /// Groups whose keys are within `bounds`, in order.
    ///
    /// ```no_run
    /// # fn main() -> flumedb::Result<()> {
    /// # use flumedb::views::{aggregate::Count, groups::GroupsReader};
    /// # let reader: GroupsReader<(), (String, i64), Count> = unimplemented!();
    /// // The windows of a page that begin in these ten hours, the newest first.
    /// for hour in reader.range(("index", 36_000)..("index", 72_000)).rev() {
    ///     let hour = hour?;
    ///     println!("{:?}: {}", hour.key, hour.value);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn range<Q: AsKey<K>>(&self, bounds: impl RangeBounds<Q>) -> GroupRows<T, K, A> {
        let row = |key: &Q| {
            let mut row = Vec::new();
            key.encode(&mut row);
            row
        };
        self.rows(bounds.start_bound().map(row), bounds.end_bound().map(row))
    }

    /// Groups whose keys begin with `prefix`, in order: texts that begin with a text, tuples that begin with some parts.
    pub fn prefix(&self, prefix: &(impl Prefix<K> + ?Sized)) -> GroupRows<T, K, A> {
        let mut start = Vec::new();
        prefix.encode_prefix(&mut start);
        let end = after_prefix(&start).map_or(Bound::Unbounded, Bound::Excluded);
        self.rows(Bound::Included(start), end)
    }

    /// The `n` groups with the greatest `by`, the greatest first; of equal ones the lesser key first. Looks at every group;
    /// see [`GroupRows::top`] for a part of them.
    ///
    /// # Errors
    /// As [`count`](GroupsReader::count).
    pub fn top<B: PartialOrd>(&self, n: usize, by: impl Fn(&A::Value) -> B) -> Result<Vec<Group<K, A::Value>>> {
        self.all().top(n, by)
    }

    fn rows(&self, start: Bound<Vec<u8>>, end: Bound<Vec<u8>>) -> GroupRows<T, K, A> {
        GroupRows::new(self.base.clone(), self.aggregate.clone(), start, end)
    }
}
