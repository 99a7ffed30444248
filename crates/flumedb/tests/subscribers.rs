//! Every subscriber gets every entry once and in order, across the seam from history to live, and one that stands still
//! costs the others nothing. The failure it guards against: a queue per subscriber, which overflows or slows the writer,
//! and a seam where an entry that comes just then is lost or given twice. With `FLUME_SOAK` set, five times as many entries.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Bytes, Env, ErrorKind, Event, Flume, From, Result, Seq,
    codec::{Codec, Raw, Utf8},
    env::OpenMode,
    log::{Batch, BoxFuture, Chunk, Log, LogIdentity, LogStat, MemoryLog, Note, Proof, ReadRequest},
};
use flumedb_sim::soak_or;
use tokio::{sync::watch, time::timeout};

const LONG: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("did not happen within a minute")
}

fn payload(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(20)
}

fn number(payload: &Bytes) -> u64 {
    assert_eq!(payload.len(), 160);
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_subscribers_one_of_them_stalled() -> Result<()> {
    a_hundred_subscribers(Flume::memory(Raw)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_subscribers_of_a_log_on_disk_one_of_them_stalled() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let builder = Flume::builder(Raw).set(|settings| settings.log.segment_bytes = 64 << 10);
    a_hundred_subscribers(builder.open(dir.path()).await?).await
}

async fn a_hundred_subscribers(db: Flume<Raw>) -> Result<()> {
    let entries = soak_or(100_000, 20_000);
    let write = async |from: u64, to: u64| -> Result<()> {
        for first in (from..to).step_by(16) {
            db.append_all((first..to.min(first + 16)).map(payload)).await?;
            // So that subscribers run among the writes also on one core.
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    write(0, entries / 2).await?;

    let mut stalled = db.subscribe(From::Start);
    assert_eq!(number(&soon(stalled.next()).await.unwrap()?.value), 0);

    let readers: Vec<_> = (0..99u64)
        .map(|reader| {
            // Some begin in history, some at the end of it, some in what is still to come.
            let start = reader * entries / 120;
            let mut feed = db.subscribe(if start == 0 { From::Start } else { From::After(Seq::new(start - 1)) });
            tokio::spawn(async move {
                for expected in start..entries {
                    let entry = feed.next().await.unwrap()?;
                    assert_eq!((entry.seq, number(&entry.value)), (Seq::new(expected), expected));
                    if expected % (reader + 50) == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                Ok::<_, flumedb::Error>(())
            })
        })
        .collect();
    write(entries / 2, entries).await?;
    for reader in readers {
        soon(reader).await.unwrap()?;
    }

    for expected in 1..entries {
        assert_eq!(number(&soon(stalled.next()).await.unwrap()?.value), expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_stalled_subscriber_holds_a_place_and_not_what_it_missed() -> Result<()> {
    let db = Flume::memory(Raw)?;
    let mut feed = db.subscribe(From::Start);
    let first = db.append(&payload(0)).await?;
    assert_eq!(soon(feed.next()).await.unwrap()?.seq, first);
    // Had it kept what was appended meanwhile, it would give it in spite of the deletion.
    let missed = db.append_all((1..100).map(payload)).await?;
    db.delete(missed).await?;
    let last = db.append(&payload(100)).await?;
    assert_eq!(soon(feed.next()).await.unwrap()?.seq, last);
    Ok(())
}

/// A log in memory that counts the bytes which its readers hold.
struct Counting {
    inner: MemoryLog,
    held: Arc<AtomicUsize>,
    /// Appended when the next read that finds nothing has seen the log.
    meanwhile: Mutex<Option<Batch>>,
}

impl Counting {
    fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self { inner: MemoryLog::new(&Env::memory())?, held: Arc::default(), meanwhile: Mutex::default() }))
    }
}

struct Held {
    bytes: Bytes,
    held: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}

impl Log for Counting {
    fn identity(&self) -> LogIdentity {
        self.inner.identity()
    }
    fn head(&self) -> watch::Receiver<Option<Seq>> {
        self.inner.head()
    }
    fn barrier(&self) -> BoxFuture<'_, Result<Option<Seq>>> {
        self.inner.barrier()
    }
    fn first(&self) -> Option<Seq> {
        self.inner.first()
    }
    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>> {
        Box::pin(async move {
            let mut chunk = self.inner.read(request).await?;
            self.held.fetch_add(chunk.bytes.len(), Ordering::SeqCst);
            chunk.bytes = Bytes::from_owner(Held { bytes: chunk.bytes, held: self.held.clone() });
            let meanwhile = self.meanwhile.lock().unwrap().take_if(|_| chunk.slots.is_empty());
            if let Some(batch) = meanwhile {
                self.inner.append(batch).await?;
            }
            Ok(chunk)
        })
    }
    fn get_now(&self, seq: Seq) -> Option<Result<Bytes>> {
        self.inner.get_now(seq)
    }
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Seq>>> {
        self.inner.append(batch)
    }
    fn delete(&self, seqs: &[Seq]) -> BoxFuture<'_, Result<()>> {
        self.inner.delete(seqs)
    }
    fn sync(&self, to: Option<Seq>) -> BoxFuture<'_, Result<()>> {
        self.inner.sync(to)
    }
    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        self.inner.proof(seq)
    }
    fn stat(&self) -> Result<LogStat> {
        self.inner.stat()
    }
    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.close()
    }
}

