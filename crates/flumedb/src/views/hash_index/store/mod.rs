//! [`Store`], the pairs of a hash index: the newest in a table in memory and in a journal, the others in runs. It knows
//! fingerprints and seqs, no keys and no entries.

mod grow;
mod open;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Pair, journal::Journal, merge::Merge, plan::Lists, recent::Recent, run::Run};
use crate::{
    Error, Result,
    env::planted::{Bug, planted},
    view::{Checkpoint, Place},
    views::snapshot,
};

/// What readers look into, as it is now: they pass over what is newer than they are.
pub(super) struct Pairs(RwLock<Shared>);

struct Shared {
    recent: Recent,
    lists: Lists,
}

impl Pairs {
    /// The greatest seq below `to` of a key with this fingerprint.
    pub(super) fn find(&self, fingerprint: Fingerprint, to: u64) -> Result<Option<u64>> {
        let shared = self.read();
        let mut found = shared.recent.find(fingerprint, to);
        for run in shared.lists.get(fingerprint.part()).into_iter().flatten() {
            // Newer runs have greater seqs, but for entries that came late.
            if found.is_none_or(|seq| seq < run.max_seq) {
                found = found.max(run.find(fingerprint, to)?);
            }
        }
        Ok(found)
    }

    fn read(&self) -> RwLockReadGuard<'_, Shared> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shared> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is on the disk besides journals.
#[derive(Serialize, Deserialize)]
struct Manifest {
    /// The runs of each part, by their numbers.
    lists: Vec<Vec<u64>>,
    /// The first journal that counts.
    journal: u64,
    /// So many bytes of it are covered by the checkpoint beside this.
    journal_bytes: u64,
}

/// The writer's side.
pub(super) struct Store {
    place: Place,
    pub(super) pairs: Arc<Pairs>,
    journal: Journal,
    journal_number: u64,
    /// Pairs that the journal does not have yet.
    unwritten: Vec<Pair>,
    merge: Option<Merge>,
    /// There is nothing to merge until there is another run.
    settled: bool,
    next_run: u64,
    /// The runs, or the first journal that counts, are others than the manifest says.
    moved: bool,
    /// Runs that may not be on the disk.
    unsynced_runs: Vec<Arc<Run>>,
    /// Files that the next manifest does without, and how long they are.
    old: Vec<(PathBuf, u64)>,
    /// There is so much in them that they must go before anything else is made.
    crowded: bool,
    unsynced: bool,
    published: Option<Checkpoint>,
    /// The log begins here: merges leave out what is before.
    begin: u64,
}

impl Store {
    /// Adds pairs. Readers see them at once. Merges go on.
    pub(super) fn add(&mut self, mut pairs: &[Pair]) -> Result<()> {
        while !pairs.is_empty() {
            let (now, later) = {
                let mut shared = self.pairs.write();
                let room = shared.recent.room().min(Self::AT_ONCE);
                let (now, later) = pairs.split_at_checked(room).unwrap_or((pairs, &[]));
                now.iter().for_each(|pair| shared.recent.insert(*pair));
                (now, later)
            };
            self.unwritten.extend_from_slice(now);
            if self.pairs.read().recent.room() == 0 {
                self.flush()?;
            }
            self.work(now.len() * Self::PACE)?;
            pairs = later;
        }
        Ok(())
    }

    /// Writes what is new, with the checkpoint that covers it. Merges go on, and leave out what is before `begin`, where the log
    /// begins.
    pub(super) fn publish(&mut self, at: &Checkpoint, begin: u64) -> Result<()> {
        self.begin = begin;
        self.journal.push(&self.unwritten, Some(at))?;
        self.unwritten.clear();
        self.published = Some(at.clone());
        self.unsynced = true;
        if self.journal.len() >= Self::JOURNAL_BYTES {
            // Checkpoints take room too.
            self.flush()?;
        }
        self.work(Self::STEP)
    }

    /// Brings what was published to the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        let synced = self.bring_to_disk();
        self.unsynced = synced.is_err();
        synced
    }

    fn bring_to_disk(&mut self) -> Result<()> {
        self.journal.sync()?;
        let Some(at) = self.published.as_ref().filter(|_| self.moved) else { return Ok(()) };
        let lists = self.pairs.read().lists.clone();
        let number = |run: &Arc<Run>| run.number;
        while let Some(run) = self.unsynced_runs.pop() {
            // One that has been merged since need not be there.
            if lists.iter().flatten().any(|used| used.number == run.number) {
                sync_run(&run).inspect_err(|_| self.unsynced_runs.push(run))?;
            }
        }
        let manifest = Manifest {
            lists: lists.iter().map(|list| list.iter().map(number).collect()).collect(),
            journal: self.journal_number,
            journal_bytes: self.journal.len(),
        };
        // The manifest may reach the disk before the names of the files that it counts on would.
        let dir = &self.place.dir;
        if !planted(Bug::HashIndexSkipDirSync) {
            self.place.storage.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))?;
        }
        snapshot::save(&self.place, at, &manifest)?;
        (self.moved, self.crowded) = (false, false);
        for (path, _) in self.old.drain(..) {
            // One that cannot be removed is swept at the next opening.
            let _ = self.place.storage.remove(&path);
        }
        Ok(())
    }
}

fn sync_run(run: &Run) -> Result<()> {
    run.file.sync().map_err(|error| Error::io("sync", run.path(), error))
}

fn run_path(place: &Place, number: u64) -> PathBuf {
    place.dir.join(format!("{number}.run"))
}

fn journal_path(place: &Place, number: u64) -> PathBuf {
    place.dir.join(format!("{number}.journal"))
}
