//! [`LinkQuery`], links through the query language: its filter chooses the order that is walked, and every row is held against the
//! whole query.

use std::{collections::BTreeSet, ops::Bound, pin::Pin};

use futures_core::Stream;
use futures_util::stream;
use serde_json::{Map, Value};

use super::{
    Column, Find, FoundLink, Link, LinkPlan, LinkRow, LinkRows, Links, LinksReader,
    find::{Asked, Plan, Test},
};
use crate::{
    Error, ErrorKind, Result, Seq,
    mfr::{Compat, Constraint, Finish, Pipeline, Row, Running},
    view::Live,
    views::query::Told,
};

/// What a query makes of links: an iterator over its rows. Say how before the first is taken.
#[must_use = "nothing is looked up until it is iterated over"]
pub struct LinkQuery<T> {
    reader: LinksReader<T>,
    query: Pipeline,
    asked: Asked,
    left: u64,
    state: State<T>,
}

enum State<T> {
    Fresh,
    Walking {
        rows: LinkRows<T>,
        running: Running,
        view: View,
    },
    Finishing(Finish),
    /// What the originals give where no order fits.
    All(LinkRows<T>),
    Done,
}

/// As what a row is shown to the query.
enum View {
    Whole,
    /// As in the originals: what the columns of the order hold, once for each entry.
    Columns {
        columns: Vec<Column>,
        before: Option<(Seq, Value)>,
    },
}

impl<T: Send + Sync + 'static> LinksReader<T> {
    /// Asks a query of the [language](crate::mfr). A row is a link: `{"source":…,"rel":…,"dest":…}` with its further fields; one
    /// that comes out unchanged has its entry's `seq`.
    ///
    /// The order that fits the first `$filter` best is walked, and every link in it is held against the whole filter. Rows come in
    /// that order; where none fits, as they arrived.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, mfr::Pipeline, views::{Link, Links}};
    /// let db = Flume::memory(Utf8)?;
    /// let links = Links::new(1, |line: &String| line.split_once(' ').map(|(who, what)| Link::new(who, "has", what)));
    /// let links = db.view("links", links).await?;
    /// db.append_all(["ann cat", "bob dog", "ann hen"]).await?;
    ///
    /// let query = Pipeline::parse(r#"[{"$filter":{"source":"ann"}},{"$map":"dest"}]"#)?;
    /// let reader = links.read().await?;
    /// let rows: Vec<_> = reader.query(&query).map(|row| Ok(row?.value)).collect::<flumedb::Result<_>>()?;
    /// assert_eq!(rows, ["cat", "hen"]);
    /// assert_eq!(reader.query(&query).explain().fixed, 1);
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Compat
    /// A query read with [`Compat::Originals`] gives what flumeview-links gives: a row has only the columns of the order that is
    /// walked, links of an entry that are alike in those are one row; and where no order fits, nothing of the query is applied.
    /// (A limit counts rows even there, where the original counts entries; and a `$sort` sorts, where it wants an order of exactly
    /// its columns.)
    pub fn query(&self, query: &Pipeline) -> LinkQuery<T> {
        let asked = Asked { conditions: conditions(query, self.orders()), ..Asked::default() };
        LinkQuery { reader: self.clone(), query: query.clone(), asked, left: u64::MAX, state: State::Fresh }
    }
}

/// What the query's first filter says of the columns of orders.
fn conditions(query: &Pipeline, orders: &[Vec<Column>]) -> Vec<(Column, Test)> {
    let columns: BTreeSet<&Column> = orders.iter().flatten().collect();
    let mut conditions = Vec::new();
    for column in columns {
        for (_, constraint) in query.constraints(&column.0) {
            let test = match constraint {
                // Where the originals compare, values of other kinds may be let through.
                Constraint::NotLess(_) | Constraint::NotGreater(_) if query.compat() == Compat::Originals => continue,
                Constraint::Exactly(value) if !value.is_null() => Test::Equal(value.clone()),
                Constraint::NotLess(value) => Test::Within(Bound::Included(value.clone()), Bound::Unbounded),
                Constraint::NotGreater(value) => Test::Within(Bound::Unbounded, Bound::Included(value.clone())),
                Constraint::TextPrefix(beginning) => Test::Begins(beginning.to_owned()),
                // These do not make a range; the filter sees to them.
                _ => continue,
            };
            // An array or an object is found by its bytes, but told apart by the filter only.
            let scalar = |value: &Value| !value.is_array() && !value.is_object();
            let simple = match &test {
                Test::Equal(value) => scalar(value),
                Test::Within(Bound::Included(value), _) | Test::Within(_, Bound::Included(value)) => scalar(value),
                _ => true,
            };
            if simple {
                conditions.push((column.clone(), test));
            }
        }
    }
    conditions
}

