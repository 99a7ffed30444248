//! [`Merge`], runs that become one, a piece at a time, so that nobody waits for all of it.

use std::sync::Arc;

use super::{
    Pair,
    run::{Run, RunWriter},
};
use crate::{Result, env::Storage};

/// A merge that is going on. What it reads stays in use until it is done.
pub(super) struct Merge {
    /// What is merged.
    pub(super) runs: Vec<Arc<Run>>,
    cursors: Vec<Cursor>,
    writer: RunWriter,
}

/// The next pair of a run.
struct Cursor {
    block: usize,
    at: usize,
    next: Option<Pair>,
}

impl Merge {
    pub(super) fn new(runs: Vec<Arc<Run>>, writer: RunWriter) -> Result<Self> {
        let mut cursors = Vec::with_capacity(runs.len());
        for run in &runs {
            let mut cursor = Cursor { block: 0, at: 0, next: None };
            cursor.advance(run)?;
            cursors.push(cursor);
        }
        Ok(Self { runs, cursors, writer })
    }

    /// Merges up to `pairs` pairs; says whether there are more.
    pub(super) fn step(&mut self, pairs: usize) -> Result<bool> {
        for _ in 0..pairs {
            let least = self.cursors.iter_mut().zip(&self.runs).filter(|(cursor, _)| cursor.next.is_some());
            let Some((cursor, run)) = least.min_by_key(|(cursor, _)| cursor.next) else { return Ok(false) };
            if let Some(pair) = cursor.next {
                self.writer.push(pair)?;
                cursor.advance(run)?;
            }
        }
        Ok(true)
    }

    /// The run that came of it.
    pub(super) fn finish(self, storage: &dyn Storage) -> Result<Run> {
        self.writer.finish(storage)
    }
}

impl Cursor {
    fn advance(&mut self, run: &Run) -> Result<()> {
        self.next = None;
        while self.block < run.blocks() {
            if let Some(pair) = run.block(self.block)?.get(self.at) {
                self.next = Some(Pair::from_bytes(*pair));
                self.at += 1;
                return Ok(());
            }
            (self.block, self.at) = (self.block + 1, 0);
        }
        Ok(())
    }
}