#[tokio::test]
async fn a_hundred_stalled_subscribers_hold_little_of_a_long_log() -> Result<()> {
    let log = Counting::new()?;
    let held = log.held.clone();
    let db = Flume::with_log(log, Raw).await?;
    db.append(&payload(0)).await?;
    let mut stalled: Vec<_> = (0..100).map(|_| db.subscribe(From::Start)).collect();
    for feed in &mut stalled {
        soon(feed.next()).await.unwrap()?;
    }
    for _ in 0..32 {
        db.append(&vec![1; 1 << 20]).await?;
    }
    assert!(held.load(Ordering::SeqCst) <= 100 * 160, "what was appended meanwhile is not held");
    // In the middle of history, they hold an entry each, as large as that may be.
    for feed in &mut stalled {
        soon(feed.next()).await.unwrap()?;
    }
    assert!(held.load(Ordering::SeqCst) <= 100 << 20, "{}", held.load(Ordering::SeqCst));
    // Of small entries, no more than one read asks for.
    db.append_all((0..100_000).map(payload)).await?;
    for feed in &mut stalled {
        for _ in 0..32 {
            soon(feed.next()).await.unwrap()?;
        }
    }
    let held = held.load(Ordering::SeqCst);
    assert!(held > 0 && held <= 100 * (256 << 10), "{held} bytes are held of 16 MB of history");
    Ok(())
}

#[tokio::test]
async fn what_comes_between_the_last_read_and_the_wait_is_not_missed() -> Result<()> {
    let log = Counting::new()?;
    let db = Flume::with_log(log.clone(), Raw).await?;
    let mut feed = db.subscribe(From::Start);
    for round in 0..100 {
        let mut batch = Batch::new();
        batch.push(&payload(round));
        *log.meanwhile.lock().unwrap() = Some(batch);
        let next = timeout(Duration::from_secs(10), feed.next()).await;
        let entry = next.expect("it waits for what has come").unwrap()?;
        assert_eq!((entry.seq, number(&entry.value)), (Seq::new(round), round));
    }
    Ok(())
}

