//! `flume check`.

use std::path::Path;

use flumedb::{Damage, check::Report};
use serde::Serialize;

use crate::{
    args::{Check, Place},
    exit::{Failure, Outcome, Verdict},
    indexes::Indexes,
    open::{at, warn},
    output,
    signatures::Signatures,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<&'a Signatures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    views: Option<&'a Indexes>,
}

pub(crate) fn check(args: &Check) -> Outcome {
    let place = args.place();
    let checked = report(&place);
    // A log of no known format has no entries.
    let readable = checked.as_ref().is_ok_and(|report| report.format.is_some());
    let verified = (args.signatures && readable).then(|| Signatures::check(&place)).transpose();
    let signatures = verified.as_ref().ok().and_then(Option::as_ref);
    let held = args.views.as_ref().filter(|_| readable).map(|dir| Indexes::check(dir, &place)).transpose();
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
        views.map_or(Ok(()), Indexes::print)?;
    }
    let verdict = warn(&report).and(verified?.as_ref().map_or(Verdict::Fine, Signatures::verdict));
    Ok(verdict.and(held?.as_ref().map_or(Verdict::Fine, Indexes::verdict)))
}

/// The report of a log that could not be looked at.
fn nothing(path: &Path, failure: &Failure) -> Report {
    Report { damage: vec![Damage::new(path, 0, 0, failure.to_string())], ..Report::default() }
}

fn report(place: &Place) -> Result<Report, Failure> {
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
