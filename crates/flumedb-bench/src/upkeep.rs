//! What keeps a log safe: looking at every byte of it, backing it up, restoring it.

use std::{fs, time::Instant};

use flumedb::{
    Env,
    log::{SegmentedLog, Sharing},
};

use crate::{Result, measure::Sample, workloads::Context};

pub(crate) const CHECKED: &[&str] = &["flumedb-check", "flumedb-check-1"];
pub(crate) const BACKED_UP: &[&str] =
    &["flumedb-share", "flumedb-again", "flumedb-copy", "flumedb-verify", "flumedb-restore"];

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
