//! `flume convert`.

use std::path::{Path, PathBuf};

use flumedb::Error;
use flumedb_ssb::convert::{Conversion, Stage};

use crate::{
    args::Convert,
    exit::{Failure, Outcome, Verdict},
    keys, output,
    progress::Progress,
};

pub(crate) fn convert(args: &Convert) -> Outcome {
    let (from, to) = (&args.place.path, &args.to);
    let mut conversion = Conversion::new(whole(from)?, beside(to)?, args.target);
    if let Some(format) = args.place.format {
        conversion = conversion.from_format(format);
    }
    if let Some(codec) = args.codec {
        conversion = conversion.codec(codec);
    }
    if let Some(keys) = keys::given() {
        conversion = conversion.keys(keys);
    }
    let mut settings = keys::settings(args.compress);
    if args.in_the_clear {
        settings.keys = None;
    }
    conversion = conversion.settings(settings);
    let mut bar: Option<(Stage, Progress)> = None;
    let converted = pollster::block_on(conversion.run(|stage, done, total| {
        let (_, progress) = match bar.take() {
            Some((shown, progress)) if shown == stage => bar.insert((shown, progress)),
            _ => bar.insert((stage, Progress::new(name(stage), Some(total)))),
        };
        progress.of(done, total);
    }))?;
    if let Some((_, progress)) = &bar {
        progress.finish();
    }
    let (entries, was, is) = (converted.entries, converted.from, converted.to);
    let left_out = match converted.deleted {
        0 => String::new(),
        deleted => format!("; {deleted} deleted ones were left out"),
    };
    let (shown_from, shown_to) = (from.display(), to.display());
    output::line(format_args!("converted {entries} entries of {shown_from} ({was}) to {shown_to} ({is}){left_out}"))?;
    output::line(format_args!("checked: both have SHA-256 {}", converted.digest))?;
    let Some(tail) = converted.torn_tail.filter(|tail| tail.bytes > 0) else { return Ok(Verdict::Fine) };
    output::say(format!("{} bytes at the end of {shown_from} are no whole entry and were left out", tail.bytes));
    Ok(Verdict::Lacking)
}

const fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Comparing => "comparing",
        Stage::Converting => "converting",
        Stage::Checking => "checking",
    }
}

/// Where it really is, so that one log is not taken for two.
fn whole(path: &Path) -> Result<PathBuf, Failure> {
    Ok(path.canonicalize().map_err(|error| Error::io("find", path, error))?)
}

/// The same of what may not be there yet.
fn beside(path: &Path) -> Result<PathBuf, Failure> {
    let Some(name) = path.file_name() else {
        return Err(Failure::usage(format!("{} is no name for a new log", path.display())));
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(whole(parent)?.join(name))
}
