//! [`open_any`] and [`AnyBuilder`]: what [`tell`](super::tell) says of a path, or what was named, opened as a log.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use flumedb::{
    Env, Keys, Result,
    check::{Repair, Report},
    log::{Log, LogSettings, SegmentedLog},
};

use super::{
    Format, Payloads, care,
    kind::{Kind, Work, work},
    tell::{Found, find},
};
use crate::file::{Access, FileLog, FileLogBuilder, Records};

/// A log that is open, whatever its format.
#[non_exhaustive]
pub struct Opened {
    /// The log.
    pub log: Arc<dyn Log>,
    /// What it is stored as; where there are blocks, with their size.
    pub format: Format,
    /// What its entries are.
    pub payloads: Payloads,
    /// Why it was taken for this, in words for people.
    pub evidence: Vec<String>,
    report: Box<dyn Fn() -> Result<Report> + Send + Sync>,
}

impl Opened {
    /// What the log holds as it is now, and what is wrong with it.
    ///
    /// # Errors
    /// `Io`.
    pub fn report(&self) -> Result<Report> {
        (self.report)()
    }
}

/// Opens the log at `path`, whatever format it has, to read it and to follow what others append. Changes nothing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Env, log::{Batch, Log}};
/// use flumedb_ssb::{Format, Framing, OffsetLog, any};
/// # let env = Env::memory();
/// # let log = OffsetLog::builder().env(env.clone()).framing(Framing::Bits48).create().open("log.offset")?;
/// # let mut batch = Batch::new();
/// # batch.push(b"{}");
/// # log.append(batch).await?;
/// # log.close().await?;
/// let opened = any::builder().env(env).open("log.offset")?; // on the real machine: open_any("log.offset")
/// assert_eq!(opened.format, Format::Offset(Framing::Bits48));
/// for reason in &opened.evidence {
///     println!("{reason}");
/// }
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// `NotFound` if there is nothing; `Unsupported` if no format fits; `Io`.
pub fn open_any(path: impl AsRef<Path>) -> Result<Opened> {
    builder().open(path.as_ref())
}

/// Opens with settings.
pub fn builder() -> AnyBuilder {
    AnyBuilder { env: Env::os(), named: None, access: Access::Read, settings: LogSettings::default() }
}

/// How a log of any format is opened: read-only, on this machine, its format told from its bytes, unless said otherwise.
#[derive(Clone)]
#[must_use]
pub struct AnyBuilder {
    env: Env,
    named: Option<Format>,
    access: Access,
    settings: LogSettings,
}

impl AnyBuilder {
    /// With what is set about a database of flume's own, its keys above all, if it turns out to be one.
    pub fn settings(mut self, settings: LogSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Reaches the files through `env`.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Takes what is there for a log of this format.
    pub fn format(mut self, format: Format) -> Self {
        self.named = Some(format);
        self
    }

    /// Opens to append and delete: takes the lock, and cuts a torn tail after keeping its bytes beside it.
    pub fn append(mut self) -> Self {
        self.access = Access::Append;
        self
    }

    /// As [`append`](Self::append), and makes a new log if there is none: a database of flume's own, if no format is named.
    pub fn create(mut self) -> Self {
        self.access = Access::Create;
        self
    }

    /// Opens the log.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `Unsupported` if no format fits; `Invalid` if the one that was named does not. To append also
    /// `Locked`, `Corrupt` if there is damage, `Invalid` if several formats fit.
    pub fn open(self, path: impl Into<PathBuf>) -> Result<Opened> {
        let path = path.into();
        let mut found = find(&self.env, &path, self.named, self.access)?;
        match found.open.take() {
            Some(open) if self.access == Access::Read => opened(open(&self.env)?, found.format, found.evidence),
            _ if found.format == Format::Flume => self.database(path, found),
            _ => work(found.format, Open { builder: self, path, found }),
        }
    }

    /// As [`check`](super::check), with the keys of the settings.
    ///
    /// # Errors
    /// As [`check`](super::check); `Key` if a key is not the one that was used.
    pub fn check(&self, path: impl AsRef<Path>) -> Result<Report> {
        care::check_with(&self.env, path.as_ref(), self.named, self.settings.keys.as_ref())
    }

    /// As [`repair`](super::repair), with the settings.
    ///
    /// # Errors
    /// As [`repair`](super::repair); `Key` if it is encrypted and the settings have not its key.
    pub fn repair(&self, path: impl AsRef<Path>, skip_damage: bool) -> Result<Repair> {
        care::repair_with(&self.env, path.as_ref(), self.named, skip_damage, &self.settings)
    }

    fn database(self, path: PathBuf, found: Found) -> Result<Opened> {
        let log = match self.access {
            Access::Read => match &self.settings.keys {
                Some(keys) => SegmentedLog::with_keys(keys).read_only(&self.env, &path)?,
                None => SegmentedLog::read_only(&self.env, &path)?,
            },
            _ => SegmentedLog::open(&self.env, &path, self.settings.clone())?,
        };
        let (env, keys) = (self.env, self.settings.keys);
        let report = Box::new(move || examine(&env, &path, keys.as_ref()));
        opened(Ready { log: Arc::new(log), report }, Format::Flume, found.evidence)
    }
}

/// Checks a database of flume's own, with its keys if there are any.
pub(super) fn examine(env: &Env, path: &Path, keys: Option<&Keys>) -> Result<Report> {
    match keys {
        Some(keys) => SegmentedLog::with_keys(keys).check(env, path),
        None => SegmentedLog::check(env, path),
    }
}

struct Open {
    builder: AnyBuilder,
    path: PathBuf,
    found: Found,
}

impl Work for Open {
    type Done = Opened;

    fn on<K: Kind>(self) -> Result<Opened> {
        let Self { builder: AnyBuilder { env, named, access, .. }, path, found } = self;
        let builder = FileLog::<K>::builder().env(env).options(K::options(named));
        let open = match access {
            Access::Read => builder,
            Access::Append => FileLogBuilder::append(builder),
            Access::Create => FileLogBuilder::create(builder),
        };
        let log = open.open(path)?;
        let format = match (access, named) {
            // What it is, as far as the bytes tell.
            (Access::Read, None) => found.format,
            _ => log.records().format(),
        };
        opened(Ready::of(log), format, found.evidence)
    }
}

/// A log that is open, and how its state is told.
pub(super) struct Ready {
    log: Arc<dyn Log>,
    report: Box<dyn Fn() -> Result<Report> + Send + Sync>,
}

impl Ready {
    pub(super) fn of<R: Records>(log: FileLog<R>) -> Self {
        let log = Arc::new(log);
        let reported = log.clone();
        Self { log, report: Box::new(move || reported.report()) }
    }
}

fn opened(Ready { log, report }: Ready, format: Format, mut evidence: Vec<String>) -> Result<Opened> {
    let (payloads, told) = Payloads::of(&*log)?;
    evidence.push(told);
    Ok(Opened { log, format, payloads, evidence, report })
}
