//! What is at a PATH, opened: a log of any format, as a [`Flume`] over raw bytes.

use std::path::{Path, PathBuf};

use flumedb::{
    Builder, Env, Error, Flume,
    check::Report,
    codec::{Codec, Raw},
    env::PathKind,
    log::{Recovery, SegmentedLog},
};
use flumedb_ssb::{
    Format, Payloads,
    any::{self, AnyBuilder},
};

use crate::{
    args::Place,
    exit::{Failure, Verdict},
    keys,
    output::say,
};

/// A log that is open, and what is wrong with it as far as opening it showed.
pub(crate) struct Opened<C: Codec = Raw> {
    pub(crate) db: Flume<C>,
    pub(crate) format: Format,
    pub(crate) payloads: Payloads,
    /// Why it was taken for this format.
    pub(crate) evidence: Vec<String>,
    report: Option<Report>,
    /// A database that was opened for reading.
    glance: Option<PathBuf>,
}

impl<C: Codec> Opened<C> {
    /// Opens the log at `place` for reading. Changes nothing.
    pub(crate) fn read_with(place: &Place, builder: Builder<C>) -> Result<Self, Failure> {
        let opened = at(place, false).open(&place.path)?;
        let glance = (opened.format == Format::Flume).then(|| place.path.clone());
        let report = if glance.is_some() { None } else { Some(opened.report()?) };
        Self::over(opened, builder, report, glance)
    }

    fn over(
        opened: any::Opened,
        builder: Builder<C>,
        report: Option<Report>,
        glance: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let any::Opened { log, format, payloads, evidence, .. } = opened;
        Ok(Self { db: keys::on(builder).with_log(log).blocking()?, format, payloads, evidence, report, glance })
    }

    /// Says what is wrong with the log: of a file all of it, of a database that is small enough for a glance too. What is
    /// wrong with a large one is met where it is read, and `flume check` looks for it.
    pub(crate) fn verdict(&self) -> Result<Verdict, Failure> {
        const GLANCE_BYTES: u64 = 64 << 20;
        if let Some(path) = self.glance.as_ref().filter(|_| self.db.stat().is_ok_and(|stat| stat.bytes <= GLANCE_BYTES))
        {
            return Ok(warn(&builder(false).format(Format::Flume).check(path)?));
        }
        Ok(self.report.as_ref().map_or(Verdict::Fine, warn))
    }

    /// Whether it is a database of flume's own.
    pub(crate) fn is_own(&self) -> bool {
        self.format == Format::Flume
    }
}

impl Opened {
    /// Opens the log at `place` for reading raw bytes. Changes nothing.
    pub(crate) fn read(place: &Place) -> Result<Self, Failure> {
        Self::read_with(place, Flume::builder(Raw))
    }

    /// Opens the log at `place` for appending.
    pub(crate) fn write(place: &Place, compress: bool) -> Result<Self, Failure> {
        Self::written(at(place, compress).append().open(&place.path)?)
    }

    /// The same; where nothing is yet, a log is made: a database, if no format is named.
    pub(crate) fn write_or_create(place: &Place, compress: bool) -> Result<Self, Failure> {
        match Self::is_new(place)? {
            true if place.format.is_none_or(|format| format == Format::Flume) => Self::create(&place.path, compress),
            true => Self::written(at(place, compress).create().open(&place.path)?),
            false => Self::write(place, compress),
        }
    }

    /// Whether nothing is at `place` yet.
    pub(crate) fn is_new(place: &Place) -> Result<bool, Failure> {
        Ok(kind(&place.path)?.is_none())
    }

    /// Whether there is a database of flume's own at `path`.
    pub(crate) fn is_database(path: &Path) -> Result<bool, Failure> {
        Ok(SegmentedLog::is_at(&Env::os(), path)?)
    }

    /// Opens the database at `path` for appending, or makes one.
    pub(crate) fn create(path: &Path, compress: bool) -> Result<Self, Failure> {
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
        Self::written(builder(compress).format(Format::Flume).create().open(path)?)
    }

    fn written(opened: any::Opened) -> Result<Self, Failure> {
        told(opened.log.recovery());
        Self::over(opened, Flume::builder(Raw), None, None)
    }
}

/// With the keys that were given, in case it is an encrypted database.
fn builder(compress: bool) -> AnyBuilder {
    any::builder().settings(keys::settings(compress))
}

pub(crate) fn at(place: &Place, compress: bool) -> AnyBuilder {
    match place.format {
        Some(format) => builder(compress).format(format),
        None => builder(compress),
    }
}

fn kind(path: &Path) -> Result<Option<PathKind>, Failure> {
    Env::os().storage.kind(path).map_err(|error| Error::io("look at", path, error).into())
}

/// Says what opening had to cut.
pub(crate) fn told(recovery: Option<Recovery>) {
    if let Some(recovery) = recovery {
        let kept = recovery.kept_in.map_or(String::new(), |path| format!("; they are kept in {}", path.display()));
        let (bytes, file) = (recovery.dropped_bytes, recovery.file.display());
        match bytes {
            0 => say(format!("{file} had no end to its last block; it has one now")),
            bytes => say(format!("cut {bytes} torn bytes off {file}{kept}")),
        }
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
        say(match bytes {
            0 => format!("{file} has no end to its last block, only {offset} bytes; `flume repair` adds it"),
            bytes => {
                let lines = [Format::JsonLines, Format::Memory].map(Format::name);
                let help = match report.format.as_deref().is_some_and(|format| lines.contains(&format)) {
                    true => "an editor mends it",
                    false => "`flume repair` cuts them",
                };
                format!("{file} is torn: {bytes} bytes from byte {offset} on are no whole entry; {help}")
            }
        });
    }
    if report.is_ok() { Verdict::Fine } else { Verdict::Lacking }
}
