//! redb: a copy-on-write B-tree.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Store, build_index};
use crate::Result;

const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
const INDEX: TableDefinition<'_, &[u8], ()> = TableDefinition::new("index");

pub(super) struct Redb {
    db: Database,
    durable: bool,
    next: AtomicU64,
}

impl Redb {
    pub(super) fn open(dir: &Path, durable: bool) -> Result<Self> {
        let db = Database::create(dir.join("redb"))?;
        let write = db.begin_write()?;
        let last = write.open_table(MESSAGES)?.last()?.map(|(number, _)| number.value());
        write.open_table(INDEX)?;
        write.commit()?;
        Ok(Self { db, durable, next: AtomicU64::new(last.map_or(0, |last| last + 1)) })
    }

    fn write(&self, durable: bool, work: impl FnOnce(&redb::WriteTransaction) -> Result) -> Result {
        let mut write = self.db.begin_write()?;
        write.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
        work(&write)?;
        write.commit()?;
        Ok(())
    }
}

impl Store for Redb {
    fn append(&self, messages: &[&[u8]]) -> Result {
        self.write(self.durable, |write| {
            let mut table = write.open_table(MESSAGES)?;
            for message in messages {
                table.insert(self.next.fetch_add(1, Ordering::Relaxed), *message)?;
            }
            Ok(())
        })
    }

    fn scan(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result {
        for row in self.db.begin_read()?.open_table(MESSAGES)?.iter()? {
            let (number, message) = row?;
            each(number.value(), message.value());
        }
        Ok(())
    }

    fn get(&self, numbers: &[u64], each: &mut dyn FnMut(&[u8])) -> Result {
        let table = self.db.begin_read()?.open_table(MESSAGES)?;
        for number in numbers {
            each(table.get(number)?.ok_or("a message is missing")?.value());
        }
        Ok(())
    }

    fn index(&self) -> Result {
        self.write(false, |write| {
            write.delete_table(INDEX)?;
            Ok(())
        })?;
        build_index(self, &mut |keys| {
            self.write(false, |write| {
                let mut table = write.open_table(INDEX)?;
                for key in keys {
                    table.insert(key.as_slice(), ())?;
                }
                Ok(())
            })
        })?;
        self.write(true, |_| Ok(()))
    }

    fn count(&self, author: &str) -> Result<u64> {
        let table = self.db.begin_read()?.open_table(INDEX)?;
        let (from, to) = super::key_range(author);
        Ok(table.range(from.as_slice()..=to.as_slice())?.count() as u64)
    }

    fn close(self: Box<Self>) -> Result {
        self.write(true, |_| Ok(()))
    }
}
