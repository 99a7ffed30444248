//! One error for the whole crate: what went wrong in words, and a small kind that tells the caller what to do.
//!
//! Nothing of a dependency leaks through it: a source is kept as `dyn std::error::Error` for diagnosis only.

use std::{error::Error as StdError, fmt, io, path::Path, path::PathBuf, sync::Arc};

use crate::{
    Seq,
    env::planted::{Bug, planted},
};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error asks of the caller. Detail is in the error's message, which is not part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process, or another handle of this one, writes here. Close it, or open read-only.
    Locked,
    /// Bytes on the disk are not what was written. Run a check; nothing was cut or changed.
    Corrupt,
    /// The disk is full. Free space and try again; nothing that was acknowledged is lost.
    StorageFull,
    /// A write or a sync failed before, so what reached the disk is unknown. Reopen.
    Poisoned,
    /// The condition of an append does not hold. Read again, decide again.
    Conflict,
    /// A view stopped at an entry that it cannot take in. Mend the view, then rebuild it.
    Faulted,
    /// The file or the call needs something this version, or this log, does not have.
    Unsupported,
    /// The call itself is wrong. Mend the call.
    Invalid,
    /// More than a limit allows. The message says how much it was, what the limit is and which setting raises it; nothing
    /// was done.
    LimitExceeded,
    /// There is no such entry, view or file.
    NotFound,
    /// The entry was there and has been deleted.
    Deleted,
    /// It is encrypted, and the key was not given, or is another. Give the key.
    Key,
    /// The database was closed.
    Closed,
    /// What was waited for did not happen in the time given. It may still happen.
    TimedOut,
    /// The operating system refused; the message says which call and why.
    Io,
}

/// Where damage lies: a file and a range of bytes in it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    #[serde(serialize_with = "crate::check::lossy")]
    pub file: PathBuf,
    /// First byte that is not as it was written.
    pub offset: u64,
    /// Bytes from there that cannot be trusted.
    pub bytes: u64,
    /// What is wrong, in words.
    pub reason: String,
}

impl Damage {
    /// Describes damage in `file`.
    pub fn new(file: impl Into<PathBuf>, offset: u64, bytes: u64, reason: impl Into<String>) -> Self {
        Self { file: file.into(), offset, bytes, reason: reason.into() }
    }
}

/// The error of this crate. Cheap to clone: one failure may have many waiters.
///
/// ```
/// use flumedb::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::Invalid, "a batch holds at least one entry");
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.to_string(), "a batch holds at least one entry");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    damage: Option<Damage>,
    seq: Option<Seq>,
    limit: Option<&'static str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` whose `message` says what happened and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::build(kind, message.into(), None, None)
    }

    /// The same, keeping what caused it.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::build(kind, message.into(), None, Some(source.into()))
    }

    /// [`ErrorKind::Corrupt`] at a place.
    pub fn corrupt(damage: Damage) -> Self {
        let message = format!(
            "{} is damaged at byte {} ({} bytes): {}; run `flume check` on it, nothing was changed",
            damage.file.display(),
            damage.offset,
            damage.bytes,
            damage.reason
        );
        Self::build(ErrorKind::Corrupt, message, Some(damage), None)
    }

    /// What the operating system said of `action` (a verb: "open", "read") on `path`.
    pub fn io(action: &str, path: &Path, source: io::Error) -> Self {
        // A storage may say it in our own words.
        let own = source.get_ref().and_then(|inner| inner.downcast_ref::<Self>());
        let (own, damage) = (own.map(Self::kind), own.and_then(|own| own.damage().cloned()));
        let kind = match source.kind() {
            _ if own.is_some() => own.unwrap_or(ErrorKind::Io),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                ErrorKind::StorageFull
            }
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let by_text = planted(Bug::FullByText) && kind == ErrorKind::StorageFull;
        let kind = if by_text && !source.to_string().contains("No space left") { ErrorKind::Io } else { kind };
        let message = format!("cannot {action} {}: {source}", path.display());
        Self::build(kind, message, damage, Some(Box::new(source)))
    }

    /// The same error, said to have happened at the entry `seq`.
    pub fn at(self, seq: Seq) -> Self {
        let (kind, damage) = (self.kind(), self.0.damage.clone());
        let message = format!("entry {seq}: {}", self.0.message);
        Self(Arc::new(Inner {
            kind,
            message,
            damage,
            seq: Some(seq),
            limit: self.0.limit,
            source: Some(Box::new(self)),
        }))
    }

    /// The same error with more said in front of its message.
    pub fn context(self, what: impl fmt::Display) -> Self {
        let (kind, damage, seq) = (self.kind(), self.0.damage.clone(), self.0.seq);
        let message = format!("{what}: {}", self.0.message);
        Self(Arc::new(Inner { kind, message, damage, seq, limit: self.0.limit, source: Some(Box::new(self)) }))
    }

    /// More than the limit `setting` allows; `message` says how much it was, what the limit is and what to do.
    pub(crate) fn over_limit(message: impl fmt::Display, setting: &'static str) -> Self {
        let message = format!("{message}, or raise the limit `{setting}`");
        let limit = Some(setting);
        Self(Arc::new(Inner { kind: ErrorKind::LimitExceeded, message, damage: None, seq: None, limit, source: None }))
    }

    /// The call came after the database was closed.
    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the database is closed; open it again")
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where the damage is, for [`ErrorKind::Corrupt`] with a known place.
    pub fn damage(&self) -> Option<&Damage> {
        self.0.damage.as_ref()
    }

    /// The setting that would allow it, for [`ErrorKind::LimitExceeded`] where one does.
    pub fn limit(&self) -> Option<&'static str> {
        self.0.limit
    }

    /// The entry that it is about, where it is about one.
    pub fn seq(&self) -> Option<Seq> {
        self.0.seq
    }

    fn build(
        kind: ErrorKind,
        message: String,
        damage: Option<Damage>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Inner { kind, message, damage, seq: None, limit: None, source }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}
