//! [`Room`], how much the stages of a query may build of one value.

use std::cell::Cell;

use serde_json::Value;

use super::{Compat, budget::weigh, path::Path};
use crate::{Error, Result, codec::Document};

/// The room for what is built of one value on its way through the stages. It is counted while it is built: each `$map`
/// may hold what came to it several times, so that a few of them in a row could fill any memory.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) compat: Compat,
    all: usize,
    taken: Cell<usize>,
    is_over: Cell<bool>,
}

impl Room {
    pub(super) fn new(compat: Compat, bytes: usize) -> Self {
        Self { compat, all: bytes, taken: Cell::new(0), is_over: Cell::new(false) }
    }

    /// Whether there is room for so many bytes more; then they are taken. Once there was none, there is none any more, and
    /// what was built means nothing: [`check`](Room::check) says so.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let taken = self.taken.get().saturating_add(bytes);
        if self.is_over.get() || taken > self.all {
            self.is_over.set(true);
            return false;
        }
        self.taken.set(taken);
        true
    }

    /// A copy of what stands at `path`, if there is room for it.
    pub(super) fn copy(&self, doc: Option<&dyn Document>, path: &Path) -> Option<Value> {
        path.value(doc).filter(|value| self.take(weigh(value)))
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// How much is taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.get()
    }

    /// Only so much is still there.
    pub(super) fn keep(&self, taken: usize) {
        self.taken.set(taken);
    }

    /// # Errors
    /// `LimitExceeded` if the stage at `place` found no room.
    pub(super) fn check(&self, place: &str) -> Result<()> {
        if !self.is_over() {
            return Ok(());
        }
        let at = if place.is_empty() { String::new() } else { format!("at {place} ") };
        let message = format!(
            "{at}in the query: it would make more than {} bytes of one value; let it make less, or the stages before \
             it",
            self.all
        );
        Err(Error::over_limit(message, "memory_bytes"))
    }
}
