//! What a failure means for a view: try again, open again, build anew, or stop.

use std::ops::Range;

use super::{Actor, Turn};
use crate::{
    Error, ErrorKind, Seq,
    telemetry::events,
    view::{View, shared::faulted},
};

/// Where the view failed last. When it comes there again it goes entry by entry, so that the one at fault is known.
pub(super) struct Suspect {
    pub(super) range: Range<u64>,
}

/// Whether it may work the next time.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::StorageFull | ErrorKind::TimedOut)
}

impl<V: View> Actor<V> {
    /// The view, or its store, failed while it was at these positions.
    pub(super) fn failed(&mut self, error: Error, range: Range<u64>, at: Option<Seq>) -> Turn {
        self.open = false;
        if may_pass(&error) {
            return Turn::Retry(error);
        }
        let before = self.suspect.as_ref();
        if before.is_some_and(|before| range.start < before.range.end) {
            return Turn::Park { error: faulted(&self.name, error.seq().or(at), &error), lost: false };
        }
        events::faulted(&self.core.log, &self.name, error.seq().or(at), &error);
        self.suspect = Some(Suspect { range });
        if error.kind() == ErrorKind::Corrupt { Turn::Rebuild } else { Turn::Reopen }
    }

    /// The log failed. That is no fault of the view, whose state is as it was.
    pub(super) async fn log_failed(&mut self, error: Error) -> Result<(), Turn> {
        if may_pass(&error) && !self.closing {
            self.pause(error).await
        } else {
            Err(Turn::Park { error: faulted(&self.name, error.seq(), &error), lost: false })
        }
    }
}
