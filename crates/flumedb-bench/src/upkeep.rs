//! What keeps a log safe and small: looking at every byte of it, backing it up, restoring it, erasing what was deleted.

use std::{fs, time::Instant};

use flumedb::{
    Env, Seq,
    log::{Batch, Compaction, Durability, Log, LogSettings, SegmentedLog, Sharing},
};

use crate::{Result, limits, measure::Sample, messages::Random, others, workloads::Context};

pub(crate) const CHECKED: &[&str] = &["flumedb-check", "flumedb-check-1"];
pub(crate) const BACKED_UP: &[&str] =
    &["flumedb-share", "flumedb-again", "flumedb-copy", "flumedb-verify", "flumedb-restore"];

pub(crate) const COMPACTED: &[&str] = &["flumedb-compact"];

/// Deletes one in twenty of the messages of 1 GiB, at random and a hundred at a time, and has them erased.
pub(crate) fn compact(cx: &Context) -> Result<Sample> {
    limits::warm(&cx.scratch, others::BIG)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let compaction = Compaction { automatic: false, ..Compaction::default() };
    let settings = LogSettings { durability: Durability::System, compaction, ..LogSettings::default() };
    let log = SegmentedLog::open(&Env::os(), &cx.scratch.join("log"), settings)?;
    let mut count = 0;
    others::for_each_batch(cx, |messages| {
        let mut batch = Batch::new();
        messages.iter().for_each(|message| batch.push(message));
        count += messages.len() as u64;
        runtime.block_on(log.append(batch))?;
        Ok(())
    })?;
    runtime.block_on(log.sync(None))?;
    let mut random = Random(1);
    let targets: Vec<Seq> = (0..count).filter(|_| random.below(20) == 0).map(Seq::new).collect();
    let start = Instant::now();
    for some in targets.chunks(100) {
        runtime.block_on(log.delete(some))?;
    }
    runtime.block_on(log.sync(None))?;
    let deletes = targets.len() as f64 / start.elapsed().as_secs_f64();
    let sample = Sample::time(|| {
        let done = runtime.block_on(log.compact())?;
        if done.erased != targets.len() as u64 {
            return Err(format!("{} entries were deleted, and this was done: {done:?}", targets.len()).into());
        }
        Ok((count, done.bytes_before))
    })?;
    runtime.block_on(log.close())?;
    Ok(sample.with("deletes_per_s", deletes))
}

/// Reads every byte of the log, on all cores or on one.
pub(crate) fn check(subject: &str, cx: &Context) -> Result<Sample> {
    let dir = cx.kept("flumedb").join("flumedb");
    let pass = || -> Result<(u64, u64)> {
        let env = Env::os();
        let report = match subject {
            "flumedb-check" => SegmentedLog::check(&env, &dir)?,
            _ => SegmentedLog::scrub_at(&env, &dir, u64::MAX, Box::new(|_| ()))?.blocking()?,
        };
        if !report.is_ok() || report.entries != cx.entries as u64 {
            return Err(format!("the log is not as it was written: {report:?}").into());
        }
        Ok((report.entries, report.bytes))
    };
    let start = Instant::now();
    pass()?;
    let first = start.elapsed().as_secs_f64();
    Ok(Sample::time(pass)?.with("first_s", first))
}

/// Backs the log up, or does what one does with a backup.
pub(crate) fn backup(way: &str, cx: &Context) -> Result<Sample> {
    let (dir, to, restored) =
        (cx.kept("flumedb").join("flumedb"), cx.scratch.join("backup"), cx.scratch.join("restored"));
    let env = Env::os();
    let sharing = if matches!(way, "flumedb-share" | "flumedb-again") { Sharing::Share } else { Sharing::Copy };
    let back_up = || SegmentedLog::backup_at(&env, &dir, &to, sharing, |_, _| ());
    let n = cx.entries as u64;
    let sample = match way {
        "flumedb-share" | "flumedb-copy" => Sample::time(|| Ok((n, back_up()?.bytes)))?,
        "flumedb-again" => {
            back_up()?;
            Sample::time(|| Ok((n, back_up()?.bytes)))?
        }
        "flumedb-verify" => {
            back_up()?;
            Sample::time(|| Ok((n, SegmentedLog::verify(&env, &to)?.report.bytes)))?
        }
        _ => {
            back_up()?;
            Sample::time(|| Ok((n, SegmentedLog::restore(&env, &to, &restored, |_, _| ())?.bytes)))?
        }
    };
    for made in [&to, &restored] {
        if made.exists() {
            fs::remove_dir_all(made)?;
        }
    }
    Ok(sample)
}
