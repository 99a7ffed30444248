//! The events and spans. One function each, so that fields are called the same everywhere: `log` (its directory), `view`,
//! `seq` (the newest entry concerned), `entries`, `bytes`, `ms`.
//!
//! Of an error that a view met, and that may quote what somebody appended, only the kind is told, and what the machine said.

use std::{error::Error as StdError, fmt, io, path::Path, time::Duration};

use tracing::{Span, debug, debug_span, error, info, info_span, trace, trace_span, warn};

use crate::{
    Error, ErrorKind, Seq,
    log::{Compacted, Recovery},
};

const LOG: &str = "flumedb::log";
const VIEW: &str = "flumedb::view";

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn number(seq: Option<Seq>) -> Option<u64> {
    seq.map(Seq::get)
}

/// Why a log failed. All that a log's own files and the machine say may be told.
struct Reason<'a>(&'a Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            ErrorKind::Io | ErrorKind::StorageFull | ErrorKind::Locked | ErrorKind::Corrupt => self.0.fmt(f),
            kind => write!(f, "{kind:?}"),
        }
    }
}

/// Why a view failed. Its message may quote what somebody appended; the kind, and what the machine said, do not.
struct Cause<'a>(&'a Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.kind())?;
        let mut source: Option<&(dyn StdError + 'static)> = Some(self.0);
        while let Some(error) = source {
            if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
                return write!(f, ": {}", io::Error::from_raw_os_error(code));
            }
            source = error.source();
        }
        Ok(())
    }
}

// Of a log.

/// While a log is being opened to write.
pub(crate) fn opening(log: &str) -> Span {
    info_span!(target: LOG, "open", log)
}

pub(crate) fn opened(log: &str, head: Option<Seq>, segments: usize, took: Duration) {
    info!(target: LOG, log, seq = number(head), segments, ms = ms(took), "opened");
}

/// Opening cut what a crash tore.
pub(crate) fn recovered(log: &str, cut: &Recovery) {
    let kept_in = cut.kept_in.as_deref().map(|path| tracing::field::display(path.display()));
    warn!(
        target: LOG, log, seq = number(cut.kept_to), file = %cut.file.display(), offset = cut.offset,
        bytes = cut.dropped_bytes, kept_in, "recovered"
    );
}

/// A kept tail was removed because of its age.
pub(crate) fn forgot(log: &str, file: &Path) {
    info!(target: LOG, log, file = %file.display(), "forgot");
}

/// While a commit is written, synced and answered.
pub(crate) fn committing(log: &str) -> Span {
    trace_span!(target: LOG, "commit", log)
}

pub(crate) fn committed(log: &str, next: u64, entries: u64, bytes: u64, requests: usize, waited: Duration) {
    trace!(
        target: LOG, log, seq = next.checked_sub(1), entries, bytes, requests, ms = ms(waited), "committed"
    );
}

pub(crate) fn synced(log: &str, next: u64, took: Duration) {
    debug!(target: LOG, log, seq = next.checked_sub(1), ms = ms(took), "synced");
}

/// A segment was ended and the one of this ordinal begun.
pub(crate) fn rolled(log: &str, segment: u64, next: u64, took: Duration) {
    debug!(target: LOG, log, segment, seq = next.checked_sub(1), ms = ms(took), "rolled");
}

pub(crate) fn deleted(log: &str, entries: usize) {
    debug!(target: LOG, log, entries, "deleted");
}

/// While what was deleted is erased.
pub(crate) fn compacting(log: &str) -> Span {
    info_span!(target: LOG, "compact", log)
}

/// Segments were written anew or dropped.
pub(crate) fn compacted(log: &str, done: &Compacted, took: Duration) {
    let Compacted { erased: entries, segments, dropped, .. } = done;
    info!(target: LOG, log, entries, segments, dropped, ms = ms(took), "compacted");
}

/// A segment could not be written anew: it is as it was, and the next compaction takes it up.
pub(crate) fn compaction_failed(log: &str, error: &Error, took: Duration) {
    warn!(target: LOG, log, error = %Reason(error), ms = ms(took), "compaction failed");
}

/// So many entries, up to this one, were deleted because the log keeps no more.
pub(crate) fn expired(log: &str, seq: Option<Seq>, entries: u64) {
    info!(target: LOG, log, seq = number(seq), entries, "expired");
}

/// What should be kept no longer could not be deleted; it is tried again.
pub(crate) fn expiry_failed(log: &str, error: &Error) {
    warn!(target: LOG, log, error = %Reason(error), "expiry failed");
}

pub(crate) fn full(log: &str, bytes: usize, error: &Error) {
    warn!(target: LOG, log, bytes, error = %Reason(error), "full");
}

pub(crate) fn poisoned(log: &str, error: &Error) {
    error!(target: LOG, log, error = %Reason(error), "poisoned");
}

/// A call was refused by the limit of this name.
pub(crate) fn refused(log: &str, limit: &'static str) {
    debug!(target: LOG, log, limit, "refused");
}

/// A log that another process writes is open to read.
pub(crate) fn following(log: &str, head: Option<Seq>) {
    debug!(target: LOG, log, seq = number(head), "following");
}

/// What the writer elsewhere has added cannot be read.
pub(crate) fn lost_touch(log: &str, error: &Error) {
    warn!(target: LOG, log, error = %Reason(error), "lost touch");
}

pub(crate) fn closed(log: &str, head: Option<Seq>) {
    info!(target: LOG, log, seq = number(head), "closed");
}

// Of a view.

pub(crate) fn view_opened(log: &str, view: &str, since: Option<Seq>, took: Duration) {
    debug!(target: VIEW, log, view, seq = number(since), ms = ms(took), "opened");
}

/// It has taken in everything there is.
pub(crate) fn caught_up(log: &str, view: &str, since: Option<Seq>, took: Duration) {
    info!(target: VIEW, log, view, seq = number(since), ms = ms(took), "caught up");
}

/// While a view shows what it has taken in.
pub(crate) fn publishing(log: &str, view: &str) -> Span {
    debug_span!(target: VIEW, "publish", log, view)
}

pub(crate) fn published(log: &str, view: &str, since: Option<Seq>, took: Duration) {
    trace!(target: VIEW, log, view, seq = number(since), ms = ms(took), "published");
}

/// What it published is on the disk.
pub(crate) fn stored(log: &str, view: &str, since: Option<Seq>, took: Duration) {
    trace!(target: VIEW, log, view, seq = number(since), ms = ms(took), "stored");
}

/// It is built anew.
pub(crate) fn rebuilding(log: &str, view: &str) {
    info!(target: VIEW, log, view, "rebuilding");
}

/// The system refused it something; it tries again after a pause of so many milliseconds.
pub(crate) fn retrying(log: &str, view: &str, error: &Error, pause: Duration) {
    warn!(target: VIEW, log, view, error = %Cause(error), ms = ms(pause), "retrying");
}

/// It failed and begins again from its last checkpoint.
pub(crate) fn faulted(log: &str, view: &str, seq: Option<Seq>, error: &Error) {
    warn!(target: VIEW, log, view, seq = number(seq), error = %Cause(error), "faulted");
}

/// It has stopped until it is rebuilt.
pub(crate) fn parked(log: &str, view: &str, error: &Error) {
    error!(target: VIEW, log, view, seq = number(error.seq()), error = %Cause(error), "parked");
}

pub(crate) fn view_closed(log: &str, view: &str, since: Option<Seq>) {
    debug!(target: VIEW, log, view, seq = number(since), "closed");
}
