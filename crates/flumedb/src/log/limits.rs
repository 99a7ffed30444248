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
        let longest = batch.payloads().map(<[u8]>::len).max().unwrap_or(0);
        self.check_lengths(longest, batch.buffer_len())?;
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

    /// Whether the longest entry of a batch may be so long, and all of it.
    fn check_lengths(&self, longest: usize, bytes: usize) -> Result<()> {
        let most = self.entry_bytes.min(MAX_ENTRY);
        if longest > most {
            let message =
                format!("an entry of {longest} bytes is longer than {most}; keep it elsewhere and append a name");
            return Err(over(message, "entry_bytes", most == MAX_ENTRY));
        }
        let most = self.batch_bytes.min(MAX_BATCH);
        if bytes > most {
            let message = format!("entries of together {bytes} bytes are longer than {most}; append them in parts");
            return Err(over(message, "batch_bytes", most == MAX_BATCH));
        }
        Ok(())
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
        Err(over(message, "deletions", most == MAX_DELETIONS))
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

/// More than a limit allows. Whoever is at what the format can hold need not be told to raise the setting.
fn over(message: String, setting: &'static str, is_the_most: bool) -> Error {
    if is_the_most { Error::new(ErrorKind::LimitExceeded, message) } else { Error::over_limit(message, setting) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
mod tests {
    use super::*;

    #[track_caller]
    fn is_the_most(refused: Result<()>, figures: [&str; 2]) {
        let error = refused.unwrap_err();
        let told = error.to_string();
        assert_eq!((error.kind(), error.limit()), (ErrorKind::LimitExceeded, None), "{told}");
        assert!(figures.iter().all(|figure| told.contains(figure)) && !told.contains("raise"), "{told}");
    }

    /// The failure: a setting is taken as it is, and a length is written that its field cannot hold.
    #[test]
    fn no_setting_goes_past_what_the_format_holds() {
        for (entry_bytes, batch_bytes, deletions) in
            [(MAX_ENTRY, MAX_BATCH, MAX_DELETIONS), (usize::MAX, usize::MAX, u64::MAX)]
        {
            let settings = LogSettings { entry_bytes, batch_bytes, deletions, ..LogSettings::default() };
            settings.check_lengths(1 << 30, 1 << 31).unwrap();
            is_the_most(settings.check_lengths((1 << 30) + 1, 1 << 31), ["1073741825", "1073741824"]);
            is_the_most(settings.check_lengths(1 << 30, (1 << 31) + 1), ["2147483649", "2147483648"]);
            settings.check_deletions(33_554_432).unwrap();
            is_the_most(settings.check_deletions(33_554_433), ["33554433", "33554432"]);
        }
        // Below it the setting is named.
        let settings = LogSettings { entry_bytes: MAX_ENTRY - 1, ..LogSettings::default() };
        assert_eq!(settings.check_lengths(MAX_ENTRY, 0).unwrap_err().limit(), Some("entry_bytes"));
    }
}
