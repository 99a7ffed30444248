//! Guards against what may grow without bound: for each limit, what is exactly at it works, what is one past it is refused
//! with the figure, the limit and what to do, and nothing has changed; what was held is given back, also after a panic.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    future::{Future, IntoFuture},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Duration,
};

use flumedb::{
    Env, Error, ErrorKind, Flume, From, Seq,
    codec::{Json, JsonDocs, Raw, Utf8},
    env::{OpenMode, Storage},
    log::{Batch, Durability, Log, LogSettings, MemoryLog, Note, SegmentedLog},
    mfr::Language,
    views::{Bitmaps, Index, Op},
};
use flumedb_sim::Sim;
use futures_util::{FutureExt, StreamExt};

/// What every limit tells: its kind, its setting, how much it was and how much may be.
#[track_caller]
fn is_refused(error: &Error, setting: &str, figures: [&str; 2]) {
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert_eq!(error.limit(), Some(setting), "{error}");
    let told = error.to_string();
    assert!(told.contains(&format!("or raise the limit `{setting}`")), "{told}");
    assert!(figures.iter().all(|figure| told.contains(figure)), "{told}: {figures:?}");
}

fn batch(payloads: &[&[u8]]) -> Batch {
    let mut batch = Batch::new();
    payloads.iter().for_each(|payload| batch.push(payload));
    batch
}

/// Runs a test on the log on a disk and on the one in memory, which have the same limits.
fn on_both(settings: &LogSettings, test: impl Fn(&dyn Log)) {
    test(&MemoryLog::with_settings(&Env::memory(), settings.clone()).unwrap());
    test(&SegmentedLog::open(&Env::memory(), "log".as_ref(), settings.clone()).unwrap());
}

fn append(log: &dyn Log, batch: Batch) -> flumedb::Result<Vec<Seq>> {
    pollster(log.append(batch))
}

/// Waits without a runtime.
fn pollster<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn an_entry() {
    on_both(&LogSettings { entry_bytes: 100, ..LogSettings::default() }, |log| {
        append(log, batch(&[&[1; 100]])).unwrap();
        let error = append(log, batch(&[&[1; 7], &[1; 101]])).unwrap_err();
        is_refused(&error, "entry_bytes", ["101", "100"]);
        assert_eq!(pollster(log.barrier()).unwrap(), Some(Seq::new(0)), "nothing of the batch is there");
    });
}

#[test]
fn a_batch_in_bytes_and_in_entries() {
    // Each takes 16 bytes of room and 8 of payload.
    on_both(&LogSettings { batch_bytes: 72, ..LogSettings::default() }, |log| {
        append(log, batch(&[&[1; 8][..]; 3])).unwrap();
        is_refused(&append(log, batch(&[&[1; 8][..]; 4])).unwrap_err(), "batch_bytes", ["96", "72"]);
        assert_eq!(pollster(log.barrier()).unwrap(), Some(Seq::new(2)));
    });
    on_both(&LogSettings { batch_entries: 3, ..LogSettings::default() }, |log| {
        append(log, batch(&[&b""[..]; 3])).unwrap();
        is_refused(&append(log, batch(&[&b""[..]; 4])).unwrap_err(), "batch_entries", ["4", "3"]);
        append(log, batch(&[b"d"])).unwrap();
        let seqs: Vec<Seq> = (0..4).map(Seq::new).collect();
        is_refused(&pollster(log.delete(&seqs)).unwrap_err(), "batch_entries", ["4", "3"]);
        pollster(log.delete(&seqs[..3])).unwrap();
        assert_eq!(pollster(log.get(seqs[3])).unwrap(), "d");
    });
}

#[test]
fn deletions() {
    on_both(&LogSettings { deletions: 2, ..LogSettings::default() }, |log| {
        let seqs = append(log, batch(&[b"a", b"b", b"c"])).unwrap();
        is_refused(&pollster(log.delete(&seqs)).unwrap_err(), "deletions", ["3", "2"]);
        assert_eq!(pollster(log.get(seqs[0])).unwrap(), "a", "none of them is deleted");
        pollster(log.delete(&seqs[..2])).unwrap();
        pollster(log.delete(&seqs[..2])).unwrap();
        is_refused(&pollster(log.delete(&seqs[2..])).unwrap_err(), "deletions", ["3", "2"]);
        assert_eq!(pollster(log.get(seqs[2])).unwrap(), "c");
    });
}