impl<T: Send + Sync + 'static> LinkQuery<T> {
    /// The other way round: the last link first.
    #[allow(clippy::should_implement_trait, reason = "`Iterator::rev` would walk all of it first")]
    pub fn rev(mut self) -> Self {
        self.asked.reverse = !self.asked.reverse;
        self
    }

    /// At most so many rows come out of the last stage.
    pub fn limit(mut self, rows: u64) -> Self {
        self.left = rows;
        self
    }

    /// How it is found.
    pub fn explain(&self) -> LinkPlan {
        self.plan().explain(self.reader.orders())
    }

    fn plan(&self) -> Plan {
        Plan::best(self.reader.orders(), &self.asked)
    }

    fn begin(&self) -> State<T> {
        let compat = self.query.compat() == Compat::Originals;
        let view = match self.explain().order {
            None if compat => return State::All(LinkRows::new(&self.reader, self.asked.clone())),
            Some(columns) if compat => View::Columns { columns, before: None },
            _ => View::Whole,
        };
        let rows = LinkRows::new(&self.reader, self.asked.clone());
        State::Walking { rows, running: self.query.start(), view }
    }

    fn step(&mut self) -> Option<Result<Row>> {
        loop {
            match &mut self.state {
                State::Fresh => self.state = self.begin(),
                State::Walking { rows, running, view } => match rows.next() {
                    Some(Ok(row)) => match view.show(&row).map(|shown| running.push(Some(row.seq), &*shown)) {
                        None | Some(Ok(None)) => {}
                        Some(Ok(Some(row))) => return Some(Ok(row)),
                        Some(Err(error)) => return Some(Err(error)),
                    },
                    Some(Err(error)) => return Some(Err(error)),
                    None => {
                        if let State::Walking { running, .. } = std::mem::replace(&mut self.state, State::Done) {
                            self.state = State::Finishing(running.finish());
                        }
                    }
                },
                State::Finishing(finish) => return finish.next(),
                State::All(rows) => {
                    return rows
                        .next()
                        .map(|row| row.map(|row| Row { seq: Some(row.seq), value: row.link.to_value() }));
                }
                State::Done => return None,
            }
        }
    }
}

impl View {
    /// The row as the query is shown it, unless it was shown before.
    fn show<'a>(&mut self, row: &'a LinkRow) -> Option<Shown<'a>> {
        let Self::Columns { columns, before } = self else { return Some(Shown::Link(&row.link)) };
        let mut value = Value::Object(Map::new());
        for column in columns.iter() {
            if let Some(part) = row.link.at(&column.0) {
                put(&mut value, &column.0, part.into_owned());
            }
        }
        let now = (row.seq, value);
        if before.as_ref() == Some(&now) {
            return None;
        }
        *before = Some(now.clone());
        Some(Shown::Value(now.1))
    }
}

/// Puts a value at a path of objects.
fn put(into: &mut Value, path: &[String], value: Value) {
    match (path, into) {
        ([], into) => *into = value,
        ([name, rest @ ..], Value::Object(members)) => {
            let member = members.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            put(member, rest, value);
        }
        _ => {}
    }
}

enum Shown<'a> {
    Link(&'a Link),
    Value(Value),
}

impl<'a> std::ops::Deref for Shown<'a> {
    type Target = dyn crate::codec::Document + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Link(link) => *link,
            Self::Value(value) => value,
        }
    }
}

impl<T: Send + Sync + 'static> Iterator for LinkQuery<T> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        let row = if self.left == 0 { None } else { self.step() };
        match &row {
            Some(Ok(_)) => self.left -= 1,
            // What follows an error cannot be trusted to be all.
            Some(Err(_)) | None => self.state = State::Done,
        }
        row
    }
}

impl<T: Send + Sync + 'static> Live<Links<T>> {
    /// What a query makes of the links that there are, then [`Told::CaughtUp`], then what it makes of those of entries that are
    /// appended, in the order of the log: as [`follow_links`](Live::follow_links). At most `limit` rows, if there is one.
    ///
    /// # Errors
    /// The stream ends with the error that ended it. `Invalid` for a query with `$reduce` or `$sort`, which never would end.
    pub fn follow_query(
        &self,
        query: &Pipeline,
        limit: Option<u64>,
    ) -> Pin<Box<dyn Stream<Item = Result<Told>> + Send>> {
        if !query.is_streaming() {
            let message = "a query with $reduce or $sort has no rows before its end, and following has no end; ask it of a reader";
            return Box::pin(stream::iter([Err(Error::new(ErrorKind::Invalid, message))]));
        }
        let of = query.clone();
        let found = self.follow_links(move |reader| {
            let asked = Asked { conditions: conditions(&of, reader.orders()), ..Asked::default() };
            Find::asking(reader.clone(), asked)
        });
        let start = (found, query.start(), limit.unwrap_or(u64::MAX));
        Box::pin(stream::unfold(start, |(mut found, mut running, mut left)| async move {
            while left > 0 {
                let told = match found.next().await? {
                    Ok(FoundLink::CaughtUp) => Ok(Some(Told::CaughtUp)),
                    Ok(FoundLink::Row(row)) => running.push(Some(row.seq), &row.link).map(|row| row.map(Told::Row)),
                    Err(error) => Err(error),
                };
                if let Some(told) = told.transpose() {
                    left -= u64::from(matches!(told, Ok(Told::Row(_))));
                    return Some((told, (found, running, left)));
                }
            }
            None
        }))
    }
}
