//! Deletes from the log what nobody needs any more, in an order in which each deletion leaves the state as it is:
//!
//! * entries that were refused, before what they were refused for;
//! * older versions of a record before newer ones.
//!
//! What somebody still reads stays (see [`Pins`](super::pins::Pins)). An entry with several changes can only go as a
//! whole; while it is there, so are newer versions of its records. If it holds up many, what is alive in it is written
//! anew, each record for itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{
    database::Database,
    declare::again,
    envelope::Write,
    record::{Declaration, History},
    records::row::{self, At, Refusal, State, Version},
    snapshot::Snapshot,
    value,
};
use crate::{Result, Seq};

/// After so many writes, it is looked whether there is something to delete.
const EVERY: u64 = 4096;
/// The most entries that are deleted at once.
const AT_ONCE: usize = 16 << 10;
/// So many entries must be held up before something is written anew for them.
const HELD_UP: usize = 256;

/// When to look next.
#[derive(Default)]
pub(super) struct Pruning {
    writes: AtomicU64,
    /// What was left the last time: to look again at once would find it again.
    left: AtomicU64,
    busy: AtomicBool,
}

/// Frees `busy`, however it ends.
struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Pruning {
    /// So many entries were written; prunes if it is time to.
    pub(super) async fn wrote(&self, db: &Database, entries: u64) {
        let writes = self.writes.fetch_add(entries, Ordering::Relaxed) + entries;
        if writes >= EVERY + self.left.load(Ordering::Relaxed) && !self.busy.load(Ordering::Relaxed) {
            // The write itself was done; what is wrong with the log the next one will say.
            drop(prune(db).await);
        }
    }
}

/// What there is to delete.
#[derive(Default)]
struct Plan {
    refused: Vec<Seq>,
    entries: Vec<Seq>,
    /// Entries that hold up others.
    holding: BTreeSet<u64>,
    held_up: usize,
    /// What may be deleted some other time.
    left: usize,
}

/// Deletes what can be. One at a time; a second call does nothing.
pub(super) async fn prune(db: &Database) -> Result<u64> {
    let pruning = &db.0.pruning;
    if pruning.busy.swap(true, Ordering::AcqRel) {
        return Ok(0);
    }
    let _turn = Turn(&pruning.busy);
    pruning.writes.store(0, Ordering::Relaxed);
    let mut deleted = 0;
    loop {
        db.0.pins.look();
        let snapshot = db.unpinned().await?;
        let plan = plan(db, &snapshot, db.0.pins.seen())?;
        drop(snapshot);
        for seqs in [&plan.refused, &plan.entries] {
            if !seqs.is_empty() {
                db.log().delete(seqs).await?;
                deleted += seqs.len() as u64;
            }
        }
        pruning.left.store(plan.left as u64, Ordering::Relaxed);
        let mut more = plan.entries.len() >= AT_ONCE;
        if plan.held_up >= HELD_UP {
            more |= write_anew(db, &plan.holding).await?;
        }
        if !more {
            return Ok(deleted);
        }
    }
}

fn plan(db: &Database, snapshot: &Snapshot, mut least: u64) -> Result<Plan> {
    let reader = &snapshot.reader;
    let mut plan = Plan::default();
    for row in reader.range(&[row::REFUSED], &[row::REFUSED + 1])? {
        let (place, refusal) = row?;
        let (seq, _) = reader.decoded(row::parse_entry(&place))?;
        let (seen, _) = reader.decoded(Refusal::decode(&refusal))?;
        if seq < least && plan.refused.len() < AT_ONCE {
            plan.refused.push(Seq::new(seq));
        } else {
            // What it was refused for stays as long as it.
            least = least.min(seen);
            plan.left += 1;
        }
    }
    let mut going = BTreeSet::new();
    for row in reader.range(&[row::GARBAGE], &[row::GARBAGE + 1])? {
        let (place, since) = row?;
        let (seq, _) = reader.decoded(row::parse_entry(&place))?;
        let since = reader.decoded(row::number(&since))?;
        plan.consider(snapshot, seq, since < least, &mut going)?;
    }
    for seq in aged(db, snapshot, least)? {
        plan.consider(snapshot, seq, true, &mut going)?;
    }
    plan.entries = going.into_iter().map(Seq::new).collect();
    Ok(plan)
}