#[test]
fn notes() {
    on_both(&LogSettings { notes: 2, ..LogSettings::default() }, |log| {
        let noted = |name: &str, proof: usize| {
            let note = Note { name: name.to_owned(), position: 1, proof: vec![0; proof] };
            let mut batch = batch(&[b"x"]);
            batch.note = Some(note);
            append(log, batch)
        };
        noted("a", 64 << 10).unwrap();
        noted("b", 0).unwrap();
        noted("a", 0).unwrap();
        is_refused(&noted("c", 0).unwrap_err(), "notes", ["3", "2"]);
        assert_eq!((pollster(log.barrier()).unwrap(), log.note("c").unwrap()), (Some(Seq::new(2)), None));
        // What the format fixes.
        for (error, figures) in [
            (noted("a", (64 << 10) + 1).unwrap_err(), ["65537", "65536"]),
            (noted(&"n".repeat(1025), 0).unwrap_err(), ["1025", "1024"]),
        ] {
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
            assert!(figures.iter().all(|figure| error.to_string().contains(figure)), "{error}");
        }
    });
}

/// On a disk that a test drives, appends wait until the writer is let run.
#[test]
fn pending_appends_wait_for_room_and_no_more_than_so_many_do() {
    let sim = Sim::new(1);
    let settings = LogSettings { pending_bytes: 4096, pending_requests: 3, ..LogSettings::default() };
    let log = SegmentedLog::open(&sim.env, "log".as_ref(), settings).unwrap();
    let poll = |payload: &[u8]| {
        let mut append = log.append(batch(&[payload]));
        (append.as_mut().now_or_never(), append)
    };
    let (first, one) = poll(&[1; 4000]);
    let (second, two) = poll(&[2; 4000]);
    let (third, three) = poll(&[3; 10]);
    assert!(first.is_none() && second.is_none() && third.is_none(), "one is in the queue, two wait for room");
    is_refused(&poll(b"4").0.unwrap().unwrap_err(), "pending_requests", ["3", "3"]);
    is_refused(&log.delete(&[Seq::new(0)]).now_or_never().unwrap().unwrap_err(), "pending_requests", ["3", "3"]);
    // Who does not wait any more makes place, unless the request is with the writer already.
    drop((one, two));
    let (fourth, four) = poll(b"4");
    assert!(fourth.is_none());
    let (fifth, _) = poll(b"5");
    is_refused(&fifth.unwrap().unwrap_err(), "pending_requests", ["3", "3"]);
    sim.block_on(three).unwrap();
    sim.block_on(four).unwrap();
    sim.block_on(log.append(batch(&[b"6"]))).unwrap();
    assert_eq!(*log.head().borrow(), Some(Seq::new(3)), "the first was written though nobody waited");
}

#[test]
fn readers_and_subscribers() {
    let db = Flume::builder(Utf8).set(|settings| (settings.readers, settings.subscribers) = (2, 2)).memory().unwrap();
    db.append_all(["a", "b", "c"]).blocking().unwrap();
    let open = || {
        let mut scan = db.scan(..).blocking();
        scan.next().unwrap().map(|_| scan)
    };
    let (one, two) = (open().unwrap(), open().unwrap());
    is_refused(&open().err().unwrap(), "readers", ["2", "2"]);
    assert_eq!(two.count(), 2, "one that has come to its end is no reader any more");
    let two = open().unwrap();
    let mut refused = db.scan(..).blocking();
    assert!(refused.next().unwrap().is_err() && refused.next().is_none(), "the stream ends with it");
    drop((one, two));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let (_one, _two) = (open().unwrap(), open().unwrap());
        panic!("in the middle of it");
    }));
    assert!(panicked.is_err());
    let _both = (open().unwrap(), open().unwrap());
    assert_eq!(db.get(Seq::new(0)).blocking().unwrap(), "a", "single entries are no reader");

    let subscribe = || {
        let mut feed = db.subscribe(From::Start).blocking();
        feed.next().unwrap().map(|_| feed)
    };
    let (one, two) = (subscribe().unwrap(), subscribe().unwrap());
    let mut refused = db.subscribe(From::Start).blocking();
    is_refused(&refused.next().unwrap().unwrap_err(), "subscribers", ["2", "2"]);
    assert!(refused.next().is_none());
    drop(one);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _one = subscribe().unwrap();
        panic!("in the middle of it");
    }));
    assert!(panicked.is_err());
    let _one = subscribe().unwrap();
    is_refused(&subscribe().err().unwrap(), "subscribers", ["2", "2"]);
    drop(two);
}

