//! [`Indexes`], what `check --views` finds: of every index that the originals left in a directory, whether it holds what it
//! should of the log.

use std::path::Path;

use flumedb::Env;
use flumedb_ssb::indexes::{self, Difference, Finding, IndexReport};
use serde::Serialize;

use crate::{
    args::Place,
    exit::{Failure, Verdict},
    open::Opened,
    output::{self, say},
};

#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Indexes(IndexReport);

impl Indexes {
    /// Holds the index files in `dir` against the log at `place`.
    pub(crate) fn check(dir: &Path, place: &Place) -> Result<Self, Failure> {
        let opened = Opened::read(place)?;
        Ok(Self(pollster::block_on(indexes::check(&Env::os(), dir, &**opened.db.log()))?))
    }

    /// Prints a line for each index, and more below it where there is more to say.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        for finding in &self.0.indexes {
            self.print_finding(finding)?;
        }
        Ok(())
    }

    fn print_finding(&self, finding: &Finding) -> Result<(), Failure> {
        let name = finding.file.path.file_name().unwrap_or_default().to_string_lossy();
        let covered = finding.covered.map_or(String::new(), |covered| format!("  {covered} of {}", self.0.records));
        let holds = finding.holds.as_ref().map_or(String::new(), |holds| format!("  {holds}"));
        output::line(format_args!("{:<8} {name}{covered}{holds}", finding.verdict))?;
        let differences = [("missing", &finding.missing), ("too many", &finding.extra)];
        let told = differences.iter().filter(|(_, records)| records.count > 0);
        let told = told.map(|(what, records)| format!("{what}: {}", places(records)));
        let serves = finding.serves.iter().map(|query| format!("it also serves {query}, with other records"));
        let faults = finding.faults.iter().map(|fault| format!("{}: {fault}", fault.row()));
        for more in finding.reason.iter().cloned().chain(told).chain(faults).chain(serves) {
            output::line(format_args!("         {more}"))?;
        }
        Ok(())
    }

    /// Says how many cannot be relied on.
    pub(crate) fn verdict(&self) -> Verdict {
        let bad = self.0.indexes.iter().filter(|finding| !finding.verdict.is_ok()).count();
        if bad == 0 {
            return Verdict::Fine;
        }
        let (of, dir) = (self.0.indexes.len(), self.0.dir.display());
        let advice = "remove them, and the program that they belong to builds them anew";
        say(format!("{bad} of the {of} indexes in {dir} are not right: {advice}"));
        Verdict::Lacking
    }
}

/// `3 records: 7 at 2115, 9 at 2480, …`
fn places(records: &Difference) -> String {
    let place = |place: &indexes::Place| match place.seq {
        Some(seq) => format!("{} at {seq}", place.record),
        None => place.record.to_string(),
    };
    let mut first: Vec<String> = records.first.iter().map(place).collect();
    if records.count > first.len() as u64 {
        first.push("…".to_owned());
    }
    let records = if records.count == 1 { "1 record".to_owned() } else { format!("{} records", records.count) };
    format!("{records}: {}", first.join(", "))
}
