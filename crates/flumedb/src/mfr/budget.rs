//! [`Budget`], how much a query may keep in memory.

use serde_json::Value;

use crate::{Error, Result};

/// What is left of the memory that a query may keep.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    all: usize,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { left: bytes, all: bytes }
    }

    pub(super) fn take(&mut self, bytes: usize, what: &str) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            let message = format!(
                "the query would keep more than {} bytes in memory ({what}); narrow its first filter, keep less with \
                 a $map before",
                self.all
            );
            Error::over_limit(message, "memory_bytes")
        })?;
        Ok(())
    }

    /// Gives back what was taken.
    pub(super) fn give(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes).min(self.all);
    }
}

/// About what a value takes by itself.
pub(super) const NODE: usize = 32;
/// About what a member of an object takes beside its name and its value.
pub(super) const MEMBER: usize = 2 * NODE;

/// About how many bytes a value takes.
pub(super) fn weigh(value: &Value) -> usize {
    match value {
        Value::String(text) => NODE + text.len(),
        Value::Array(items) => NODE + items.iter().map(weigh).sum::<usize>(),
        Value::Object(members) => {
            NODE + members.iter().map(|(name, value)| MEMBER + name.len() + weigh(value)).sum::<usize>()
        }
        _ => NODE,
    }
}
