//! How a group of requests becomes a commit, and what happens if it cannot.

use super::{
    super::{flusher::FLUSH_BYTES, format::Commit, group::Group, queue::Request, settings::LogSettings},
    Writer,
};
use crate::{
    ErrorKind, Result, Seq,
    env::planted::{Bug, planted},
    telemetry::events,
};

impl Writer {
    pub(super) fn commit(&mut self, mut group: Group) {
        if let Some(error) = self.shared.failure().cloned() {
            return group.fail(&error);
        }
        let _span = events::committing(&self.shared.label).entered();
        let wrote = group.has_records();
        match self.write(&mut group) {
            Ok(()) if !wrote => self.answer(group),
            Ok(()) => {
                let (entries, bytes, requests) = (group.count(), group.size() as u64, group.requests.len());
                let waited = self.now().saturating_sub(self.waiting_since);
                // Before anybody is answered: who has been may look at the metrics.
                self.shared.meters.committed(entries, bytes, requests, waited);
                events::committed(&self.shared.label, self.active.at.next, entries, bytes, requests, waited);
                self.answer(group);
            }
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                self.shared.meters.full();
                events::full(&self.shared.label, group.size(), &error);
                // Nothing was acknowledged and nothing is unknown, if the disk is as it was before.
                let error = match self.take_back() {
                    Ok(()) => error,
                    Err(worse) => self.shared.poison(&worse),
                };
                group.fail(&error);
            }
            Err(error) => group.fail(&self.shared.poison(&error)),
        }
    }

    fn write(&mut self, group: &mut Group) -> Result<()> {
        if group.has_records() {
            let size = group.size() as u64;
            let limit = self.settings.segment_bytes.clamp(LogSettings::MIN_SEGMENT, LogSettings::MAX_SEGMENT);
            let full = self.active.size() + size > limit || self.active.can_teach() || self.is_old();
            if self.sealed || self.active.outdated || (full && self.active.segment.count() > 0) {
                self.roll()?;
            }
            group.pack(&self.active.packing, &self.shared.env, self.active.at.next)?;
            let encoded = group.encode(self.active.at, self.shared.id, self.stamp());
            self.active.write(&encoded.pieces)?;
            self.active.at = encoded.after;
            self.active.segment.extend(encoded.offsets, encoded.after.offset);
            self.vouched = self.vouched.max(self.active.synced);
            let now = self.now();
            self.unsynced_since.get_or_insert(now);
            if planted(Bug::VisibleBeforeDurable) {
                self.shared.publish(encoded.after.next, Vec::new(), Vec::new());
            }
            let durable = group.durable && !planted(Bug::AcknowledgeBeforeSync);
            if durable || self.is_sync_due() {
                let took = self.sync()?;
                self.last_sync = (group.requests.len(), took);
            } else if self.active.at.offset - self.active.synced >= FLUSH_BYTES {
                self.flushing.ask(&self.active.segment, self.active.at);
            }
            self.shared.publish(encoded.after.next, encoded.tombstones, encoded.notes);
        } else if group.durable {
            self.sync()?;
        }
        self.tell(false)
    }

    fn answer(&self, group: Group) {
        let mut names = group.names.into_iter();
        for request in group.requests {
            match request {
                Request::Append { reply, .. } => {
                    let (first, count) = names.next().unwrap_or_default();
                    drop(reply.send(Ok((first..first + count).map(Seq::new).collect())));
                }
                // It is answered when it is taken.
                Request::Roll { .. } => {}
                Request::Delete { targets, reply, .. } => {
                    events::deleted(&self.shared.label, targets.len());
                    drop(reply.send(Ok(())));
                }
                Request::Sync { reply } | Request::Close { reply } => drop(reply.send(Ok(()))),
            }
        }
    }

    fn stamp(&self) -> Commit {
        Commit {
            watermark: self.shared.durable(),
            synced: if planted(Bug::WatermarkEarly) { self.active.at.offset } else { self.active.synced },
            time_us: self.shared.env.clock.unix_us(),
            epoch: self.epoch,
            ..Commit::default()
        }
    }

    /// Leaves nothing of a commit that failed. A segment that is sealed has none.
    pub(super) fn take_back(&mut self) -> Result<()> {
        if self.sealed { Ok(()) } else { self.active.take_back() }
    }

    /// An empty commit, which says how much is on the disk.
    pub(super) fn vouch(&mut self) -> Result<()> {
        if self.sealed || self.vouched >= self.active.synced {
            return Ok(());
        }
        let encoded = Group::default().encode(self.active.at, self.shared.id, self.stamp());
        self.active.write(&encoded.pieces)?;
        self.vouched = self.active.synced;
        self.active.at = encoded.after;
        self.active.segment.extend([], encoded.after.offset);
        Ok(())
    }
}