#[test]
fn views_and_the_reads_that_wait_for_one() {
    let db = Flume::builder(Utf8)
        .set(|settings| (settings.views.views, settings.views.waiting_reads) = (2, 2))
        .memory()
        .unwrap();
    let index = || Index::new(1, |text: &String| Some(text.clone()));
    let one = db.view("one", index()).blocking().unwrap();
    db.view("two", index()).blocking().unwrap();
    is_refused(&db.view("three", index()).blocking().err().unwrap(), "views", ["2", "2"]);

    let far = Seq::new(1000);
    let wait = || {
        let mut read = one.read_at(far).into_future();
        (std::pin::Pin::new(&mut read).now_or_never(), read)
    };
    let (first, mut waits) = wait();
    let (second, gone) = wait();
    assert!(first.is_none() && second.is_none());
    is_refused(&wait().0.unwrap().err().unwrap(), "waiting_reads", ["2", "2"]);
    drop(gone);
    assert!(wait().0.is_none(), "who waits no more makes place");
    db.append_all((0..=1000).map(|_| "x")).blocking().unwrap();
    assert_eq!(pollster(&mut waits).unwrap().since(), Some(far));
}

#[test]
fn views_that_a_query_adds() {
    let db = Flume::builder(JsonDocs).set(|settings| settings.views.views = 100).memory().unwrap();
    db.append(r#"{"a":1}"#).blocking().unwrap();
    let bitmaps = Bitmaps::new(&db);
    let added = || db.progress().len();
    let any = |paths: std::ops::Range<usize>| Op::Or(paths.map(|n| Op::equal(format!("p{n}").as_str(), 1)).collect());
    let refused = |op: Op| {
        let before = added();
        let errors = [
            bitmaps.query(op.clone()).count().blocking().unwrap_err(),
            bitmaps.prepare(&op).blocking().unwrap_err(),
            bitmaps.rebuild(&op).blocking().unwrap_err(),
            bitmaps.sublog(op).blocking().err().unwrap(),
        ];
        assert_eq!(added(), before, "none was added");
        errors
    };
    for error in refused(any(0..65)) {
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        assert!(error.to_string().contains("would add 65 views, and may add 64"), "{error}");
    }
    assert_eq!(bitmaps.query(any(0..64)).count().blocking().unwrap(), 0);
    assert_eq!(added(), 64);
    // Those that are there do not count, but all of them together have their own limit.
    refused(any(0..101)).iter().for_each(|error| is_refused(error, "views", ["64", "37"]));
    bitmaps.prepare(&any(0..100)).blocking().unwrap();
    assert_eq!((added(), bitmaps.query(any(0..100)).count().blocking().unwrap()), (100, 0));
}

/// The least number of bytes, to the byte, with which it is enough.
fn least(is_enough: impl Fn(usize) -> bool) -> usize {
    let enough = (0..30).map(|power| 1 << power).find(|memory| is_enough(*memory)).unwrap();
    let (mut less, mut most) = (enough / 2, enough);
    while most - less > 1 {
        let middle = less + (most - less) / 2;
        if is_enough(middle) { most = middle } else { less = middle }
    }
    most
}

#[test]
fn memory_of_a_query() {
    let input: Vec<_> = (0..100).map(|n| serde_json::json!({"n": n})).collect();
    let run = |memory| {
        let query = Language::new().memory_bytes(memory).parse(r#"[{"$sort": ["n"]}]"#).unwrap();
        query.run(&input).collect::<flumedb::Result<Vec<_>>>()
    };
    let least = self::least(|memory| run(memory).is_ok());
    assert_eq!(run(least).unwrap().len(), 100);
    is_refused(&run(least - 1).unwrap_err(), "memory_bytes", ["bytes in memory", &(least - 1).to_string()]);

    let db = Flume::memory(JsonDocs).unwrap();
    db.append_all(["{\"n\":1}", "{\"n\":2}", "{}"]).blocking().unwrap();
    let bitmaps = Bitmaps::new(&db);
    let sorted = |memory| bitmaps.query(Op::All).sort("n").memory_bytes(memory).seqs().blocking();
    let least = self::least(|memory| sorted(memory).is_ok());
    assert_eq!(sorted(least).unwrap().len(), 3);
    is_refused(&sorted(least - 1).unwrap_err(), "memory_bytes", [&least.to_string(), &(least - 1).to_string()]);
    assert_eq!(bitmaps.query(Op::All).memory_bytes(0).seqs().blocking().unwrap().len(), 3, "in order nothing is kept");
}

/// What stays in the cache of a store is not read again. How large it gets is in the hands of redb, which holds what it reads
/// and what it is about to write to this figure together; that the figure gets there is for us.
#[test]
fn the_cache_of_a_store() {
    let reads = |cache_bytes| {
        let sim = Sim::new(1);
        let builder = Flume::builder(Utf8).env(sim.env.clone());
        let db = sim.block_on(builder.open("db").into_future()).unwrap();
        let index = Index::new(1, |text: &String| Some(text.clone())).cache_bytes(cache_bytes);
        let index = sim.block_on(db.view("index", index).into_future()).unwrap();
        let texts = (0..20_000_u64).map(|nth| format!("{:016x}", nth.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        sim.block_on(db.append_all(texts).into_future()).unwrap();
        let reader = sim.block_on(index.read().into_future()).unwrap();
        let look = || {
            let before = sim.disk.calls();
            assert_eq!(reader.all().count(), 20_000);
            sim.disk.calls() - before
        };
        look();
        look()
    };
    let (all, half, nothing) = (reads(64 << 20), reads(128 << 10), reads(0));
    assert_eq!(all, 0, "what fits is kept");
    assert!(half > 0, "what does not fit is not");
    assert!(nothing >= half, "{nothing} reads without a cache, {half} with one");
}

#[test]
fn depth_of_json() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let db = Flume::memory(JsonDocs.max_depth(3)).unwrap();
    db.append(&nested(3)).blocking().unwrap();
    db.append(r#"[{"a":["]]]]\"[[[["]},{}]"#).blocking().unwrap();
    is_refused(&db.append(&nested(4)).blocking().unwrap_err(), "max_depth", ["4", "3"]);
    assert_eq!(db.head(), Some(Seq::new(1)));

    // What was appended without the limit is met when it is read, and views count it.
    let log = Arc::new(MemoryLog::new(&Env::memory()).unwrap());
    append(&*log, batch(&[nested(3).as_bytes(), nested(4).as_bytes()])).unwrap();
    let db = Flume::with_log(log, Json::<serde_json::Value>::new().max_depth(3)).blocking().unwrap();
    assert!(db.get(Seq::new(0)).blocking().is_ok());
    let error = db.get(Seq::new(1)).blocking().unwrap_err();
    is_refused(&error, "max_depth", ["4", "3"]);
    assert_eq!(error.seq(), Some(Seq::new(1)));
    let all = db.view("all", Index::new(1, |_: &serde_json::Value| Some(1_u32))).blocking().unwrap();
    assert_eq!(all.read().blocking().unwrap().all().count(), 1);
    assert_eq!(all.progress().skipped, 1);

    // What the codec refuses by itself.
    let json = Flume::memory(Json::<serde_json::Value>::new()).unwrap();
    let at = |depth| serde_json::from_str::<serde_json::Value>(&nested(depth));
    json.append(&at(127).unwrap()).blocking().unwrap();
    assert!(json.get(Seq::new(0)).blocking().is_ok());
    let raw = Flume::memory(Raw).unwrap();
    raw.append(nested(128).as_bytes()).blocking().unwrap();
    let deep = Flume::with_log(raw.log().clone(), Json::<serde_json::Value>::new()).blocking().unwrap();
    let error = deep.get(Seq::new(0)).blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("recursion limit exceeded"), "{error}");
}

/// A crash leaves a tail; how many files are kept, of which size and for how long, is what the settings say.
#[test]
fn torn_tails_are_few_small_and_gone_after_a_while() {
    let settings = LogSettings {
        durability: Durability::System,
        torn_files: 2,
        torn_bytes: 40,
        torn_age: Duration::from_secs(60),
        ..LogSettings::default()
    };
    let mut sim = Sim::new(7);
    let open = |sim: &Sim| SegmentedLog::open(&sim.env, "log".as_ref(), settings.clone()).unwrap();
    let kept = |log: &SegmentedLog| log.stat().unwrap().torn;
    let tear = |sim: Sim| {
        let log = open(&sim);
        let before = kept(&log);
        // A commit of which only the beginning was written.
        sim.block_on(log.append(batch(&[&[9; 500]]))).unwrap();
        drop(log);
        let sim = sim.kill();
        let storage: &dyn Storage = &sim.disk;
        let name = storage.list("log".as_ref()).unwrap().into_iter().rfind(|name| name.ends_with(".seg")).unwrap();
        let file = storage.open(&Path::new("log").join(name), OpenMode::Write).unwrap();
        let bytes = file.read(0, file.len().unwrap() as usize).unwrap();
        let end = bytes.iter().rposition(|byte| *byte == 9).unwrap();
        file.set_len(end as u64 - 100).unwrap();
        storage.remove("log/head".as_ref()).unwrap();
        (sim, before)
    };
    for round in 0..4_u64 {
        let before;
        (sim, before) = tear(sim);
        assert_eq!(before.files, round.min(2));
        sim.advance(Duration::from_secs(1));
    }
    // What others put beside them is neither counted nor removed, nor in the way.
    let others =
        ["torn/000dir", "torn/000000-0000000000-0-1.torn", "damaged/dir"].map(|name| Path::new("log").join(name));
    let notes = ["torn/0-notes", "torn/000000-mine.torn", "torn/000000-0000000000-0-1.torn.bak", "damaged/notes"];
    let notes = notes.map(|name| Path::new("log").join(name));
    others.iter().for_each(|dir| sim.disk.create_dir_all(dir).unwrap());
    notes.iter().for_each(|file| drop(sim.disk.open(file, OpenMode::CreateNew).unwrap()));
    for _ in 0..2 {
        (sim, _) = tear(sim);
        sim.advance(Duration::from_secs(1));
    }
    let log = open(&sim);
    assert!(log.recovery().is_some());
    assert_eq!((kept(&log).files, kept(&log).bytes), (2, 80), "the newest two, the beginning of each");
    let oldest = kept(&log).oldest.unwrap();
    let newest = sim.env.clock.unix_us() / 1_000_000;
    assert!(newest - oldest <= 1, "{oldest} {newest}");
    sim.block_on(log.close()).unwrap();
    drop(log);
    // At the limit of their age they are there, a second past it they are not.
    let older = Duration::from_secs((oldest + 60 - newest) as u64);
    sim.advance(older);
    assert_eq!(kept(&open(&sim)).files, 2);
    sim.advance(Duration::from_secs(1));
    assert_eq!(kept(&open(&sim)).files, 1);
    sim.advance(Duration::from_secs(2));
    let log = open(&sim);
    assert_eq!((kept(&log).files, kept(&log).oldest), (0, None));
    assert_eq!(log.stat().unwrap().damaged.files, 0);
    for path in others.iter().chain(&notes) {
        assert!(sim.disk.kind(path).unwrap().is_some(), "{}", path.display());
    }
}

/// They are looked at while the log goes on, too.
#[test]
fn a_torn_tail_is_forgotten_at_the_end_of_a_segment() {
    let sim = Sim::new(3);
    let settings = LogSettings { torn_age: Duration::from_secs(60), segment_bytes: 4096, ..LogSettings::default() };
    let log = SegmentedLog::open(&sim.env, "log".as_ref(), settings).unwrap();
    let since = sim.env.clock.unix_us() / 1_000_000;
    let torn = Path::new("log/torn").join(format!("000000-0000000000-96-{since}.torn"));
    let storage: &dyn Storage = &sim.disk;
    storage.create_dir_all("log/torn".as_ref()).unwrap();
    storage.open(&torn, OpenMode::CreateNew).unwrap().write_all(0, b"what was deleted").unwrap();
    let fill = || sim.block_on(log.append(batch(&[&[1; 3000], &[1; 3000]]))).map(drop).unwrap();
    fill();
    fill();
    assert_eq!(log.stat().unwrap().torn.files, 1, "it is not old enough");
    sim.advance(Duration::from_secs(61));
    fill();
    assert_eq!(log.stat().unwrap().torn.files, 0);
}

/// Streams of views and feeds wait for their reader; what a subscription that stands still holds is in `subscribers.rs`.
#[tokio::test]
async fn a_stream_under_way_counts_once_however_it_is_turned() {
    let db = Flume::builder(Utf8).set(|settings| settings.readers = 1).memory().unwrap();
    db.append_all(["a", "b"]).await.unwrap();
    let mut scan = db.scan(..).rev().raw();
    assert!(scan.next().await.unwrap().is_ok());
    let mut scan = scan.events();
    assert!(StreamExt::next(&mut scan).await.unwrap().is_ok());
    assert!(db.scan(..).next().await.unwrap().is_err());
    assert!(StreamExt::next(&mut scan).await.is_none());
    assert!(db.scan(..).next().await.unwrap().is_ok());
}

/// `docs/limits.md` names every setting that is a limit, and tests that are there.
#[test]
fn the_page_of_limits_has_every_setting_and_names_tests_that_are_there() {
    const PAGE: &str = include_str!("../../../docs/limits.md");
    let sources = [
        include_str!("../src/log/segmented/settings.rs"),
        include_str!("../src/flume/builder.rs"),
        include_str!("../src/view/host.rs"),
    ];
    // What is chosen and is no limit.
    let others = [
        "durability",
        "segment_bytes",
        "log",
        "views",
        "gated",
        "dir",
        "threads",
        "publish_every",
        "sync_every",
        "path",
        "compression",
        "keys",
        "compaction",
        "automatic",
        "least_percent",
        "bytes_per_second",
        "delay",
        "patience",
        "reserve_bytes",
    ];
    let fields = sources.iter().flat_map(|source| source.lines()).filter_map(|line| {
        let (name, _) = line.strip_prefix("    pub ")?.split_once(": ")?;
        name.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(name)
    });
    let mut found = 0;
    for field in fields.filter(|field| !others.contains(field)) {
        found += 1;
        assert!(
            PAGE.contains(&format!("::{field}`")) || PAGE.contains(&format!("`{field}`")),
            "{field} is not in the page"
        );
    }
    assert!(found >= 16, "{found} settings");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = PAGE.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| limit"));
    let (mut files, mut tests) = (0, 0);
    for row in rows {
        let last = row.trim_end_matches('|').rsplit(" | ").next().unwrap();
        for named in last.split('`').skip(1).step_by(2) {
            if named.contains(".rs") || named.contains('/') {
                let path =
                    if named.contains('/') { here.join("../..").join(named) } else { here.join("tests").join(named) };
                assert!(std::path::Path::try_exists(&path).unwrap(), "{named} is not there");
                files += 1;
            } else {
                let anywhere = [
                    include_str!("limits.rs"),
                    include_str!("../src/log/limits.rs"),
                    include_str!("../../flumedb-cli/tests/watch.rs"),
                    include_str!("../../flumedb-search/src/store/draft.rs"),
                ];
                assert!(anywhere.iter().any(|file| file.contains(&format!("fn {named}("))), "no test {named}");
                tests += 1;
            }
        }
    }
    assert!(files > 5 && tests > 10, "{files} {tests}");
}
