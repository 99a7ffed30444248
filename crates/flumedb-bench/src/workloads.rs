//! The workloads: what is measured, on which subjects, and what ours is to reach.

use std::{
    hint::black_box,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{Result, limits, measure::Sample, messages::Messages, others, ours, sealed, seek, stores, upkeep};

/// Concurrent writers of `durable-64`.
pub(crate) const WRITERS: usize = 64;
/// Messages of `durable-1`.
pub(crate) const DURABLE_1: usize = 3_000;
/// Messages of `durable-64`, at most: a store that is slow at it ends when the time is up.
pub(crate) const DURABLE_64: usize = 64_000;
const DURABLE_64_TIME: Duration = Duration::from_secs(2);
/// Messages of one batch.
pub(crate) const BATCH: usize = 1_000;

/// Messages among which `get-hot` asks.
const HOT: usize = 10_000;

/// One table of the report.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// What the machine can do; shares are of the first.
    pub(crate) limits: &'static [&'static str],
    /// Besides the stores that everybody knows.
    pub(crate) subjects: &'static [&'static str],
    /// Extra columns: name in the sample, heading.
    pub(crate) extra: &'static [(&'static str, &'static str)],
}

pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "append-batch",
        what: "append in batches of 1,000, left to the system to bring to the disk; closing, which waits for that, has its own column",
        limits: &["write-1m"],
        subjects: stores::NAMES,
        extra: &[("close_s", "s to close")],
    },
    Workload {
        name: "durable-1",
        what: "append one by one, each waiting for the disk",
        limits: &["sync-1"],
        subjects: stores::NAMES,
        extra: &[("p50_us", "p50 µs"), ("p99_us", "p99 µs")],
    },
    Workload {
        name: "durable-64",
        what: "64 writers at once, each waiting for the disk with each message",
        limits: &["sync-64"],
        subjects: stores::NAMES,
        extra: &[],
    },
    Workload {
        name: "scan",
        what: "look at every message in order, second pass; ours checks a checksum per message",
        limits: &["map-crc"],
        subjects: stores::NAMES,
        extra: &[("first_s", "s of the first pass")],
    },
    Workload {
        name: "get",
        what: "a million random gets by number, second pass; ours checks a checksum per message",
        limits: &["map-random"],
        subjects: stores::NAMES,
        extra: &[("ns", "ns per get")],
    },
    Workload {
        name: "get-hot",
        what: "the same among the newest 10,000 messages, which fit the processor's cache",
        limits: &[],
        subjects: stores::NAMES,
        extra: &[("ns", "ns per get")],
    },
    Workload {
        name: "sealed",
        what: "our log compressed and encrypted: append in batches of 1,000 left to the system (entries/s), size on the disk, \
               scan and random get of the second pass; `-noise` are 700 random bytes each",
        limits: &[],
        subjects: sealed::SUBJECTS,
        extra: &[("ratio", "bytes on disk / bytes"), ("scan_mb", "scan MB/s"), ("get_ns", "ns per get")],
    },
    Workload {
        name: "index",
        what: "build an index from author to messages from scratch, parsing each message, to the disk; `flumedb-reduce` is a sum instead",
        limits: &["index-memory"],
        subjects: &["flumedb-index", "flumedb-reduce", "redb", "fjall", "sqlite", "heed"],
        extra: &[],
    },
    Workload {
        name: "open",
        what: "open, and read a message; `-1g` is a log of 1 GiB, `-killed` the same after `kill -9` while it was \
               appended to, `-views` with five views that wait until they answer",
        limits: &[],
        subjects: &["flumedb", "flumedb-1g", KILLED, "flumedb-1g-views", "redb", "fjall", "sqlite", "heed"],
        extra: &[("ms", "ms")],
    },
    Workload {
        name: "catch-up",
        what: "five views catch up with a log of 1 GiB from nothing; anonymous memory of the process at its most",
        limits: &[],
        subjects: &["flumedb-catch-up"],
        extra: &[("anon_mb", "RssAnon MB")],
    },
    Workload {
        name: "check",
        what: "read every byte of a log and find that it is as it was written, second pass; `-1` by one thread (a scrub that may go as \
               fast as it can)",
        limits: &["map-crc"],
        subjects: upkeep::CHECKED,
        extra: &[("first_s", "s of the first pass")],
    },
    Workload {
        name: "backup",
        what: "back up a log to a directory on the same file system, reading all that is new: sharing files, the same again when \
               nothing is new, copying, and the look at every byte and the restore of such a copy",
        limits: &[],
        subjects: upkeep::BACKED_UP,
        extra: &[],
    },
    Workload {
        name: "compact",
        what: "erase one in twenty messages of 1 GiB, deleted at random before: every segment is written anew and on the disk at the \
               end; and how many are deleted a second, a hundred at a time",
        limits: &["write-sync-1g"],
        subjects: upkeep::COMPACTED,
        extra: &[("deletes_per_s", "deletes/s")],
    },
    Workload {
        name: "others-scan",
        what: "look at every message of 1 GB in order, in the files of other formats beside our own log, by the time that the \
               thread has on a core in the best of seven passes; only ours checks a checksum per message",
        limits: &[others::OURS],
        subjects: others::SCANNED,
        extra: &[("first_s", "s of the first pass"), ("open_s", "s to open")],
    },
    Workload {
        name: "others-import",
        what: "`flume import` of 1 GB into a new database, to the disk; its anonymous memory at its most",
        limits: &["write-sync-1g"],
        subjects: others::IMPORTED,
        extra: &[("anon_mb", "RssAnon MB")],
    },
    Workload {
        name: "seek",
        what: "find `value.author` and `value.content.type` in messages of 1 kB in memory; entries/s are of the latter; \
               `-doc` has been parsed before, `-parsed` is parsed each time",
        limits: &[],
        subjects: seek::SUBJECTS,
        extra: &[("author_ns", "ns for the author"), ("kind_ns", "ns for the type")],
    },
];

