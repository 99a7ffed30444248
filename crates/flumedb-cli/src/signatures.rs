//! [`Signatures`], what `check --signatures` finds: of every entry, whether it is a message that has its key and its
//! signature. Entries that are none are counted and passed over.

use flumedb::{Bytes, ErrorKind, Seq};
use flumedb_ssb::message::{self, Fault};
use serde::Serialize;

use crate::{
    args::Place,
    exit::{Failure, Verdict},
    open::Opened,
    output::{self, say},
    progress::Progress,
};

/// The most faults that are told with their places; all are counted.
const TOLD: usize = 10;

/// How many messages there are of each sort.
#[derive(Default, Serialize)]
pub(crate) struct Signatures {
    verified: u64,
    /// Their key or their signature does not go with what they say.
    wrong: u64,
    malformed: u64,
    /// Of another feed format.
    foreign: u64,
    faults: Vec<Told>,
}

/// Why an entry is not verified.
#[derive(Serialize)]
struct Told {
    seq: Seq,
    reason: String,
}

impl Signatures {
    /// Looks at every entry at `place` that can be read.
    pub(crate) fn check(place: &Place) -> Result<Self, Failure> {
        let opened = Opened::read(place)?;
        let progress = Progress::new("verifying", opened.db.head().map(Seq::get));
        let mut found = Self::default();
        for entry in opened.db.scan(..).blocking() {
            match entry {
                Ok(entry) => {
                    found.take(entry.seq, &entry.value);
                    progress.at(entry.seq.get());
                }
                // The check of the log tells of it.
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(error.into()),
            }
        }
        progress.finish();
        Ok(found)
    }

    fn take(&mut self, seq: Seq, payload: &Bytes) {
        let verified = match message::document(payload) {
            Ok(document) => message::verify(&document),
            Err(error) if error.kind() == ErrorKind::Unsupported => Err(Fault::Foreign(error.to_string())),
            Err(error) => Err(Fault::Malformed(error.to_string())),
        };
        let Err(fault) = verified else {
            self.verified += 1;
            return;
        };
        match fault {
            Fault::Malformed(_) => self.malformed += 1,
            Fault::Foreign(_) => self.foreign += 1,
            _ => self.wrong += 1,
        }
        if self.faults.len() < TOLD {
            self.faults.push(Told { seq, reason: fault.to_string() });
        }
    }

    /// Prints how many there are of each sort.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        output::line(format_args!("verified   {}", self.verified))?;
        output::line(format_args!("wrong      {}", self.wrong))?;
        output::line(format_args!("malformed  {}", self.malformed))?;
        output::line(format_args!("foreign    {}", self.foreign))
    }

    /// Says which messages are not verified, and why. Only those that say one thing and are signed for another are wrong.
    pub(crate) fn verdict(&self) -> Verdict {
        for Told { seq, reason } in &self.faults {
            say(format!("entry {seq}: {reason}"));
        }
        let all = self.wrong + self.malformed + self.foreign;
        match all.saturating_sub(self.faults.len() as u64) {
            0 => {}
            more => say(format!("and {more} more")),
        }
        if self.wrong == 0 { Verdict::Fine } else { Verdict::Lacking }
    }
}
