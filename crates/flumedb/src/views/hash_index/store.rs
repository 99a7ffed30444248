//! [`Store`], the pairs of a hash index: the newest in a table in memory and in a journal, the others in runs. It knows
//! fingerprints and seqs, no keys and no entries.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};

use super::{
    Fingerprint, Pair,
    journal::{self, Journal},
    merge::Merge,
    recent::Recent,
    run::{Run, RunWriter},
};
use crate::{
    Damage, Error, ErrorKind, Result,
    view::{Checkpoint, Place},
    views::snapshot,
};

/// What readers look into, as it is now: they pass over what is newer than they are.
pub(super) struct Pairs {
    recent: RwLock<Recent>,
    /// The newest first.
    runs: RwLock<Arc<[Arc<Run>]>>,
}

impl Pairs {
    /// The greatest seq below `to` of a key with this fingerprint.
    pub(super) fn find(&self, fingerprint: Fingerprint, to: u64) -> Result<Option<u64>> {
        // Pairs move from the table to a run, never back, and are in the run before they leave the table.
        if let Some(seq) = self.recent.read().unwrap_or_else(PoisonError::into_inner).find(fingerprint, to) {
            return Ok(Some(seq));
        }
        for run in self.runs().iter() {
            if let Some(seq) = run.find(fingerprint, to)? {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    fn runs(&self) -> Arc<[Arc<Run>]> {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_runs(&self, runs: Vec<Arc<Run>>) {
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = runs.into();
    }
}

/// What is on the disk besides journals.
#[derive(Serialize, Deserialize)]
struct Manifest {
    /// The newest first.
    runs: Vec<u64>,
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
    next_run: u64,
    /// The runs, or the first journal that counts, are others than the manifest says.
    moved: bool,
    /// Files that the next manifest does without.
    old: Vec<PathBuf>,
    unsynced: bool,
    published: Option<Checkpoint>,
}

impl Store {
    /// A merge goes on by so many pairs for each that is added, at least by [`Self::STEP`] a publish.
    const PACE: usize = 12;
    const STEP: usize = 16 << 10;
    /// A run is merged with the newer ones when they are this part of it.
    const PART: u64 = 8;

    /// Opens or creates the store in `place`; gives the checkpoint of what it holds.
    pub(super) fn open(place: Place, recent: usize) -> Result<(Self, Option<Checkpoint>)> {
        let storage = place.storage.clone();
        let (mut checkpoint, manifest) = match snapshot::load::<Manifest>(&place)? {
            Some((checkpoint, manifest)) => (Some(checkpoint), manifest),
            None => (None, Manifest { runs: Vec::new(), journal: 0, journal_bytes: 0 }),
        };
        let open = |&number: &u64| match Run::open(&*storage, run_path(&place, number), number) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(lost(run_path(&place, number))),
            run => run.map(Arc::new),
        };
        let runs = manifest.runs.iter().map(open).collect::<Result<Vec<_>>>()?;
        let (mut number, mut replayed, mut bytes) = (manifest.journal, Vec::new(), 0);
        while let Some(found) = journal::replay(&*storage, &journal_path(&place, number))? {
            replayed.extend(found.pairs);
            bytes += found.bytes;
            checkpoint = found.checkpoint.or(checkpoint);
            number += 1;
            if !found.ended {
                break;
            }
        }
        if bytes < manifest.journal_bytes {
            return Err(lost(journal_path(&place, manifest.journal)));
        }
        if checkpoint.is_none() {
            // What came before counts for nothing; the first journal is written anew.
            number = manifest.journal;
        }
        sweep(&place, &manifest, number)?;
        // Journals are never written to again: what lies behind the last whole record is unknown.
        let journal = Journal::create(&*storage, journal_path(&place, number))?;
        let pairs = Pairs { recent: RwLock::new(Recent::new(recent)), runs: RwLock::new(runs.into()) };
        let old = (manifest.journal..number).map(|number| journal_path(&place, number)).collect();
        let mut store = Self {
            place,
            pairs: Arc::new(pairs),
            journal,
            journal_number: number,
            unwritten: Vec::new(),
            merge: None,
            next_run: manifest.runs.iter().max().map_or(0, |newest| newest.saturating_add(1)),
            moved: true,
            old,
            unsynced: checkpoint.is_some(),
            published: checkpoint.clone(),
        };
        for pair in replayed {
            store.add(pair)?;
        }
        if let Some(at) = &checkpoint {
            // The new journal stands for the old ones, which go when it is on the disk.
            store.publish(at)?;
            store.sync()?;
        }
        Ok((store, checkpoint))
    }

    /// Adds a pair. Readers see it at once.
    pub(super) fn add(&mut self, pair: Pair) -> Result<()> {
        let full = {
            let mut recent = self.pairs.recent.write().unwrap_or_else(PoisonError::into_inner);
            recent.insert(pair);
            recent.is_full()
        };
        self.unwritten.push(pair);
        if full { self.flush() } else { Ok(()) }
    }

    /// Writes what is new, with the checkpoint that covers it. Merges go on.
    pub(super) fn publish(&mut self, at: &Checkpoint) -> Result<()> {
        self.journal.push(&self.unwritten, Some(at))?;
        self.unwritten.clear();
        self.published = Some(at.clone());
        self.unsynced = true;
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
        let runs = self.pairs.runs();
        for run in runs.iter() {
            run.file.sync().map_err(|error| Error::io("sync", run.path(), error))?;
        }
        let numbers = runs.iter().map(|run| run.number).collect();
        let manifest = Manifest { runs: numbers, journal: self.journal_number, journal_bytes: self.journal.len() };
        snapshot::save(&self.place, at, &manifest)?;
        self.moved = false;
        for path in self.old.drain(..) {
            // One that cannot be removed is swept at the next opening.
            let _ = self.place.storage.remove(&path);
        }
        Ok(())
    }

    /// Makes a run of the table, and another journal for what comes.
    fn flush(&mut self) -> Result<()> {
        self.journal.push(&std::mem::take(&mut self.unwritten), None)?;
        self.journal.end()?;
        let number = self.journal_number + 1;
        self.journal = Journal::create(&*self.place.storage, journal_path(&self.place, number))?;
        self.old.push(journal_path(&self.place, self.journal_number));
        self.journal_number = number;
        let mut writer = self.new_run()?;
        // Held until the run is there, so that no reader finds the pairs nowhere.
        let mut recent = self.pairs.recent.write().unwrap_or_else(PoisonError::into_inner);
        let pairs = recent.drain();
        let added = pairs.len();
        let made = pairs.iter().try_for_each(|pair| writer.push(*pair));
        let run = made.and_then(|()| writer.finish(&*self.place.storage));
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                pairs.into_iter().for_each(|pair| recent.insert(pair));
                return Err(error);
            }
        };
        let mut runs = vec![Arc::new(run)];
        runs.extend(self.pairs.runs().iter().cloned());
        self.pairs.set_runs(runs);
        drop(recent);
        self.moved = true;
        self.work(added * Self::PACE)
    }

    /// Goes on with the merge, or begins one if there is something to merge.
    fn work(&mut self, pairs: usize) -> Result<()> {
        if self.merge.is_none() {
            let runs = self.mergeable();
            if runs.is_empty() {
                return Ok(());
            }
            self.merge = Some(Merge::new(runs, self.new_run()?)?);
        }
        let Some(mut merge) = self.merge.take() else { return Ok(()) };
        if merge.step(pairs)? {
            self.merge = Some(merge);
            return Ok(());
        }
        let merged: Vec<u64> = merge.runs.iter().map(|run| run.number).collect();
        self.old.extend(merge.runs.iter().map(|run| run.path().clone()));
        let run = Arc::new(merge.finish(&*self.place.storage)?);
        let mut runs = Vec::new();
        for old in self.pairs.runs().iter() {
            if !merged.contains(&old.number) {
                runs.push(old.clone());
            } else if merged.first() == Some(&old.number) {
                // Those that were merged lay side by side.
                runs.push(run.clone());
            }
        }
        self.pairs.set_runs(runs);
        self.moved = true;
        Ok(())
    }

    /// The newest runs, down to the oldest that the newer ones are a good part of.
    fn mergeable(&self) -> Vec<Arc<Run>> {
        let runs = self.pairs.runs();
        let (mut newer, mut take) = (0_u64, 0);
        for (at, run) in runs.iter().enumerate() {
            if at > 0 && newer.saturating_mul(Self::PART) >= run.len {
                take = at + 1;
            }
            newer = newer.saturating_add(run.len);
        }
        runs.get(..take).unwrap_or_default().to_vec()
    }

    fn new_run(&mut self) -> Result<RunWriter> {
        let number = self.next_run;
        self.next_run += 1;
        RunWriter::create(&*self.place.storage, run_path(&self.place, number), number)
    }
}

fn lost(path: PathBuf) -> Error {
    Error::corrupt(Damage::new(path, 0, 0, "what was in it is gone"))
}

fn run_path(place: &Place, number: u64) -> PathBuf {
    place.dir.join(format!("{number}.run"))
}

fn journal_path(place: &Place, number: u64) -> PathBuf {
    place.dir.join(format!("{number}.journal"))
}

/// Removes files that nothing counts on: what a stopped writer was making.
fn sweep(place: &Place, manifest: &Manifest, next_journal: u64) -> Result<()> {
    let failed = |error| Error::io("tidy", &place.dir, error);
    for name in place.storage.list(&place.dir).map_err(failed)? {
        let number = |ending: &str| name.strip_suffix(ending).and_then(|number| number.parse::<u64>().ok());
        let stray = number(".run").is_some_and(|number| !manifest.runs.contains(&number))
            || number(".journal").is_some_and(|number| number < manifest.journal || number >= next_journal);
        if stray {
            place.storage.remove(&place.dir.join(&name)).map_err(failed)?;
        }
    }
    Ok(())
}