#[tokio::test]
async fn a_long_history_leaves_turns_to_others_on_the_same_thread() -> Result<()> {
    let db = Flume::memory(Raw)?;
    db.append_all((0..50_000).map(payload)).await?;
    let turns = Arc::<AtomicUsize>::default();
    let counter = turns.clone();
    tokio::spawn(async move {
        loop {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    let mut feed = db.subscribe(From::Start);
    for _ in 0..50_000 {
        feed.next().await.unwrap()?;
    }
    let subscribed = turns.swap(0, Ordering::SeqCst);
    assert!(subscribed >= 20, "8 MB in chunks of 256 KiB, and {subscribed} turns for others");
    let mut scan = db.scan(..).rev();
    while let Some(entry) = scan.next().await {
        entry?;
    }
    let scanned = turns.load(Ordering::SeqCst);
    assert!(scanned >= 5, "8 MB in chunks of 1 MiB, and {scanned} turns for others");
    Ok(())
}

#[tokio::test]
async fn begins_where_it_is_told() -> Result<()> {
    let db = Flume::memory(Utf8)?;
    let seqs = db.append_all(["a", "b", "c"]).await?;
    let mut start = db.subscribe(From::Start);
    let mut after = db.subscribe(From::After(seqs[1]));
    let mut far = db.subscribe(From::After(Seq::new(3)));
    let mut never = db.subscribe(From::After(Seq::new(u64::MAX)));
    let mut head = db.subscribe(From::Head);
    db.append_all(["d", "e"]).await?;
    assert_eq!(soon(start.next()).await.unwrap()?.value, "a");
    assert_eq!(soon(after.next()).await.unwrap()?.value, "c");
    assert_eq!(soon(head.next()).await.unwrap()?.value, "d");
    assert_eq!(soon(far.next()).await.unwrap()?.value, "e");
    db.close().await?;
    assert!(soon(never.next()).await.is_none_or(|end| end.unwrap_err().kind() == ErrorKind::Closed));
    Ok(())
}

#[tokio::test]
async fn events_tell_of_deletions_and_once_that_history_is_over() -> Result<()> {
    let db = Flume::memory(Utf8)?;
    let seqs = db.append_all(["a", "b", "c"]).await?;
    let mut events = db.subscribe(From::Start).events();
    let entry = |event: Option<Result<Event<String>>>| match event {
        Some(Ok(Event::Entry(entry))) => entry.value,
        other => panic!("expected an entry: {other:?}"),
    };
    assert_eq!(entry(soon(events.next()).await), "a");
    assert_eq!(entry(soon(events.next()).await), "b");
    db.append("d").await?;
    assert_eq!(entry(soon(events.next()).await), "c");
    // What was there when it was made ends before `d`.
    assert_eq!(soon(events.next()).await.unwrap()?, Event::CaughtUp);
    assert_eq!(entry(soon(events.next()).await), "d");
    db.delete([seqs[0], seqs[2]]).await?;
    assert_eq!(soon(events.next()).await.unwrap()?, Event::Deleted(seqs[0]));
    assert_eq!(soon(events.next()).await.unwrap()?, Event::Deleted(seqs[2]));
    db.append("e").await?;
    assert_eq!(entry(soon(events.next()).await), "e");

    // Who comes later gets no entry that is gone, and hears of it where it went.
    let late: Vec<_> = db.subscribe(From::Start).events().blocking().take(6).collect::<Result<_>>()?;
    let said: Vec<_> = late
        .into_iter()
        .map(|event| match event {
            Event::Entry(entry) => entry.value,
            Event::Deleted(seq) => format!("-{seq}"),
            _ => "now".to_owned(),
        })
        .collect();
    assert_eq!(said, ["b", "d", "-0", "-2", "e", "now"]);

    // A scan tells at the places of the entries themselves.
    let scanned: Vec<_> = db.scan(..=seqs[2]).rev().events().blocking().collect::<Result<_>>()?;
    assert!(matches!(&scanned[..], [Event::Deleted(_), Event::Entry(b), Event::Deleted(_)] if b.value == "b"));
    Ok(())
}

#[tokio::test]
async fn an_empty_log_is_caught_up_with_at_once() -> Result<()> {
    let db = Flume::memory(Utf8)?;
    let mut events = db.subscribe(From::Start).events();
    assert_eq!(soon(events.next()).await.unwrap()?, Event::CaughtUp);
    db.append("a").await?;
    assert!(matches!(soon(events.next()).await, Some(Ok(Event::Entry(_)))));
    Ok(())
}

#[tokio::test]
async fn an_entry_that_does_not_decode_is_an_error_with_its_name_and_the_stream_goes_on() -> Result<()> {
    let invalid = |_| flumedb::Error::new(ErrorKind::Invalid, "not a number");
    let db = Flume::memory(Utf8.map(1, move |text: String| text.parse::<u32>().map_err(invalid)))?;
    db.append_all(["1", "two", "3"]).await?;
    let mut feed = db.subscribe(From::Start);
    assert_eq!(soon(feed.next()).await.unwrap()?.value, 1);
    let error = soon(feed.next()).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.seq()), (ErrorKind::Invalid, Some(Seq::new(1))));
    assert_eq!(soon(feed.next()).await.unwrap()?.value, 3);

    let scanned: Vec<_> = db.scan(..).rev().blocking().map(|entry| entry.map(|entry| entry.value)).collect();
    assert!(matches!(scanned.as_slice(), [Ok(3), Err(_), Ok(1)]), "{scanned:?}");
    let raw: Vec<_> = db.scan(..).raw().blocking().collect::<Result<_>>()?;
    assert_eq!(raw[1].value, "two");
    Ok(())
}

#[tokio::test]
async fn a_damaged_entry_is_an_error_with_its_name_and_the_stream_goes_on() -> Result<()> {
    let env = Env::memory();
    let open = || Flume::builder(Utf8).env(env.clone());
    let db = open().open("data").await?;
    for text in ["first entry", "second entry", "third entry"] {
        db.append(text).await?;
    }
    db.close().await?;
    let dir = std::path::Path::new("data");
    let mut hit = 0;
    for name in env.storage.list(dir).unwrap() {
        let Ok(file) = env.storage.open(&dir.join(name), OpenMode::Write) else { continue };
        let bytes = file.read(0, file.len().unwrap() as usize).unwrap();
        if let Some(at) = bytes.windows(12).position(|window| window == b"second entry") {
            file.write_all(at as u64, b"S").unwrap();
            hit += 1;
        }
    }
    assert_eq!(hit, 1, "the entry is in one place");

    let db = open().read_only("data").await?;
    let mut feed = db.subscribe(From::Start);
    assert_eq!(soon(feed.next()).await.unwrap()?.value, "first entry");
    let error = soon(feed.next()).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.seq()), (ErrorKind::Corrupt, Some(Seq::new(1))));
    assert_eq!(soon(feed.next()).await.unwrap()?.value, "third entry");
    let back: Vec<_> = db.scan(..).rev().blocking().map(|entry| entry.map(|entry| entry.value)).collect();
    assert!(matches!(&back[..], [Ok(third), Err(_), Ok(first)] if third == "third entry" && first == "first entry"));
    assert_eq!(db.get(Seq::new(1)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    Ok(())
}

#[tokio::test]
async fn closing_ends_a_waiting_subscription() -> Result<()> {
    let db = Flume::memory(Utf8)?;
    let mut waiting = db.subscribe(From::Head);
    let task = tokio::spawn(async move { (waiting.next().await, waiting.next().await) });
    tokio::task::yield_now().await;
    db.close().await?;
    let (error, end) = soon(task).await.unwrap();
    assert_eq!(error.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(end.is_none());

    // Dropping the last handle is closing too.
    let db = Flume::memory(Utf8)?;
    db.append("a").await?;
    let mut feed = db.subscribe(From::Start);
    drop(db);
    assert_eq!(soon(feed.next()).await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    Ok(())
}

#[tokio::test]
async fn a_stored_consumer_goes_on_behind_what_it_acknowledged() -> Result<()> {
    let db = Flume::memory(Utf8)?;
    let seqs = db.append_all(["a", "b", "c"]).await?;
    let first = async |name: &str| soon(db.subscribe(From::Stored(name)).next()).await.unwrap();
    assert_eq!(first("mailer").await?.value, "a");
    assert_eq!(first("mailer").await?.value, "a", "what is not acknowledged comes again");
    let head = db.head();
    db.ack("mailer", seqs[0]).await?;
    assert_eq!(db.head(), head, "an acknowledgement is no entry");
    assert_eq!(first("mailer").await?.value, "b");
    assert_eq!(first("other").await?.value, "a");
    // Together with what came of it.
    let done = db.append("mail for b").note(Note::consumer("mailer", seqs[1])).await?;
    assert_eq!(first("mailer").await?.value, "c");
    db.ack("mailer", done).buffered().await?;
    db.append("d").await?;
    assert_eq!(first("mailer").await?.value, "d");
    Ok(())
}
