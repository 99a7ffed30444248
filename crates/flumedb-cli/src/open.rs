//! What is at a PATH, opened: a database of flume's own or a bare log file, both as a [`Flume`] over raw bytes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use flumedb::{
    Builder, Env, Error, Flume,
    check::Report,
    codec::{Codec, Raw},
    env::PathKind,
    log::{Log, LogSettings, Recovery, SegmentedLog},
};
use flumedb_ssb::{Framing, OffsetLog};

use crate::{
    args::Place,
    exit::{Failure, Verdict},
    format::Format,
    output::say,
};

/// What a PATH stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A database of flume's own.
    Database,
    /// A flumelog-offset file, of this framing if that was said.
    File(Option<Framing>),
}

impl Kind {
    /// What is at `place`.
    pub(crate) fn of(place: &Place) -> Result<Self, Failure> {
        let path = place.path.display();
        match (kind(&place.path)?, place.format) {
            (None, _) => Err(Failure::lacking(format!("there is nothing at {path}"))),
            (Some(PathKind::File), None) => Ok(Self::File(None)),
            (Some(PathKind::File), Some(Format::Offset(framing))) => Ok(Self::File(Some(framing))),
            (Some(PathKind::File), Some(Format::Flume)) => {
                Err(Failure::usage(format!("{path} is a file, and a flume database is a directory")))
            }
            (Some(PathKind::Dir), Some(Format::Offset(framing))) => {
                Err(Failure::usage(format!("{path} is a directory, and an {framing} log is a file")))
            }
            (Some(PathKind::Dir), None | Some(Format::Flume)) => {
                if SegmentedLog::is_at(&Env::os(), &place.path)? {
                    Ok(Self::Database)
                } else {
                    Err(Failure::lacking(format!("{path} is a directory without a flume database in it")))
                }
            }
        }
    }
}

fn kind(path: &Path) -> Result<Option<PathKind>, Failure> {
    Env::os().storage.kind(path).map_err(|error| Error::io("look at", path, error).into())
}

/// A log that is open, and what is wrong with it as far as opening it showed.
pub(crate) struct Opened<C: Codec = Raw> {
    pub(crate) db: Flume<C>,
    report: Option<Report>,
    /// A database that was opened for reading.
    glance: Option<PathBuf>,
}

impl<C: Codec> Opened<C> {
    /// Opens the log at `place` for reading. Changes nothing.
    pub(crate) fn read_with(place: &Place, builder: Builder<C>) -> Result<Self, Failure> {
        let (log, report, glance): (Arc<dyn Log>, _, _) = match Kind::of(place)? {
            Kind::Database => {
                (Arc::new(SegmentedLog::read_only(&Env::os(), &place.path)?), None, Some(place.path.clone()))
            }
            Kind::File(framing) => {
                let (log, report) = file(&place.path, framing, false)?;
                (Arc::new(log), Some(report), None)
            }
        };
        Ok(Self { db: builder.with_log(log).blocking()?, report, glance })
    }

    /// Says what is wrong with the log: of a file all of it, of a database that is small enough for a glance too. What is
    /// wrong with a large one is met where it is read, and `flume check` looks for it.
    pub(crate) fn verdict(&self) -> Result<Verdict, Failure> {
        const GLANCE_BYTES: u64 = 64 << 20;
        if let Some(path) = self.glance.as_ref().filter(|_| self.db.stat().is_ok_and(|stat| stat.bytes <= GLANCE_BYTES))
        {
            return Ok(warn(&SegmentedLog::check(&Env::os(), path)?));
        }
        Ok(self.report.as_ref().map_or(Verdict::Fine, warn))
    }
}

impl Opened {
    /// Opens the log at `place` for reading raw bytes. Changes nothing.
    pub(crate) fn read(place: &Place) -> Result<Self, Failure> {
        Self::read_with(place, Flume::builder(Raw))
    }

    /// Opens the log at `place` for appending.
    pub(crate) fn write(place: &Place) -> Result<Self, Failure> {
        match Kind::of(place)? {
            Kind::Database => Self::create(&place.path),
            Kind::File(framing) => {
                let (log, report) = file(&place.path, framing, true)?;
                Self::over(log, Some(report))
            }
        }
    }

    /// The same; where nothing is yet, a database is made.
    pub(crate) fn write_or_create(place: &Place) -> Result<Self, Failure> {
        if Self::is_new(place)? { Self::create(&place.path) } else { Self::write(place) }
    }

    /// Whether nothing is at `place` yet, and a database can be made there.
    pub(crate) fn is_new(place: &Place) -> Result<bool, Failure> {
        Ok(kind(&place.path)?.is_none() && matches!(place.format, None | Some(Format::Flume)))
    }

    /// Whether there is a database of flume's own at `path`.
    pub(crate) fn is_database(path: &Path) -> Result<bool, Failure> {
        Ok(SegmentedLog::is_at(&Env::os(), path)?)
    }

    /// Opens the database at `path` for appending, or makes one.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        if kind(path)? == Some(PathKind::File) {
            let path = path.display();
            return Err(Failure::usage(format!("{path} is a file; give the directory of a database of flume's own")));
        }
        let env = Env::os();
        let names = match kind(path)? {
            Some(_) => env.storage.list(path).map_err(|error| Error::io("list", path, error))?,
            None => Vec::new(),
        };
        // What a creation that was interrupted has left is no more than the lock.
        if names.iter().any(|name| name != "lock") && !SegmentedLog::is_at(&env, path)? {
            let path = path.display();
            return Err(Failure::lacking(format!("{path} is a directory with other things in it; give a new one")));
        }
        let log = SegmentedLog::open(&env, path, LogSettings::default())?;
        told(log.recovery());
        Self::over(log, None)
    }

    fn over(log: impl Log, report: Option<Report>) -> Result<Self, Failure> {
        let log: Arc<dyn Log> = Arc::new(log);
        Ok(Self { db: Flume::with_log(log, Raw).blocking()?, report, glance: None })
    }
}

fn file(path: &Path, framing: Option<Framing>, append: bool) -> Result<(OffsetLog, Report), Failure> {
    let mut builder = OffsetLog::builder();
    if let Some(framing) = framing {
        builder = builder.framing(framing);
    }
    if append {
        builder = builder.append();
    }
    let log = builder.open(path)?;
    if log.framing().is_none() {
        let path = path.display();
        let message = format!("{path} is no log of a format known here; if it is one, name it with --format");
        return Err(Failure::lacking(message));
    }
    told(log.recovery());
    let report = log.report()?;
    Ok((log, report))
}

/// Says what opening had to cut.
pub(crate) fn told(recovery: Option<Recovery>) {
    if let Some(recovery) = recovery {
        let kept = recovery.kept_in.map_or(String::new(), |path| format!("; they are kept in {}", path.display()));
        say(format!("cut {} torn bytes off {}{kept}", recovery.dropped_bytes, recovery.file.display()));
    }
}

/// Says what a report finds wrong.
pub(crate) fn warn(report: &Report) -> Verdict {
    for damage in &report.damage {
        let (file, offset, bytes) = (damage.file.display(), damage.offset, damage.bytes);
        say(format!("{file} is damaged at byte {offset} ({bytes} bytes): {}; see `flume check`", damage.reason));
    }
    if let Some(tail) = &report.torn_tail {
        let (file, offset, bytes) = (tail.file.display(), tail.offset, tail.bytes);
        say(format!(
            "{file} is torn: {bytes} bytes from byte {offset} on are no whole entry; `flume repair` cuts them"
        ));
    }
    if report.is_ok() { Verdict::Fine } else { Verdict::Lacking }
}
