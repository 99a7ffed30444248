//! How a store grows: the table in memory becomes a run, and runs are merged, a bounded piece at each call.

use std::sync::Arc;

use super::{Store, journal_path, run_path, sync_run};
use crate::{
    Result,
    views::hash_index::{
        journal::Journal,
        merge::Merge,
        plan::{Plan, plan},
        run::{Run, RunWriter},
    },
};

impl Store {
    /// So many pairs are added before merges go on.
    pub(super) const AT_ONCE: usize = 1024;
    /// A merge goes on by so many pairs for each that is added. Each is moved 16 times into its base, and a few times before.
    pub(super) const PACE: usize = 24;
    /// And by so many at each publish.
    pub(super) const STEP: usize = 4096;
    /// A journal that is longer is not gone on with.
    pub(super) const JOURNAL_BYTES: u64 = 512 << 10;
    /// Files may take so many bytes a pair …
    const BYTES_PER_PAIR: u64 = 15;
    /// … and so many besides, or old ones have to go first.
    const BYTES_BESIDES: u64 = 256 << 10;

    /// Makes a run of the table, and another journal for what comes.
    pub(super) fn flush(&mut self) -> Result<()> {
        let storage = self.place.storage.clone();
        self.journal.push(&self.unwritten, None)?;
        self.unwritten.clear();
        self.journal.end()?;
        let number = self.journal_number + 1;
        let journal = Journal::create(&*storage, journal_path(&self.place, number))?;
        let old = std::mem::replace(&mut self.journal, journal);
        self.old.push((journal_path(&self.place, self.journal_number), old.len()));
        self.journal_number = number;
        self.moved = true;
        let pairs = self.pairs.read().recent.sorted();
        let max_seq = pairs.iter().map(|pair| pair.seq).max().unwrap_or(0);
        let mut writer = self.new_run(None, pairs.len(), max_seq)?;
        pairs.iter().try_for_each(|pair| writer.push(*pair))?;
        let run = Arc::new(writer.finish(&*storage)?);
        self.unsynced_runs.push(run.clone());
        // At one moment, so that no reader finds the pairs nowhere.
        let mut shared = self.pairs.write();
        shared.lists.iter_mut().for_each(|list| list.insert(0, run.clone()));
        shared.recent.clear();
        self.settled = false;
        Ok(())
    }

    /// Goes on with the merge, or begins one if there is something to merge; or makes room.
    pub(super) fn work(&mut self, pairs: usize) -> Result<()> {
        if self.crowded {
            return self.make_room();
        }
        if self.merge.is_none() {
            if self.settled {
                return Ok(());
            }
            let next = {
                let shared = self.pairs.read();
                plan(&shared.lists, shared.recent.most())
            };
            let Some(plan) = next else {
                self.settled = true;
                return Ok(());
            };
            self.crowded = self.is_too_much(&plan);
            if self.crowded {
                return self.make_room();
            }
            let writer = self.new_run(plan.part, plan.len(), plan.max_seq())?;
            self.merge = Some(Merge::new(plan, writer, self.begin)?);
        }
        let Some(mut merge) = self.merge.take() else { return Ok(()) };
        if merge.step(pairs)? {
            self.merge = Some(merge);
            return Ok(());
        }
        let (plan, run) = merge.finish(&*self.place.storage)?;
        self.replace(&plan, run);
        Ok(())
    }

    /// Puts the run that was made where those are that it was made of.
    fn replace(&mut self, plan: &Plan, run: Arc<Run>) {
        self.unsynced_runs.push(run.clone());
        let mut shared = self.pairs.write();
        let merged = |other: &Arc<Run>| plan.runs.iter().any(|run| run.number == other.number);
        let changed = |part: usize| plan.part.is_none_or(|only| only == part);
        for (_, list) in shared.lists.iter_mut().enumerate().filter(|(part, _)| changed(*part)) {
            let place = list.iter().position(merged).unwrap_or(list.len());
            list.insert(place, run.clone());
            list.retain(|other| !merged(other));
        }
        for run in &plan.runs {
            if !shared.lists.iter().flatten().any(|used| used.number == run.number) {
                self.old.push((run.path().clone(), run.file_len()));
            }
        }
        self.moved = true;
    }

    /// Whether with the file of this merge there would be too much on the disk, and old files could go.
    fn is_too_much(&self, plan: &Plan) -> bool {
        if self.old.is_empty() || self.published.is_none() {
            return false;
        }
        let shared = self.pairs.read();
        let mut runs: Vec<&Arc<Run>> = shared.lists.iter().flatten().collect();
        runs.sort_unstable_by_key(|run| run.number);
        runs.dedup_by_key(|run| run.number);
        let used: u64 = runs.iter().map(|run| run.file_len()).sum();
        let old: u64 = self.old.iter().map(|(_, len)| len).sum();
        let parts = shared.lists.iter().enumerate();
        let pairs: usize = parts.map(|(part, list)| list.iter().map(|run| run.len_of(part)).sum::<usize>()).sum();
        let pairs = (pairs + shared.recent.len()) as u64;
        used + old + self.journal.len() + plan.bytes() > pairs * Self::BYTES_PER_PAIR + Self::BYTES_BESIDES
    }

    /// Brings a run to the disk, or when all are there the manifest, after which old files can go: a piece at each call,
    /// because it waits for the disk.
    fn make_room(&mut self) -> Result<()> {
        while let Some(run) = self.unsynced_runs.pop() {
            if self.pairs.read().lists.iter().flatten().any(|used| used.number == run.number) {
                return sync_run(&run).inspect_err(|_| self.unsynced_runs.push(run));
            }
        }
        self.bring_to_disk()
    }

    fn new_run(&mut self, part: Option<usize>, len: usize, max_seq: u64) -> Result<RunWriter> {
        let number = self.next_run;
        self.next_run += 1;
        let place = (run_path(&self.place, number), number);
        RunWriter::create(&*self.place.storage, place, part, len, max_seq)
    }
}
