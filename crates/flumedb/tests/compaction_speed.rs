//! Guards against erasing that is so slow that nobody does it: deletions a second, and how long a compaction takes on the real
//! disk. The figures of `docs/bench.md` come from the long form (with `FLUME_SOAK` set): 1,400,000 entries of 700 bytes,
//! 5 % of them deleted at random.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on ends, and measures")]

use std::time::Instant;

use flumedb::{
    Env, Result, Seq,
    log::{Batch, Compaction, Durability, Log, LogSettings, SegmentedLog},
};

#[tokio::test]
async fn a_twentieth_is_erased() -> Result<()> {
    let count: u64 = if std::env::var_os("FLUME_SOAK").is_some() { 1_400_000 } else { 20_000 };
    let dir = tempfile::tempdir().unwrap();
    let compaction = Compaction { automatic: false, ..Compaction::default() };
    let settings = LogSettings { durability: Durability::System, compaction, ..LogSettings::default() };
    let log = SegmentedLog::open(&Env::os(), dir.path(), settings)?;
    let mut payload = [7u8; 700];
    for from in (0..count).step_by(1000) {
        let mut batch = Batch::new();
        for number in from..from + 1000 {
            payload[..8].copy_from_slice(&number.to_le_bytes());
            batch.push(&payload);
        }
        log.append(batch).await?;
    }
    log.sync(None).await?;
    // A generator of Marsaglia's (xorshift64), so that it is at random and the same each time.
    let mut noise: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut is_one_in_twenty = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.is_multiple_of(20)
    };
    let targets: Vec<Seq> = (0..count).filter(|_| is_one_in_twenty()).map(Seq::new).collect();
    let start = Instant::now();
    for some in targets.chunks(100) {
        log.delete(some).await?;
    }
    log.sync(None).await?;
    let deleting = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let done = log.compact().await?;
    let compacting = start.elapsed().as_secs_f64();
    assert_eq!(done.erased, targets.len() as u64);
    assert!(done.bytes_after < done.bytes_before);
    assert_eq!(log.stat()?.entries, count - targets.len() as u64);
    println!(
        "figure: compaction_speed entries={count} deleted={} deletes_per_s={:.0} compact_s={compacting:.2} bytes_before={} \
         bytes_after={}",
        targets.len(),
        targets.len() as f64 / deleting,
        done.bytes_before,
        done.bytes_after
    );
    log.close().await
}
