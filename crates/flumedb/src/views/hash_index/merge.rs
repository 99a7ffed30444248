//! [`Merge`], runs that become one, a piece at a time, so that nobody waits for all of it.

use std::sync::Arc;

use super::{
    plan::Plan,
    run::{Cursor, Run, RunWriter},
};
use crate::{Result, env::Storage};

/// A merge that is going on. What it reads stays in use until it is done.
pub(super) struct Merge {
    pub(super) plan: Plan,
    cursors: Vec<Cursor>,
    writer: RunWriter,
    /// The log begins here: what is before is left out.
    begin: u64,
}

impl Merge {
    pub(super) fn new(plan: Plan, writer: RunWriter, begin: u64) -> Result<Self> {
        let cursors = plan.runs.iter().map(|run| Cursor::new(run.clone(), plan.part)).collect::<Result<_>>()?;
        Ok(Self { plan, cursors, writer, begin })
    }

    /// Merges up to `pairs` pairs; says whether there are more.
    pub(super) fn step(&mut self, pairs: usize) -> Result<bool> {
        for _ in 0..pairs {
            let open = self.cursors.iter_mut().filter(|cursor| cursor.next.is_some());
            let Some(cursor) = open.min_by_key(|cursor| cursor.next) else { return Ok(false) };
            if let Some(pair) = cursor.next {
                if pair.seq >= self.begin {
                    self.writer.push(pair)?;
                }
                cursor.advance()?;
            }
        }
        Ok(true)
    }

    /// The run that came of it, and the plan.
    pub(super) fn finish(self, storage: &dyn Storage) -> Result<(Plan, Arc<Run>)> {
        Ok((self.plan, Arc::new(self.writer.finish(storage)?)))
    }
}
