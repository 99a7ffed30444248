//! [`Store`], the SQLite database that a view writes: rows and checkpoint in one transaction, and what readers see of it.
//!
//! SQLite keeps changes in a write-ahead log beside the database, and readers go on seeing what was there when they began.
//! A commit is not brought to the disk; [`Store::sync`] does that. The write-ahead log is copied into the database when
//! it has grown, and begins again from its start when no reader needs it any more.

mod meta;
mod open;
mod wal;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use flumedb::{
    Error, ErrorKind, Result, Seq,
    env::OpenMode,
    view::{Checkpoint, Place},
};
use rusqlite::{CachedStatement, Connection};

use crate::{
    error,
    schema::{Schema, Table},
    snapshot::{Pool, Snapshot},
    sql::Settings,
    value::{Value, number},
};

/// The longest text, blob or row.
pub(crate) const LONGEST: i32 = 64 << 20;

/// An index is sorted in pieces of about so many bytes, which the processor's own cache holds; larger ones take longer.
const SORT_BYTES: usize = 2 << 20;

/// A view's database, open for writing. There is one writer.
pub(crate) struct Store {
    db: Connection,
    path: PathBuf,
    page_bytes: u32,
    /// Where it is kept; `None`: in a directory that is removed with the last reader.
    place: Option<Place>,
    schema: Arc<Schema>,
    settings: Settings,
    pool: Arc<Pool>,
    /// What readers may still hold, from the oldest to the newest.
    shown: Vec<Weak<Snapshot>>,
    /// A transaction is open.
    writing: bool,
    /// The checkpoint of the newest commit.
    stored: Option<Vec<u8>>,
    /// The indexes are made once the view has come so far.
    indexes_from: Option<Seq>,
    indexed: bool,
    unsynced: bool,
    dir_synced: bool,
}

impl Store {
    /// The checkpoint of the newest commit.
    pub(crate) fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        self.stored.as_deref().map(Checkpoint::from_bytes).transpose()
    }

    /// Begins a transaction, unless one is open.
    pub(crate) fn begin(&mut self) -> Result<()> {
        if !self.writing {
            self.keep_wal_short()?;
            self.run("BEGIN IMMEDIATE")?;
            self.writing = true;
        }
        Ok(())
    }

    /// Where rows are put in.
    pub(crate) fn rows(&self) -> Rows<'_> {
        let statements = self.schema.tables.iter().map(|_| None).collect();
        Rows { store: self, statements, seq: 0, failed: None }
    }

    /// Takes out the rows of an entry.
    pub(crate) fn take_out(&mut self, seq: Seq) -> Result<()> {
        self.begin()?;
        // Without them it would be looked for in every row.
        self.make_indexes()?;
        let number = number(seq)?;
        for table in &self.schema.tables {
            let delete = self.db.prepare_cached(&table.delete);
            delete.and_then(|mut delete| delete.execute([number])).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Commits what was put in and taken out, with `at`; gives what readers see.
    pub(crate) fn publish(&mut self, at: &Checkpoint) -> Result<Arc<Snapshot>> {
        let bytes = at.to_bytes();
        let completes = at.since() >= self.indexes_from;
        let changed = self.writing || self.stored.as_deref() != Some(&bytes) || (completes && !self.indexed);
        let newest = self.shown.last().and_then(Weak::upgrade);
        if !changed && let Some(newest) = newest {
            return Ok(newest);
        }
        if changed {
            self.begin()?;
            if completes {
                self.make_indexes()?;
            }
            meta::save(&self.db, &bytes, self.indexed).map_err(|error| self.failed(error))?;
            self.run("COMMIT")?;
            self.writing = false;
            self.stored = Some(bytes);
            self.unsynced = true;
        }
        let snapshot = Arc::new(Snapshot::new(&self.pool, at.since())?);
        self.shown.retain(|shown| shown.strong_count() > 0);
        self.shown.push(Arc::downgrade(&snapshot));
        Ok(snapshot)
    }

    /// Brings what was committed to the disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let Some(place) = self.place.as_ref().filter(|_| self.unsynced) else { return Ok(()) };
        // What is committed is in the write-ahead log, or was copied from there into the database and synced by SQLite.
        // A transaction may be open, so that SQLite itself could not be asked. It takes no locks on this file.
        let wal = wal::path(&self.path);
        let file = place.storage.open(&wal, OpenMode::Write).map_err(|error| Error::io("open", &wal, error))?;
        file.sync().map_err(|error| Error::io("sync", &wal, error))?;
        if !self.dir_synced {
            place.storage.sync_dir(&place.dir).map_err(|error| Error::io("sync", &place.dir, error))?;
            self.dir_synced = true;
        }
        self.unsynced = false;
        Ok(())
    }

    fn make_indexes(&mut self) -> Result<()> {
        if !self.indexed {
            self.cache(SORT_BYTES.min(self.settings.cache_bytes))?;
            for index in &self.schema.indexes {
                self.run(index)?;
            }
            self.cache(self.settings.cache_bytes)?;
            self.indexed = true;
        }
        Ok(())
    }

    fn cache(&self, bytes: usize) -> Result<()> {
        open::cache(&self.db, bytes).map_err(|error| self.failed(error))
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.db.execute_batch(sql).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        error::failed(error, &self.path)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Readers answer that they are closed, and let go of the files.
        self.shown.iter().filter_map(Weak::upgrade).for_each(|shown| shown.retire());
        self.pool.close();
    }
}

