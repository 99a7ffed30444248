//! Guards against a database that grows with the number of updates instead of the number of records: superseded versions
//! must leave the log, and their rows the view.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test that cannot go on ends")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use flumedb::{Database, Flume, Record, Result, collection::Envelope, log::Durability};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, Record)]
#[record(name = "counters")]
struct Counter {
    #[key]
    name: String,
    #[index]
    count: u64,
}

fn bytes_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| if entry.path().is_dir() { bytes_below(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

/// Updates one record so many times, a thousand at a time.
fn update(times: u64, segment_bytes: u64, most_bytes: u64) -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let flume = Flume::builder(Envelope)
        .set(|settings| {
            settings.log.durability = Durability::System;
            settings.log.segment_bytes = segment_bytes;
            settings.log.compaction.delay = Duration::ZERO;
        })
        .open(dir.path())
        .blocking()?;
    let db = Database::with_flume(flume).blocking()?;
    let counters = db.collection::<Counter>().blocking()?;
    counters.put(&Counter { name: "other".into(), count: 0 }).blocking()?;
    let (start, mut most, mut on_disk) = (Instant::now(), 0, 0);
    for thousand in 0..times / 1000 {
        let counts = (thousand * 1000..).take(1000).map(|count| Counter { name: "hot".into(), count });
        counters.put_all(&counts.collect::<Vec<_>>()).blocking()?;
        let stat = db.flume().stat()?;
        most = most.max(stat.entries);
        on_disk = on_disk.max(stat.bytes);
    }
    let seconds = start.elapsed().as_secs_f64();
    db.prune().blocking()?;
    let compacted = db.flume().compact().blocking()?;
    let stat = db.flume().stat()?;
    assert_eq!(counters.get("hot").blocking()?.unwrap().count, times - 1);
    assert_eq!(counters.by_count(0).blocking()?.len(), 1);
    assert_eq!(stat.entries, 3, "the declaration and two records");
    assert!(most < 20_000, "{most} entries at a time");
    // The first record was never updated, and what is behind it still goes.
    assert!(stat.bytes < 2 * segment_bytes, "{compacted:?}, and then {} bytes", stat.bytes);
    assert!(on_disk < most_bytes, "{on_disk} bytes at a time");
    db.close().blocking()?;
    let views = bytes_below(&dir.path().join("views"));
    assert!(views < 16 << 20, "the view has {views} bytes");
    println!(
        "{times} updates of one record: {seconds:.1} s, at most {most} entries alive and {on_disk} bytes of log on the disk; in \
         the end {} deleted, view {views} bytes, log {} bytes",
        stat.deleted, stat.bytes
    );
    Ok(())
}

#[test]
fn what_is_superseded_does_not_pile_up() -> Result<()> {
    match std::env::var_os("FLUME_SOAK") {
        Some(_) => update(10_000_000, 64 << 20, 1 << 30),
        None => update(20_000, 256 << 10, 4 << 20),
    }
}
