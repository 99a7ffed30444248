//! [`work`], what a child does until it is killed: several tasks append, delete, compact, read, follow and
//! ask views.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use flumedb::{Flume, From, Result, Seq, codec::JsonDocs};
use flumedb_sim::Choices;

use super::{Item, Views, child::say};

/// What else it is to do.
#[derive(Clone, Copy)]
pub struct Load {
    /// Which process this is; entries say so.
    pub life: u64,
    /// Some appends do not wait for the disk.
    pub buffered: bool,
}

/// A database whose segments and stores change all the time.
pub fn open(dir: &Path) -> Result<Flume<JsonDocs>> {
    Flume::builder(JsonDocs)
        .set(|settings| {
            // So small that each process ends some, and compacts them, though it lives for milliseconds.
            settings.log.segment_bytes = 16 << 10;
            // When it is asked for: views that are not added yet would have to be built anew.
            settings.log.compaction.automatic = false;
            settings.views.publish_every = Duration::from_millis(2);
            settings.views.sync_every = Duration::from_millis(5);
        })
        .open(dir)
        .blocking()
}

const WRITERS: u64 = 3;

/// Works for ever. Says `open`, and then what was acknowledged: `appended FIRST LIFE TASK BATCH OF`, `deleted SEQ SEQ…`;
/// and before it begins to delete, `deleting SEQ SEQ…`. The first time that its views have caught up, and that it has read
/// entries, it says `asked` and `read`.
pub fn work(dir: &Path, load: Load) -> ! {
    let db = open(dir).unwrap();
    let views = Arc::new(Views::add(&db).unwrap());
    say("open");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    // What the deleters may choose from.
    let written = Arc::new(Mutex::new(Vec::new()));
    for task in 0..WRITERS {
        runtime.spawn(append(db.clone(), load, task, written.clone()));
    }
    runtime.spawn(delete(db.clone(), load, written));
    runtime.spawn(compact(db.clone()));
    runtime.spawn(read(db.clone()));
    runtime.spawn(follow(db.clone()));
    runtime.block_on(async {
        let mut said = false;
        loop {
            views.compare(&db).await.unwrap();
            if !std::mem::replace(&mut said, true) {
                say("asked");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
}

fn words(seqs: &[Seq]) -> String {
    seqs.iter().map(Seq::to_string).collect::<Vec<_>>().join(" ")
}

async fn append(db: Flume<JsonDocs>, load: Load, task: u64, written: Arc<Mutex<Vec<Seq>>>) {
    for batch in 0.. {
        let (life, of) = (load.life, 1 + (batch + task) % 4);
        let items = (0..of).map(|at| Item { life, task, batch, at, of }.text());
        let append = db.append_all(items);
        let seqs = if load.buffered && batch % 3 == 0 { append.buffered().await } else { append.await }.unwrap();
        let first = seqs[0];
        assert!(seqs.iter().zip(first.get()..).all(|(seq, expected)| seq.get() == expected), "a batch has gaps");
        say(&format!("appended {first} {life} {task} {batch} {of}"));
        written.lock().unwrap().extend(seqs);
    }
}

async fn delete(db: Flume<JsonDocs>, load: Load, written: Arc<Mutex<Vec<Seq>>>) {
    let mut chance = Choices::seeded(load.life);
    loop {
        let chosen: Vec<Seq> = {
            let mut written = written.lock().unwrap();
            let left = written.len().min(1 + chance.pick(3) as usize);
            (0..left)
                .map(|_| {
                    let place = chance.pick(written.len() as u64) as usize;
                    written.swap_remove(place)
                })
                .collect()
        };
        if !chosen.is_empty() {
            say(&format!("deleting {}", words(&chosen)));
            db.delete(chosen.iter().copied()).await.unwrap();
            for &seq in &chosen {
                assert!(db.get(seq).await.is_err(), "{seq} was deleted and can be read");
            }
            say(&format!("deleted {}", words(&chosen)));
        }
        tokio::time::sleep(Duration::from_millis(chance.pick(8))).await;
    }
}

async fn compact(db: Flume<JsonDocs>) {
    loop {
        let done = db.compact().await.unwrap();
        if done.segments + done.dropped > 0 {
            say(&format!("compacted {}", done.segments + done.dropped));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn read(db: Flume<JsonDocs>) {
    let mut said = false;
    loop {
        for entry in db.scan(..).rev().limit(100).blocking() {
            Item::of(&entry.unwrap().value);
            if !std::mem::replace(&mut said, true) {
                say("read");
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn follow(db: Flume<JsonDocs>) {
    let mut news = db.subscribe(From::Head);
    let mut last = None;
    while let Some(entry) = news.next().await {
        let entry = entry.unwrap();
        Item::of(&entry.value);
        assert!(last < Some(entry.seq), "{} comes after {last:?}", entry.seq);
        last = Some(entry.seq);
    }
}
