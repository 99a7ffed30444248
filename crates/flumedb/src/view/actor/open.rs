//! Opening a view's store, and whether what it covers agrees with the log.

use super::{Actor, Cursor, Turn};
use crate::{
    Error, ErrorKind, Result, Seq,
    env::{
        self, PathKind,
        planted::{Bug, planted},
    },
    telemetry::events,
    view::{Checkpoint, Place, StoredState, View, ViewContext, after, horizons::Horizons, shared::Stage},
};

impl<V: View> Actor<V> {
    /// Opens the store and shows what is in it.
    pub(super) async fn open(&mut self) -> Result<(), Turn> {
        self.shared.reopened();
        self.begun = self.core.pool.now();
        self.live = false;
        self.unsynced = false;
        self.touched = false;
        self.stored = self.may_store().await?;
        let place = match self.place() {
            Ok(place) => place,
            Err(error) => return Err(self.failed(error, 0..1, None)),
        };
        match self.read_anew() {
            Ok(Some(())) => {}
            // Built anew it has everything as it reads now.
            Ok(None) => return Err(Turn::Rebuild),
            Err(error) => return Err(self.failed(error, 0..1, None)),
        }
        for wiped in std::mem::take(&mut self.wiped) {
            // Who has stopped waiting needs no answer.
            let _ = wiped.send(());
        }
        let cx = ViewContext { place, entries: self.core.entries.clone() };
        let stored = match self.call(|view| view.open(&cx)) {
            Ok(stored) => stored,
            Err(error) => return Err(self.failed(error, 0..1, None)),
        };
        self.cursor = match stored {
            Some(checkpoint) if self.agrees(&checkpoint).await? => Cursor {
                position: after(checkpoint.since),
                since: checkpoint.since,
                skipped: checkpoint.skipped,
                horizons: Horizons::from_pairs(checkpoint.horizons),
            },
            Some(_) => return Err(Turn::Rebuild),
            None => Cursor::default(),
        };
        self.shared.stage(Stage::Building);
        self.report();
        self.meters.stands(self.cursor.position, self.core.scan.head());
        self.shared.keeps(self.cursor.position);
        self.open = true;
        self.publish().await?;
        let took = self.core.pool.now().saturating_sub(self.begun);
        events::view_opened(&self.core.log, &self.name, self.cursor.since, took);
        self.tell(StoredState::Building);
        Ok(())
    }

    /// Whether the store goes on a disk: where there is a directory, and a log that can prove later on that it is the
    /// same one.
    async fn may_store(&mut self) -> Result<bool, Turn> {
        if self.dir.is_none() {
            return Ok(false);
        }
        loop {
            let log = self.core.entries.log();
            let head = *log.head().borrow();
            // An empty log has nothing to prove yet.
            let Some(head) = head else { return Ok(true) };
            match log.proof(head) {
                Ok(proof) => return Ok(proof.is_some()),
                // It gives evidence of what it has.
                Err(error) if error.kind() == ErrorKind::Deleted => return Ok(true),
                Err(error) => self.log_failed(error).await?,
            }
        }
    }

    /// The view's directory, empty if its store was to be thrown away.
    fn place(&mut self) -> Result<Option<Place>> {
        let wipe = self.wipe;
        let Some(dir) = self.dir.clone().filter(|_| self.stored) else {
            self.wipe = false;
            if wipe {
                self.anew.settle(&Ok(()));
            }
            return Ok(None);
        };
        if wipe {
            // So that the view lets go of its files.
            let nowhere = ViewContext { place: None, entries: self.core.entries.clone() };
            self.call(|view| view.open(&nowhere))?;
        }
        let storage = &self.core.env.storage;
        env::refuse_link(&**storage, &dir).map_err(|error| Error::io("use", &dir, error))?;
        let kind = storage.kind(&dir).map_err(|error| Error::io("look at", &dir, error))?;
        if wipe && kind.is_some() {
            storage.remove_dir_all(&dir).map_err(|error| Error::io("remove", &dir, error))?;
        }
        if wipe || kind != Some(PathKind::Dir) {
            storage.create_dir_all(&dir).map_err(|error| Error::io("create", &dir, error))?;
            // The name of the store must be as durable as its content will be, and the same goes for what it is in.
            for parent in dir.ancestors().skip(1).take(2).filter(|parent| !parent.as_os_str().is_empty()) {
                storage.sync_dir(parent).map_err(|error| Error::io("sync", parent, error))?;
            }
        }
        if wipe {
            // Everything will be taken in as it reads now.
            self.remove_anew()?;
            self.anew.settle(&Ok(()));
        }
        self.wipe = false;
        Ok(Some(Place { storage: storage.clone(), dir }))
    }

    /// Whether a stored checkpoint is of this view over this log.
    async fn agrees(&mut self, checkpoint: &Checkpoint) -> Result<bool, Turn> {
        let log = self.core.entries.log().clone();
        if checkpoint.log != log.identity()
            || checkpoint.definition != self.definition
            || checkpoint.codec != self.core.codec
        {
            return Ok(false);
        }
        let Some(since) = checkpoint.since else { return Ok(true) };
        loop {
            let core = self.core.clone();
            let head = self.unless_ordered(core.barrier()).await?;
            let proof = head.and_then(|head| {
                // Erased with what it was evidence of: that it is the same log, and long enough, must do.
                let erased = |error: Error| {
                    if error.kind() == ErrorKind::Deleted { Ok(checkpoint.proof.clone()) } else { Err(error) }
                };
                Ok((head, log.proof(since).or_else(erased)?))
            });
            match proof {
                Ok((head, _)) if after(Some(since)) > head => {
                    return Err(Turn::Park { error: self.lost(since, head), lost: true });
                }
                Ok((_, proof)) => return Ok(proof == checkpoint.proof || planted(Bug::CheckpointNotCompared)),
                Err(error) => self.log_failed(error).await?,
            }
        }
    }

    fn lost(&self, since: Seq, head: u64) -> Error {
        let message = format!(
            "view \"{}\" covers entry {since}, but the log ends before {head}: acknowledged entries were lost, or the \
             log was restored from an older copy; find them, or accept the loss (`accept_loss`) and the view is rebuilt",
            self.name
        );
        Error::new(ErrorKind::Corrupt, message)
    }
}
