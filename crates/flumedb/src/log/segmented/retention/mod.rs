//! Dropping the beginning of a log: when somebody asks for it, or because the settings keep no more. It is deleted like
//! anything else, so that whoever follows is told, and then erased.

mod bounds;
mod expiry;
mod keeper;

pub(super) use self::keeper::Keeper;
use self::{bounds::before, expiry::Expiry};
use super::SegmentedLog;
use crate::{
    Result, Span,
    log::{Before, Compacted, Log},
};

/// After so many deletions, what has been deleted is erased: until then each is kept in mind.
const ERASE_EVERY: u64 = 1 << 21;

impl SegmentedLog {
    /// Deletes what is in whole segments before that, and erases it.
    pub(super) async fn drop_segments(&self, limit: Before) -> Result<Compacted> {
        let expiry = Expiry { shared: self.shared.clone(), queue: self.queue()?.0.clone() };
        let shared = self.open_shared()?;
        let mut span = Span { from: shared.table.first(), to: before(shared, limit)? };
        let mut done: Option<Compacted> = None;
        let mut deleted = 0;
        while !span.is_empty() {
            deleted += expiry.delete_some(&mut span).await?;
            if deleted >= ERASE_EVERY && !span.is_empty() {
                deleted = 0;
                let then = self.compact().await?;
                done = Some(done.map_or(then, |done| done.and(then)));
            }
        }
        let then = self.compact().await?;
        Ok(done.map_or(then, |done| done.and(then)))
    }
}
