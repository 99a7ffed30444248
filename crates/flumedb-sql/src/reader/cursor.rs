//! [`Cursor`], rows that are pulled one by one, and [`Row`], one of them.

use std::{path::Path, time::Duration};

use flumedb::{Error, ErrorKind, Result};
use rusqlite::{Connection, ErrorCode, limits::Limit};

use crate::{
    error,
    guard::Guard,
    reader::program::Program,
    snapshot::closed,
    store::LONGEST,
    value::{FromValue, Value, read},
};

/// What a query may cost.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) rows: Option<u64>,
    pub(super) bytes: Option<u64>,
    /// Of the values that it works on.
    pub(super) memory: usize,
}

/// What a value counts besides its bytes.
const VALUE: u64 = 16;

/// What is left of it.
pub(super) struct Budget<'a> {
    db: &'a Connection,
    guard: &'a Guard,
    limits: Limits,
    program: Program,
    left: std::cell::Cell<Duration>,
    path: &'a Path,
}

impl<'a> Budget<'a> {
    pub(super) fn new(db: &'a Connection, guard: &'a Guard, limits: Limits, path: &'a Path) -> Self {
        // What was refused of a statement before this one is forgotten.
        guard.refused();
        Self { db, guard, limits, program: Program::ANY, left: std::cell::Cell::new(limits.time), path }
    }

    /// What is to run is known now.
    pub(super) fn set(&mut self, program: Program) {
        self.program = program;
    }

    /// Lets SQLite work for as long as is left, with values that are no longer than they may be.
    pub(super) fn spend<R>(&self, work: impl FnOnce() -> R) -> R {
        let begun = self.guard.now();
        self.guard.until(begun.saturating_add(self.left.get()), self.program.slow);
        // There is one limit for the connection, and perhaps another query whose rows are being walked through.
        let limit = |bytes| self.db.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes).map(drop).unwrap_or_default();
        limit(self.program.longest);
        let done = work();
        limit(LONGEST);
        self.left.set(self.left.get().saturating_sub(self.guard.now().saturating_sub(begun)));
        done
    }

    /// Why a query failed.
    pub(super) fn told(&self, error: rusqlite::Error) -> Error {
        match error::code(&error) {
            Some(ErrorCode::OperationInterrupted) => Self::over(self.guard, self.limits),
            Some(ErrorCode::TooBig) => exceeded(format!(
                "a text, a blob or a row is longer than {} bytes, which is what one may have in this query; ask for less of \
                 it, with fewer columns and functions at once, or raise `memory_bytes`",
                self.program.longest
            )),
            _ => match self.guard.refused() {
                Some(what) => Error::new(ErrorKind::Invalid, format!("{what} is refused: a view is only read")),
                None => error::failed(error, self.path),
            },
        }
    }

    /// Whether one more row of so many bytes is too many, after `taken` rows of `bytes`.
    fn allow(&self, taken: u64, bytes: u64, more: u64) -> Result<()> {
        if let Some(most) = self.limits.rows.filter(|most| taken >= *most) {
            return Err(exceeded(format!(
                "there are more than {most} rows; ask for fewer (LIMIT), or raise `row_limit`"
            )));
        }
        let most = self.limits.memory as u64;
        if more > most {
            return Err(exceeded(format!(
                "a row has {more} bytes, and may have {most}; ask for fewer columns, or raise `memory_bytes`"
            )));
        }
        if let Some(most) = self.limits.bytes.filter(|most| bytes.saturating_add(more) > *most) {
            return Err(exceeded(format!(
                "the rows have more than {most} bytes; ask for fewer (LIMIT), walk through them, or raise `byte_limit`"
            )));
        }
        Ok(())
    }

    /// Why a query was interrupted.
    pub(super) fn over(guard: &Guard, limits: Limits) -> Error {
        if guard.is_retired() {
            return closed();
        }
        let time = limits.time;
        Error::new(
            ErrorKind::TimedOut,
            format!("the query was not done in {time:?}; ask for less, or give it more time"),
        )
    }
}

/// The rows of an answer, one after another.
pub struct Cursor<'a> {
    rows: rusqlite::Rows<'a>,
    columns: Vec<String>,
    budget: Budget<'a>,
    taken: u64,
    bytes: u64,
    /// The bytes of a row are counted.
    counts: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rows: rusqlite::Rows<'a>, columns: Vec<String>, budget: Budget<'a>) -> Self {
        // As many of the longest values as there are columns are seldom too much for a row.
        let most = (budget.program.longest as u64 + VALUE).saturating_mul(columns.len() as u64);
        let counts = budget.limits.bytes.is_some() || most > budget.limits.memory as u64;
        Self { rows, columns, budget, taken: 0, bytes: 0, counts }
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// As [`Query::walk`](super::Query::walk).
    #[expect(clippy::should_implement_trait, reason = "a row borrows from the cursor")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        let Self { rows, columns, budget, taken, bytes, counts } = self;
        let Some(row) = budget.spend(|| rows.next()).map_err(|error| budget.told(error))? else { return Ok(None) };
        let row = Row { row, columns };
        let more = if *counts { row.bytes() } else { 0 };
        budget.allow(*taken, *bytes, more)?;
        *taken += 1;
        *bytes += more;
        Ok(Some(row))
    }
}

/// A row of an answer.
pub struct Row<'a> {
    row: &'a rusqlite::Row<'a>,
    columns: &'a [String],
}

impl Row<'_> {
    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        self.columns
    }

    /// What stands in the column at this place, from 0, borrowed; `None` past the last one.
    pub fn value(&self, at: usize) -> Option<Value<'_>> {
        self.row.get_ref(at).ok().map(Value::of)
    }

    fn bytes(&self) -> u64 {
        let bytes = |value| match value {
            Value::Text(text) => VALUE + text.len() as u64,
            Value::Blob(bytes) => VALUE + bytes.len() as u64,
            _ => VALUE,
        };
        (0..self.columns.len()).filter_map(|at| self.value(at)).map(bytes).sum()
    }

    /// What stands in the column at this place, from 0.
    ///
    /// # Errors
    /// `Invalid` if it is not of this type, or there are fewer columns.
    pub fn get<T: FromValue>(&self, at: usize) -> Result<T> {
        let (Some(value), Some(column)) = (self.value(at), self.columns.get(at)) else {
            let message = format!("column {at} was read of a row of {}; they count from 0", self.columns.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        read(value, column)
    }

    /// The whole row, as a tuple or, of one column, a value.
    ///
    /// # Errors
    /// As [`get`](Row::get).
    pub fn read<T: FromRow>(&self) -> Result<T> {
        T::from_row(self)
    }
}

/// What a row can be read as: a value, or a tuple of up to eight.
pub trait FromRow: Sized {
    /// Reads a row.
    ///
    /// # Errors
    /// `Invalid` if a column is not of the type, or there are fewer columns.
    fn from_row(row: &Row<'_>) -> Result<Self>;
}

impl<T: FromValue> FromRow for T {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        row.get(0)
    }
}

macro_rules! tuples {
    ($(($($type:ident $at:tt),*))*) => {$(
        impl<$($type: FromValue),*> FromRow for ($($type,)*) {
            fn from_row(row: &Row<'_>) -> Result<Self> {
                Ok(($(row.get::<$type>($at)?,)*))
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

fn exceeded(message: String) -> Error {
    Error::new(ErrorKind::LimitExceeded, message)
}
