//! Checking an [`Offset2`](super::Offset2) and saying what it is taken for, for people who look after it.

use std::path::Path;

use flumedb::{Damage, Env, Result, Seq, check::Report, env::OpenMode};

use super::{NAME, chain::Chain, files::Files, open::is_known, survey::Survey};

pub(super) fn check(env: &Env, dir: &Path) -> Result<Report> {
    let files = Files::open(env, dir, OpenMode::Read)?;
    report(&files, &Chain::walk(&files)?)
}

/// What to say of files whose entries are these.
pub(super) fn report(files: &Files, chain: &Chain) -> Result<Report> {
    let mut report = Report { bytes: files.bytes()?, ..Report::default() };
    if !is_known(files, chain)? {
        report.damage.push(Damage::new(&files.data.path, 0, files.data.len()?, "no format that is known here fits"));
        return Ok(report);
    }
    let survey = Survey::of(files, chain)?;
    report.format = Some(NAME.to_owned());
    report.entries = chain.count() - chain.in_gaps() - chain.deleted();
    report.deleted = chain.deleted();
    report.head = chain.count().checked_sub(1).map(Seq::new);
    report.damage = survey.damage().cloned().collect();
    report.torn_tail = survey.torn_tail;
    Ok(report)
}

/// What speaks for the directory `dir` being such a log, in words; or against it.
///
/// # Errors
/// As opening it.
pub(crate) fn evidence(env: &Env, dir: &Path) -> Result<String> {
    let files = Files::open(env, dir, OpenMode::Read)?;
    let chain = Chain::walk(&files)?;
    let words = files.words()?;
    Ok(match chain.count() {
        0 if words == 0 && files.data.len()? == 0 => "its files are empty, as those of a new log".to_owned(),
        0 => "the places in ofst and the lengths in data agree on no entry".to_owned(),
        count => format!(
            "the lengths in data and the places in ofst agree on {} of {} entries",
            count - chain.in_gaps(),
            words.max(count)
        ),
    })
}
