//! [`Expiry`], which deletes a stretch of a log as anybody could who has it open.

use std::sync::Arc;

use super::super::{
    queue::{Queue, Request},
    settings::LogSettings,
    shared::Shared,
};
use crate::{Error, Result, Seq, Span, env::sync::oneshot, log::ReadRequest};

/// So many entries are deleted in one commit …
const AT_ONCE: usize = 1 << 16;
/// … and so many times the log is read for it: whoever ends the log waits for that.
const READS: usize = 16;
/// After so many deletions, what has been deleted is erased: until then each is kept in mind.
const ERASE_EVERY: u64 = 1 << 21;

pub(super) struct Expiry {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    /// So many are deleted in one commit.
    pub(super) at_once: usize,
    /// After so many deletions of its own it waits until they are erased.
    most: u64,
}

impl Expiry {
    pub(super) fn new(shared: &Arc<Shared>, queue: &Arc<Queue>, settings: &LogSettings) -> Self {
        // Half of what may be deleted is left to others.
        let most = ERASE_EVERY.min(settings.deletions / 2).max(1);
        let at_once = AT_ONCE.min(settings.batch_entries).min(usize::try_from(most).unwrap_or(AT_ONCE)).max(1);
        Self { shared: shared.clone(), queue: queue.clone(), at_once, most }
    }

    /// The log that it deletes from.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How many more may be deleted in a commit, of a stretch that ends before `to`; none: erasing must come first.
    pub(super) fn room(&self, to: u64) -> usize {
        let deletions = self.shared.deletions();
        if deletions.len().saturating_add(self.at_once as u64) <= self.most {
            return self.at_once;
        }
        // Also those of an earlier opening; those of others only where they are erased together with these.
        let own = deletions.within(0, to).take(self.most as usize).count() as u64;
        self.at_once.min(usize::try_from(self.most - own).unwrap_or(self.at_once))
    }

    /// Deletes the first entries of the stretch, so many at most, and takes them from it. How many they were.
    pub(super) async fn delete_some(&self, span: &mut Span, most: usize) -> Result<u64> {
        let (mut targets, mut reads) = (Vec::new(), 0);
        while !span.is_empty() && targets.len() < most && reads < READS {
            reads += 1;
            match self.shared.read(ReadRequest::forwards(*span)) {
                Ok(chunk) => {
                    let room = most - targets.len();
                    targets.extend(chunk.entries().map(|(seq, _)| seq).take(room + 1));
                    span.from = chunk.covered.to.max(span.from + 1);
                    if targets.len() > most {
                        // The rest of the chunk is for the next time.
                        span.from = targets.pop().map_or(span.from, Seq::get);
                    }
                }
                // What is damaged goes too.
                Err(error) => match error.seq() {
                    Some(seq) if seq.get() >= span.from => {
                        targets.push(seq);
                        span.from = seq.get() + 1;
                    }
                    _ => return Err(error),
                },
            }
        }
        let deleted = targets.len() as u64;
        if deleted > 0 {
            self.delete(targets).await?;
        }
        Ok(deleted)
    }

    async fn delete(&self, targets: Vec<Seq>) -> Result<()> {
        let permit = self.queue.room_for(size_of_val(targets.as_slice())).await?;
        let (reply, answer) = oneshot::channel();
        self.queue.push(Request::Delete { targets, reply, permit });
        answer.await.unwrap_or_else(|_| Err(self.shared.failure().cloned().unwrap_or_else(Error::closed)))
    }
}
