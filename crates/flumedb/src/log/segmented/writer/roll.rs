//! How a segment ends and the next begins.

use bytes::Bytes;

use super::{
    super::{active::Active, dictionary, directory, payload::Packing, settings::Compression, shared::Shared},
    Writer,
};
use crate::{ErrorKind, Result, Seq, telemetry::events};

impl Writer {
    /// Whether what is appended would be kept for too long in the active segment, for want of anything that fills it.
    pub(super) fn is_old(&self) -> bool {
        let now = self.shared.env.clock.unix_us();
        self.settings.retention.period().is_some_and(|period| self.active.is_older_than(period, now))
    }

    /// Ends the active segment and begins the next. May be tried again after it failed for want of space.
    pub(super) fn roll(&mut self) -> Result<()> {
        let before = self.now();
        if !self.sealed {
            let count = self.active.seal()?;
            self.unsynced_since = None;
            self.shared.set_durable(self.active.at.next);
            self.shared.table.seal_last(count);
            self.sealed = true;
        }
        let ordinal = self.active.segment.name.ordinal + 1;
        let packing = Packing::wanted(&self.settings, self.shared.id, self.dictionary())?;
        self.active = Active::create(&self.shared, ordinal, self.active.at, self.epoch, packing)?;
        self.sealed = false;
        self.vouched = 0;
        self.shared.table.push_active(self.active.segment.clone());
        self.shared.meters.rolled();
        let took = self.now().saturating_sub(before);
        events::rolled(&self.shared.label, ordinal, self.active.at.next, took);
        self.forget_torn();
        self.compactions.look();
        self.retention.raise();
        Ok(())
    }

    /// Removes tails that were kept long enough. If that fails it is tried at the next segment.
    pub(super) fn forget_torn(&self) {
        let Shared { env, dir, label, .. } = &*self.shared;
        drop(directory::forget_torn(env, dir, label, &self.settings));
    }

    /// What the entries of the active segment have in common, for the next one, if that is to be compressed. What was
    /// deleted has no part in it.
    fn dictionary(&self) -> Bytes {
        if self.settings.compression != Compression::Lz4 {
            return Bytes::new();
        }
        let (first, next) = (self.active.segment.name.first, self.active.at.next);
        let step = ((next - first) / dictionary::SAMPLES as u64).max(1);
        let samples: Vec<Bytes> =
            (first..next).step_by(step as usize).filter_map(|seq| self.shared.get(Seq::new(seq)).ok()).collect();
        dictionary::build(samples.iter().map(|sample| &**sample)).into()
    }

    /// Ends the active segment although it is not full, if some of it is deleted, or if it begins with deletions that have
    /// been carried out.
    pub(super) fn roll_on_request(&mut self) -> Result<bool> {
        const LEAST: u64 = 64 << 10;
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        let carried = self.active.carried() >= LEAST + 2 * self.shared.deletions().bytes();
        let wanted = self.shared.is_deleted_in_last() || carried;
        if self.sealed || self.active.segment.count() == 0 || !wanted {
            return Ok(false);
        }
        match self.roll().and_then(|()| self.write_head(false)) {
            Err(error) if error.kind() == ErrorKind::StorageFull => match self.take_back() {
                Ok(()) => Err(error),
                Err(worse) => Err(self.shared.poison(&worse)),
            },
            Err(error) => Err(self.shared.poison(&error)),
            Ok(()) => Ok(true),
        }
    }
}
