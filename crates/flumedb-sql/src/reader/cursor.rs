//! [`Cursor`], rows that are pulled one by one, and [`Row`], one of them.

use std::{path::Path, time::Duration};

use flumedb::{Error, ErrorKind, Result};
use rusqlite::ErrorCode;

use crate::{
    error,
    guard::Guard,
    snapshot::closed,
    value::{FromValue, Value, read},
};

/// What a query may cost.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) rows: Option<u64>,
}

/// What is left of it.
pub(super) struct Budget<'a> {
    guard: &'a Guard,
    limits: Limits,
    left: std::cell::Cell<Duration>,
    path: &'a Path,
}

impl<'a> Budget<'a> {
    pub(super) fn new(guard: &'a Guard, limits: Limits, path: &'a Path) -> Self {
        // What was refused of a statement before this one is forgotten.
        guard.refused();
        Self { guard, limits, left: std::cell::Cell::new(limits.time), path }
    }

    /// Lets SQLite work for as long as is left.
    pub(super) fn spend<R>(&self, work: impl FnOnce() -> R) -> R {
        let begun = self.guard.now();
        self.guard.until(begun.saturating_add(self.left.get()));
        let done = work();
        self.left.set(self.left.get().saturating_sub(self.guard.now().saturating_sub(begun)));
        done
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
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rows: rusqlite::Rows<'a>, columns: Vec<String>, budget: Budget<'a>) -> Self {
        Self { rows, columns, budget, taken: 0 }
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
        let Self { rows, columns, budget, taken } = self;
        let row = budget.spend(|| rows.next()).map_err(|error| match error::code(&error) {
            Some(ErrorCode::OperationInterrupted) => Budget::over(budget.guard, budget.limits),
            _ => match budget.guard.refused() {
                Some(what) => Error::new(ErrorKind::Invalid, format!("{what} is refused: a view is only read")),
                None => error::failed(error, budget.path),
            },
        })?;
        let Some(row) = row else { return Ok(None) };
        if let Some(most) = budget.limits.rows.filter(|most| *taken >= *most) {
            let message = format!("there are more than {most} rows; ask for fewer (LIMIT), or raise `row_limit`");
            return Err(Error::new(ErrorKind::LimitExceeded, message));
        }
        *taken += 1;
        Ok(Some(Row { row, columns }))
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
