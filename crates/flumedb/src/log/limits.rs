//! What is too much to append, or to delete: the limits of [`LogSettings`], for every log of this crate.

use super::{Batch, LogSettings};
use crate::{Error, ErrorKind, Result};

/// A record has no longer payload, whatever is asked for.
pub(crate) const MAX_ENTRY: usize = 1 << 30;

/// The length of a commit has 32 bits.
const MAX_BATCH: usize = 2 * MAX_ENTRY;

/// Each segment begins with all deletions, in one record.
const MAX_DELETIONS: u64 = 1 << 25;

/// Longest name of a note, in bytes.
const MAX_NAME: usize = 1 << 10;

/// Longest proof of a note, in bytes.
const MAX_PROOF: usize = 1 << 16;

impl LogSettings {
    /// Whether a batch may be appended.
    pub(crate) fn check(&self, batch: &Batch) -> Result<()> {
        let most = self.entry_bytes.min(MAX_ENTRY);
        if let Some(longest) = batch.payloads().map(<[u8]>::len).max().filter(|longest| *longest > most) {
            let message =
                format!("an entry of {longest} bytes is longer than {most}; keep it elsewhere and append a name");
            return Err(Error::over_limit(message, "entry_bytes"));
        }
        let (bytes, most) = (batch.buffer_len(), self.batch_bytes.min(MAX_BATCH));
        if bytes > most {
            let message = format!("entries of together {bytes} bytes are longer than {most}; append them in parts");
            return Err(Error::over_limit(message, "batch_bytes"));
        }
        if batch.len() > self.batch_entries {
            let (count, most) = (batch.len(), self.batch_entries);
            let message = format!("{count} entries are more than {most}; append them in parts");
            return Err(Error::over_limit(message, "batch_entries"));
        }
        let Some(note) = &batch.note else { return Ok(()) };
        let fixed = |what, bytes, most| {
            let message = format!("the {what} of a note has {bytes} bytes, and may have {most}; keep it in an entry");
            Err(Error::new(ErrorKind::LimitExceeded, message))
        };
        match note {
            note if note.name.len() > MAX_NAME => fixed("name", note.name.len(), MAX_NAME),
            note if note.proof.len() > MAX_PROOF => fixed("proof", note.proof.len(), MAX_PROOF),
            _ => Ok(()),
        }
    }

    /// Whether so many entries may be deleted at once.
    pub(crate) fn check_targets(&self, count: usize) -> Result<()> {
        if count <= self.batch_entries {
            return Ok(());
        }
        let message = format!("{count} entries to delete are more than {}; delete them in parts", self.batch_entries);
        Err(Error::over_limit(message, "batch_entries"))
    }

    /// Whether a log may have so many entries that are deleted.
    pub(crate) fn check_deletions(&self, count: u64) -> Result<()> {
        let most = self.deletions.min(MAX_DELETIONS);
        if count <= most {
            return Ok(());
        }
        let message = format!("{count} deleted entries are more than {most}; copy what is left into a new log");
        Err(Error::over_limit(message, "deletions"))
    }

    /// Whether a log may have notes of so many names.
    pub(crate) fn check_notes(&self, count: usize) -> Result<()> {
        if count <= self.notes {
            return Ok(());
        }
        let message = format!("notes of {count} names are more than {}; use a name again", self.notes);
        Err(Error::over_limit(message, "notes"))
    }
}
