//! [`storm`]: several clients at once, failures and power cuts, all of it from one seed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hasher},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use flumedb::{
    ErrorKind, Keys, Result, Seq,
    env::Clock,
    log::{Batch, Compression, Durability, Log, LogSettings, SegmentedLog, SlotKind},
};
use futures_util::future::join_all;

use super::{DIR, model::Contents};
use crate::{Choices, Fault, FaultKind, Sim};

/// How a storm ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storm {
    /// Depends on all that was answered, every byte left on the disk, the clock, and what chance would say next.
    pub fingerprint: u64,
    /// Entries that were acknowledged as on the disk.
    pub acknowledged: u64,
    /// Entries that the log held in the end.
    pub kept: u64,
    /// How often the power went.
    pub crashes: u64,
}

/// What is known of the log from what was asked and answered.
#[derive(Default)]
struct Facts {
    /// Each payload that was handed in: its batch, its place in it, and how many the batch has.
    asked: HashMap<Bytes, Place>,
    /// The name that each payload got.
    named: BTreeMap<u64, Bytes>,
    /// Names that must be there, whatever happens.
    durable: BTreeSet<u64>,
    deletions_asked: BTreeSet<u64>,
    deletions_durable: BTreeSet<u64>,
    batches: u64,
    /// How long entries are, at most.
    sizes: [usize; 5],
    trace: DefaultHasher,
}

#[derive(Clone, Copy)]
struct Place {
    batch: u64,
    index: u64,
    count: u64,
}

/// Runs a log through several lives on one machine, each with clients that work at the same time and that end in a
/// power cut, a failure or the death of the process; after each the log must hold what it must.
///
/// # Panics
/// If it does not. The seed is printed.
pub fn storm(seed: u64) -> Storm {
    let mut rng = Rng::with_seed(seed);
    let mut sim = Sim::new(rng.u64(..));
    // Now and then entries so large that what nobody waits for is brought to the disk meanwhile.
    let sizes = if rng.u8(0..100) == 0 { [0, 30, 600, 100_000, 3 << 20] } else { [0, 30, 600, 3000, 10_000] };
    let facts = Mutex::new(Facts { sizes, ..Facts::default() });
    let (mut acknowledged, mut crashes) = (0, 0);
    for _ in 0..rng.u8(2..6) {
        let settings = packed(seed, settings(&mut rng));
        let log = open(&sim, settings.clone());
        check(&Contents::of(&log).unwrap_or_else(|error| panic!("{error}")), &mut lock(&facts));
        live(&sim, &log, settings.durability, &facts, &mut rng);
        acknowledged += lock(&facts).durable.len() as u64;
        let killed = rng.u8(0..4) == 0;
        sim = if killed { sim.kill() } else { sim.crash(&mut Choices::seeded(rng.u64(..))) };
        crashes += u64::from(!killed);
    }
    let log = open(&sim, packed(seed, LogSettings::default()));
    let contents = Contents::of(&log).unwrap_or_else(|error| panic!("{error}"));
    check(&contents, &mut lock(&facts));
    let mut trace = lock(&facts).trace.clone();
    // All that a run leaves behind, also what only a later one would see.
    trace.write_u64(sim.disk.image().fingerprint());
    trace.write_u128(sim.clock.monotonic().as_nanos());
    trace.write_u64(rng.u64(..));
    Storm { fingerprint: trace.finish(), acknowledged, kept: contents.slots.len() as u64, crashes }
}

fn settings(rng: &mut Rng) -> LogSettings {
    let durability = match rng.u8(0..4) {
        0 => Durability::System,
        1 => Durability::Interval { period: Duration::from_millis(rng.u64(1..50)), bytes: rng.u64(1000..20_000) },
        _ => Durability::EveryCommit,
    };
    LogSettings {
        durability,
        segment_bytes: 4096 << rng.u8(0..4) << if rng.u8(0..16) == 0 { 12 } else { 0 },
        ..LogSettings::default()
    }
}

/// Some logs are compressed, some encrypted, some both.
fn packed(seed: u64, settings: LogSettings) -> LogSettings {
    let compression = if seed & 1 == 0 { Compression::None } else { Compression::Lz4 };
    let keys = Keys::new(1, [7; 32]).ok().filter(|_| seed & 2 != 0);
    LogSettings { compression, keys, ..settings }
}

fn open(sim: &Sim, settings: LogSettings) -> SegmentedLog {
    SegmentedLog::open(&sim.env, Path::new(DIR), settings).unwrap_or_else(|error| panic!("does not open: {error}"))
}

/// One life of the log: clients work until they are done, or something fails.
fn live(sim: &Sim, log: &SegmentedLog, durability: Durability, facts: &Mutex<Facts>, rng: &mut Rng) {
    if rng.u8(0..4) > 0 {
        sim.disk.power_off_at(Some(sim.disk.calls() + rng.u64(0..150)));
    }
    if rng.u8(0..4) == 0 {
        let kinds = [FaultKind::Sync, FaultKind::Full, FaultKind::Short, FaultKind::Interrupted, FaultKind::Io];
        let kind = kinds[rng.usize(0..kinds.len())];
        sim.disk.set_fault(Fault { kind, nth: rng.u64(0..30), lasting: false });
    }
    for _ in 0..rng.u8(1..3) {
        let clients = (0..rng.u8(1..6)).map(|_| client(log, durability, facts, Rng::with_seed(rng.u64(..))));
        sim.block_on(join_all(clients));
        if rng.bool() {
            sim.advance(Duration::from_millis(rng.u64(0..60)));
        }
    }
    if rng.u8(0..4) == 0 && sim.block_on(log.close()).is_ok() {
        lock(facts).all_is_durable();
    }
}

