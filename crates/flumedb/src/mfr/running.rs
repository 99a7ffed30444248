//! [`Running`], a query that is under way.

use serde_json::Value;

use super::{
    Compat, Pipeline,
    budget::Budget,
    order::is_truthy,
    pipeline::{Placed, Stage},
    reduce::{Reduce, Reduced},
    room::Room,
    sort::Sorted,
};
use crate::{Error, ErrorKind, Result, Seq, codec::Document};

/// A row of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which entry it is, if it is one unchanged.
    pub seq: Option<Seq>,
    /// The entry's value, or what the query made.
    pub value: Value,
}

/// A query that is under way: give it the values one after another, then [`finish`](Running::finish).
///
/// ```
/// # use flumedb::mfr::Pipeline;
/// # use serde_json::json;
/// let mut running = Pipeline::parse(r#"[{"$filter": {"n": {"$gt": 1}}}]"#)?.start();
/// assert!(running.push(None, &json!({"n": 1}))?.is_none());
/// assert!(running.push(None, &json!({"n": 2}))?.is_some());
/// assert_eq!(running.finish().count(), 0);
/// # Ok::<(), flumedb::Error>(())
/// ```
pub struct Running {
    query: Pipeline,
    /// One for each stage.
    states: Vec<State>,
    budget: Budget,
}

enum State {
    Passing,
    Reducing(Reduced),
    Sorting(Sorted),
}

/// A value on its way through the stages.
enum Passing<'a> {
    Entry(Option<Seq>, &'a dyn Document),
    Made(Row),
}

impl Passing<'_> {
    fn doc(&self) -> &dyn Document {
        match self {
            Self::Entry(_, doc) => *doc,
            Self::Made(row) => &row.value,
        }
    }

    fn into_row(self) -> Result<Row> {
        match self {
            Self::Made(row) => Ok(row),
            Self::Entry(seq, doc) => match doc.to_value(&[]) {
                Some(value) => Ok(Row { seq, value }),
                None => {
                    let error =
                        Error::new(ErrorKind::Unsupported, "too deep for a row of a query; read it from the log");
                    Err(seq.map_or_else(|| error.clone(), |seq| error.clone().at(seq)))
                }
            },
        }
    }
}

impl Running {
    pub(super) fn new(query: Pipeline) -> Self {
        let state = |placed: &Placed| match placed.stage {
            Stage::Filter(_) | Stage::Map(_) => State::Passing,
            Stage::Reduce(_) => State::Reducing(Reduce::start()),
            Stage::Sort(_) => State::Sorting(Sorted::default()),
        };
        let states = query.0.stages.iter().map(state).collect();
        let budget = Budget::new(query.0.memory_bytes);
        Self { query, states, budget }
    }

    /// Gives it the next value, and takes the row that comes of it at once, if one does.
    ///
    /// # Errors
    /// `LimitExceeded` if it would keep more than it may, or make more than it may of the value; `Unsupported` for a value that is too deep to be a row. The query goes
    /// on after the latter.
    pub fn push(&mut self, seq: Option<Seq>, doc: &dyn Document) -> Result<Option<Row>> {
        self.pass(0, Passing::Entry(seq, doc))
    }

    /// There are no more values: gives the rows that waited for that.
    pub fn finish(self) -> Finish {
        Finish { running: self, next_stage: 0, source: None }
    }

    fn pass(&mut self, from: usize, passing: Passing<'_>) -> Result<Option<Row>> {
        let query = self.query.clone();
        let compat = query.0.compat;
        let mut passing = passing;
        // The originals let through whatever calls itself a mark of a live query.
        let is_mark = compat == Compat::Originals && is_truthy(passing.doc().field(&["sync"]).as_ref());
        let room = Room::new(compat, query.0.memory_bytes);
        for (Placed { place, stage }, state) in query.0.stages.iter().zip(&mut self.states).skip(from) {
            let before = room.taken();
            match (stage, state) {
                (Stage::Filter(_) | Stage::Map(_), _) if is_mark => {}
                (Stage::Filter(filter), _) => {
                    let matches = filter.matches(Some(passing.doc()), &room);
                    room.check(place)?;
                    if !matches {
                        return Ok(None);
                    }
                }
                (Stage::Map(rule), _) if rule.is_identity() && compat == Compat::Corrected => {}
                (Stage::Map(rule), _) if rule.is_identity() && rule.holds(Some(passing.doc()), &room) => {}
                (Stage::Map(rule), _) => {
                    let made = rule.apply(Some(passing.doc()), &room);
                    room.check(place)?;
                    let Some(value) = made.filter(|made| compat == Compat::Corrected || counts(made)) else {
                        return Ok(None);
                    };
                    passing = Passing::Made(Row { seq: None, value });
                    room.keep(room.taken().saturating_sub(before));
                }
                (Stage::Reduce(reduce), State::Reducing(reduced)) => {
                    reduce.push(reduced, passing.doc(), &room, &mut self.budget)?;
                    return room.check(place).map(|()| None);
                }
                (Stage::Sort(sort), State::Sorting(sorted)) => {
                    return sort.push(sorted, passing.into_row()?, &mut self.budget).map(|()| None);
                }
                _ => {}
            }
        }
        passing.into_row().map(Some)
    }
}

fn counts(value: &Value) -> bool {
    is_truthy(value.field(&[]).as_ref())
}

/// The rows that a query gives at its end, one by one. After an error there are no more.
pub struct Finish {
    running: Running,
    /// The stage that rows of `source` go to.
    next_stage: usize,
    source: Option<Box<dyn Iterator<Item = Row> + Send>>,
}

impl Iterator for Finish {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        loop {
            if let Some(row) = self.source.as_mut().and_then(Iterator::next) {
                match self.running.pass(self.next_stage, Passing::Made(row)) {
                    Ok(None) => {}
                    Ok(Some(row)) => return Some(Ok(row)),
                    Err(error) => {
                        self.source = None;
                        self.next_stage = usize::MAX;
                        return Some(Err(error));
                    }
                }
            } else {
                self.open_next()?;
            }
        }
    }
}

impl Finish {
    /// Goes on with what the next stage that kept something has kept.
    fn open_next(&mut self) -> Option<()> {
        let stages = self.running.query.clone();
        let kept = stages.0.stages.iter().zip(&mut self.running.states).enumerate().skip(self.next_stage);
        for (index, (placed, state)) in kept {
            let source: Box<dyn Iterator<Item = Row> + Send> =
                match (&placed.stage, std::mem::replace(state, State::Passing)) {
                    (Stage::Reduce(reduce), State::Reducing(reduced)) => {
                        Box::new(reduce.finish(reduced).map(|value| Row { seq: None, value }))
                    }
                    (Stage::Sort(sort), State::Sorting(sorted)) => Box::new(sort.finish(sorted)),
                    _ => continue,
                };
            self.source = Some(source);
            self.next_stage = index + 1;
            return Some(());
        }
        self.source = None;
        self.next_stage = usize::MAX;
        None
    }
}
