//! [`check`] and [`repair`] of a flumelog-offset file, for people who look after one.

use std::path::{Path, PathBuf};

use flumedb::{
    Damage, Error, ErrorKind, Result, Seq,
    check::{Repair, Report},
    env::{Env, OpenMode},
};

use super::{
    chain::Chain,
    detect::{Detected, detect},
    framing::Framing,
    keep::{keep, lock},
    source::Source,
    survey::survey,
};

const NO_FORMAT: &str = "no format that is known here fits";

/// Looks at every byte of framing in the file at `path` and says what is there. `framing`: what it is, if that is known
/// better than the bytes tell. Changes nothing.
///
/// # Errors
/// `NotFound`, `Io`; `Invalid` if the bytes are another framing's than the one given.
pub fn check(env: &Env, path: impl Into<PathBuf>, framing: Option<Framing>) -> Result<Report> {
    look(&Source::open(env, path.into(), OpenMode::Read)?, framing).map(|(_, report)| report)
}

fn look(source: &Source, framing: Option<Framing>) -> Result<(Detected, Report)> {
    let bytes = source.len()?;
    let detected = detect(source, bytes, framing)?;
    let report = report(source, detected.known.then_some(&detected.chain), detected.stop, bytes)?;
    Ok((detected, report))
}

/// What to say of a file of `bytes` bytes, of which `chain` is proved (or nothing is known) and stopped for this reason.
pub(super) fn report(source: &Source, chain: Option<&Chain>, stop: Option<&'static str>, bytes: u64) -> Result<Report> {
    let mut report = Report { bytes, ..Report::default() };
    let Some(chain) = chain else {
        report.damage.push(Damage::new(&source.path, 0, bytes, NO_FORMAT));
        return Ok(report);
    };
    let survey = survey(source, chain.framing, chain.end, bytes, stop)?;
    report.format = Some(chain.framing.name().to_owned());
    report.entries = chain.count - chain.erased();
    report.deleted = chain.erased();
    report.head = chain.last.map(Seq::new);
    report.torn_tail = survey.torn_tail;
    report.damage = survey.damage;
    Ok(report)
}

/// Cuts a torn tail off the file at `path`. With `skip_damage`, damaged stretches become deleted entries of the same
/// length first, so that the entries behind them are in reach again and keep their positions. What is cut or overwritten
/// is kept in files beside it.
///
/// # Errors
/// `Corrupt` if there is damage and `skip_damage` is not set: nothing was changed then. `Locked` while a writer has the
/// file, `Invalid` if the framing cannot be told for certain.
pub fn repair(env: &Env, path: impl Into<PathBuf>, framing: Option<Framing>, skip_damage: bool) -> Result<Repair> {
    let path = path.into();
    // What is no log gets no lock beside it.
    let seen = Source::open(env, path.clone(), OpenMode::Read)?;
    if !detect(&seen, seen.len()?, framing)?.known {
        return Err(Error::corrupt(Damage::new(&path, 0, seen.len()?, NO_FORMAT)));
    }
    let _lock = lock(env, &path)?;
    let source = Source::open(env, path, OpenMode::Write)?;
    let (detected, report) = look(&source, framing)?;
    let mut repair = Repair::default();
    if report.is_ok() {
        return Ok(repair);
    }
    if let Some(damage) = report.damage.first()
        && (!skip_damage || !detected.known)
    {
        return Err(Error::corrupt(damage.clone()));
    }
    if !detected.certain {
        return Err(uncertain(&source.path));
    }
    let framing = detected.chain.framing;
    let fillers = report.damage.iter().map(|damage| filler(framing, damage)).collect::<Result<Vec<_>>>()?;
    for (damage, filler) in report.damage.into_iter().zip(fillers) {
        repair.kept_in.push(keep(env, &source, damage.offset, damage.bytes, "damaged")?);
        write(&source, damage.offset, &filler)?;
        repair.damage.push(damage);
    }
    if let Some(tail) = report.torn_tail {
        repair.kept_in.push(keep(env, &source, tail.offset, tail.bytes, "torn")?);
        source.file.set_len(tail.offset).map_err(|error| Error::io("cut", &source.path, error))?;
        repair.torn_tail = Some(tail);
    }
    source.file.sync().map_err(|error| Error::io("sync", &source.path, error))?;
    Ok(repair)
}

/// A deleted record that is exactly as long as the damage.
fn filler(framing: Framing, damage: &Damage) -> Result<Vec<u8>> {
    let payload = damage.bytes.checked_sub(framing.overhead()).and_then(|size| u32::try_from(size).ok());
    let Some(size) = payload.filter(|&size| size > 0 || framing != Framing::Basic) else {
        let message =
            "the damage is of a size that no deleted entry can fill; export what is readable with `flume cat`";
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    Ok(framing.frame_erased(damage.offset, size))
}

fn write(source: &Source, offset: u64, bytes: &[u8]) -> Result<()> {
    source.file.write_all(offset, bytes).map_err(|error| Error::io("write", &source.path, error))
}

/// The file must not be written to on a guess.
pub(super) fn uncertain(path: &Path) -> Error {
    let names = Framing::ALL.map(Framing::name).join(", ");
    let message = format!("the framing of {} cannot be told from its bytes; name it: {names}", path.display());
    Error::new(ErrorKind::Invalid, message)
}
