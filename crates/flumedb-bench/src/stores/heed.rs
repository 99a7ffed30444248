//! heed: LMDB, a mapped copy-on-write B-tree.
#![allow(unsafe_code)]

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions,
    byteorder::BigEndian,
    types::{Bytes, U64, Unit},
};

use super::{Store, build_index};
use crate::Result;

/// More than any run writes: the map's size is a promise to make beforehand.
const MAP_BYTES: usize = 64 << 30;

pub(super) struct Heed {
    /// Leaked: databases borrow their environment, and one is opened a process.
    env: &'static Env,
    messages: Database<'static, U64<BigEndian>, Bytes>,
    index: Database<'static, Bytes, Unit>,
    next: AtomicU64,
}

impl Heed {
    pub(super) fn open(dir: &Path, durable: bool) -> Result<Self> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_dbs(2);
        if !durable {
            // SAFETY: a crash of the machine may damage the file; runs without durability are thrown away.
            unsafe { options.flags(EnvFlags::NO_SYNC) };
        }
        // SAFETY: only this process has the file, and opens it once.
        let env: &'static Env = Box::leak(Box::new(unsafe { options.open(dir)? }));
        let (messages, index) = env
            .create_databases_and_commit(env.write_txn()?, |opener, write| {
                let messages = opener.create_database(write, Some("messages"))?;
                let index = opener.create_database(write, Some("index"))?;
                heed::Result::Ok(CommitOrAbort::<_, ()>::Commit((messages, index)))
            })?
            .unwrap_commit();
        let read = env.read_txn()?;
        let last = messages.last(&read)?.map(|(number, _)| number);
        drop(read);
        Ok(Self { env, messages, index, next: AtomicU64::new(last.map_or(0, |last| last + 1)) })
    }
}

impl Store for Heed {
    fn append(&self, messages: &[&[u8]]) -> Result {
        let mut write = self.env.write_txn()?;
        for message in messages {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.messages.put_with_flags(&mut write, heed::PutFlags::APPEND, &number, message)?;
        }
        Ok(write.commit()?)
    }

    fn scan(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result {
        let read = self.env.read_txn()?;
        for row in self.messages.iter(&read)? {
            let (number, message) = row?;
            each(number, message);
        }
        Ok(())
    }

    fn get(&self, numbers: &[u64], each: &mut dyn FnMut(&[u8])) -> Result {
        let read = self.env.read_txn()?;
        for number in numbers {
            each(self.messages.get(&read, number)?.ok_or("a message is missing")?);
        }
        Ok(())
    }

    fn index(&self) -> Result {
        let mut write = self.env.write_txn()?;
        self.index.clear(&mut write)?;
        write.commit()?;
        build_index(self, &mut |keys| {
            let mut write = self.env.write_txn()?;
            for key in keys {
                self.index.put(&mut write, key, &())?;
            }
            Ok(write.commit()?)
        })?;
        Ok(self.env.force_sync()?)
    }

    fn count(&self, author: &str) -> Result<u64> {
        let read = self.env.read_txn()?;
        Ok(self.index.prefix_iter(&read, author.as_bytes())?.count() as u64)
    }

    fn close(self: Box<Self>) -> Result {
        Ok(self.env.force_sync()?)
    }
}