async fn client(log: &SegmentedLog, durability: Durability, facts: &Mutex<Facts>, mut rng: Rng) {
    for _ in 0..rng.u8(1..10) {
        let done = match rng.u8(0..8) {
            0 => delete(log, durability, facts, &mut rng).await,
            1 => sync(log, facts).await,
            _ => append(log, durability, facts, &mut rng).await,
        };
        let told = done.as_ref().map_or_else(|error| format!("{error:?}"), |()| "fine".to_owned());
        lock(facts).trace.write(told.as_bytes());
        match done {
            Err(error) if matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Closed) => return,
            _ => {}
        }
    }
}

async fn append(log: &SegmentedLog, durability: Durability, facts: &Mutex<Facts>, rng: &mut Rng) -> Result<()> {
    let mut batch = Batch::new();
    let count = if rng.bool() { 1 } else { rng.u64(1..6) };
    let payloads: Vec<Bytes> = {
        let mut facts = lock(facts);
        let number = facts.batches;
        facts.batches += 1;
        let payloads = (0..count).map(|index| {
            let mut payload = format!("batch {number} entry {index} of {count} ").into_bytes();
            let said = payload.len();
            let most = facts.sizes[rng.usize(0..5)];
            let size = rng.usize(0..=most);
            payload.resize(said + size, 0);
            rng.fill(&mut payload[said..]);
            let payload = Bytes::from(payload);
            facts.asked.insert(payload.clone(), Place { batch: number, index, count });
            payload
        });
        payloads.collect()
    };
    payloads.iter().for_each(|payload| batch.push(payload));
    batch.buffered = rng.u8(0..3) == 0;
    let durable = durability == Durability::EveryCommit && !batch.buffered;
    let names = log.append(batch).await?;
    let mut facts = lock(facts);
    for (name, payload) in names.into_iter().zip(payloads) {
        let taken = facts.named.insert(name.get(), payload);
        assert!(taken.is_none(), "{name} was given twice");
        if durable {
            facts.durable.insert(name.get());
        }
    }
    Ok(())
}

async fn sync(log: &SegmentedLog, facts: &Mutex<Facts>) -> Result<()> {
    let before: Vec<u64> = lock(facts).named.keys().copied().collect();
    log.sync(None).await?;
    lock(facts).durable.extend(before);
    Ok(())
}

async fn delete(log: &SegmentedLog, durability: Durability, facts: &Mutex<Facts>, rng: &mut Rng) -> Result<()> {
    let target = {
        let mut facts = lock(facts);
        let names: Vec<u64> = facts.named.keys().copied().collect();
        if names.is_empty() {
            return Ok(());
        }
        let target = names[rng.usize(0..names.len())];
        facts.deletions_asked.insert(target);
        target
    };
    log.delete(&[Seq::new(target)]).await?;
    if durability == Durability::EveryCommit {
        lock(facts).deletions_durable.insert(target);
    }
    Ok(())
}

/// Compares the log, as it was just opened, with the facts; from then on it is itself the facts.
fn check(contents: &Contents, facts: &mut Facts) {
    let slots = &contents.slots;
    for name in &facts.durable {
        let kind = slots.get(*name as usize).map(|(kind, _)| *kind);
        let deleted = kind == Some(SlotKind::Deleted) && facts.deletions_asked.contains(name);
        assert!(kind == Some(SlotKind::Entry) || deleted, "{name} was acknowledged, and now it is {kind:?}");
    }
    for name in &facts.deletions_durable {
        let kind = slots.get(*name as usize).map(|(kind, _)| *kind);
        assert_eq!(kind, Some(SlotKind::Deleted), "{name} was deleted, and now it is {kind:?}");
    }
    let mut seen = BTreeSet::new();
    for (name, (kind, payload)) in slots.iter().enumerate() {
        match kind {
            SlotKind::Entry => {
                let place = facts.asked.get(payload);
                let Some(Place { batch, index, count }) = place.copied() else { panic!("{name} was never appended") };
                assert!(seen.insert((batch, index)), "{name} is there twice");
                if let Some(named) = facts.named.get(&(name as u64)) {
                    assert!(named == payload, "{name} is another entry than the one that was given this name");
                }
                let first = name as u64 - index;
                assert!(first + count <= slots.len() as u64, "half of batch {batch} at {name}");
                for (place, (kind, payload)) in slots.iter().enumerate().skip(first as usize).take(count as usize) {
                    let whole = match kind {
                        SlotKind::Entry => facts.asked.get(payload).is_some_and(|place| place.batch == batch),
                        SlotKind::Deleted => facts.deletions_asked.contains(&(place as u64)),
                        SlotKind::Tombstone => false,
                    };
                    assert!(whole, "batch {batch} is not whole at {place}");
                }
            }
            SlotKind::Deleted => {
                assert!(facts.deletions_asked.contains(&(name as u64)), "{name} was never deleted");
            }
            SlotKind::Tombstone => {}
        }
    }
    let kind_is = |wanted: SlotKind| {
        let names = slots.iter().enumerate().filter(move |(_, (kind, _))| *kind == wanted);
        names.map(|(name, (_, payload))| (name as u64, payload.clone()))
    };
    facts.named = kind_is(SlotKind::Entry).collect();
    facts.durable = facts.named.keys().copied().collect();
    facts.deletions_durable = kind_is(SlotKind::Deleted).map(|(name, _)| name).collect();
    facts.deletions_asked.clone_from(&facts.deletions_durable);
}

impl Facts {
    fn all_is_durable(&mut self) {
        self.durable = self.named.keys().copied().collect();
    }
}

fn lock(facts: &Mutex<Facts>) -> MutexGuard<'_, Facts> {
    facts.lock().unwrap_or_else(PoisonError::into_inner)
}
