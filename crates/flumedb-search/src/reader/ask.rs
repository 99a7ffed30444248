//! [`Ask`], a question to a snapshot, and its answers.

use std::sync::Arc;

use flumedb::{Error, ErrorKind, Result, Seq};

use super::{
    Cursor, Marks, Order, SearchReader,
    find::{Finder, Rank},
    snippet,
};
use crate::{query::Query, store::attempt, view::Texts};

/// A question that is being put together. Nothing is done before it is asked for an answer.
#[must_use = "ask it for its `hits` or `entries`"]
pub struct Ask<'r, T> {
    reader: &'r SearchReader<T>,
    query: Query,
    order: Order,
    limit: usize,
    after: Option<Cursor>,
}

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Which entry.
    pub seq: Seq,
    /// How relevant it is, where that was asked for; 0 otherwise.
    pub score: f32,
}

/// A page of hits.
#[derive(Clone, Debug)]
pub struct Hits {
    /// The hits, in the order that was asked for.
    pub hits: Vec<Hit>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

impl Hits {
    /// The entries.
    pub fn seqs(&self) -> impl Iterator<Item = Seq> + '_ {
        self.hits.iter().map(|hit| hit.seq)
    }
}

impl<'r, T> Ask<'r, T> {
    /// So many hits are given, unless [`limit`](Ask::limit) says otherwise.
    pub const LIMIT: usize = 20;

    pub(super) fn new(reader: &'r SearchReader<T>, query: Query) -> Self {
        Self { reader, query, order: Order::default(), limit: Self::LIMIT, after: None }
    }

    /// The most relevant first, not the newest.
    pub fn by_relevance(mut self) -> Self {
        self.order = Order::Relevance;
        self
    }

    /// Sets in which order hits come.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets how many hits are given.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Goes on where a page ended. A page costs the same wherever it is. By age, a later snapshot goes on where an earlier
    /// one ended without a gap; by relevance only the same snapshot does.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// What is looked for.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// How many entries there are to be found, whatever the limit.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the store says.
    pub fn count(&self) -> Result<u64> {
        let SearchReader { parts, recent, form, path, .. } = self.reader;
        attempt(path, || Finder::new(&self.query, parts, recent, form, Order::Newest)?.count())
    }

    /// A page of hits, without a look at the log.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the store says; `Invalid` for a cursor of the other order.
    pub fn hits(&self) -> Result<Hits> {
        if self.after.is_some_and(|after| after.order != self.order) {
            return Err(Error::new(ErrorKind::Invalid, "the page before this was in another order; ask in the same"));
        }
        let SearchReader { parts, recent, form, path, .. } = self.reader;
        let after = self.after.map(|cursor| cursor.rank);
        let ranks =
            attempt(path, || Finder::new(&self.query, parts, recent, form, self.order)?.first(self.limit, after))?;
        let more = ranks.len() >= self.limit;
        let next = ranks.last().filter(|_| more).map(|rank| Cursor { order: self.order, rank: *rank });
        let hit = |rank: &Rank| Hit { seq: Seq::new(rank.seq), score: f32::from_bits(rank.score) };
        Ok(Hits { hits: ranks.iter().map(hit).collect(), next })
    }

    /// A page of hits with their entries. One that was deleted meanwhile is left out.
    ///
    /// # Errors
    /// As [`hits`](Self::hits); as the log says, or the codec of an entry.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn entries(&self) -> Result<Vec<Found<T>>> {
        let query = Arc::new(self.query.clone());
        let mut found = Vec::new();
        for hit in self.hits()?.hits {
            match self.reader.entries.get(hit.seq).await {
                Ok(value) => {
                    let texts = Texts::of(&self.reader.texts, &self.reader.fields, &value)?;
                    let words = self.reader.words;
                    found.push(Found { seq: hit.seq, score: hit.score, value, texts, query: query.clone(), words });
                }
                Err(error) if matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// An entry that was found, and why.
pub struct Found<T> {
    /// Which entry.
    pub seq: Seq,
    /// How relevant it is, where that was asked for; 0 otherwise.
    pub score: f32,
    /// The entry.
    pub value: T,
    texts: Texts,
    query: Arc<Query>,
    words: crate::Words,
}

impl<T> Found<T> {
    /// The piece of its text that shows most of what was looked for, with marks around it.
    pub fn snippet(&self, marks: &Marks) -> String {
        snippet::best(&self.query, self.words, self.texts.iter(), marks)
    }
}
