//! SQLite with a write-ahead log.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;

use super::{Store, build_index};
use crate::Result;

pub(super) struct Sqlite(Mutex<Connection>);

impl Sqlite {
    pub(super) fn open(dir: &Path, durable: bool) -> Result<Self> {
        let db = Connection::open(dir.join("sqlite"))?;
        db.pragma_update(None, "journal_mode", "wal")?;
        db.pragma_update(None, "synchronous", if durable { "full" } else { "off" })?;
        db.execute_batch("create table if not exists messages (number integer primary key, message blob not null)")?;
        Ok(Self(Mutex::new(db)))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Sqlite {
    fn append(&self, messages: &[&[u8]]) -> Result {
        let mut db = self.lock();
        let write = db.transaction()?;
        let mut insert = write.prepare_cached("insert into messages (message) values (?)")?;
        for message in messages {
            insert.execute([message])?;
        }
        drop(insert);
        Ok(write.commit()?)
    }

    fn scan(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result {
        // A connection of its own, so that an index can be written meanwhile.
        let db = Connection::open(self.lock().path().ok_or("no path")?)?;
        let mut select = db.prepare("select number, message from messages order by number")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            each(number as u64 - 1, row.get_ref(1)?.as_blob()?);
        }
        Ok(())
    }

    fn get(&self, numbers: &[u64], each: &mut dyn FnMut(&[u8])) -> Result {
        let mut db = self.lock();
        let read = db.transaction()?;
        let mut select = read.prepare_cached("select message from messages where number = ?")?;
        for number in numbers {
            let mut rows = select.query([*number as i64 + 1])?;
            each(rows.next()?.ok_or("a message is missing")?.get_ref(0)?.as_blob()?);
        }
        Ok(())
    }

    fn index(&self) -> Result {
        self.lock()
            .execute_batch("drop table if exists entries; create table entries (key blob primary key) without rowid")?;
        build_index(self, &mut |keys| {
            let mut db = self.lock();
            let write = db.transaction()?;
            let mut insert = write.prepare_cached("insert into entries values (?)")?;
            for key in keys {
                insert.execute([key])?;
            }
            drop(insert);
            Ok(write.commit()?)
        })
    }

    fn count(&self, author: &str) -> Result<u64> {
        let (from, to) = super::key_range(author);
        let count: i64 =
            self.lock()
                .query_row("select count(*) from entries where key between ? and ?", [from, to], |row| row.get(0))?;
        Ok(count as u64)
    }

    fn close(self: Box<Self>) -> Result {
        let db = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        db.close().map_err(|(_, error)| error.into())
    }
}
