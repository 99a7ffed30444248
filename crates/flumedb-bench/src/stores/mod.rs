//! The stores, behind one trait: each does the same work in the way its users would write it.

mod fjall;
mod heed;
mod ours;
mod redb;
mod sqlite;

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{Result, messages::Message, workloads::WRITERS};

/// The names of all stores, ours first.
pub(crate) const NAMES: &[&str] = &["flumedb", "redb", "fjall", "sqlite", "heed"];

/// Something that keeps numbered messages, and an index over their authors.
pub(crate) trait Store: Sync {
    /// Appends messages in one batch. Durable, if the store was opened so.
    fn append(&self, messages: &[&[u8]]) -> Result;

    /// Appends one message at a time from 64 writers, until all are in or the time is up. Says how many got in.
    fn append_by_64(&self, messages: &[&[u8]], limit: Duration) -> Result<u64> {
        let next = AtomicU64::new(0);
        let deadline = Instant::now() + limit;
        let work = || -> Result<u64> {
            let mut done = 0;
            while Instant::now() < deadline {
                let Some(message) = messages.get(next.fetch_add(1, Ordering::Relaxed) as usize) else { break };
                self.append(&[message])?;
                done += 1;
            }
            Ok(done)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| "a writer panicked")?).sum()
        })
    }

    /// Shows every message, in order.
    fn scan(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result;

    /// Shows messages by number.
    fn get(&self, numbers: &[u64], each: &mut dyn FnMut(&[u8])) -> Result;

    /// Builds an index from author to numbers, from scratch.
    fn index(&self) -> Result {
        Err("it keeps no index".into())
    }

    /// How many messages an author has, by the index.
    fn count(&self, author: &str) -> Result<u64> {
        Err(format!("it keeps no index of {author}").into())
    }

    /// Ends it in good order.
    fn close(self: Box<Self>) -> Result;
}

/// Opens the store called `name` in a directory, making what is not there.
pub(crate) fn open(name: &str, dir: &Path, durable: bool) -> Result<Box<dyn Store>> {
    Ok(match name {
        "flumedb" => Box::new(ours::Ours::open(dir, durable)?),
        "redb" => Box::new(redb::Redb::open(dir, durable)?),
        "fjall" => Box::new(fjall::Fjall::open(dir, durable)?),
        "sqlite" => Box::new(sqlite::Sqlite::open(dir, durable)?),
        "heed" => Box::new(heed::Heed::open(dir, durable)?),
        other => return Err(format!("there is no store `{other}`; there are {}", NAMES.join(", ")).into()),
    })
}

/// The key of an index entry: the author, then the number, so that an author's entries lie together in order.
fn index_key(bytes: &[u8], number: u64) -> Result<Vec<u8>> {
    let message: Message = serde_json::from_slice(bytes)?;
    let mut key = message.author.into_bytes();
    key.extend_from_slice(&number.to_be_bytes());
    Ok(key)
}

/// How many messages go into one transaction of an index build.
const INDEX_BATCH: usize = 50_000;

/// Builds an index in batches: scans the messages and hands over sorted keys.
fn build_index(store: &dyn Store, put: &mut dyn FnMut(&[Vec<u8>]) -> Result) -> Result {
    let mut keys = Vec::with_capacity(INDEX_BATCH);
    let mut failed = None;
    let mut flush = |keys: &mut Vec<Vec<u8>>| {
        keys.sort_unstable();
        let done = put(keys);
        keys.clear();
        done
    };
    store.scan(&mut |number, bytes| {
        let step = index_key(bytes, number).and_then(|key| {
            keys.push(key);
            if keys.len() == INDEX_BATCH { flush(&mut keys) } else { Ok(()) }
        });
        if let Err(error) = step {
            failed.get_or_insert(error);
        }
    })?;
    flush(&mut keys)?;
    failed.map_or(Ok(()), Err)
}

/// The keys between which an author's index entries lie.
fn key_range(author: &str) -> (Vec<u8>, Vec<u8>) {
    let edge = |number: u64| [author.as_bytes(), &number.to_be_bytes()].concat();
    (edge(0), edge(u64::MAX))
}
