//! `flume backup`.

use std::sync::Mutex;

use flumedb::{
    Env,
    log::{SegmentedLog, Sharing},
};
use serde_json::json;

use crate::{
    args::Backup,
    exit::{Failure, Outcome, Verdict},
    open::Opened,
    output,
    progress::Progress,
};

pub(crate) fn backup(args: &Backup) -> Outcome {
    if !Opened::is_database(&args.db)? {
        let path = args.db.display();
        return Err(Failure::lacking(format!(
            "there is no flume database at {path}; a log file is backed up by copying it"
        )));
    }
    let sharing = if args.copy { Sharing::Copy } else { Sharing::Share };
    let done = SegmentedLog::backup_at(&Env::os(), &args.db, &args.to, sharing, bar("backing up"))?;
    let head = done.head.map_or("none".to_owned(), |head| head.to_string());
    if args.json {
        output::line(json!({
            "head": done.head, "files": done.files, "bytes": done.bytes, "kept": done.kept, "cloned": done.cloned,
            "linked": done.linked, "copied": done.copied, "copied_bytes": done.copied_bytes, "removed": done.removed,
        }))?;
        return Ok(Verdict::Fine);
    }
    output::line(format_args!("head     {head}"))?;
    output::line(format_args!("files    {}", done.files))?;
    output::line(format_args!("bytes    {}", done.bytes))?;
    output::line(format_args!("kept     {}", done.kept))?;
    output::line(format_args!("cloned   {}", done.cloned))?;
    output::line(format_args!("linked   {}", done.linked))?;
    output::line(format_args!("copied   {} ({} bytes)", done.copied, done.copied_bytes))?;
    output::line(format_args!("removed  {}", done.removed))?;
    Ok(Verdict::Fine)
}

/// A bar for work that tells how many files are done.
pub(super) fn bar(name: &'static str) -> impl FnMut(u64, u64) + Send + 'static {
    let bar = Mutex::new(None);
    move |done, all| {
        if let Ok(mut bar) = bar.lock() {
            bar.get_or_insert_with(|| Progress::new(name, Some(all))).of(done, all);
        }
    }
}
