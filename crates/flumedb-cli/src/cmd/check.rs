//! `flume check`.

use std::path::Path;

use flumedb::{Damage, Env, check::Report, log::SegmentedLog};
use serde::Serialize;

use crate::{
    args::{Check, Place},
    exit::{Failure, Outcome, Verdict},
    indexes::Indexes,
    keys,
    open::{Opened, at, warn},
    output,
    signatures::Signatures,
    stored::Stored,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<&'a Signatures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    views: Option<&'a Views>,
}

/// What is held against the log: what the originals left in a directory, or what a database keeps.
#[derive(Serialize)]
#[serde(untagged)]
enum Views {
    Indexes(Indexes),
    Stored(Stored),
}

impl Views {
    fn check(dir: Option<&Path>, place: &Place) -> Result<Self, Failure> {
        match dir {
            Some(dir) => Indexes::check(dir, place).map(Self::Indexes),
            None => Stored::check(&place.path).map(Self::Stored),
        }
    }

    fn print(&self) -> Result<(), Failure> {
        match self {
            Self::Indexes(indexes) => indexes.print(),
            Self::Stored(stored) => stored.print(),
        }
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Indexes(indexes) => indexes.verdict(),
            Self::Stored(stored) => stored.verdict(),
        }
    }
}

pub(crate) fn check(args: &Check) -> Outcome {
    let place = args.place();
    let checked = report(&place, args.rate);
    // A log of no known format has no entries.
    let readable = checked.as_ref().is_ok_and(|report| report.format.is_some());
    let verified = (args.signatures && readable).then(|| Signatures::check(&place)).transpose();
    let signatures = verified.as_ref().ok().and_then(Option::as_ref);
    let held = args.views.as_ref().filter(|_| readable).map(|dir| Views::check(dir.as_deref(), &place)).transpose();
    let views = held.as_ref().ok().and_then(Option::as_ref);
    if args.json {
        // Whoever reads it gets an object, whatever happens.
        let nothing = |failure: &Failure| nothing(&place.path, failure);
        let report = &checked.as_ref().map_or_else(nothing, Clone::clone);
        let text = serde_json::to_string(&Printed { report, signatures, views });
        output::line(text.map_err(|error| Failure::system(format!("cannot print: {error}")))?)?;
    }
    let report = checked?;
    if !args.json {
        print(&report)?;
        signatures.map_or(Ok(()), Signatures::print)?;
        views.map_or(Ok(()), Views::print)?;
    }
    let verdict = warn(&report).and(verified?.as_ref().map_or(Verdict::Fine, Signatures::verdict));
    Ok(verdict.and(held?.as_ref().map_or(Verdict::Fine, Views::verdict)))
}

/// The report of a log that could not be looked at.
fn nothing(path: &Path, failure: &Failure) -> Report {
    Report { damage: vec![Damage::new(path, 0, 0, failure.to_string())], ..Report::default() }
}

fn report(place: &Place, rate: Option<u64>) -> Result<Report, Failure> {
    if let Some(rate) = rate {
        if !Opened::is_database(&place.path)? {
            return Err(Failure::usage("--rate is for databases of flume's own; a file is read in one go"));
        }
        let (env, path, rate, on_damage) = (Env::os(), &place.path, rate * 1_000_000, Box::new(|_: &Damage| ()));
        let scrub = match keys::given() {
            Some(keys) => SegmentedLog::with_keys(&keys).scrub(&env, path, rate, on_damage),
            None => SegmentedLog::scrub_at(&env, path, rate, on_damage),
        };
        return Ok(scrub?.blocking()?);
    }
    Ok(at(place, false).check(&place.path)?)
}

fn print(report: &Report) -> Result<(), Failure> {
    let format = report.format.as_deref().unwrap_or("unknown");
    let head = report.head.map_or("none".to_owned(), |head| head.to_string());
    output::line(format_args!("format   {format}"))?;
    output::line(format_args!("entries  {}", report.entries))?;
    output::line(format_args!("deleted  {}", report.deleted))?;
    output::line(format_args!("bytes    {}", report.bytes))?;
    output::line(format_args!("head     {head}"))?;
    output::line(format_args!("ok       {}", if report.is_ok() { "yes" } else { "no" }))
}
