//! fjall: a log-structured merge tree.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Store, build_index};
use crate::Result;

pub(super) struct Fjall {
    db: Database,
    messages: Keyspace,
    durable: bool,
    next: AtomicU64,
}

impl Fjall {
    pub(super) fn open(dir: &Path, durable: bool) -> Result<Self> {
        let db = Database::builder(dir.join("fjall")).open()?;
        let messages = db.keyspace("messages", KeyspaceCreateOptions::default)?;
        let last = messages.last_key_value().map(fjall::Guard::key).transpose()?;
        let next = AtomicU64::new(last.map_or(Ok(0), |key| number(&key).map(|last| last + 1))?);
        Ok(Self { db, messages, durable, next })
    }

    fn index_space(&self) -> Result<Keyspace> {
        Ok(self.db.keyspace("index", KeyspaceCreateOptions::default)?)
    }
}

fn number(key: &[u8]) -> Result<u64> {
    Ok(u64::from_be_bytes(key.try_into()?))
}

impl Store for Fjall {
    fn append(&self, messages: &[&[u8]]) -> Result {
        let mut batch = self.db.batch();
        for message in messages {
            batch.insert(&self.messages, self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes(), *message);
        }
        batch.commit()?;
        if self.durable {
            self.db.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn scan(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result {
        for row in self.messages.iter() {
            let (key, message) = row.into_inner()?;
            each(number(&key)?, &message);
        }
        Ok(())
    }

    fn get(&self, numbers: &[u64], each: &mut dyn FnMut(&[u8])) -> Result {
        for number in numbers {
            each(&self.messages.get(number.to_be_bytes())?.ok_or("a message is missing")?);
        }
        Ok(())
    }

    fn index(&self) -> Result {
        self.db.delete_keyspace(self.index_space()?)?;
        let index = self.index_space()?;
        build_index(self, &mut |keys| {
            let mut batch = self.db.batch();
            for key in keys {
                batch.insert(&index, key.as_slice(), []);
            }
            Ok(batch.commit()?)
        })?;
        Ok(self.db.persist(PersistMode::SyncData)?)
    }

    fn count(&self, author: &str) -> Result<u64> {
        let (from, to) = super::key_range(author);
        Ok(self.index_space()?.range(from..=to).count() as u64)
    }

    fn close(self: Box<Self>) -> Result {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}
