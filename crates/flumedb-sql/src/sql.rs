//! [`Sql`], the view.

use std::sync::Arc;

use flumedb::{
    Error, ErrorKind, Result, Seq,
    view::{Checkpoint, Definition, Retraction, Run, View, ViewContext},
};

use crate::{
    reader::SqlReader,
    schema::Schema,
    store::{Rows, Store},
};

type Map<T> = dyn Fn(&T, &mut Rows<'_>) + Send + Sync;

/// How a store is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Of pages, for each connection.
    pub(crate) cache_bytes: usize,
    /// The write-ahead log, while readers hold what it has.
    pub(crate) wal_bytes: u64,
}

/// A view that turns entries into rows of tables in SQLite, for any question that SQL can ask.
///
/// The tables are declared in SQL. Each has a column `seq`, the number of the entry that a row was made of: `seq INTEGER
/// PRIMARY KEY` where an entry has at most one row, which costs nothing; else `seq INTEGER NOT NULL`, by which rows are found
/// again when the entry is deleted, through an index that begins with it (one is made if none is declared). Tables of full
/// text (`USING fts5`) have the number as their `rowid`. Indexes and views may be declared, too. Values may not have to be
/// unique across entries, and there are no triggers: what is in the tables is what the entries say, whatever their order
/// of arrival, and a deletion takes out exactly the rows of its entry.
///
/// Rows and checkpoint are stored in one transaction. On the first build indexes are made when the view has come to where
/// the log ended at its opening.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::Json};
/// use flumedb_sql::{Rows, Sql};
///
/// let db = Flume::memory(Json::<(String, i64)>::new())?;
/// let payments = Sql::new(
///     1,
///     "CREATE TABLE payments (seq INTEGER PRIMARY KEY, account TEXT NOT NULL, cents INTEGER NOT NULL);
///      CREATE INDEX by_account ON payments (account, cents)",
///     |(account, cents): &(String, i64), rows: &mut Rows<'_>| {
///         rows.insert("payments", &[account.into(), (*cents).into()]);
///     },
/// )?;
/// let payments = db.view("payments", payments).await?;
///
/// db.append_all(&[("alice".into(), 1000), ("bob".into(), 500), ("alice".into(), -250)]).await?;
/// let reader = payments.read().await?;
/// let balance = reader.query("SELECT sum(cents) FROM payments WHERE account = ?1").bind("alice").one::<i64>()?;
/// assert_eq!(balance, Some(750));
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
///
/// # On the disk
/// SQLite writes by itself and not through [`Env`](flumedb::Env), so a view whose place is not on the machine's own disk,
/// and one without a place, is kept in a temporary directory that goes with the last reader (it stays if the process is
/// killed). An encrypted database refuses the view, unless it is [allowed](Self::in_the_clear) to lie there in the clear.
/// SQLite keeps no checksums of pages: it tells of most damage, and the view is then built anew, but a flipped bit
/// within a value is read as it is. [`check`](SqlReader::check) looks at all pages.
pub struct Sql<T> {
    version: u32,
    schema: Arc<Schema>,
    map: Box<Map<T>>,
    settings: Settings,
    in_the_clear: bool,
    store: Option<Store>,
}

impl<T> Sql<T> {
    /// The view with the tables that `tables` declares, and the rows that `map` makes of each entry. `map` must be
    /// deterministic. Raise `version` when it changes; changed tables are another definition by themselves.
    ///
    /// # Errors
    /// `Invalid` if the tables are not as described above, or no SQL.
    pub fn new(version: u32, tables: &str, map: impl Fn(&T, &mut Rows<'_>) + Send + Sync + 'static) -> Result<Self> {
        let settings = Settings { cache_bytes: 16 << 20, wal_bytes: 512 << 20 };
        Ok(Self {
            version,
            schema: Arc::new(Schema::new(tables)?),
            map: Box::new(map),
            settings,
            in_the_clear: false,
            store: None,
        })
    }

    /// How many bytes of pages each connection keeps in memory: the one that writes, and one for each reader that is held.
    /// 16 MiB unless set.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.settings.cache_bytes = bytes;
        self
    }

    /// How long the write-ahead log may grow because readers are held that need it, 512 MiB unless set. Beyond that all
    /// readers but the newest answer `Closed`.
    #[must_use]
    pub fn wal_bytes(mut self, bytes: u64) -> Self {
        self.settings.wal_bytes = bytes;
        self
    }

    /// Keeps rows of an encrypted database in the clear, in a temporary directory: SQLite writes its files by itself.
    /// Without this such a database refuses the view.
    #[must_use]
    pub fn in_the_clear(mut self) -> Self {
        self.in_the_clear = true;
        self
    }

    fn store(&mut self) -> Result<&mut Store> {
        self.store.as_mut().ok_or_else(|| Error::new(ErrorKind::Closed, "the view is not open"))
    }
}

impl<T: Send + Sync + 'static> View for Sql<T> {
    type Item = T;
    type Reader = SqlReader;

    fn definition(&self) -> Definition {
        Definition::new("sql", self.version, self.schema.detail())
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        // The former lets go of its files first.
        self.store = None;
        if cx.entries.log().is_encrypted() && !self.in_the_clear {
            let message = "the database is encrypted, and SQLite would keep this view's rows in the clear; keep them in \
                           another view, or allow it with Sql::in_the_clear";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let head = *cx.entries.log().head().borrow();
        let store = Store::open(cx.place.as_ref(), &self.schema, self.settings, head)?;
        let checkpoint = store.checkpoint()?;
        self.store = Some(store);
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        self.store()?.begin()?;
        let Some(store) = &self.store else { return Ok(()) };
        let mut rows = store.rows();
        run.iter().try_for_each(|entry| rows.entry(entry.seq, |rows| (self.map)(&entry.value, rows)))
    }

    fn retract(&mut self, seq: Seq, _: Option<&T>) -> Result<Retraction> {
        self.store()?.take_out(seq)?;
        Ok(Retraction::Done)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        self.store()?.take_out(seq)?;
        let Some((store, item)) = self.store.as_ref().zip(item) else { return Ok(Retraction::Done) };
        store.rows().entry(seq, |rows| (self.map)(item, rows))?;
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<SqlReader> {
        self.store()?.publish(at).map(SqlReader::new)
    }

    fn sync(&mut self) -> Result<()> {
        self.store()?.sync()
    }
}
