//! What is brought to the disk, when, and how others are told how far the log goes.

use std::time::Duration;

use super::{
    super::{
        format::{HeadPage, LogId},
        settings::Durability,
    },
    Writer,
};
use crate::{
    ErrorKind, Result,
    env::planted::{Bug, planted},
};

impl Writer {
    /// Brings everything to the disk, and says how long that took.
    pub(super) fn sync(&mut self) -> Result<Duration> {
        if self.unsynced_since.is_none() {
            return Ok(Duration::ZERO);
        }
        let before = self.now();
        self.active.sync()?;
        let took = self.now().saturating_sub(before);
        self.unsynced_since = None;
        self.shared.synced(self.active.at.next, took);
        Ok(took)
    }

    pub(super) fn is_sync_due(&self) -> bool {
        let Durability::Interval { period, bytes } = self.settings.durability else { return false };
        let Some(since) = self.unsynced_since else { return false };
        self.now().saturating_sub(since) >= period || self.active.at.offset - self.active.synced >= bytes
    }

    /// However busy it is, and with whatever: what is due is synced before anything else.
    pub(super) fn sync_if_due(&mut self) {
        if self.shared.failure().is_none()
            && self.is_sync_due()
            && let Err(error) = self.sync().and_then(|_| self.tell(false))
        {
            self.shared.poison(&error);
        }
    }

    /// Takes note of what the flusher has brought to the disk.
    pub(super) fn heed_flusher(&mut self) {
        if let Some((ordinal, to)) = self.flushing.take_done()
            && ordinal == self.active.segment.name.ordinal
            && !self.sealed
        {
            self.active.synced = self.active.synced.max(to.offset);
            self.shared.set_durable(to.next);
        }
    }

    /// Says how far the log goes, to readers elsewhere and to the next opening. A disk too full for it is no reason to
    /// fail: they will see for themselves.
    pub(super) fn tell(&self, clean: bool) -> Result<()> {
        match self.write_head(clean) {
            Err(error) if error.kind() == ErrorKind::StorageFull => Ok(()),
            written => written,
        }
    }

    pub(super) fn write_head(&self, clean: bool) -> Result<()> {
        self.head.write(&HeadPage {
            id: LogId(self.shared.id.0),
            epoch: self.epoch,
            visible: self.active.at.next,
            watermark: self.shared.durable(),
            ordinal: self.active.segment.name.ordinal,
            synced: if planted(Bug::HeadEarly) { self.active.at.offset } else { self.active.synced },
            end: self.active.at.offset,
            clean,
        })?;
        self.shared.set_told(self.active.segment.name.ordinal);
        Ok(())
    }
}
