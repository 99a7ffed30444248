//! Guards against an operator who is told nothing, or something else than `docs/observability.md` says: every event, span and
//! metric of the page comes, at its place, with its fields, level, unit and labels; none comes that is not in the page; and
//! none has a payload in it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod telemetry_support;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use flumedb::{
    Error, ErrorKind, Flume, From, Result, Seq,
    codec::Utf8,
    env::{OpenMode, Storage},
    log::{Durability, LogSettings},
    view::{Checkpoint, Definition, Run, View, ViewContext},
    views::Index,
};
use flumedb_sim::{Fault, FaultKind, Sim};
use telemetry_support::{Collector, Metrics};

const PAGE: &str = include_str!("../../../docs/observability.md");

/// What is in each entry, and in no event.
const SECRET: &str = "Pippi";

/// A view that fails as it is told.
struct Moody {
    fails: Arc<Mutex<VecDeque<ErrorKind>>>,
    since: u64,
}

impl View for Moody {
    type Item = String;
    type Reader = u64;

    fn definition(&self) -> Definition {
        Definition::new("moody", 1, "")
    }

    fn open(&mut self, _: &ViewContext<String>) -> Result<Option<Checkpoint>> {
        self.since = 0;
        Ok(None)
    }

    fn apply(&mut self, run: &Run<String>) -> Result<()> {
        if let Some(kind) = self.fails.lock().unwrap().pop_front() {
            // As a view may say it, whose mapping does not like a value.
            return Err(Error::new(kind, format!("cannot take in {:?}", run.first().unwrap().value)));
        }
        self.since += run.len() as u64;
        Ok(())
    }

    fn publish(&mut self, _: &Checkpoint) -> Result<u64> {
        Ok(self.since)
    }
}

/// A machine, and a day in the life of a database on it. Everything is told and measured.
struct Day {
    told: Collector,
    metrics: Metrics,
}

impl Day {
    fn live(work: impl FnOnce()) -> Self {
        let (told, metrics) = (Collector::default(), Metrics::default());
        told.during(|| metrics.during(work));
        Self { told, metrics }
    }
}

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 4096, entry_bytes: 2000, torn_age: Duration::from_secs(60), ..LogSettings::default() }
}

fn open(sim: &Sim) -> Flume<Utf8> {
    let builder = Flume::builder(Utf8).env(sim.env.clone()).set(|all| all.log = settings());
    sim.block_on(builder.open("db")).unwrap()
}

fn entry(bytes: usize) -> String {
    SECRET.repeat(bytes / SECRET.len())
}

fn words() -> Index<String, String> {
    Index::new(1, |text: &String| Some(text.clone()))
}

/// A database is made, written to, followed by views, deleted from, closed.
fn an_ordinary_day(sim: &Sim) {
    let db = open(sim);
    let words = sim.block_on(db.view("words", words()).into_future()).unwrap();
    let seqs = sim.block_on(db.append_all((0..10).map(|_| entry(500))).into_future()).unwrap();
    assert_eq!(sim.block_on(words.read().into_future()).unwrap().all().count(), 10);
    sim.block_on(db.delete([seqs[3]])).unwrap();
    assert_eq!(sim.block_on(db.append(&entry(3000)).into_future()).unwrap_err().kind(), ErrorKind::LimitExceeded);
    sim.block_on(words.rebuild()).unwrap();
    assert_eq!(sim.block_on(words.read().into_future()).unwrap().all().count(), 9);
    sim.advance(Duration::from_secs(3));
    sim.block_on(db.close()).unwrap();
}

