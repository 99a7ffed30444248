//! Opening a store: what its manifest names, and what its journals hold beyond that.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::PathBuf,
    sync::{Arc, RwLock},
};

use super::{Manifest, Pairs, Shared, Store, journal_path, run_path};
use crate::{
    Damage, Error, ErrorKind, Result,
    view::{Checkpoint, Place},
    views::{
        hash_index::{
            PARTS,
            journal::{self, Journal},
            plan::Lists,
            recent::Recent,
            run::Run,
        },
        snapshot,
    },
};

impl Store {
    /// Opens or creates the store in `place`; gives the checkpoint of what it holds.
    pub(in crate::views::hash_index) fn open(place: Place, recent: usize) -> Result<(Self, Option<Checkpoint>)> {
        let storage = place.storage.clone();
        let (mut checkpoint, manifest) = match snapshot::load::<Manifest>(&place)? {
            Some((checkpoint, manifest)) => (Some(checkpoint), manifest),
            None => (None, Manifest { lists: vec![Vec::new(); PARTS], journal: 0, journal_bytes: 0 }),
        };
        let (lists, next_run) = open_runs(&place, &manifest)?;
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
        let shared = Shared { recent: Recent::new(recent), lists };
        let old = (manifest.journal..number).map(|number| journal_path(&place, number));
        let mut store = Self {
            pairs: Arc::new(Pairs(RwLock::new(shared))),
            journal,
            journal_number: number,
            unwritten: Vec::new(),
            merge: None,
            settled: false,
            next_run,
            moved: true,
            unsynced_runs: Vec::new(),
            old: old.map(|path| (path, 0)).collect(),
            crowded: false,
            unsynced: checkpoint.is_some(),
            published: checkpoint.clone(),
            begin: 0,
            place,
        };
        if let Some(at) = &checkpoint {
            store.add(&replayed)?;
            // The new journal stands for the old ones, which go when it is on the disk.
            store.publish(at, 0)?;
            store.sync()?;
        }
        Ok((store, checkpoint))
    }
}

/// The runs that the manifest names, and the number of the next one.
fn open_runs(place: &Place, manifest: &Manifest) -> Result<(Lists, u64)> {
    let mut opened: BTreeMap<u64, Arc<Run>> = BTreeMap::new();
    for &number in manifest.lists.iter().flatten() {
        if let Entry::Vacant(free) = opened.entry(number) {
            let run = match Run::open(&*place.storage, run_path(place, number), number) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(lost(run_path(place, number))),
                run => run?,
            };
            free.insert(Arc::new(run));
        }
    }
    let mut lists = Lists::default();
    for (part, (list, numbers)) in lists.iter_mut().zip(&manifest.lists).enumerate() {
        list.extend(numbers.iter().filter_map(|number| opened.get(number)).cloned());
        if let Some(run) = list.iter().find(|run| !run.covers(part)) {
            return Err(Error::corrupt(Damage::new(run.path(), 0, 0, "it is in another's place")));
        }
    }
    Ok((lists, opened.last_key_value().map_or(0, |(newest, _)| newest.saturating_add(1))))
}

fn lost(path: PathBuf) -> Error {
    Error::corrupt(Damage::new(path, 0, 0, "what was in it is gone"))
}

/// Removes files that nothing counts on: what a stopped writer was making.
fn sweep(place: &Place, manifest: &Manifest, next_journal: u64) -> Result<()> {
    let failed = |error| Error::io("tidy", &place.dir, error);
    for name in place.storage.list(&place.dir).map_err(failed)? {
        let number = |ending: &str| name.strip_suffix(ending).and_then(|number| number.parse::<u64>().ok());
        let stray = number(".run").is_some_and(|number| !manifest.lists.iter().flatten().any(|used| *used == number))
            || number(".journal").is_some_and(|number| number < manifest.journal || number >= next_journal);
        if stray {
            place.storage.remove(&place.dir.join(&name)).map_err(failed)?;
        }
    }
    Ok(())
}
