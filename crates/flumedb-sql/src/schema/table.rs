//! [`Table`], a declared table: how its rows are put in, and how the rows of an entry are found again.

use flumedb::Result;
use rusqlite::Connection;

use super::{invalid, names, wrong};

/// How the rows of an entry are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyed {
    /// There is one row an entry, and its number is the row's own.
    Primary,
    /// An index that the user declared begins with the number.
    Indexed,
    /// Through an index of ours.
    OwnIndex,
    /// A table of full text, whose row has the number of the entry.
    Text,
}

/// A table that rows go to.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// Columns that a row has values for: all but `seq` and those that SQLite works out.
    pub(crate) columns: Vec<String>,
    pub(crate) keyed: Keyed,
    pub(crate) insert: String,
    pub(crate) delete: String,
}

impl Table {
    /// What makes the index by which the rows of an entry are found, if the user has not declared one.
    pub(crate) fn own_index(&self) -> Option<String> {
        let index = quoted(&format!("flume_seq_{}", self.name));
        (self.keyed == Keyed::OwnIndex).then(|| format!("CREATE INDEX {index} ON {} (seq)", quoted(&self.name)))
    }

    fn new(name: String, columns: Vec<String>, keyed: Keyed) -> Self {
        let (table, seq) = (quoted(&name), if keyed == Keyed::Text { "rowid" } else { "seq" });
        let list: Vec<String> = columns.iter().map(|column| format!(", {}", quoted(column))).collect();
        let values: Vec<String> = (2..=columns.len() + 1).map(|at| format!(", ?{at}")).collect();
        let insert = format!("INSERT INTO {table} ({seq}{}) VALUES (?1{})", list.concat(), values.concat());
        let delete = format!("DELETE FROM {table} WHERE {seq} = ?1");
        Self { name, columns, keyed, insert, delete }
    }
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column as SQLite describes it.
struct Column {
    name: String,
    kind: String,
    /// Its place in the primary key, from 1.
    key: i64,
    /// 0, or why nothing can be put into it.
    hidden: i64,
}

impl Column {
    fn is_seq(&self) -> bool {
        self.name.eq_ignore_ascii_case("seq")
    }
}

/// The tables in `scratch`, those of full text first: they look at others when a row is taken out of them.
pub(super) fn all(scratch: &Connection) -> Result<Vec<Table>> {
    let list = "SELECT name, type = 'virtual', wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', \
                'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 2 DESC";
    let found = (|| {
        let mut select = scratch.prepare(list)?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<rusqlite::Result<Vec<_>>>()
    })();
    let found: Vec<(String, bool, bool)> = found.map_err(|error| wrong(&error))?;
    found.into_iter().map(|(name, text, no_rowid)| table(scratch, name, text, no_rowid)).collect()
}

fn table(scratch: &Connection, name: String, text: bool, no_rowid: bool) -> Result<Table> {
    let columns = columns(scratch, &name).map_err(|error| wrong(&error))?;
    let keyed = if text {
        Keyed::Text
    } else {
        let Some(seq) = columns.iter().find(|column| column.is_seq()) else {
            return Err(invalid(format!(
                "table {name} has no column seq, which says of which entry a row is: add `seq INTEGER NOT NULL`, or `seq \
                 INTEGER PRIMARY KEY` where an entry has at most one row"
            )));
        };
        if !seq.kind.eq_ignore_ascii_case("INTEGER") || seq.hidden != 0 {
            return Err(invalid(format!("the column seq of table {name} is to be an INTEGER")));
        }
        if columns.iter().any(|column| column.key > 0) && seq.key == 0 {
            return Err(unique(&name));
        }
        let alone = columns.iter().filter(|column| column.key > 0).count() == 1;
        let indexes = indexes(scratch, &name).map_err(|error| wrong(&error))?;
        if indexes.iter().any(|index| index.unique && !index.has_seq) {
            return Err(unique(&name));
        }
        match () {
            () if seq.key == 1 && alone && !no_rowid => Keyed::Primary,
            () if indexes.iter().any(|index| index.finds) => Keyed::Indexed,
            () => Keyed::OwnIndex,
        }
    };
    let columns = columns.into_iter().filter(|column| column.hidden == 0 && (text || !column.is_seq()));
    let table = Table::new(name, columns.map(|column| column.name).collect(), keyed);
    if text {
        try_text(scratch, &table)?;
    }
    Ok(table)
}

fn columns(scratch: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut select = scratch.prepare("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid")?;
    let columns = select.query_map([table], |row| {
        Ok(Column { name: row.get(0)?, kind: row.get(1)?, key: row.get(2)?, hidden: row.get(3)? })
    })?;
    columns.collect()
}

struct Index {
    unique: bool,
    /// The rows of an entry can be found by it.
    finds: bool,
    has_seq: bool,
}

fn indexes(scratch: &Connection, table: &str) -> rusqlite::Result<Vec<Index>> {
    let mut select = scratch.prepare("SELECT name, \"unique\", partial FROM pragma_index_list(?1)")?;
    let list = select.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let list: Vec<(String, bool, bool)> = list.collect::<rusqlite::Result<_>>()?;
    let with = |(name, unique, partial): (String, bool, bool)| {
        let sql =
            format!("SELECT coalesce(name, '') FROM pragma_index_info('{}') ORDER BY seqno", name.replace('\'', "''"));
        let columns = names(scratch, &sql)?;
        let seq = |column: &String| column.eq_ignore_ascii_case("seq");
        Ok(Index { unique, finds: !partial && columns.first().is_some_and(seq), has_seq: columns.iter().any(seq) })
    };
    list.into_iter().map(with).collect()
}

/// Rows have to come out again.
fn try_text(scratch: &Connection, table: &Table) -> Result<()> {
    let contentless = |error: &rusqlite::Error| error.to_string().contains("contentless");
    let tried = scratch
        .execute(&format!("INSERT INTO {} (rowid) VALUES (1)", quoted(&table.name)), [])
        .and_then(|_| scratch.execute(&table.delete, [1]));
    match tried {
        Err(error) if contentless(&error) => {
            let name = &table.name;
            Err(invalid(format!("no row can be taken out of {name} again; declare it with contentless_delete=1")))
        }
        _ => Ok(()),
    }
}

fn unique(table: &str) -> flumedb::Error {
    invalid(format!(
        "table {table} is to hold a value once, but two entries may have the same, and the view would stop there: let keys \
         begin with seq, or leave them out and ask for min(seq)"
    ))
}
