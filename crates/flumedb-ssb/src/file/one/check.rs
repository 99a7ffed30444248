//! Checking and mending a [`One`](super::One), for people who look after it.

use std::path::{Path, PathBuf};

use flumedb::{
    Damage, Env, Error, ErrorKind, Result, Seq,
    check::{Repair, Report, TornTail},
    env::OpenMode,
};

use super::{Chain, Finish, Layout, chain::TOO_MUCH, open::close_behind, settle::detect, survey::survey};
use crate::file::{keep, source::Source};

const NO_FORMAT: &str = "no format that is known here fits";

pub(super) fn check<L: Layout>(env: &Env, path: &Path, options: &L::Options) -> Result<Report> {
    let source = Source::open(env, path.to_owned(), OpenMode::Read)?;
    let len = source.len()?;
    let detected = detect::<L>(env, &source, options)?;
    let mut report = report(&source, detected.known.then_some((&detected.layout, &detected.chain)), len)?;
    report.damage.extend(L::unfinished(env, &source)?);
    Ok(report)
}

/// What to say of a file of `len` bytes whose records are these, if anything is known.
pub(super) fn report<L: Layout>(source: &Source, known: Option<(&L, &Chain)>, len: u64) -> Result<Report> {
    let mut report = Report { bytes: len, ..Report::default() };
    let Some((layout, chain)) = known else {
        report.damage.push(Damage::new(&source.path, 0, len, NO_FORMAT));
        return Ok(report);
    };
    let survey = survey(source, layout, chain, len)?;
    report.format = Some(layout.name().to_owned());
    report.entries = chain.count() - chain.erased();
    report.deleted = chain.erased();
    report.head = chain.last().map(Seq::new);
    report.torn_tail = survey.torn_tail;
    report.damage = survey.damage;
    Ok(report)
}

pub(super) fn repair<L: Layout>(env: &Env, path: &Path, options: &L::Options, skip_damage: bool) -> Result<Repair> {
    // What is no log gets no lock beside it.
    let seen = Source::open(env, path.to_owned(), OpenMode::Read)?;
    let len = seen.len()?;
    let unfinished = L::unfinished(env, &seen)?;
    if unfinished.is_none() && !L::detect(&seen, len, options)?.known {
        return Err(Error::corrupt(Damage::new(path, 0, len, NO_FORMAT)));
    }
    let _lock = keep::lock(env, path)?;
    let source = Source::open(env, path.to_owned(), OpenMode::Write)?;
    let mut repair = Repair::default();
    match L::finish(env, &source, skip_damage)? {
        Finish::Nothing => {}
        Finish::Done => repair.finished = unfinished.map(|damage| format!("what was begun: {}", damage.reason)),
        Finish::SetAside(kept) => {
            repair.damage.extend(unfinished);
            repair.kept_in.push(kept);
        }
    }
    let len = source.len()?;
    let detected = detect::<L>(env, &source, options)?;
    let survey = survey(&source, &detected.layout, &detected.chain, len)?;
    if survey.damage.is_empty() && survey.torn_tail.is_none() {
        return Ok(repair);
    }
    if let Some(damage) = survey.damage.first()
        && !skip_damage
    {
        return Err(Error::corrupt(damage.clone()));
    }
    detected.certain?;
    if survey.too_much {
        let message = format!("{}: {TOO_MUCH}; export what is readable with `flume cat`", source.path.display());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let filler = |damage: &Damage| detected.layout.filler(damage.offset, damage.bytes);
    let fillers = survey.damage.iter().map(filler).collect::<Result<Vec<_>>>()?;
    if !survey.damage.is_empty() {
        // One behind the other in one file: there may be very many.
        let stretches: Vec<(u64, u64)> = survey.damage.iter().map(|damage| (damage.offset, damage.bytes)).collect();
        repair.kept_in.push(keep::keep_all(env, &source, &stretches, "damaged")?);
    }
    for (damage, filler) in survey.damage.into_iter().zip(fillers) {
        source.file.write_all(damage.offset, &filler).map_err(|error| Error::io("write", &source.path, error))?;
        repair.damage.push(damage);
    }
    if let Some(tail) = survey.torn_tail {
        repair.kept_in.extend(cut(env, &source, &detected.layout, &tail)?);
        repair.torn_tail = Some(tail);
    }
    source.sync()?;
    Ok(repair)
}

/// Cuts a torn tail, keeping its bytes. Answers where.
pub(super) fn cut<L: Layout>(env: &Env, source: &Source, layout: &L, tail: &TornTail) -> Result<Option<PathBuf>> {
    let keep = || keep::keep(env, source, tail.offset, tail.bytes, "torn");
    let kept = (tail.bytes > 0).then(keep).transpose()?;
    close_behind(source, layout, tail.offset)?;
    Ok(kept)
}
