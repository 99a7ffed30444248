//! [`Survey`], what is wrong between and behind the entries: damage, or what a stopped writer left. `jrnl` tells the two
//! apart: margaret counts an entry there before it writes it, we once it is on the disk.

use flumedb::{Damage, Result, check::TornTail};

use super::{
    chain::{Chain, Gap},
    files::{Files, Journal},
    head::Head,
};

/// What a survey found.
#[derive(Default)]
pub(super) struct Survey {
    /// Places where the files differ and go on behind.
    pub(super) gaps: Vec<Damage>,
    /// Entries that `jrnl` vouches for, and that are not there.
    pub(super) missing: Option<Damage>,
    pub(super) torn_tail: Option<TornTail>,
}

impl Survey {
    pub(super) fn of(files: &Files, chain: &Chain) -> Result<Self> {
        let behind = Behind::of(files, chain)?;
        let missing = behind.missing(files, chain)?;
        let torn_tail = if missing.is_some() { None } else { behind.torn(files, chain)? };
        Ok(Self { gaps: chain.gaps().iter().map(|gap| gap.damage(files)).collect(), missing, torn_tail })
    }

    /// Everything that is damage.
    pub(super) fn damage(&self) -> impl Iterator<Item = &Damage> {
        self.gaps.iter().chain(&self.missing)
    }

    pub(super) fn is_clean(&self) -> bool {
        self.gaps.is_empty() && self.missing.is_none() && self.torn_tail.is_none()
    }
}

impl Gap {
    pub(super) fn damage(&self, files: &Files) -> Damage {
        if self.led {
            let (offset, bytes) = (self.from * Head::BYTES as u64, (self.to - self.from) * Head::BYTES as u64);
            let reason = "these are not the places of entries; the lengths in data lead through";
            return Damage::new(&files.ofst.path, offset, bytes, reason);
        }
        let reason = "a length is not what the places of entries in ofst leave room for";
        Damage::new(&files.data.path, self.start, self.end - self.start, reason)
    }
}

/// What lies behind the last entry.
struct Behind {
    /// Bytes of `data`.
    data: u64,
    /// Bytes of `ofst`.
    ofst: u64,
    journal: Journal,
}

impl Behind {
    fn of(files: &Files, chain: &Chain) -> Result<Self> {
        Ok(Self {
            data: files.data.len()?.saturating_sub(chain.end()),
            ofst: files.ofst.len()?.saturating_sub(chain.count() * Head::BYTES as u64),
            journal: files.journal()?,
        })
    }

    fn missing(&self, files: &Files, chain: &Chain) -> Result<Option<Damage>> {
        let counted = match self.journal {
            Journal::Count(counted) => counted,
            Journal::Torn => 0,
            Journal::Damaged => {
                let reason = "this is not the number of an entry";
                return Ok(Some(Damage::new(&files.jrnl.path, 0, files.jrnl.len()?, reason)));
            }
        };
        let listed = chain.count() + self.ofst / Head::BYTES as u64;
        let missing = counted.max(listed) - chain.count();
        // margaret has counted an entry that it was about to write; where nothing else is left of one, none was.
        let stopped = missing == 1 && (listed == chain.count() || self.is_cut_off(files, chain)?);
        if counted <= chain.count() || self.data == 0 && self.ofst == 0 || stopped {
            return Ok(None);
        }
        let reason = format!("{} entries are there, and {} more were", chain.count(), missing);
        Ok(Some(Damage::new(&files.data.path, chain.end(), self.data, reason)))
    }

    /// Whether `data` ends inside the entry behind the last one.
    fn is_cut_off(&self, files: &Files, chain: &Chain) -> Result<bool> {
        if self.data < Head::BYTES as u64 {
            return Ok(true);
        }
        let head = Head::parse(&files.data.up_to(chain.end(), Head::BYTES)?);
        Ok(head.is_some_and(|head| head.end(0) > self.data))
    }

    fn torn(&self, files: &Files, chain: &Chain) -> Result<Option<TornTail>> {
        let tail = |source: &crate::file::Source, offset, bytes| TornTail { file: source.path.clone(), offset, bytes };
        Ok(if self.data > 0 {
            Some(tail(&files.data, chain.end(), self.data))
        } else if self.ofst > 0 {
            Some(tail(&files.ofst, chain.count() * Head::BYTES as u64, self.ofst))
        } else if self.journal != Journal::Count(chain.count()) {
            Some(tail(&files.jrnl, 0, files.jrnl.len()?))
        } else {
            None
        })
    }
}
