//! [`Writer`], the one task that writes to a log: it takes what waits, makes one commit of it, syncs if somebody waits
//! for that, lets readers see it, and answers.

use std::{
    collections::{BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    active::Active,
    compact::Compactions,
    dictionary,
    directory::{self, HeadFile},
    flusher::{FLUSH_BYTES, Flushing},
    format::{Commit, HeadPage, LogId},
    group::Group,
    payload::Packing,
    queue::{Queue, Request},
    recovery::Opened,
    settings::{Compression, Durability, LogSettings},
    shared::Shared,
};
use crate::{
    Error, ErrorKind, Result, Seq, Span,
    env::{
        Signal, Step, Task,
        planted::{Bug, planted},
    },
    log::{
        Batch, Condition, ReadRequest, SlotKind,
        memory::{check_head, conflicting, not_found, past_limit},
    },
    telemetry::{self, events},
};

/// A commit takes no more requests once it has this many bytes.
const GROUP_BYTES: usize = 8 << 20;

/// After so long without a request the writer settles: syncs what nobody waited for, and vouches for what it synced.
const IDLE: Duration = Duration::from_millis(20);

/// The longest time that a commit is put off to gather more requests.
const GATHER: Duration = Duration::from_micros(200);

pub(crate) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    flushing: Flushing,
    compactions: Arc<Compactions>,
    /// Raised when a segment was ended.
    retention: Arc<Signal>,
    settings: LogSettings,
    head: HeadFile,
    active: Active,
    /// The segment is sealed, but the next could not be made yet.
    sealed: bool,
    epoch: u64,
    waiting: VecDeque<Request>,
    /// When the first commit was made that is not synced.
    unsynced_since: Option<Duration>,
    /// Bytes that a commit vouches for.
    vouched: u64,
    /// When it last had something to do.
    busy_until: Duration,
    /// How many waited for the last sync, and how long it took: so many may soon wait again, and be worth so long.
    last_sync: (usize, Duration),
    /// When the oldest of the waiting requests came.
    waiting_since: Duration,
}

impl Writer {
    pub(crate) fn new(
        opened: Opened,
        queue: Arc<Queue>,
        (compactions, retention): (Arc<Compactions>, Arc<Signal>),
        settings: LogSettings,
    ) -> Result<(Self, Arc<Shared>)> {
        let Opened { shared, active, head, epoch, clean, .. } = opened;
        let vouched = if clean { active.synced } else { 0 };
        let writer = Self {
            shared: shared.clone(),
            queue,
            flushing: Flushing::start(&shared)?,
            compactions,
            retention,
            settings,
            head,
            active,
            sealed: false,
            epoch,
            waiting: VecDeque::new(),
            unsynced_since: None,
            vouched,
            busy_until: Duration::ZERO,
            last_sync: (0, Duration::ZERO),
            waiting_since: Duration::ZERO,
        };
        Ok((writer, shared))
    }

