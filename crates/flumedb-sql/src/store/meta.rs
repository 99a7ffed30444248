//! The one row that says what a store covers.

use rusqlite::{Connection, OptionalExtension};

pub(super) const CREATE: &str = "CREATE TABLE flume_meta (id INTEGER PRIMARY KEY CHECK (id = 0), checkpoint BLOB NOT NULL, \
                                 indexed INTEGER NOT NULL) STRICT";

/// What is stored: the checkpoint, and whether the indexes are there.
pub(super) type Meta = (Vec<u8>, bool);

pub(super) fn save(db: &Connection, checkpoint: &[u8], indexed: bool) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO flume_meta VALUES (0, ?1, ?2)")?.execute((checkpoint, indexed)).map(drop)
}

pub(super) fn load(db: &Connection) -> rusqlite::Result<Option<Meta>> {
    db.query_row("SELECT checkpoint, indexed FROM flume_meta", [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}