/// Everything else that may happen.
fn a_bad_day(sim: Sim) {
    // A crash with a commit that was written in part.
    let builder = Flume::builder(Utf8).env(sim.env.clone()).set(|all| all.log.durability = Durability::System);
    let db = sim.block_on(builder.open("db")).unwrap();
    sim.block_on(db.append(&entry(600)).into_future()).unwrap();
    sim.block_on(db.append(&entry(500)).into_future()).unwrap();
    drop(db);
    let sim = sim.kill();
    let storage: &dyn Storage = &sim.disk;
    let name = storage.list("db".as_ref()).unwrap().into_iter().rfind(|name| name.ends_with(".seg")).unwrap();
    let file = storage.open(&Path::new("db").join(name), OpenMode::Write).unwrap();
    let bytes = file.read(0, file.len().unwrap() as usize).unwrap();
    file.set_len(bytes.iter().rposition(|byte| *byte == b'p').unwrap() as u64 - 100).unwrap();
    storage.remove("db/head".as_ref()).unwrap();
    let db = open(&sim);
    assert!(db.recovery().is_some());
    sim.block_on(db.close()).unwrap();
    drop(db);
    sim.advance(Duration::from_secs(61));
    let db = open(&sim);

    // A view that is refused something once, fails once, and then twice at one place.
    let fails = Arc::new(Mutex::new(VecDeque::from([ErrorKind::Io, ErrorKind::Invalid])));
    let moody = sim.block_on(db.view("moody", Moody { fails: fails.clone(), since: 0 }).into_future()).unwrap();
    sim.block_on(moody.read().into_future()).unwrap();
    fails.lock().unwrap().extend([ErrorKind::Faulted, ErrorKind::Faulted]);
    sim.block_on(db.append(&entry(500)).into_future()).unwrap();
    assert_eq!(sim.block_on(moody.read().into_future()).unwrap_err().kind(), ErrorKind::Faulted);
    sim.block_on(db.append(&entry(500)).into_future()).unwrap();
    sim.settle();

    // Somebody else reads along, and for a while cannot.
    let reader = sim.block_on(Flume::builder(Utf8).env(sim.env.clone()).read_only("db")).unwrap();
    sim.disk.set_fault(Fault { kind: FaultKind::Read, nth: 0, lasting: true });
    for _ in 0..20 {
        sim.threads.step();
    }
    sim.disk.clear_faults();
    drop(reader);

    // The disk is full, and then breaks.
    let scan = sim.block_on(async {
        let mut scan = db.scan(..);
        scan.next().await.unwrap().unwrap();
        scan
    });
    sim.disk.set_fault(Fault { kind: FaultKind::Full, nth: 0, lasting: true });
    assert_eq!(sim.block_on(db.append(&entry(1500)).into_future()).unwrap_err().kind(), ErrorKind::StorageFull);
    sim.disk.clear_faults();
    sim.block_on(db.append(&entry(500)).into_future()).unwrap();
    sim.disk.set_fault(Fault { kind: FaultKind::Sync, nth: 0, lasting: false });
    assert_eq!(sim.block_on(db.append(&entry(500)).into_future()).unwrap_err().kind(), ErrorKind::Poisoned);
    drop((scan, db));
}

/// The log keeps no more than it should, and what was deleted is erased; both fail once.
fn a_tidy_day() {
    let sim = Sim::new(6);
    let builder = Flume::builder(Utf8).env(sim.env.clone()).set(|all| {
        all.log = settings();
        all.log.retention.entries = Some(10);
        all.log.compaction.delay = Duration::ZERO;
    });
    let db = sim.block_on(builder.open("db")).unwrap();
    for _ in 0..30 {
        sim.block_on(db.append(&entry(500)).into_future()).unwrap();
    }
    sim.advance(Duration::from_secs(20));
    let first = db.first().unwrap().get();
    assert!((10..=20).contains(&first), "it begins at {first}");

    sim.disk.set_fault(Fault { kind: FaultKind::Read, nth: 0, lasting: true });
    let seqs = sim.block_on(db.append_all((0..20).map(|_| entry(500))).into_future()).unwrap();
    sim.block_on(db.append(&entry(500)).into_future()).unwrap();
    sim.settle();
    sim.disk.clear_faults();
    sim.advance(Duration::from_secs(20));
    assert!(db.first().unwrap() > Seq::new(first), "it goes on");

    sim.block_on(db.delete([seqs[19]])).unwrap();
    sim.disk.set_fault(Fault { kind: FaultKind::Full, nth: 0, lasting: true });
    assert_eq!(sim.block_on(db.compact()).unwrap_err().kind(), ErrorKind::StorageFull);
    sim.disk.clear_faults();
    assert!(sim.block_on(db.compact()).unwrap().erased > 0);
    sim.block_on(db.close()).unwrap();
}

/// The cells of the rows of the table whose first cell begins with this, without their backticks.
fn rows(first: &str) -> Vec<Vec<String>> {
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect();
    let rows = PAGE.lines().filter(|line| line.starts_with(&format!("| `{first}"))).map(cells);
    // What to alert on has two columns.
    rows.filter(|row: &Vec<String>| row.len() == 5).collect()
}

