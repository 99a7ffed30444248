//! [`SqlReader`], the tables as they were after an entry.

mod cursor;
mod difference;
mod program;
mod query;

use std::{fmt, sync::Arc, time::Duration};

use flumedb::{Damage, Error, Result, Seq};

pub use self::{
    cursor::{Cursor, FromRow, Row},
    query::Query,
};
use crate::snapshot::Snapshot;

/// The tables as they were after an entry: what is asked sees that and nothing later, however often and long.
///
/// Cheap to clone. While one is held SQLite keeps a connection for it, and what was changed since. Queries of one reader,
/// clones of it among them, wait for each other; one may be asked while another's answer is walked through. They run where
/// they are asked, and keep neither the log nor any view waiting.
///
/// When the view is opened again after a failure, rebuilt or closed, or the reader has been held for so long that the
/// store could not be kept short ([`wal_bytes`](crate::Sql::wal_bytes)), it answers `Closed`: read again.
#[derive(Clone)]
pub struct SqlReader(Arc<Snapshot>);

impl SqlReader {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(snapshot)
    }

    /// The newest entry that is in it.
    pub fn since(&self) -> Option<Seq> {
        self.0.since()
    }

    /// Asks in SQL: one statement that reads. It runs when an answer is taken from what this gives.
    ///
    /// ```no_run
    /// # let reader: flumedb_sql::SqlReader = unimplemented!();
    /// let titles = reader.query("SELECT title FROM books WHERE year BETWEEN ?1 AND ?2 ORDER BY title");
    /// let titles: Vec<String> = titles.bind(1900).bind(1999).all()?;
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn query<'a>(&'a self, sql: &'a str) -> Query<'a> {
        Query::new(&self.0, sql)
    }

    /// Looks whether all pages, tables and indexes are as they should be. Reads everything. A changed value is not seen,
    /// because SQLite has no checksums.
    ///
    /// # Errors
    /// `Corrupt` if they are not: rebuild the view.
    pub fn check(&self) -> Result<()> {
        let check = self.query("PRAGMA integrity_check(10)").time_limit(Duration::MAX).memory_bytes(usize::MAX);
        let found: Vec<String> = check.all()?;
        match found.as_slice() {
            [fine] if fine == "ok" => Ok(()),
            found => Err(Error::corrupt(Damage::new(self.0.path(), 0, 0, found.join("; ")))),
        }
    }
}

impl fmt::Debug for SqlReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlReader").field("since", &self.since()).finish_non_exhaustive()
    }
}
