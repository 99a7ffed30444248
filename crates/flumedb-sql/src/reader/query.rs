//! [`Query`], a question with its parameters and limits.

use std::time::Duration;

use flumedb::{Error, ErrorKind, Result};
use rusqlite::{Batch, Connection, ErrorCode, Statement, fallible_iterator::FallibleIterator};

use super::{
    Cursor, FromRow,
    cursor::{Budget, Limits},
    program::Program,
};
use crate::{
    error,
    guard::{Guard, SQL_BYTES},
    snapshot::{Snapshot, closed},
    value::Value,
};

/// How long a query may take.
const TIME: Duration = Duration::from_secs(60);
/// The most rows that are given at once, and their bytes.
const ALL: u64 = 1_000_000;
const ALL_BYTES: u64 = 256 << 20;
/// What the values that a query works on may take together.
const MEMORY: usize = 32 << 20;

/// A question to a reader: SQL, its parameters, and what it may cost.
#[must_use = "it runs when an answer is taken: `all`, `one`, `each`, `walk`"]
pub struct Query<'a> {
    snapshot: &'a Snapshot,
    sql: &'a str,
    positional: Vec<Value<'a>>,
    named: Vec<(&'a str, Value<'a>)>,
    limits: Limits,
}

impl<'a> Query<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, sql: &'a str) -> Self {
        let limits = Limits { time: TIME, rows: None, bytes: None, memory: MEMORY };
        Self { snapshot, sql, positional: Vec::new(), named: Vec::new(), limits }
    }

    /// The value of the next parameter (`?`, or `?1`, `?2` …).
    pub fn bind(mut self, value: impl Into<Value<'a>>) -> Self {
        self.positional.push(value.into());
        self
    }

    /// The value of a parameter with a name (`:author`, `@author` or `$author`), given with or without its sign.
    pub fn bind_named(mut self, name: &'a str, value: impl Into<Value<'a>>) -> Self {
        self.named.push((name, value.into()));
        self
    }

    /// How long SQLite may work on it, a minute unless set; what is done with the rows meanwhile is not counted. Beyond
    /// that it ends with `TimedOut`.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limits.time = limit;
        self
    }

    /// How many rows there may be; with more it ends with `LimitExceeded`. Unless set, [`all`](Query::all) takes a million,
    /// and the others any number.
    pub fn row_limit(mut self, limit: u64) -> Self {
        self.limits.rows = Some(limit);
        self
    }

    /// How many bytes the rows may have together, each value counting 16 more than its text or blob has; with more it ends with
    /// `LimitExceeded`. Unless set, [`all`](Query::all) takes 256 MiB, and the others any number.
    pub fn byte_limit(mut self, limit: u64) -> Self {
        self.limits.bytes = Some(limit);
        self
    }

    /// How many bytes the values that SQLite works on at once may take together, 32 MiB unless set; so many a row may have, too.
    ///
    /// A single text, blob or stored row may take a 32nd of it (1 MiB), less in a statement with more than 32 steps that make
    /// values, or with functions whose time grows faster than the value: a 64th with `LIKE` and `GLOB`, a 256th with `instr` and
    /// `replace`, a 512th with `json_patch` and `highlight`, a 1024th with `trim` and a 2048th with `unhex` of two arguments and
    /// with `snippet`. Beyond that it ends with `LimitExceeded`; more than 64 MiB a value never has. SQLite looks at the clock between
    /// two functions, not within one, so that with more memory a query may end later than it should.
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.limits.memory = bytes;
        self
    }

    /// All rows, as tuples or single values.
    ///
    /// # Errors
    /// As [`walk`](Query::walk).
    pub fn all<T: FromRow>(mut self) -> Result<Vec<T>> {
        self.limits.rows.get_or_insert(ALL);
        self.limits.bytes.get_or_insert(ALL_BYTES);
        self.walk(|rows| {
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push(row.read()?);
            }
            Ok(all)
        })
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`walk`](Query::walk).
    pub fn one<T: FromRow>(self) -> Result<Option<T>> {
        self.walk(|rows| rows.next()?.map(|row| row.read()).transpose())
    }

    /// Shows `visit` each row.
    ///
    /// # Errors
    /// As [`walk`](Query::walk), and what `visit` returns.
    pub fn each(self, mut visit: impl FnMut(&super::Row<'_>) -> Result<()>) -> Result<()> {
        self.walk(|rows| {
            while let Some(row) = rows.next()? {
                visit(&row)?;
            }
            Ok(())
        })
    }

    /// Lets `visit` pull row after row, for as long as it likes; nothing is worked out before it is pulled, but for what
    /// sorting and grouping need.
    ///
    /// ```no_run
    /// # let reader: flumedb_sql::SqlReader = unimplemented!();
    /// let long = reader.query("SELECT seq, text FROM posts").walk(|rows| {
    ///     while let Some(row) = rows.next()? {
    ///         if row.get::<String>(1)?.len() > 8000 {
    ///             return row.get::<i64>(0).map(Some);
    ///         }
    ///     }
    ///     Ok(None)
    /// })?;
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` for what is no SQL, does not only read, or is more than one statement; for a parameter without a value or a
    /// value without a parameter; and for a column that is read as what it is not. `LimitExceeded` past the limits of rows, bytes
    /// and memory, `TimedOut` past that of time. `Closed` when the reader is no more. `Corrupt` if the store is damaged: rebuild the view.
    pub fn walk<R>(self, visit: impl FnOnce(&mut Cursor<'_>) -> Result<R>) -> Result<R> {
        if self.sql.len() > SQL_BYTES as usize {
            let bytes = self.sql.len();
            return Err(invalid(format!("a statement of {bytes} bytes is too long; at most {SQL_BYTES} are taken")));
        }
        self.snapshot.with(self.limits.time, |session| {
            let (db, guard) = session.db().ok_or_else(closed)?;
            let mut budget = Budget::new(db, guard, self.limits, self.snapshot.path());
            if let Some(nul) = self.sql.find('\0') {
                // SQLite takes it for the end.
                return Err(invalid(format!("{}a NUL byte, which SQL has no place for", place(self.sql, nul))));
            }
            let mut statement =
                budget.spend(|| db.prepare(self.sql)).map_err(|error| self.refused(db, guard, error))?;
            if !statement.readonly() {
                return Err(writes(&first_word(self.sql)));
            }
            if statement.column_count() == 0 {
                return Err(invalid("there is no statement to run, or one without an answer"));
            }
            if statement.is_explain() == 0 {
                let program = budget.spend(|| Program::of(db, bare(self.sql), self.limits.memory));
                budget.set(program.map_err(|error| self.refused(db, guard, error))?);
            }
            budget.spend(|| self.bind_all(&mut statement, &budget))?;
            let columns = statement.column_names().map(str::to_owned).collect();
            visit(&mut Cursor::new(statement.raw_query(), columns, budget))
        })
    }

    fn bind_all(&self, statement: &mut Statement<'_>, budget: &Budget<'_>) -> Result<()> {
        let count = statement.parameter_count();
        let mut bound = vec![false; count];
        let mut put = |statement: &mut Statement<'_>, at: usize, value: Value<'_>| {
            if let Some(bound) = bound.get_mut(at.wrapping_sub(1)) {
                *bound = true;
            }
            statement.raw_bind_parameter(at, value.bound()).map_err(|error| budget.told(error))
        };
        for (name, value) in &self.named {
            let with = |sign: &str| statement.parameter_index(&format!("{sign}{name}")).ok().flatten();
            let at = ["", ":", "@", "$"].into_iter().find_map(with);
            let at = at.ok_or_else(|| invalid(format!("the statement has no parameter {name}; leave it out")))?;
            put(statement, at, *value)?;
        }
        if self.positional.len() > count {
            let given = self.positional.len();
            return Err(invalid(format!("{given} values for {count} parameters; leave some out")));
        }
        for (at, value) in (1..).zip(&self.positional) {
            put(statement, at, *value)?;
        }
        match bound.iter().position(|bound| !bound) {
            None => Ok(()),
            Some(at) => {
                let name = statement.parameter_name(at + 1).map_or_else(|| format!("?{}", at + 1), str::to_owned);
                Err(invalid(format!("the parameter {name} has no value; give it one")))
            }
        }
    }

    /// Why it could not be prepared.
    fn refused(&self, db: &Connection, guard: &Guard, error: rusqlite::Error) -> Error {
        const MORE: &str = "more than one statement; ask them one by one";
        if let Some(what) = guard.refused() {
            if Batch::new(db, self.sql).next().is_ok_and(|first| first.is_some()) {
                return invalid(MORE);
            }
            // It was refused anew.
            guard.refused();
            // PRAGMA and SELECT say less than what is wrong with them; the others say it themselves.
            let word = first_word(self.sql);
            let reads = ["EXPLAIN", "PRAGMA", "SELECT", "VALUES", "WITH", ""].contains(&&*word);
            return writes(if reads { &what } else { &word });
        }
        match error {
            rusqlite::Error::MultipleStatement => invalid(MORE),
            rusqlite::Error::SqlInputError { ref msg, offset, .. } if is_of_the_text(&error) => invalid(format!(
                "{}{msg}",
                usize::try_from(offset).map_or_else(|_| String::new(), |at| place(self.sql, at))
            )),
            error if error::code(&error) == Some(ErrorCode::OperationInterrupted) => Budget::over(guard, self.limits),
            error => error::failed(error, self.snapshot.path()),
        }
    }
}

/// Whether it is what was asked that is wrong.
fn is_of_the_text(error: &rusqlite::Error) -> bool {
    matches!(error::code(error), Some(ErrorCode::Unknown | ErrorCode::TooBig | ErrorCode::ApiMisuse))
}

/// Where in the text it is, for people.
fn place(sql: &str, offset: usize) -> String {
    let Some(before) = sql.get(..offset) else { return String::new() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: ")
}

/// The word that says what a statement does.
fn first_word(sql: &str) -> String {
    bare(sql).split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_uppercase()
}

/// The statement without what stands before it.
fn bare(sql: &str) -> &str {
    let blank = |c: char| c.is_whitespace() || c == ';';
    let mut rest = sql.trim_start_matches(blank);
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return rest;
        }
        .trim_start_matches(blank);
    }
}

fn writes(what: &str) -> Error {
    invalid(format!(
        "{what} is refused: a view is only read, and only itself; ask with SELECT, change it by appending to the log"
    ))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
