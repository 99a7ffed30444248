//! [`Expiry`], which deletes a stretch of a log as anybody could who has it open.

use std::sync::Arc;

use super::super::{
    queue::{Queue, Request},
    shared::Shared,
};
use crate::{Error, Result, Seq, Span, env::sync::oneshot, log::ReadRequest};

/// So many entries are deleted in one commit.
const AT_ONCE: usize = 1 << 16;

pub(super) struct Expiry {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
}

impl Expiry {
    /// Deletes the first entries of the stretch, and takes them from it. How many they were.
    pub(super) async fn delete_some(&self, span: &mut Span) -> Result<u64> {
        let mut targets = Vec::new();
        while !span.is_empty() && targets.len() < AT_ONCE {
            match self.shared.read(ReadRequest::forwards(*span)) {
                Ok(chunk) => {
                    targets.extend(chunk.entries().map(|(seq, _)| seq));
                    span.from = chunk.covered.to.max(span.from + 1);
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
