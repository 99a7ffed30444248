//! flumedb itself: its log.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use flumedb::{
    Env, Seq, Span,
    log::{Batch, Log, LogSettings, ReadRequest, SegmentedLog},
};
use futures_util::future;

use super::Store;
use crate::{Result, workloads::WRITERS};

pub(super) struct Ours {
    runtime: tokio::runtime::Runtime,
    log: SegmentedLog,
    durable: bool,
}

impl Ours {
    pub(super) fn open(dir: &Path, durable: bool) -> Result<Self> {
        let dir = dir.join("flumedb");
        let log = SegmentedLog::open(&Env::os(), &dir, LogSettings::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { runtime, log, durable })
    }

    fn batch(&self, messages: &[&[u8]]) -> Batch {
        let mut batch = Batch::new();
        batch.buffered = !self.durable;
        messages.iter().for_each(|message| batch.push(message));
        batch
    }
}

impl Store for Ours {
    fn append(&self, messages: &[&[u8]]) -> Result {
        self.runtime.block_on(self.log.append(self.batch(messages)))?;
        Ok(())
    }

    /// The writers are futures on one thread: nothing here needs a thread per writer.
    fn append_by_64(&self, messages: &[&[u8]], limit: Duration) -> Result<u64> {
        let next = AtomicUsize::new(0);
        let deadline = Instant::now() + limit;
        let writer = async || -> Result<u64> {
            let mut done = 0;
            while Instant::now() < deadline {
                let Some(message) = messages.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                self.log.append(self.batch(&[message])).await?;
                done += 1;
            }
            Ok(done)
        };
        self.runtime.block_on(future::join_all((0..WRITERS).map(|_| writer()))).into_iter().sum()
    }

    fn scan(&self, each: &mut dyn FnMut(u64, &[u8])) -> Result {
        let mut span = Span::ALL;
        loop {
            let chunk = self.runtime.block_on(self.log.read(ReadRequest::forwards(span)))?;
            if chunk.slots.is_empty() {
                return Ok(());
            }
            for (seq, message) in chunk.entries() {
                each(seq.get(), message);
            }
            span.from = chunk.covered.to;
        }
    }

    fn get(&self, numbers: &[u64], each: &mut dyn FnMut(&[u8])) -> Result {
        for number in numbers {
            each(&self.log.get_now(Seq::new(*number)).ok_or("a message must be waited for")??);
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result {
        Ok(self.runtime.block_on(self.log.close())?)
    }
}