/// These, and those of views.
pub(crate) fn all() -> impl Iterator<Item = &'static Workload> {
    ALL.iter().chain(crate::views::ALL)
}

/// Before this one is measured, a writer is killed.
pub(crate) const KILLED: &str = "flumedb-1g-killed";

/// Where a measurement finds its things.
pub(crate) struct Context {
    /// Made messages.
    pub(crate) data: PathBuf,
    /// Full stores, kept between measurements.
    pub(crate) kept: PathBuf,
    /// An empty directory of its own.
    pub(crate) scratch: PathBuf,
    pub(crate) entries: usize,
}

impl Context {
    pub(crate) fn messages(&self) -> Result<Messages> {
        Messages::load(&self.data, self.entries)
    }

    pub(crate) fn kept(&self, store: &str) -> PathBuf {
        self.kept.join(store)
    }
}

/// Makes the full store that reading workloads use.
pub(crate) fn fill(store: &str, cx: &Context) -> Result {
    let dir = cx.kept(store);
    std::fs::create_dir_all(&dir)?;
    let messages = cx.messages()?;
    let store = stores::open(store, &dir, false)?;
    let all: Vec<&[u8]> = messages.iter().collect();
    for batch in all.chunks(BATCH) {
        store.append(batch)?;
    }
    store.close()
}

/// Does one measurement, in this process.
pub(crate) fn measure(workload: &str, subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        _ if workload.starts_with("views-") => crate::views::measure(workload, subject, cx),
        _ if workload == "sealed" => sealed::measure(subject, cx),
        _ if workload == "seek" => seek::measure(subject, cx),
        format if workload == "others-scan" => others::scan(format, cx),
        "write-sync-1g" => others::write_sync(cx),
        "write-1m" => limits::write_1m(&cx.messages()?, &cx.scratch),
        "sync-1" => limits::sync_1(&cx.messages()?, &cx.scratch),
        "sync-64" => limits::sync_64(&cx.messages()?, &cx.scratch),
        "map-crc" => limits::map_crc(&cx.messages()?, &cx.scratch),
        "map-random" => limits::map_random(&cx.messages()?, &cx.scratch),
        "index-memory" => limits::index_memory(&cx.messages()?),
        "flumedb-index" => ours::index(cx),
        "flumedb-reduce" => ours::reduce(cx),
        "flumedb-1g" | KILLED => ours::open_log(cx),
        "flumedb-1g-views" => ours::open_views(cx),
        "flumedb-catch-up" => ours::catch_up(cx),
        "flumedb-check" | "flumedb-check-1" => upkeep::check(subject, cx),
        "flumedb-compact" => upkeep::compact(cx),
        way if workload == "backup" => upkeep::backup(way, cx),
        format if workload == "others-import" => others::import(format.trim_start_matches("import-"), cx),
        store => match workload {
            "append-batch" => append_batch(store, cx),
            "durable-1" => durable_1(store, cx),
            "durable-64" => durable_64(store, cx),
            "scan" => scan(store, cx),
            "get" => get(store, cx, cx.entries),
            "get-hot" => get(store, cx, HOT),
            "index" => index(store, cx),
            "open" => open(store, cx),
            other => Err(format!("there is no workload `{other}`").into()),
        },
    }
}