/// Takes the rows of an entry.
///
/// A value that does not fit is not lost silently: what goes wrong here is the view's error at this entry.
pub struct Rows<'a> {
    store: &'a Store,
    statements: Vec<Option<CachedStatement<'a>>>,
    seq: i64,
    failed: Option<Error>,
}

impl Rows<'_> {
    /// Adds a row: the values of all columns in the order in which the table declares them, without `seq`, which is the
    /// entry's own, and without those that SQLite works out.
    ///
    /// ```
    /// # use flumedb_sql::{Sql, Rows};
    /// # struct Post { author: String, likes: Option<i64> }
    /// let posts = Sql::new(1, "CREATE TABLE posts (seq INTEGER PRIMARY KEY, author TEXT, likes INTEGER)",
    ///     |post: &Post, rows: &mut Rows<'_>| rows.insert("posts", &[(&post.author).into(), post.likes.into()]))?;
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn insert(&mut self, table: &str, values: &[Value<'_>]) {
        if self.failed.is_none()
            && let Err(error) = self.try_insert(table, values)
        {
            self.failed = Some(error);
        }
    }

    /// What `map` makes of an entry goes in.
    pub(crate) fn entry(&mut self, seq: Seq, map: impl FnOnce(&mut Self)) -> Result<()> {
        self.seq = number(seq)?;
        map(self);
        self.failed.take().map_or(Ok(()), |error| Err(error.at(seq)))
    }

    fn try_insert(&mut self, name: &str, values: &[Value<'_>]) -> Result<()> {
        let tables = &self.store.schema.tables;
        let found = tables.iter().zip(&mut self.statements).find(|(table, _)| table.name == name);
        let Some((table, statement)) = found else {
            let names: Vec<&str> = tables.iter().map(|table| &*table.name).collect();
            let message = format!("there is no table {name} among those declared: {}", names.join(", "));
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        if values.len() != table.columns.len() {
            let (given, wanted) = (values.len(), table.columns.join(", "));
            let message = format!("{given} values for a row of {name}, whose columns besides seq are: {wanted}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let statement = match statement {
            Some(statement) => statement,
            None => statement.insert(self.store.db.prepare_cached(&table.insert).map_err(|e| self.store.failed(e))?),
        };
        let put = (|| {
            statement.raw_bind_parameter(1, self.seq)?;
            for (at, value) in (2..).zip(values) {
                statement.raw_bind_parameter(at, value.bound())?;
            }
            statement.raw_execute()
        })();
        put.map(drop).map_err(|error| refused(table, self.store.failed(error)))
    }
}

fn refused(table: &Table, error: Error) -> Error {
    if error.kind() != ErrorKind::Invalid {
        return error;
    }
    error.context(format!("a row of {} is not as it was declared (mend the mapping or the table)", table.name))
}

/// Where a view without a place on a disk keeps its database.
fn temporary() -> Result<tempfile::TempDir> {
    let dir = std::env::temp_dir();
    tempfile::Builder::new()
        .prefix("flumedb-sql-")
        .tempdir()
        .map_err(|error| Error::io("make a directory in", &dir, error))
}

/// The file within a directory.
fn file(dir: &Path) -> PathBuf {
    dir.join("store.sqlite")
}
