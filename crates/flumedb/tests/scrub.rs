//! Guards against a check in the background that misses damage, finds some where there is none, holds up the log, or is
//! faster than it may be.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use flumedb::{
    Damage,
    env::Clock,
    log::{Batch, Log, LogSettings, SegmentedLog},
};
use flumedb_sim::{Image, Sim, on_all_cores};
use futures_util::future::join;

const LOG: &str = "log";

async fn write(log: &SegmentedLog, from: u64, to: u64) {
    for number in from..to {
        let mut batch = Batch::new();
        batch.push(&vec![number as u8; 100 + (number * 37 % 900) as usize]);
        batch.buffered = number % 3 == 0;
        let seqs = log.append(batch).await.unwrap();
        if number % 10 == 9 {
            log.delete(&seqs).await.unwrap();
        }
    }
}

fn open(sim: &Sim) -> SegmentedLog {
    let settings = LogSettings { segment_bytes: 4096, ..LogSettings::default() };
    SegmentedLog::open(&sim.env, LOG.as_ref(), settings).unwrap()
}

/// What is told on the way.
fn listener() -> (Arc<Mutex<Vec<Damage>>>, flumedb::log::OnDamage) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = told.clone();
    (told, Box::new(move |damage: &Damage| into.lock().unwrap().push(damage.clone())))
}

#[test]
fn beside_a_writer_nothing_is_found_where_nothing_is() {
    on_all_cores(60, |seed| {
        let sim = Sim::new(seed as u64);
        let log = open(&sim);
        sim.block_on(write(&log, 0, 30));
        let (told, on_damage) = listener();
        let scrub = log.scrub(10_000_000, on_damage).unwrap();
        let (report, ()) = sim.block_on(join(scrub, write(&log, 30, 90)));
        let report = report.unwrap();
        assert!(report.is_ok(), "{report:?}");
        assert!(report.head.unwrap().get() >= 29 && told.lock().unwrap().is_empty());
        sim.block_on(log.close()).unwrap();
    });
}

#[test]
fn it_finds_what_a_check_finds() {
    let sim = Sim::new(1);
    let log = open(&sim);
    sim.block_on(write(&log, 0, 40));
    sim.block_on(log.close()).unwrap();
    drop(log);
    let image = sim.kill().disk.image();
    let files: Vec<_> = image.files().into_iter().filter(|path| path.extension().is_some()).collect();
    on_all_cores(files.len(), |number| {
        let whole = image.read(&files[number]).unwrap();
        for at in (0..whole.len()).step_by(53) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            let mut image: Image = image.clone();
            image.write(&files[number], &bytes).unwrap();
            let sim = Sim::boot(image, 2);
            let (told, on_damage) = listener();
            let scrub = SegmentedLog::scrub_at(&sim.env, LOG.as_ref(), u64::MAX, on_damage).unwrap();
            let report = sim.block_on(scrub).unwrap();
            assert_eq!(
                report,
                SegmentedLog::check(&sim.env, LOG.as_ref()).unwrap(),
                "byte {at} of {:?}",
                files[number]
            );
            assert_eq!(*told.lock().unwrap(), report.damage, "byte {at} of {:?}", files[number]);
        }
    });
}

#[test]
fn it_is_no_faster_than_it_may_be_and_ends_when_nobody_wants_it() {
    let sim = Sim::new(5);
    let log = open(&sim);
    sim.block_on(write(&log, 0, 200));
    let before = sim.clock.monotonic();
    let report = sim.block_on(log.scrub(20_000, Box::new(|_| ())).unwrap()).unwrap();
    let took = sim.clock.monotonic() - before;
    // What comes after the last pause is not waited for.
    let least = Duration::from_millis((report.bytes - 8192) * 1000 / 20_000);
    assert!(took >= least, "{} bytes in {took:?}", report.bytes);

    let scrub = log.scrub(1000, Box::new(|_| ())).unwrap();
    sim.advance(Duration::from_secs(5));
    let read = scrub.bytes();
    assert!(read > 0 && read < report.bytes, "{read} of {}", report.bytes);
    drop(scrub);
    let calls = sim.disk.calls();
    sim.advance(Duration::from_secs(60));
    assert_eq!(sim.disk.calls(), calls, "it goes on");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed: u64| {
        let sim = Sim::new(seed);
        let log = open(&sim);
        sim.block_on(write(&log, 0, 60));
        sim.block_on(join(log.scrub(50_000, Box::new(|_| ())).unwrap(), write(&log, 60, 90))).0.unwrap();
        (sim.disk.image().fingerprint(), sim.disk.calls(), sim.clock.monotonic())
    };
    assert_eq!(run(9), run(9));
}