#[test]
fn every_event_of_the_page_comes_and_no_other() {
    let day = Day::live(|| {
        let sim = Sim::new(5);
        an_ordinary_day(&sim);
        a_bad_day(sim);
        a_tidy_day();
    });
    let page: BTreeMap<_, _> = rows("flumedb::")
        .into_iter()
        .map(|row| ((row[0].clone(), row[1].clone()), (row[2].clone(), row[3].clone())))
        .collect();
    let mut came = BTreeSet::new();
    for told in day.told.told().iter().filter(|told| told.target.starts_with("flumedb")) {
        let name = if told.is_span { format!("span {}", told.name) } else { told.name.clone() };
        let Some((level, fields)) = page.get(&(told.target.clone(), name.clone())) else {
            panic!("not in the page: {told:?}");
        };
        assert_eq!(*level, told.level, "{told:?}");
        let allowed: BTreeSet<_> = fields.split(' ').collect();
        assert!(told.fields.keys().all(|field| allowed.contains(&**field)), "{fields}: {told:?}");
        assert_eq!(told.fields["log"], "db", "{told:?}");
        // What an empty log or a tail that is not kept has not is left out; all else is there.
        let missing: Vec<_> = allowed.iter().filter(|field| !told.fields.contains_key(**field)).collect();
        assert!(missing.iter().all(|field| ["seq", "kept_in"].contains(*field)), "{missing:?}: {told:?}");
        for value in told.fields.values() {
            assert!(!value.contains(SECRET), "a payload is told: {told:?}");
        }
        came.insert((told.target.clone(), name));
    }
    let missing: Vec<_> = page.keys().filter(|named| !came.contains(*named)).collect();
    assert!(missing.is_empty(), "they never came: {missing:?}");
    // Each is made in one place, and each such place is in the page.
    let source = include_str!("../src/telemetry/events.rs");
    assert_eq!(source.matches("target: ").count(), page.len(), "an event that no test brings about");
}

#[test]
fn events_come_at_the_right_points() {
    let day = Day::live(|| an_ordinary_day(&Sim::new(9)));
    let names: Vec<String> = day.told.told().iter().map(|told| told.name.clone()).collect();
    let at = |name: &str| names.iter().position(|told| told == name).unwrap_or_else(|| panic!("{name}: {names:?}"));
    assert!(at("open") < at("opened") && at("opened") < at("commit"));
    assert!(at("commit") < at("synced") && at("synced") < at("committed"), "answered once it is on the disk");
    let commits = day.told.named("committed");
    assert_eq!((commits[0].number("entries"), commits[0].number("seq"), commits[0].number("requests")), (10, 9, 1));
    assert!(commits[0].number("bytes") > 5000);
    assert_eq!((commits[1].number("entries"), commits[1].number("seq")), (1, 10), "the tombstone");
    assert_eq!(day.told.named("deleted")[0].number("entries"), 1);
    assert_eq!(day.told.named("refused")[0].fields["limit"], "entry_bytes");
    let rolled = day.told.named("rolled");
    assert_eq!((rolled[0].number("segment"), rolled[0].number("seq")), (1, 9));
    let (mut opened, closed) = (day.told.named("opened"), day.told.named("closed"));
    opened.retain(|told| told.target == "flumedb::log");
    assert_eq!((opened.len(), opened[0].number("segments")), (1, 1));
    assert_eq!(closed.iter().filter(|told| told.target == "flumedb::log").count(), 1);
    assert_eq!(closed.last().unwrap().number("seq"), 10);
    assert_eq!(day.told.named("rebuilding").len(), 1);
    assert_eq!(day.told.named("caught up").last().unwrap().number("seq"), 10);
    assert!(names.iter().filter(|name| *name == "publish").count() >= day.told.named("published").len());
}

#[test]
fn every_metric_of_the_page_is_there_and_no_other() {
    let day = Day::live(|| {
        let sim = Sim::new(5);
        an_ordinary_day(&sim);
        a_bad_day(sim);
        a_tidy_day();
    });
    let (described, labels) = (day.metrics.described(), day.metrics.labels());
    let page: BTreeMap<String, Vec<String>> = rows("flumedb_").into_iter().map(|row| (row[0].clone(), row)).collect();
    let names: Vec<&String> = page.keys().collect();
    assert_eq!(described.keys().collect::<Vec<_>>(), names, "the page and the code");
    assert_eq!(labels.keys().collect::<Vec<_>>(), names, "each is used");
    for (name, row) in &page {
        let is = &described[name];
        assert_eq!((is.kind, &*is.unit), (&*row[1], &*row[2]), "{name}");
        assert_eq!(labels[name], row[3].split(' ').collect::<Vec<_>>(), "{name}");
        assert!(!is.text.is_empty());
    }
}

