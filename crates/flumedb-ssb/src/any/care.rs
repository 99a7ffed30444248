//! [`check`], [`repair`] and [`compact`] of a log of any format, for people who look after one.

use std::path::Path;

use flumedb::{
    Env, Error, ErrorKind, Keys, Result,
    check::{Repair, Report},
    log::{LogSettings, SegmentedLog},
};

use super::{
    Format,
    kind::{Kind, Work, work},
    open::examine,
    tell::find,
};
use crate::{
    AaolLog, Compaction,
    file::{Access, FileLog},
};

/// Looks at every byte of framing at `path` and says what is there. `named`: its format, if that is known better than the
/// bytes tell. Changes nothing.
///
/// # Errors
/// `NotFound`, `Io`; `Unsupported` if no format fits; `Invalid` if the one that was named does not.
pub fn check(env: &Env, path: impl AsRef<Path>, named: Option<Format>) -> Result<Report> {
    check_with(env, path.as_ref(), named, None)
}

pub(super) fn check_with(env: &Env, path: &Path, named: Option<Format>, keys: Option<&Keys>) -> Result<Report> {
    let format = find(env, path, named, Access::Read)?.format;
    let mut report = match format {
        Format::Flume => examine(env, path, keys)?,
        format => work(format, Check { env, path, named })?,
    };
    // With the block size, which a layout leaves out.
    report.format = report.format.map(|_| format.to_string());
    Ok(report)
}

/// Cuts a torn tail off the log at `path`, and finishes what a stopped writer left half done. With `skip_damage`, takes
/// damaged stretches out of the way of the entries behind them. What is cut or overwritten is kept beside it.
///
/// # Errors
/// As [`check`]; `Corrupt` if there is damage and `skip_damage` is not set: nothing was changed then. `Locked` while a
/// writer has the log, `Invalid` if its format cannot be told for certain.
pub fn repair(env: &Env, path: impl AsRef<Path>, named: Option<Format>, skip_damage: bool) -> Result<Repair> {
    repair_with(env, path.as_ref(), named, skip_damage, &LogSettings::default())
}

pub(super) fn repair_with(
    env: &Env,
    path: &Path,
    named: Option<Format>,
    skip_damage: bool,
    settings: &LogSettings,
) -> Result<Repair> {
    match find(env, path, named, Access::Append)?.format {
        Format::Flume => SegmentedLog::repair(env, path, settings, skip_damage),
        format => work(format, Mend { env, path, named, skip_damage }),
    }
}

/// Takes the deleted entries out of the log at `path`, for formats that can: async-append-only-log. Entries behind the
/// first of them get other numbers.
///
/// # Errors
/// As [`AaolLog::compact`]; `Unsupported` for any other format.
pub fn compact(env: &Env, path: impl AsRef<Path>, named: Option<Format>) -> Result<Compaction> {
    let path = path.as_ref();
    match find(env, path, named, Access::Append)?.format {
        Format::Aaol(_) => AaolLog::compact(env, path, &named.and_then(Format::block_bytes)),
        format => {
            let path = path.display();
            let message = format!("{path} is a log of the format {format}, and only one of aaol is compacted in place");
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

struct Check<'a> {
    env: &'a Env,
    path: &'a Path,
    named: Option<Format>,
}

impl Work for Check<'_> {
    type Done = Report;

    fn on<K: Kind>(self) -> Result<Report> {
        FileLog::<K>::check(self.env, self.path, &K::options(self.named))
    }
}

struct Mend<'a> {
    env: &'a Env,
    path: &'a Path,
    named: Option<Format>,
    skip_damage: bool,
}

impl Work for Mend<'_> {
    type Done = Repair;

    fn on<K: Kind>(self) -> Result<Repair> {
        FileLog::<K>::repair(self.env, self.path, &K::options(self.named), self.skip_damage)
    }
}