    /// Says that the log is open and how far it goes.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.write_head(false)
    }

    fn now(&self) -> Duration {
        self.shared.env.clock.monotonic()
    }

    /// Makes the longest commit that the waiting requests allow.
    fn commit_waiting(&mut self) {
        let mut group = Group::default();
        while let Some(request) = self.waiting.pop_front() {
            if let Some(request) = self.admit(request, &mut group) {
                self.waiting.push_front(request);
                break;
            }
            if group.size() >= GROUP_BYTES {
                break;
            }
        }
        if !group.is_empty() {
            self.commit(group);
        }
    }

    /// Takes a request into the group, or answers it, or gives it back: it must wait until the group is written.
    fn admit(&mut self, request: Request, group: &mut Group) -> Option<Request> {
        let next = self.active.at.next + group.count();
        match request {
            Request::Append { mut batch, reply, permit } => {
                if let Some(Condition::NoneAfter { .. }) = &batch.condition
                    && group.count() > 0
                {
                    return Some(Request::Append { batch, reply, permit });
                }
                if !group.is_empty() && group.size() + batch.buffer_len() > GROUP_BYTES {
                    return Some(Request::Append { batch, reply, permit });
                }
                let holds = batch.condition.take().map_or(Ok(()), |condition| self.test(&condition, next));
                let holds = holds.and_then(|()| self.has_place_for(&batch, group));
                if let Err(error) = holds {
                    drop(reply.send(Err(error)));
                    return None;
                }
                group.durable |= self.settings.durability == Durability::EveryCommit && !batch.buffered;
                group.add_batch(next, batch);
                group.requests.push(Request::Append { batch: Batch::new(), reply, permit });
                None
            }
            Request::Delete { targets, reply, permit } => {
                if group.count() > 0 {
                    return Some(Request::Delete { targets, reply, permit });
                }
                // That nothing can be written comes before what there is to delete.
                let deletable = self.shared.failure().cloned().map_or_else(|| self.deletable(&targets), Err);
                match deletable {
                    Ok(targets) => {
                        group.durable |= self.settings.durability == Durability::EveryCommit;
                        group.add_deletions(&targets);
                        group.requests.push(Request::Delete { targets, reply, permit });
                    }
                    Err(error) => drop(reply.send(Err(error))),
                }
                None
            }
            Request::Sync { reply } => {
                group.durable = true;
                group.requests.push(Request::Sync { reply });
                None
            }
            alone @ (Request::Close { .. } | Request::Roll { .. }) if !group.is_empty() => Some(alone),
            Request::Roll { reply } => {
                drop(reply.send(self.roll_on_request()));
                None
            }
            Request::Close { reply } => {
                drop(reply.send(self.finish()));
                self.queue.close(Error::closed());
                None
            }
        }
    }

    /// Whether the note of a batch has a place: each segment begins with all of them.
    fn has_place_for(&self, batch: &Batch, group: &Group) -> Result<()> {
        let Some(note) = &batch.note else { return Ok(()) };
        let known = self.shared.notes();
        if known.contains_key(&note.name) {
            return Ok(());
        }
        let mut fresh: BTreeSet<&str> = group.note_names().filter(|name| !known.contains_key(*name)).collect();
        fresh.insert(&note.name);
        let checked = self.settings.check_notes(known.len() + fresh.len());
        checked.inspect_err(|error| telemetry::refused(&self.shared.label, error))
    }

    fn test(&self, condition: &Condition, next: u64) -> Result<()> {
        if planted(Bug::ConditionNotTested) {
            return Ok(());
        }
        let (after, matches, limit) = match condition {
            Condition::Head(expected) => return check_head(*expected, super::format::head_of(next)),
            Condition::NoneAfter { after, matches, limit } => (after, matches, *limit),
        };
        let mut from = after.map_or(0, |seq| seq.get().saturating_add(1));
        if next.saturating_sub(from) > limit {
            return Err(past_limit(limit));
        }
        while from < next {
            let chunk = self.shared.read(ReadRequest::forwards(Span { from, to: next }))?;
            for slot in chunk.slots.iter().filter(|slot| slot.kind == SlotKind::Entry) {
                let payload = chunk.payload_bytes(slot);
                // It is the caller's code, and must not end the writer that all others wait for.
                let tested = catch_unwind(AssertUnwindSafe(|| matches(&payload)));
                let tested = tested.unwrap_or_else(|_| Err(Error::new(ErrorKind::Invalid, "the condition panicked")));
                if tested.map_err(|error| error.at(slot.seq))? {
                    return Err(conflicting(slot.seq));
                }
            }
            from = chunk.covered.to.max(from + 1);
        }
        Ok(())
    }

    /// Those of the targets that are not deleted yet, ascending; an error if one is no entry.
    fn deletable(&self, targets: &[Seq]) -> Result<Vec<Seq>> {
        let mut wanted = targets.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut left = Vec::with_capacity(wanted.len());
        for seq in wanted {
            match self.shared.check(seq) {
                Ok(()) => left.push(seq),
                Err(error) if error.kind() == ErrorKind::Deleted => {}
                // What is damaged may well be deleted.
                Err(error) if error.kind() == ErrorKind::Corrupt => left.push(seq),
                // The log begins behind it: it was deleted with all that was around it.
                Err(_) if seq.get() < self.shared.table.first() => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_found(seq)),
                Err(error) => return Err(error),
            }
        }
        let checked = self.settings.check_deletions(self.shared.deletions().len() + left.len() as u64);
        checked.inspect_err(|error| telemetry::refused(&self.shared.label, error))?;
        Ok(left)
    }

    fn commit(&mut self, mut group: Group) {
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

    /// Brings everything to the disk, and says how long that took.
    fn sync(&mut self) -> Result<Duration> {
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

    fn is_sync_due(&self) -> bool {
        let Durability::Interval { period, bytes } = self.settings.durability else { return false };
        let Some(since) = self.unsynced_since else { return false };
        self.now().saturating_sub(since) >= period || self.active.at.offset - self.active.synced >= bytes
    }

    /// Whether what is appended would be kept for too long in the active segment, for want of anything that fills it.
    fn is_old(&self) -> bool {
        let now = self.shared.env.clock.unix_us();
        self.settings.retention.period().is_some_and(|period| self.active.is_older_than(period, now))
    }

    /// Ends the active segment and begins the next. May be tried again after it failed for want of space.
    fn roll(&mut self) -> Result<()> {
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
    fn forget_torn(&self) {
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
    fn roll_on_request(&mut self) -> Result<bool> {
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

    /// Leaves nothing of a commit that failed. A segment that is sealed has none.
    fn take_back(&mut self) -> Result<()> {
        if self.sealed { Ok(()) } else { self.active.take_back() }
    }

    /// An empty commit, which says how much is on the disk.
    fn vouch(&mut self) -> Result<()> {
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

    /// Says how far the log goes, to readers elsewhere and to the next opening. A disk too full for it is no reason to
    /// fail: they will see for themselves.
    fn tell(&self, clean: bool) -> Result<()> {
        match self.write_head(clean) {
            Err(error) if error.kind() == ErrorKind::StorageFull => Ok(()),
            written => written,
        }
    }

    fn write_head(&self, clean: bool) -> Result<()> {
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

    /// However busy it is, and with whatever: what is due is synced before anything else.
    fn sync_if_due(&mut self) {
        if self.shared.failure().is_none()
            && self.is_sync_due()
            && let Err(error) = self.sync().and_then(|_| self.tell(false))
        {
            self.shared.poison(&error);
        }
    }

    /// Takes note of what the flusher has brought to the disk.
    fn heed_flusher(&mut self) {
        if let Some((ordinal, to)) = self.flushing.take_done()
            && ordinal == self.active.segment.name.ordinal
            && !self.sealed
        {
            self.active.synced = self.active.synced.max(to.offset);
            self.shared.set_durable(to.next);
        }
    }

    /// Whether more requests are likely to come before a sync would be done: those that waited for the last one were
    /// freed together and come back together. To take the first alone would make the others wait for a second sync.
    fn is_gathering(&self) -> bool {
        let (waited, took) = self.last_sync;
        self.waiting.len() < waited && self.now().saturating_sub(self.busy_until) < (took / 2).min(GATHER)
    }

    /// Nothing is asked: settle what is open, and say how long to sleep.
    fn idle(&mut self) -> Step {
        if self.shared.failure().is_some() {
            return Step::Wait;
        }
        let waits = match (self.settings.durability, self.unsynced_since) {
            (_, None) => self.vouched < self.active.synced && !self.sealed,
            (Durability::System, Some(_)) => return Step::Wait,
            (Durability::EveryCommit, Some(_)) => true,
            (Durability::Interval { period, .. }, Some(since)) => {
                let left = period.saturating_sub(self.now().saturating_sub(since));
                if !left.is_zero() {
                    return Step::WaitFor(left);
                }
                true
            }
        };
        if !waits {
            return Step::Wait;
        }
        let quiet = self.now().saturating_sub(self.busy_until);
        if quiet < IDLE {
            return Step::WaitFor(IDLE - quiet);
        }
        let settled = self.sync().and_then(|_| self.vouch()).and_then(|()| self.tell(false));
        match settled {
            Ok(()) => Step::Wait,
            // No room to vouch: nothing is lost by not doing it.
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                if let Err(worse) = self.take_back() {
                    self.shared.poison(&worse);
                }
                self.vouched = self.active.synced;
                Step::Wait
            }
            Err(error) => {
                self.shared.poison(&error);
                Step::Wait
            }
        }
    }

    /// The end of a log that was not poisoned: all on the disk, vouched for, and nothing behind it.
    fn finish(&mut self) -> Result<()> {
        if let Some(error) = self.shared.failure() {
            return Err(error.clone());
        }
        let finished = (|| {
            self.sync()?;
            if !self.sealed {
                // Without room for it the head page alone vouches.
                match self.vouch() {
                    Err(error) if error.kind() != ErrorKind::StorageFull => return Err(error),
                    _ => self.active.trim()?,
                }
                self.active.sync()?;
            }
            self.tell(!self.sealed)?;
            self.head.sync()
        })();
        self.forget_torn();
        finished.map_err(|error| self.shared.poison(&error))
    }
}

impl Task for Writer {
    fn step(&mut self) -> Step {
        if let Some(since) = self.queue.take(&mut self.waiting) {
            self.waiting_since = since;
        }
        self.heed_flusher();
        self.sync_if_due();
        if self.is_gathering() {
            return Step::Yield;
        }
        if !self.waiting.is_empty() {
            self.commit_waiting();
            self.busy_until = self.now();
            let (bytes, requests) = self.queue.pending();
            self.shared.meters.pending(bytes, requests);
            return Step::Again;
        }
        if self.queue.is_closed() {
            return Step::Done;
        }
        self.idle()
    }
}

impl Drop for Writer {
    /// Also when the task ends by a panic: nobody is left waiting.
    fn drop(&mut self) {
        let error = self.shared.failure().cloned().unwrap_or_else(Error::closed);
        self.waiting.drain(..).for_each(|request| request.fail(&error));
        self.queue.close(error);
    }
}
