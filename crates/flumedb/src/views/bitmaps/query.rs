//! [`Query`], a question with its order and its bounds.

use super::{Bitmaps, Cursor, Follow, Matches, Number, Op, Page, walk::Walk};
use crate::{
    Call, Result, Seq,
    codec::{Codec, Document},
};

/// A question to the bitmaps of a database: which entries, in which order, from where, how many. Made by
/// [`Bitmaps::query`]; asks nothing before one of `count`, `seqs`, `page`, `run` and `follow`.
///
/// Without [`sort`](Query::sort) the order is that of the log.
#[must_use = "nothing is asked yet"]
pub struct Query<C: Codec> {
    bitmaps: Bitmaps<C>,
    op: Op,
    sort: Option<Number>,
    reverse: bool,
    after: Option<Cursor>,
    skip: u64,
    limit: Option<u64>,
    memory_bytes: usize,
}

impl<C: Codec> Clone for Query<C> {
    fn clone(&self) -> Self {
        Self { bitmaps: self.bitmaps.clone(), op: self.op.clone(), sort: self.sort.clone(), ..*self }
    }
}

impl<C: Codec<Item: Document>> Query<C> {
    /// How much a query that is [sorted](Query::sort) may keep in memory, unless [`memory_bytes`](Query::memory_bytes) says
    /// otherwise.
    pub const MEMORY_BYTES: usize = 256 << 20;

    pub(super) fn new(bitmaps: Bitmaps<C>, op: Op) -> Self {
        let memory_bytes = Self::MEMORY_BYTES;
        Self { bitmaps, op, sort: None, reverse: false, after: None, skip: 0, limit: None, memory_bytes }
    }

    /// What is asked.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// By a number of the entries, those with the same one in the order of the log; entries that have none come first.
    pub fn sort(mut self, number: impl Into<Number>) -> Self {
        self.sort = Some(number.into());
        self
    }

    /// The other way round: exactly the reverse.
    pub fn descending(mut self) -> Self {
        self.reverse = !self.reverse;
        self
    }

    /// Only what comes after a place that a page gave.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Passes over so many first. A [cursor](Query::after) costs less.
    pub fn skip(mut self, rows: u64) -> Self {
        self.skip = rows;
        self
    }

    /// At most so many.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// How many bytes of matches may be kept to sort them, those with a number and those without apart; a query that needs
    /// more ends with `LimitExceeded`. In the log's order nothing is kept.
    pub fn memory_bytes(mut self, memory_bytes: usize) -> Self {
        self.memory_bytes = memory_bytes;
        self
    }

    /// How many entries the question is true of, whatever the bounds. No entry is read, unless there is a prefix of more than
    /// 96 bytes, a value of more than 128 or an index of parts in it, which have candidates only.
    ///
    /// # Errors
    /// As [`run`](Query::run).
    ///
    /// # Cancel safety
    /// As [`run`](Query::run).
    pub fn count(&self) -> Call<'_, Result<u64>> {
        Call::new(async move {
            let (eval, _) = self.bitmaps.plan(&self.op, None).await?.read().await?;
            let mut walk = Walk::new(eval.begin(), eval.end(), false, eval.node.checks()).whole();
            let mut count = 0;
            while let Some(window) = walk.next_window() {
                count += eval.window(window).await?.len();
            }
            Ok(count)
        })
    }

    /// What the question finds, to be pulled row by row. Adds the views that are missing, and waits until all have caught up
    /// with the log as it stands at this call.
    ///
    /// # Errors
    /// `Invalid` if something in it was not declared, or the cursor is of another order; otherwise as
    /// [`Live::read`](crate::view::Live::read), of the view that fails first.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the views that it has added; nothing else is left of it.
    pub fn run(&self) -> Call<'_, Result<Matches<C::Item>>> {
        Call::new(self.matches(self.limit))
    }

    async fn matches(&self, limit: Option<u64>) -> Result<Matches<C::Item>> {
        let (eval, sort) = self.bitmaps.plan(&self.op, self.sort.as_ref()).await?.read().await?;
        let sort = sort.map(|view| (view, self.memory_bytes));
        Matches::new(eval, sort, self.reverse, self.after, self.skip, limit).await
    }

    /// The names of all entries that it finds, in order.
    ///
    /// # Errors
    /// As [`run`](Query::run), and what the stores say.
    ///
    /// # Cancel safety
    /// As [`run`](Query::run).
    pub fn seqs(&self) -> Call<'_, Result<Vec<Seq>>> {
        Call::new(async move {
            let (mut matches, mut seqs) = (self.matches(self.limit).await?, Vec::new());
            while let Some(seq) = matches.next().await {
                seqs.push(seq?);
            }
            Ok(seqs)
        })
    }

    /// The next `rows` entries, and where to go on. What it costs does not depend on where the page is.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::JsonDocs, views::{Bitmaps, Op}};
    /// let db = Flume::memory(JsonDocs)?;
    /// db.append_all(["{}", "{}", "{}"]).await?;
    /// let all = Bitmaps::new(&db).query(Op::All).descending();
    /// let first = all.page(2).await?;
    /// assert_eq!(first.seqs.iter().map(|seq| seq.get()).collect::<Vec<_>>(), [2, 1]);
    /// let second = all.after(first.next.unwrap()).page(2).await?;
    /// assert_eq!(second.seqs.iter().map(|seq| seq.get()).collect::<Vec<_>>(), [0]);
    /// assert_eq!(second.next, None);
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`seqs`](Query::seqs).
    ///
    /// # Cancel safety
    /// As [`run`](Query::run).
    pub fn page(&self, rows: u64) -> Call<'_, Result<Page>> {
        Call::new(async move {
            let rows = self.limit.map_or(rows, |limit| limit.min(rows));
            // One more tells whether there is another page.
            let mut matches = self.matches(rows.checked_add(1)).await?;
            let (mut seqs, mut next) = (Vec::new(), None);
            while (seqs.len() as u64) < rows
                && let Some(seq) = matches.next().await
            {
                seqs.push(seq?);
                next = matches.cursor();
            }
            let more = rows > 0 && matches.next().await.transpose()?.is_some();
            Ok(Page { seqs, next: next.filter(|_| more) })
        })
    }

    /// What is found now, with `old`, then a mark, then what is appended and found, when the views have taken it in; from then
    /// on in the order of the log, whatever the query's. Of the bounds only the cursor of a query in that order counts.
    pub fn follow(&self, old: bool) -> Follow<C> {
        Follow::new(self.clone(), old)
    }

    pub(super) fn parts(&self) -> (&Bitmaps<C>, &Op) {
        (&self.bitmaps, &self.op)
    }
}
