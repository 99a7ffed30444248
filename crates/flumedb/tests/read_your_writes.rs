//! What was appended before a read is in what it reads: for whoever appended it and for everybody else, while the view is
//! built anew, and until the database is closed. The failure it guards against: a waiter that is answered too early, or
//! forgotten, because an append, a rebuild or a close came between its question and its place in the list. With
//! `FLUME_SOAK` set, 100 times as many entries.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Env, ErrorKind, Flume, Result, Seq,
    codec::Json,
    log::Durability,
    view::{Checkpoint, Definition, Live, Run, View, ViewContext},
};
use flumedb_sim::soak_or;
use tokio::{task::JoinSet, time::timeout};

const WRITERS: usize = 8;
const READERS: usize = 8;
const LONG: Duration = Duration::from_secs(600);

/// The newest number of each writer; each must come after the one before it.
#[derive(Default)]
struct Newest {
    numbers: [u64; WRITERS],
}

impl View for Newest {
    type Item = (usize, u64);
    type Reader = [u64; WRITERS];

    fn definition(&self) -> Definition {
        Definition::new("newest", 1, "")
    }

    fn open(&mut self, _: &ViewContext<Self::Item>) -> Result<Option<Checkpoint>> {
        *self = Self::default();
        Ok(None)
    }

    fn apply(&mut self, run: &Run<Self::Item>) -> Result<()> {
        for entry in run.iter() {
            let (writer, number) = entry.value;
            assert_eq!(number, self.numbers[writer] + 1, "each entry exactly once, in order");
            self.numbers[writer] = number;
        }
        Ok(())
    }

    fn publish(&mut self, _: &Checkpoint) -> Result<[u64; WRITERS]> {
        Ok(self.numbers)
    }
}

/// What is shared by those who write and read at the same time.
struct Bench {
    db: Flume<Json<(usize, u64)>>,
    live: Live<Newest>,
    /// The newest number of each writer whose append has returned.
    appended: [AtomicU64; WRITERS],
    over: AtomicBool,
}

impl Bench {
    async fn new(db: Flume<Json<(usize, u64)>>) -> Result<Arc<Self>> {
        let live = db.view("newest", Newest::default()).await?;
        Ok(Arc::new(Self { db, live, appended: Default::default(), over: AtomicBool::new(false) }))
    }

    async fn write(&self, writer: usize, numbers: u64) -> Result<()> {
        for number in 1..=numbers {
            self.db.append(&(writer, number)).await?;
            self.appended[writer].store(number, Ordering::SeqCst);
            if number % 8 == writer as u64 {
                assert_eq!(self.live.read().await?[writer], number, "a writer reads what it wrote");
            }
        }
        Ok(())
    }

    /// Until it is over.
    async fn read(&self) -> Result<u64> {
        let (mut reads, mut before) = (0, [0; WRITERS]);
        while !self.over.load(Ordering::SeqCst) {
            let known: Vec<u64> = self.appended.iter().map(|number| number.load(Ordering::SeqCst)).collect();
            let seen = self.live.read().await?;
            for writer in 0..WRITERS {
                assert!(seen[writer] >= known[writer], "what was appended before is read: {seen:?}, {known:?}");
                assert!(seen[writer] >= before[writer], "what was read once stays: {seen:?}, {before:?}");
            }
            (reads, before) = (reads + 1, seen);
            tokio::task::yield_now().await;
        }
        Ok(reads)
    }
}

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    timeout(LONG, future.into_future()).await.expect("nobody waits for ever")
}

async fn writers_and_readers(db: Flume<Json<(usize, u64)>>, numbers: u64, rebuilds: bool) -> Result<()> {
    let numbers = soak_or(100, 1) * numbers;
    let bench = Bench::new(db).await?;
    let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
    for writer in 0..WRITERS {
        let bench = bench.clone();
        writers.spawn(async move { bench.write(writer, numbers).await });
    }
    for _ in 0..READERS {
        let bench = bench.clone();
        readers.spawn(async move { bench.read().await });
    }
    if rebuilds {
        for _ in 0..10 {
            bench.live.rebuild().await?;
            bench.live.read().await?;
        }
    }
    while let Some(outcome) = soon(writers.join_next()).await {
        outcome.unwrap()?;
    }
    bench.over.store(true, Ordering::SeqCst);
    while let Some(outcome) = soon(readers.join_next()).await {
        assert!(outcome.unwrap()? > 0, "every reader has read");
    }
    assert_eq!(bench.live.read().await?, [numbers; WRITERS]);
    bench.db.close().await
}

fn on_disk(durability: Durability) -> Result<Flume<Json<(usize, u64)>>> {
    let builder = Flume::builder(Json::new()).env(Env::memory());
    builder.set(|settings| settings.log.durability = durability).open("data").blocking()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory() -> Result<()> {
    writers_and_readers(Flume::memory(Json::new())?, 400, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_log_on_disk() -> Result<()> {
    writers_and_readers(on_disk(Durability::EveryCommit)?, 200, false).await
}

#[tokio::test]
async fn on_one_thread() -> Result<()> {
    writers_and_readers(on_disk(Durability::System)?, 100, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_the_view_is_built_anew() -> Result<()> {
    writers_and_readers(Flume::memory(Json::new())?, 400, true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn until_the_database_is_closed() -> Result<()> {
    for round in 0..soak_or(1000, 10u64) {
        let bench = Bench::new(on_disk(Durability::System)?).await?;
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let bench = bench.clone();
            tasks.spawn(async move { bench.write(writer, u64::MAX).await });
        }
        for _ in 0..READERS {
            let bench = bench.clone();
            tasks.spawn(async move { bench.read().await.map(drop) });
        }
        // Not at the very start: so many entries, from all of them, are there first.
        let mut head = bench.db.head_changes();
        soon(head.wait_for(|head| *head >= Some(Seq::new(round % 10 * 20)))).await.unwrap();
        soon(bench.db.close()).await?;
        while let Some(outcome) = soon(tasks.join_next()).await {
            let error = outcome.unwrap().expect_err("nobody goes on in a closed database");
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        }
    }
    Ok(())
}

/// A view that passes over every entry has caught up all the same.
#[tokio::test]
async fn though_the_view_ignores_what_was_written() -> Result<()> {
    let log: Arc<dyn flumedb::log::Log> = Arc::new(flumedb::log::MemoryLog::new(&Env::memory())?);
    let mut batch = flumedb::log::Batch::new();
    (0..100).for_each(|_| batch.push(b"no JSON"));
    log.append(batch).await?;
    let db = Flume::with_log(log, Json::<(usize, u64)>::new()).await?;
    let live = db.view("newest", Newest::default()).await?;
    assert_eq!(soon(live.read()).await?, [0; WRITERS]);
    assert_eq!(live.progress().skipped, 100);
    assert_eq!(db.scan(..).raw().blocking().count(), 100);
    Ok(())
}
