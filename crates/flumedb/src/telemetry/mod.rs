//! What an operator sees: events of `tracing` and metrics of the facade `metrics`. `docs/observability.md` lists them all.
//!
//! The library installs nothing: without a subscriber an event costs a load and a compare, without a recorder a metric costs
//! a branch. No payload is ever in either.

pub(crate) mod events;
mod meters;

pub(crate) use meters::{LogMeters, ViewMeters, readers, subscribers};

use crate::Error;

/// Tells of a call that a limit refused; other errors are passed over.
pub(crate) fn refused(log: &str, error: &Error) {
    if let Some(limit) = error.limit() {
        meters::refused(limit, log);
        events::refused(log, limit);
    }
}
