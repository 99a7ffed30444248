//! Showing what a view has taken in, and bringing it to the disk.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Actor, Turn};
use crate::{
    Error, ErrorKind, Result, Seq,
    env::planted::{Bug, planted},
    telemetry::events,
    view::{Checkpoint, StoredState, View, after, shared::Shown},
};

impl<V: View> Actor<V> {
    /// Makes everything taken in visible, with a checkpoint for it.
    pub(super) async fn publish(&mut self) -> Result<(), Turn> {
        /// Unless somebody waits, a publish is followed by this many times as long without one: the more is published
        /// at once, the less each entry costs.
        const PAUSE: u32 = 4;
        self.core.scan.busy(self.id);
        let at = loop {
            if self.stored && !planted(Bug::CheckpointBeforeData) {
                self.leave_room().await?;
                // Deletions too that have kept entries from it, wherever they are recorded.
                self.make_durable(after(self.cursor.since).max(self.cursor.horizons.reach())).await?;
            }
            match self.checkpoint() {
                Ok(at) => break at,
                Err(error) => self.log_failed(error).await?,
            }
        };
        let position = self.cursor.position;
        let start = self.core.pool.now();
        let span = events::publishing(&self.core.log, &self.name);
        let reader = match span.in_scope(|| self.call(|view| view.publish(&at))) {
            Ok(reader) => reader,
            Err(error) => return Err(self.failed(error, position..position.saturating_add(1), self.cursor.since)),
        };
        self.pending = 0;
        self.pending_bytes = self.pending_bytes.map(|_| 0);
        self.touched = false;
        self.published = position;
        self.published_at = self.core.pool.now();
        let took = self.published_at.saturating_sub(start);
        self.meters.published(took);
        events::published(&self.core.log, &self.name, self.cursor.since, took);
        self.publish_pause = self.core.settings.publish_every.max(Duration::saturating_mul(took, PAUSE));
        if self.stored && !self.unsynced {
            self.unsynced = true;
            self.sync_at = self.sync_at.max(self.published_at + self.sync_pause());
        }
        let shown = Shown { reader, position, horizons: self.cursor.horizons.clone() };
        self.shared.publish(self.cursor.since, shown);
        self.core.scan.arrive(self.id, position);
        Ok(())
    }

    /// How long what was published may wait to be brought to the disk. A view that is being built waits longer: what it would
    /// lose it can build again, and others wait for the disk with it.
    pub(super) fn sync_pause(&self) -> Duration {
        const SELDOM: u32 = 4;
        let every = self.core.settings.sync_every;
        if self.live { every } else { every.saturating_mul(SELDOM) }
    }

    /// A store must not take the last room from the log: views can be built again, entries cannot.
    async fn leave_room(&mut self) -> Result<(), Turn> {
        while let Some(error) = self.short_of_room() {
            if self.closing {
                return Err(Turn::Retry(error));
            }
            self.pause(error).await?;
        }
        Ok(())
    }

    fn short_of_room(&self) -> Option<Error> {
        /// Of a small file system it is this part.
        const PART: u64 = 16;
        let dir = self.dir.as_ref()?;
        // Who cannot tell will say so when it is full.
        let room = self.core.env.storage.room(dir).ok().flatten()?;
        let reserve = self.core.settings.reserve_bytes.min(room.total / PART);
        let message = || {
            format!(
                "view \"{}\" waits: {} bytes are free where its store is, and views leave {reserve} to the log; free \
                 some space, and it goes on",
                self.name, room.free
            )
        };
        (room.free < reserve).then(|| Error::new(ErrorKind::StorageFull, message()))
    }

    /// A store on the disk must not know of anything that the log may still lose.
    async fn make_durable(&mut self, position: u64) -> Result<(), Turn> {
        while self.core.durable.load(Ordering::Acquire) < position {
            let log = self.core.entries.log().clone();
            let last = Seq::new(position.saturating_sub(1));
            match self.unless_ordered(log.sync(Some(last))).await? {
                Ok(()) => {
                    self.core.durable.fetch_max(position, Ordering::AcqRel);
                }
                Err(error) => self.log_failed(error).await?,
            }
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<Checkpoint> {
        let log = self.core.entries.log();
        let since = self.cursor.since;
        let proof = match since {
            Some(since) if self.stored => match log.proof(since) {
                Err(error) if error.kind() == ErrorKind::Deleted => None,
                proof => proof?,
            },
            _ => None,
        };
        Ok(Checkpoint {
            log: log.identity(),
            definition: self.definition.clone(),
            codec: self.core.codec.clone(),
            since,
            proof,
            skipped: self.cursor.skipped,
            horizons: self.cursor.horizons.to_pairs(),
        })
    }

    /// Brings what was published to the disk.
    pub(super) fn sync(&mut self) -> Result<(), Turn> {
        /// A view spends at most this part of its time on it.
        const SHARE: u32 = 20;
        self.core.scan.busy(self.id);
        let start = self.core.pool.now();
        let synced = self.call(V::sync);
        let (end, position) = (self.core.pool.now(), self.cursor.position);
        if let Err(error) = synced {
            return Err(self.failed(error, position..position.saturating_add(1), self.cursor.since));
        }
        self.attempts = 0;
        self.unsynced = false;
        events::stored(&self.core.log, &self.name, self.cursor.since, end.saturating_sub(start));
        self.tell(if self.live { StoredState::Live } else { StoredState::Building });
        self.shared.keeps(self.published);
        self.sync_at = end + Duration::saturating_mul(end.saturating_sub(start), SHARE);
        self.core.scan.arrive(self.id, position);
        Ok(())
    }

    /// The last work: what was taken in reaches the disk.
    pub(super) async fn finish(&mut self) -> Result<()> {
        if !self.open || !self.stored {
            return Ok(());
        }
        let done = async {
            if self.is_dirty() {
                self.publish().await?;
            }
            if self.unsynced { self.sync() } else { Ok(()) }
        };
        match done.await {
            Err(Turn::Retry(error) | Turn::Park { error, .. }) => Err(error),
            // A view that fails in another way is opened from its last checkpoint the next time.
            _ => Ok(()),
        }
    }
}
