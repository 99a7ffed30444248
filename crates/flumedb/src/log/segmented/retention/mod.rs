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

impl SegmentedLog {
    /// Deletes what is in whole segments before that, and erases it.
    pub(super) async fn drop_segments(&self, limit: Before) -> Result<Compacted> {
        let (queue, settings) = self.queue()?;
        let expiry = Expiry::new(&self.shared, queue, settings);
        let shared = self.open_shared()?;
        let mut span = Span { from: shared.table.first(), to: before(shared, limit)? };
        let mut done: Option<Compacted> = None;
        while !span.is_empty() {
            let mut room = expiry.room(span.to);
            if room == 0 {
                let then = self.compact().await?;
                done = Some(done.map_or(then, |done| done.and(then)));
                // What cannot be erased is no reason to stop: the log says when it is too much.
                room = Some(expiry.room(span.to)).filter(|room| *room > 0).unwrap_or(expiry.at_once);
            }
            expiry.delete_some(&mut span, room).await?;
        }
        let then = self.compact().await?;
        Ok(done.map_or(then, |done| done.and(then)))
    }
}
