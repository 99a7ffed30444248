//! `flume verify`.

use flumedb::{Env, check::Report, log::SegmentedLog};
use serde::Serialize;

use crate::{
    args::Verify,
    exit::{Failure, Outcome, Verdict},
    output::{self, say},
};

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    files: u64,
    made_us: i64,
    extra: &'a [String],
}

pub(crate) fn verify(args: &Verify) -> Outcome {
    let verified = SegmentedLog::verify(&Env::os(), &args.path)?;
    let report = &verified.report;
    if args.json {
        let (files, made_us) = (verified.files, verified.made_us);
        let text = serde_json::to_string(&Printed { report, files, made_us, extra: &verified.extra });
        output::line(text.map_err(|error| Failure::system(format!("cannot print: {error}")))?)?;
    } else {
        let head = report.head.map_or("none".to_owned(), |head| head.to_string());
        output::line(format_args!("made     {}", time(verified.made_us)))?;
        output::line(format_args!("files    {}", verified.files))?;
        output::line(format_args!("entries  {}", report.entries))?;
        output::line(format_args!("deleted  {}", report.deleted))?;
        output::line(format_args!("bytes    {}", report.bytes))?;
        output::line(format_args!("head     {head}"))?;
        output::line(format_args!("ok       {}", if report.is_ok() { "yes" } else { "no" }))?;
    }
    for damage in &report.damage {
        let (file, offset, bytes) = (damage.file.display(), damage.offset, damage.bytes);
        say(format!("{file} is damaged at byte {offset} ({bytes} bytes): {}", damage.reason));
    }
    for name in &verified.extra {
        say(format!("{name} is not of the backup; the next backup removes what an interrupted one has left"));
    }
    Ok(if report.is_ok() { Verdict::Fine } else { Verdict::Lacking })
}

fn time(us: i64) -> String {
    match jiff::Timestamp::from_microsecond(us) {
        Ok(time) if us != 0 => format!("{time:.0}"),
        _ => "never".to_owned(),
    }
}
