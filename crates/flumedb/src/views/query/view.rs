//! [`QueryIndex`], the view that one index of a query set is.

use std::{ops::Bound, sync::Arc};

use super::{
    Explain, IndexOn, Rows,
    key::{Edge, FieldKey},
    plan::{Plan, score},
    rows,
};
use crate::{
    Error, ErrorKind, Result, Seq,
    codec::Document,
    mfr::{Compat, Pipeline},
    view::{Checkpoint, Definition, Entries, Retraction, Run, View, ViewContext},
    views::{
        Index,
        index::{IndexReader, Matches},
    },
};

/// Raised when the bytes of keys change, or the form of rows.
const VERSION: u32 = 2;

/// A view that finds entries by what stands at some paths, for queries: what a [`Query`](super::Query) set adds for each
/// of its indexes. Use it as it is where several views must be read at one position.
pub struct QueryIndex<T> {
    on: Arc<IndexOn>,
    index: Index<T, FieldKey>,
    entries: Option<Entries<T>>,
}

impl<T: Document + Send + Sync + 'static> QueryIndex<T> {
    /// The index that is declared so.
    ///
    /// # Errors
    /// `Invalid` for one without paths.
    pub fn new(on: IndexOn) -> Result<Self> {
        on.check()?;
        let on = Arc::new(on);
        let paths = on.clone();
        let index = Index::new(VERSION, move |item: &T| FieldKey::of(item, &paths.paths));
        Ok(Self { on, index, entries: None })
    }

    /// The index of this name that has this definition, which is what a stored one says of itself; `None` for another kind or
    /// version of view.
    pub fn defined(name: &str, definition: &Definition) -> Option<Self> {
        let paths: Vec<Vec<String>> = serde_json::from_str(&definition.detail).ok()?;
        let index = Self::new(IndexOn::new(name, paths)).ok()?;
        (index.definition() == *definition).then_some(index)
    }
}

impl<T: Document + Send + Sync + 'static> View for QueryIndex<T> {
    type Item = T;
    type Reader = QueryReader<T>;

    fn definition(&self) -> Definition {
        Definition::new("query-index", VERSION, self.on.detail())
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        self.entries = Some(cx.entries.clone());
        self.index.open(cx)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        self.index.apply(run)
    }

    fn retract(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        self.index.retract(seq, item)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        self.index.reprocess(seq, item)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<QueryReader<T>> {
        let index = self.index.publish(at)?;
        let not_open = || Error::new(ErrorKind::Invalid, "the index is not open; call `open` first");
        Ok(QueryReader { on: self.on.clone(), index, entries: self.entries.clone().ok_or_else(not_open)? })
    }

    fn pending_bytes(&self) -> Option<usize> {
        self.index.pending_bytes()
    }

    fn sync(&mut self) -> Result<()> {
        self.index.sync()
    }
}

/// A [`QueryIndex`] as it stood at one moment, with the promises of an [`IndexReader`].
pub struct QueryReader<T> {
    on: Arc<IndexOn>,
    index: IndexReader<T, FieldKey>,
    pub(super) entries: Entries<T>,
}

impl<T> Clone for QueryReader<T> {
    fn clone(&self) -> Self {
        Self { on: self.on.clone(), index: self.index.clone(), entries: self.entries.clone() }
    }
}

impl<T: Document + Send + Sync + 'static> QueryReader<T> {
    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.index.since()
    }

    /// How many entries it holds.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the store says.
    pub fn count(&self) -> Result<u64> {
        self.index.count()
    }

    /// The first of the rows that are here and not in `other`, or there and not here, in words; `None` if there is none.
    /// For [`Flume::verify_view`](crate::Flume::verify_view).
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the stores say.
    pub fn difference(&self, other: &Self) -> Result<Option<String>> {
        self.index.difference(&other.index)
    }

    /// What the query finds here, in the order of the index.
    ///
    /// # Errors
    /// `Invalid` if the query's first filter says nothing of the index's first path, so that entries may be missing here.
    pub fn ask(&self, query: &Pipeline) -> Result<Rows> {
        let unfit = || {
            let message = format!("the index \"{}\" does not fit the query; ask the set of indexes", self.on.name);
            Error::new(ErrorKind::Invalid, message)
        };
        let plan = Plan::new(&self.on, query).ok_or_else(unfit)?;
        Ok(Rows::new(rows::entries(self.found(&plan, query.compat(), false), self.entries.clone()), query, None))
    }

    /// Which part of the index the query needs; `None` if it does not fit.
    pub(super) fn explain(&self, query: &Pipeline, reverse: bool) -> Result<Option<Explain>> {
        let Some(plan) = Plan::new(&self.on, query) else { return Ok(None) };
        let rows = self.found(&plan, query.compat(), reverse).try_fold(0, |count, found| found.map(|_| count + 1))?;
        let tests = query.shown_tests().into_iter().enumerate();
        let filtered = tests.filter(|(number, _)| !plan.covered.contains(number)).map(|(_, test)| test).collect();
        Ok(Some(Explain {
            index: Some(self.on.name.clone()),
            ranges: plan.shown,
            reverse,
            rows,
            filtered,
            scores: [(self.on.name.clone(), score(&self.on, query))].into(),
        }))
    }

    pub(super) fn plan(&self, query: &Pipeline) -> Option<Plan> {
        Plan::new(&self.on, query)
    }

    /// The entries in the ranges of a plan.
    pub(super) fn found(
        &self,
        plan: &Plan,
        compat: Compat,
        reverse: bool,
    ) -> Box<dyn Iterator<Item = Result<Seq>> + Send> {
        let mut ranges: Vec<Matches<T, FieldKey>> = plan
            .ranges
            .iter()
            .map(|(start, end)| {
                let end = end.clone().map_or(Bound::Unbounded, |end| Bound::Excluded(Edge(end)));
                let matches = self.index.range((Bound::Included(Edge(start.clone())), end));
                if reverse { matches.rev() } else { matches }
            })
            .collect();
        if reverse {
            ranges.reverse();
        }
        let matches = ranges.into_iter().flatten();
        if compat == Compat::Corrected {
            return Box::new(matches.map(|found| Ok(found?.seq)));
        }
        // The originals have but those with something at every path.
        let mut whole =
            matches.filter(|found| found.as_ref().is_ok_and(|found| found.key.is_whole()) || found.is_err());
        if !self.on.exact {
            return Box::new(whole.map(|found| Ok(found?.seq)));
        }
        // And of those with the same values the newest, which is the last.
        let mut ahead = whole.next();
        let mut before = None;
        Box::new(std::iter::from_fn(move || {
            loop {
                let found = match ahead.take()? {
                    Ok(found) => found,
                    Err(error) => return Some(Err(error)),
                };
                ahead = whole.next();
                let repeated = if reverse {
                    before.replace(found.key.clone()).is_some_and(|before| before == found.key)
                } else {
                    matches!(&ahead, Some(Ok(next)) if next.key == found.key)
                };
                if !repeated {
                    return Some(Ok(found.seq));
                }
            }
        }))
    }
}