#[test]
fn metrics_say_what_happened() {
    let (sim, told, metrics) = (Sim::new(11), Collector::default(), Metrics::default());
    told.during(|| {
        metrics.during(|| {
            let db = open(&sim);
            let words = sim.block_on(db.view("words", words()).into_future()).unwrap();
            for _ in 0..20 {
                sim.block_on(db.append(&entry(500)).into_future()).unwrap();
            }
            sim.block_on(words.read().into_future()).unwrap();
            sim.settle();
            let count = |name: &str| metrics.counter(&format!("{name}{{log=db}}"));
            let gauge = |name: &str| metrics.gauge(&format!("{name}{{log=db}}"));
            let samples = |name: &str| metrics.histogram(&format!("{name}{{log=db}}"));
            let commits = told.named("committed");
            let sum = |field| commits.iter().map(|told| told.number(field)).sum::<u64>();
            assert_eq!((count("flumedb_commits_total"), count("flumedb_entries_total")), (20, 20));
            assert_eq!(count("flumedb_written_bytes_total"), sum("bytes"));
            assert_eq!(count("flumedb_segments_total"), told.named("rolled").len() as u64);
            assert!(count("flumedb_segments_total") >= 2);
            assert_eq!(samples("flumedb_append_seconds").len(), 20);
            assert_eq!(samples("flumedb_commit_requests").iter().sum::<f64>(), 20.0);
            assert_eq!(samples("flumedb_sync_seconds").len(), told.named("synced").len());
            assert!(samples("flumedb_sync_seconds").len() >= 20, "each append waited for one");
            assert_eq!((gauge("flumedb_pending_bytes"), gauge("flumedb_pending_requests")), (0.0, 0.0));
            assert_eq!(gauge("flumedb_poisoned"), 0.0);

            let mut scan = db.scan(..);
            let feed = db.subscribe(From::Start);
            assert!(sim.block_on(scan.next()).is_some());
            assert_eq!((gauge("flumedb_open_readers"), gauge("flumedb_open_subscribers")), (1.0, 1.0));
            drop((scan, feed));
            assert_eq!((gauge("flumedb_open_readers"), gauge("flumedb_open_subscribers")), (0.0, 0.0));

            // A view that has stopped falls behind; a rebuild mends it.
            let fails = Arc::new(Mutex::new(VecDeque::from([ErrorKind::Faulted; 2])));
            let moody = sim.block_on(db.view("moody", Moody { fails, since: 0 }).into_future()).unwrap();
            sim.block_on(moody.read().into_future()).unwrap_err();
            sim.block_on(db.append(&entry(500)).into_future()).unwrap();
            sim.settle();
            let view = |name: &str, view: &str| format!("{name}{{log=db,view={view}}}");
            assert_eq!(metrics.gauge(&view("flumedb_view_lag_entries", "words")), 0.0);
            assert_eq!(metrics.gauge(&view("flumedb_view_lag_entries", "moody")), 21.0);
            assert_eq!(metrics.counter(&view("flumedb_view_faults_total", "moody")), 1);
            sim.block_on(moody.rebuild()).unwrap();
            sim.block_on(moody.read().into_future()).unwrap();
            assert_eq!(metrics.gauge(&view("flumedb_view_lag_entries", "moody")), 0.0);
            assert_eq!(metrics.counter(&view("flumedb_view_rebuilds_total", "moody")), 1);
            assert_eq!(metrics.counter(&view("flumedb_view_entries_total", "words")), 21);
            let published = told.named("published").iter().filter(|told| told.fields["view"] == "words").count();
            assert_eq!(metrics.histogram(&view("flumedb_view_publish_seconds", "words")).len(), published);

            sim.disk.set_fault(Fault { kind: FaultKind::Sync, nth: 0, lasting: false });
            sim.block_on(db.append(&entry(500)).into_future()).unwrap_err();
            assert_eq!(gauge("flumedb_poisoned"), 1.0);
        });
    });
}