impl Plan {
    /// Deletes the entry `seq`, if nothing is in the way.
    fn consider(&mut self, snapshot: &Snapshot, seq: u64, free: bool, going: &mut BTreeSet<u64>) -> Result<()> {
        if !free || going.len() >= AT_ONCE {
            self.left += 1;
            return Ok(());
        }
        let mut held_up = false;
        for (_, version) in versions(snapshot, seq)? {
            if let Some(before) = version.before.filter(|before| before.0 != seq && !going.contains(&before.0))
                && snapshot.reader.version(before)?.is_some()
            {
                held_up = true;
                self.holding.insert(before.0);
            }
        }
        if held_up {
            self.left += 1;
            self.held_up += 1;
        } else {
            going.insert(seq);
        }
        Ok(())
    }
}

/// Entries all of whose versions have been superseded for longer than their collection keeps them.
fn aged(db: &Database, snapshot: &Snapshot, least: u64) -> Result<BTreeSet<u64>> {
    let (reader, now) = (&snapshot.reader, db.now_ms());
    let mut over: BTreeMap<u64, BTreeSet<At>> = BTreeMap::new();
    for row in reader.range(&[row::DECLARATION], &[row::DECLARATION + 1])? {
        let (place, declaration) = row?;
        let collection = reader.decoded(row::parse_declaration(&place))?;
        let age = value::decode::<Declaration>(&declaration).map_or(u64::MAX, |declaration| age(&declaration));
        let from = row::aging_of(&collection);
        for row in reader.range(&from, &row::behind(from.clone()))? {
            let (place, time) = row?;
            let (superseded, at) = reader.decoded(row::parse_aging(&place))?;
            let time = reader.decoded(row::number(&time))?;
            // Those behind it were superseded later.
            if superseded >= least || now.saturating_sub(time) <= age || over.len() >= AT_ONCE {
                break;
            }
            over.entry(at.0).or_default().insert(at);
        }
    }
    let mut entries = BTreeSet::new();
    for (seq, over) in over {
        if versions(snapshot, seq)?.iter().all(|(at, version)| version.state != State::Alive || over.contains(at)) {
            entries.insert(seq);
        }
    }
    Ok(entries)
}

/// How long a collection keeps what was superseded when that was a matter of time, in milliseconds.
fn age(declaration: &Declaration) -> u64 {
    match declaration.history {
        History::Age(age) => u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        History::Last(_) => 0,
        History::All => u64::MAX,
    }
}

fn versions(snapshot: &Snapshot, seq: u64) -> Result<Vec<(At, Version)>> {
    let from = row::entry(row::VERSION, seq);
    let rows = snapshot.reader.range(&from, &row::behind(from.clone()))?;
    rows.map(|row| {
        let (place, version) = row?;
        let at = snapshot.reader.decoded(row::parse_version(&place))?;
        Ok((at, snapshot.reader.decoded(Version::decode(&version))?))
    })
    .collect()
}

/// Writes anew what is current in these entries, if there are others in each. Says whether it did.
async fn write_anew(db: &Database, entries: &BTreeSet<u64>) -> Result<bool> {
    let snapshot = db.snapshot().await?;
    let mut writes: Vec<Write> = Vec::new();
    for &seq in entries {
        let versions = versions(&snapshot, seq)?;
        if versions.len() < 2 {
            continue;
        }
        for (at, version) in versions {
            let current = snapshot.reader.current(&version.collection, &version.key)?;
            if version.collection != Declaration::COLLECTION
                && let Some(current) = current.filter(|current| current.at == at && current.is_there())
            {
                writes.push(again(&snapshot, at, &current)?.0);
            }
        }
        if writes.len() >= AT_ONCE {
            break;
        }
    }
    let any = !writes.is_empty();
    db.append_all(&writes).await?;
    Ok(any)
}
