//! Opening a store, and whether it is what it should be.

use std::{path::Path, sync::Arc};

use flumedb::{Damage, Error, Result, Seq, env::OpenMode, view::Place};
use rusqlite::{Connection, OpenFlags, limits::Limit};

use super::{LONGEST, Store, file, meta, temporary};
use crate::{error, schema::Schema, snapshot::Pool, sql::Settings};

/// Of a page of a new store. Rows are put in and indexes made in a fifth less time than with SQLite's own 4 KiB, as each page
/// is a few calls of the system; with more, a commit of few rows writes much more than it says.
const PAGE_BYTES: u32 = 8 << 10;

impl Store {
    /// Opens or creates the store in `place`, or one that goes with its last reader where that is not on the machine's
    /// own disk. The log ends at `head` as yet.
    pub(crate) fn open(
        place: Option<&Place>,
        schema: &Arc<Schema>,
        settings: Settings,
        head: Option<Seq>,
    ) -> Result<Self> {
        let local = place.and_then(|place| Some((place, place.storage.local_path(&place.dir)?)));
        let temp = if local.is_none() { Some(temporary()?) } else { None };
        let (place, dir) = match (local, &temp) {
            (Some((place, dir)), _) => (Some(place.clone()), dir),
            (None, temp) => (None, temp.as_ref().map(|temp| temp.path().to_owned()).unwrap_or_default()),
        };
        let path = file(&dir);
        let failed = |error| error::failed(error, &path);
        if let Some(place) = &place {
            create(place, &path)?;
        }
        let db = connect(&path, place.is_some(), settings, schema).map_err(failed)?;
        let stored = prepare(&db, schema, &path)?;
        let page_bytes = db.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(failed)?;
        let (stored, indexed) = stored.map_or((None, false), |(checkpoint, indexed)| (Some(checkpoint), indexed));
        let pool = Arc::new(Pool::new(path.clone(), settings.cache_bytes, temp));
        Ok(Self {
            db,
            path,
            page_bytes,
            place,
            schema: schema.clone(),
            settings,
            pool,
            shown: Vec::new(),
            writing: false,
            stored,
            indexes_from: head,
            indexed,
            unsynced: true,
            dir_synced: false,
        })
    }
}

/// Makes the file as files of the log are made: SQLite would let others read it. What it makes beside it is as this one.
fn create(place: &Place, path: &Path) -> Result<()> {
    let storage = &place.storage;
    let found = storage.kind(path).map_err(|error| Error::io("look at", path, error))?;
    // SQLite would follow a link; the storage refuses one.
    let mode = if found.is_none() { OpenMode::CreateNew } else { OpenMode::Read };
    storage.open(path, mode).map(drop).map_err(|error| Error::io("open", path, error))
}

fn connect(path: &Path, kept: bool, settings: Settings, schema: &Schema) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    // First, and of no effect where there are pages.
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    // Without it a power cut may leave pages of the database newer than the write-ahead log that explains them.
    db.pragma_update(None, "synchronous", if kept { "normal" } else { "off" })?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    cache(&db, settings.cache_bytes)?;
    db.pragma_update(None, "foreign_keys", false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
    db.set_prepared_statement_cache_capacity(2 * schema.tables.len() + 8);
    Ok(db)
}

/// How many bytes of pages the connection keeps in memory, and sorts at once.
pub(super) fn cache(db: &Connection, bytes: usize) -> rusqlite::Result<()> {
    db.pragma_update(None, "cache_size", -((bytes >> 10) as i64))
}

/// Makes the tables of a new store; of an old one, what is stored, if its tables are those that are declared.
fn prepare(db: &Connection, schema: &Schema, path: &Path) -> Result<Option<meta::Meta>> {
    let failed = |error| error::failed(error, path);
    let found = declared(db).map_err(failed)?;
    if found.is_empty() {
        let all: Vec<&str> = schema.create.iter().map(String::as_str).chain([meta::CREATE]).collect();
        db.execute_batch(&format!("BEGIN;\n{};\nCOMMIT", all.join(";\n"))).map_err(failed)?;
        return Ok(None);
    }
    let damaged = |reason: &str| Error::corrupt(Damage::new(path, 0, 0, reason));
    if !found.iter().any(|sql| sql == meta::CREATE) {
        return Err(damaged("its tables are not those that were declared"));
    }
    let stored = meta::load(db).map_err(failed)?;
    let indexed = stored.as_ref().is_some_and(|(_, indexed)| *indexed);
    let indexes = if indexed { schema.indexes.as_slice() } else { &[] };
    let mut wanted: Vec<&str> = schema.create.iter().chain(indexes).map(String::as_str).chain([meta::CREATE]).collect();
    wanted.sort_unstable();
    if wanted != found {
        return Err(damaged("its tables are not those that were declared"));
    }
    Ok(stored)
}

/// What made the tables, views and indexes that are there, sorted.
fn declared(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut select = db.prepare(
        "SELECT s.sql FROM sqlite_schema AS s LEFT JOIN pragma_table_list AS t ON t.schema = 'main' AND t.name = s.tbl_name \
         WHERE s.sql IS NOT NULL AND t.type IS NOT 'shadow' AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let mut found: Vec<String> = select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    found.sort_unstable();
    Ok(found)
}