fn append_batch(store: &str, cx: &Context) -> Result<Sample> {
    let messages = cx.messages()?;
    let all: Vec<&[u8]> = messages.iter().collect();
    limits::warm(&cx.scratch, messages.total_bytes())?;
    let store = stores::open(store, &cx.scratch, false)?;
    let sample = Sample::time(|| {
        for batch in all.chunks(BATCH) {
            store.append(batch)?;
        }
        Ok((all.len() as u64, messages.total_bytes()))
    })?;
    let start = Instant::now();
    store.close()?;
    Ok(sample.with("close_s", start.elapsed().as_secs_f64()))
}

fn durable_1(store: &str, cx: &Context) -> Result<Sample> {
    let messages = cx.messages()?;
    let store = stores::open(store, &cx.scratch, true)?;
    let mut times = Vec::with_capacity(DURABLE_1);
    let sample = Sample::time(|| {
        let mut bytes = 0;
        for message in messages.iter().take(DURABLE_1) {
            let start = Instant::now();
            store.append(&[message])?;
            times.push(start.elapsed());
            bytes += message.len() as u64;
        }
        Ok((times.len() as u64, bytes))
    })?;
    store.close()?;
    Ok(with_latencies(sample, times))
}

/// Adds the middle and the worst hundredth of some times.
pub(crate) fn with_latencies(sample: Sample, mut times: Vec<Duration>) -> Sample {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6);
    sample.with("p50_us", at(50)).with("p99_us", at(99))
}

fn durable_64(store: &str, cx: &Context) -> Result<Sample> {
    let messages = cx.messages()?;
    let all: Vec<&[u8]> = messages.iter().take(DURABLE_64).collect();
    let store = stores::open(store, &cx.scratch, true)?;
    let sample = Sample::time(|| {
        let done = store.append_by_64(&all, DURABLE_64_TIME)?;
        Ok((done, all.iter().take(done as usize).map(|message| message.len() as u64).sum()))
    })?;
    store.close()?;
    Ok(sample)
}

fn scan(store: &str, cx: &Context) -> Result<Sample> {
    let store = stores::open(store, &cx.kept(store), false)?;
    let pass = || -> Result<(u64, u64)> {
        let (mut count, mut bytes, mut first_bytes) = (0, 0, 0);
        store.scan(&mut |_, message| {
            count += 1;
            bytes += message.len() as u64;
            first_bytes ^= message.first().copied().unwrap_or(0);
        })?;
        black_box(first_bytes);
        if count != cx.entries as u64 {
            return Err(format!("the scan found {count} messages of {}", cx.entries).into());
        }
        Ok((count, bytes))
    };
    let start = Instant::now();
    pass()?;
    let first = start.elapsed().as_secs_f64();
    let sample = Sample::time(pass)?.with("first_s", first);
    store.close()?;
    Ok(sample)
}

/// A million random gets among the newest messages.
fn get(store: &str, cx: &Context, newest: usize) -> Result<Sample> {
    let store = stores::open(store, &cx.kept(store), false)?;
    let before = cx.entries.saturating_sub(newest) as u64;
    let numbers: Vec<u64> = limits::random_numbers(newest.min(cx.entries)).into_iter().map(|n| before + n).collect();
    let pass = || -> Result<(u64, u64)> {
        let (mut bytes, mut first_bytes) = (0, 0);
        store.get(&numbers, &mut |message| {
            bytes += message.len() as u64;
            first_bytes ^= message.first().copied().unwrap_or(0);
        })?;
        black_box(first_bytes);
        Ok((numbers.len() as u64, bytes))
    };
    pass()?;
    let sample = Sample::time(pass)?;
    store.close()?;
    let ns = sample.rate().map_or(f64::NAN, |rate| 1e9 / rate);
    Ok(sample.with("ns", ns))
}

fn index(store: &str, cx: &Context) -> Result<Sample> {
    let messages = cx.messages()?;
    let (author, expected) = messages.count_first_author()?;
    let store = stores::open(store, &cx.kept(store), false)?;
    let sample = Sample::time(|| {
        store.index()?;
        Ok((messages.len() as u64, messages.total_bytes()))
    })?;
    let count = store.count(&author)?;
    if count != expected {
        return Err(format!("the index has {count} messages of an author with {expected}").into());
    }
    store.close()?;
    Ok(sample)
}

fn open(store: &str, cx: &Context) -> Result<Sample> {
    let dir = cx.kept(store);
    let mut opened = None;
    let sample = Sample::time(|| {
        let store = stores::open(store, &dir, false)?;
        store.get(&[cx.entries as u64 - 1], &mut |message| {
            black_box(message);
        })?;
        opened = Some(store);
        Ok((1, 0))
    })?;
    if let Some(store) = opened {
        store.close()?;
    }
    let ms = sample.get("s").map_or(f64::NAN, |seconds| seconds * 1e3);
    Ok(sample.with("ms", ms))
}
