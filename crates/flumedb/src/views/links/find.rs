//! [`Find`], which links are asked for.

use std::{
    ops::{Bound, RangeBounds},
    pin::Pin,
};

use futures_core::Stream;
use serde_json::Value;

use super::{Column, Link, LinkPlan, LinkRow, LinkRows, LinksReader, column::compare, plan::Plan};
use crate::{Entry, Result};

/// Which links are asked for: what is said here holds all at once. Iterate over it for the rows.
///
/// Whatever is asked is answered right: the order that fits best only decides how fast, and in which order the rows come,
/// unless [`sorted`](Find::sorted) says so.
#[must_use = "nothing is looked up until it is iterated over"]
pub struct Find<T> {
    reader: LinksReader<T>,
    asked: Asked,
}

/// What is asked for.
#[derive(Clone, Default)]
pub(super) struct Asked {
    pub(super) conditions: Vec<(Column, Test)>,
    pub(super) sorted: Option<Vec<Column>>,
    pub(super) reverse: bool,
    pub(super) limit: Option<u64>,
}

/// What must hold of the value in a column.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Equal(Value),
    /// Within these bounds, and of the kind of the bounds.
    Within(Bound<Value>, Bound<Value>),
    Begins(String),
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return false };
        match self {
            Self::Equal(wanted) => value == wanted || compare(value, wanted).is_some_and(|order| order.is_eq()),
            Self::Begins(beginning) => value.as_str().is_some_and(|text| text.starts_with(beginning.as_str())),
            Self::Within(start, end) => {
                let above = match start {
                    Bound::Included(start) => compare(value, start).is_some_and(|order| order.is_ge()),
                    Bound::Excluded(start) => compare(value, start).is_some_and(|order| order.is_gt()),
                    Bound::Unbounded => true,
                };
                let below = match end {
                    Bound::Included(end) => compare(value, end).is_some_and(|order| order.is_le()),
                    Bound::Excluded(end) => compare(value, end).is_some_and(|order| order.is_lt()),
                    Bound::Unbounded => true,
                };
                above && below
            }
        }
    }
}

impl Asked {
    pub(super) fn matches(&self, link: &Link) -> bool {
        self.conditions.iter().all(|(column, test)| test.holds(link.at(&column.0).as_deref()))
    }
}

impl<T: Send + Sync + 'static> Find<T> {
    pub(super) fn new(reader: LinksReader<T>) -> Self {
        Self { reader, asked: Asked::default() }
    }

    /// Links that start at `source`.
    pub fn from(self, source: impl Into<String>) -> Self {
        self.equal("source", source.into())
    }

    /// Links that lead to `dest`.
    pub fn to(self, dest: impl Into<String>) -> Self {
        self.equal("dest", dest.into())
    }

    /// Links of this kind.
    pub fn rel(self, rel: impl Into<String>) -> Self {
        self.equal("rel", rel.into())
    }

    /// Links with this value in a column. `1` and `1.0` are the same number; a link without the column has no value there.
    pub fn equal(self, column: impl Into<Column>, value: impl Into<Value>) -> Self {
        self.and(column, Test::Equal(value.into()))
    }

    /// Links whose value in a column lies within `bounds`, and is of their kind: numbers among numbers, texts among texts.
    ///
    /// ```no_run
    /// # let reader: flumedb::views::links::LinksReader<()> = unimplemented!();
    /// let lately = reader.from("@alice").range("ts", 1_700_000_000..);
    /// ```
    pub fn range<V: Into<Value> + Clone>(self, column: impl Into<Column>, bounds: impl RangeBounds<V>) -> Self {
        let own = |bound: Bound<&V>| bound.map(|value| value.clone().into());
        self.and(column, Test::Within(own(bounds.start_bound()), own(bounds.end_bound())))
    }

    /// Links whose text in a column begins so.
    pub fn prefix(self, column: impl Into<Column>, beginning: impl Into<String>) -> Self {
        self.and(column, Test::Begins(beginning.into()))
    }

    fn and(mut self, column: impl Into<Column>, test: Test) -> Self {
        self.asked.conditions.push((column.into(), test));
        self
    }

    /// Rows in the order of these columns, which must be how a declared order begins; without columns, as they arrived.
    pub fn sorted<C: Into<Column>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.asked.sorted = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// The other way round.
    #[allow(clippy::should_implement_trait, reason = "it is no iterator yet")]
    pub fn rev(mut self) -> Self {
        self.asked.reverse = !self.asked.reverse;
        self
    }

    /// At most so many rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.asked.limit = Some(rows);
        self
    }

    /// How it would be found.
    ///
    /// # Errors
    /// `Invalid` if no declared order begins with the columns of [`sorted`](Find::sorted).
    pub fn explain(&self) -> Result<LinkPlan> {
        Ok(Plan::new(self.reader.orders(), &self.asked)?.explain(self.reader.orders()))
    }

    /// The entries that say the links, each fetched from the log when it is asked for; one that says several of them comes as
    /// often. Those that were deleted meanwhile are passed over.
    ///
    /// # Cancel safety
    /// Dropping a future of the stream's next item loses nothing.
    pub fn entries(self) -> Pin<Box<dyn Stream<Item = Result<Entry<T>>> + Send>> {
        self.into_iter().entries()
    }

    /// A question that was asked otherwise.
    pub(super) fn asking(reader: LinksReader<T>, asked: Asked) -> Self {
        Self { reader, asked }
    }
}

impl<T: Send + Sync + 'static> IntoIterator for Find<T> {
    type Item = Result<LinkRow>;
    type IntoIter = LinkRows<T>;

    fn into_iter(self) -> LinkRows<T> {
        LinkRows::new(&self.reader, self.asked)
    }
}
