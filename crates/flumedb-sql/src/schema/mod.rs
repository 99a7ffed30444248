//! [`Schema`], the tables that the user declares: looked at in a database of its own, in memory, before anything is built.

mod allowed;
mod table;

use flumedb::{Error, ErrorKind, Result};
use rusqlite::{Batch, Connection, OptionalExtension, fallible_iterator::FallibleIterator};

pub(crate) use table::{Table, quoted};

/// Names that begin so are ours.
const OURS: &str = "flume_";

/// What is declared, checked.
pub(crate) struct Schema {
    /// What makes the tables and views, in order.
    pub(crate) create: Vec<String>,
    /// What makes the indexes; they may come when there are rows already.
    pub(crate) indexes: Vec<String>,
    /// Where rows go.
    pub(crate) tables: Vec<Table>,
}

impl Schema {
    /// Takes the statements that create tables, indexes and views.
    pub(crate) fn new(ddl: &str) -> Result<Self> {
        let mut scratch = Connection::open_in_memory().map_err(|error| wrong(&error))?;
        let refused = allowed::watch(&mut scratch).map_err(|error| wrong(&error))?;
        run(&scratch, ddl).map_err(|error| match refused.take() {
            Some(what) => invalid(format!("{what} is not for a view's tables; create tables, indexes and views only")),
            None => error,
        })?;
        scratch.authorizer(allowed::NOBODY).map_err(|error| wrong(&error))?;
        let (create, mut indexes) = objects(&scratch).map_err(|error| wrong(&error))?;
        let tables = table::all(&scratch)?;
        if tables.is_empty() {
            return Err(invalid("a view needs a table: CREATE TABLE name (seq INTEGER PRIMARY KEY, …)"));
        }
        indexes.extend(tables.iter().filter_map(Table::own_index));
        Ok(Self { create, indexes, tables })
    }

    /// What decides the state of a store, as text.
    pub(crate) fn detail(&self) -> String {
        // Raised when the same declaration gives another store.
        const FORM: u32 = 1;
        let all: Vec<&str> = self.create.iter().chain(&self.indexes).map(String::as_str).collect();
        format!("{FORM};{}", all.join(";\n"))
    }
}

/// Runs the statements one by one; each has to make something.
fn run(scratch: &Connection, ddl: &str) -> Result<()> {
    let count = || scratch.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    let mut statements = Batch::new(scratch, ddl);
    let mut before = 0;
    while let Some(mut statement) = statements.next().map_err(|error| wrong(&error))? {
        let text = statement.expanded_sql().unwrap_or_default();
        statement.raw_execute().map_err(|error| wrong(&error))?;
        drop(statement);
        let now = count().map_err(|error| wrong(&error))?;
        if now <= before {
            return Err(invalid(format!("this makes no table, index or view that was not there: {}", text.trim())));
        }
        before = now;
    }
    let mut names = scratch.prepare("SELECT name FROM sqlite_schema").map_err(|error| wrong(&error))?;
    let names = names.query_map([], |row| row.get(0)).map_err(|error| wrong(&error))?;
    for name in names {
        let name: String = name.map_err(|error| wrong(&error))?;
        if name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS)) {
            return Err(invalid(format!("names that begin with {OURS} are the view's own; call {name} otherwise")));
        }
    }
    Ok(())
}

/// What makes each table and view, and what makes each index; what SQLite adds by itself is in neither.
fn objects(scratch: &Connection) -> rusqlite::Result<(Vec<String>, Vec<String>)> {
    let mut select = scratch.prepare(
        "SELECT s.type = 'index', s.sql FROM sqlite_schema AS s LEFT JOIN pragma_table_list AS t \
         ON t.schema = 'main' AND t.name = s.tbl_name \
         WHERE s.sql IS NOT NULL AND t.type IS NOT 'shadow' AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY s.rowid",
    )?;
    let mut rows = select.query([])?;
    let (mut create, mut indexes) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let list = if row.get(0)? { &mut indexes } else { &mut create };
        list.push(row.get(1)?);
    }
    for view in names(scratch, "SELECT name FROM sqlite_schema WHERE type = 'view'")? {
        // One that reads what is not there is found here, and not when somebody asks.
        scratch.query_row(&format!("SELECT 1 FROM {} LIMIT 0", quoted(&view)), [], |_| Ok(())).optional()?;
    }
    Ok((create, indexes))
}

fn names(scratch: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    scratch.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn wrong(error: &rusqlite::Error) -> Error {
    invalid(format!("the tables of the view cannot be made: {error}"))
}
