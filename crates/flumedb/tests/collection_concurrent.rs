//! Guards against writers that get in each other's way: whatever several of them do at the same time, the outcome is that
//! of one order, the log's, and each was told what became of its own; after what nobody needs was deleted, the outcome is
//! still the same; and what was acknowledged is there after a power cut.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

mod collection_support;

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use collection_support::Model;
use flumedb::{
    Database, Entry, ErrorKind, Flume, Record, Result,
    codec::Codec,
    collection::{Change, Collection, Envelope, Write},
};
use flumedb_sim::{Choices, Sim, soak_or_count};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Record)]
#[record(name = "things")]
struct Thing {
    #[key]
    id: u8,
    #[index]
    group: u8,
    #[unique]
    name: Option<u8>,
    count: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Record)]
#[record(name = "totals")]
struct Total {
    #[key]
    group: u8,
    things: u32,
}

fn any_thing(chance: &mut Choices) -> Thing {
    let name = (chance.pick(2) == 0).then(|| chance.pick(6) as u8);
    Thing { id: chance.pick(8) as u8, group: chance.pick(3) as u8, name, count: 0 }
}

/// One call, of those that one can make. Says whether it conflicted.
async fn call(db: &Database, things: &Collection<Thing>, totals: &Collection<Total>, chance: &mut Choices) -> bool {
    let thing = any_thing(chance);
    let done = match chance.pick(8) {
        0..=2 => things.put(&thing).await,
        3 => things.insert(&thing).await,
        4 => things.delete(thing.id).await,
        5 => things.update(thing.id, |thing| thing.count += 1).await.map(drop),
        6 => {
            // The total of a group is how many things it had, at the moment when it was written.
            db.write(|tx| {
                let all = tx.range::<Thing, u8>(things, ..)?;
                let count = all.iter().filter(|other| other.group == thing.group).count() as u32;
                tx.put(totals, &Total { group: thing.group, things: count })
            })
            .await
        }
        _ => {
            db.write(|tx| {
                let Some(from) = tx.get(things, thing.id)? else { return Ok(()) };
                tx.delete(things, thing.id)?;
                tx.put(things, &Thing { id: (thing.id + 1) % 8, ..from })
            })
            .await
        }
    };
    match done {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            true
        }
    }
}

async fn entries(db: &Database) -> Vec<Entry<Write>> {
    db.flume().scan(..).blocking().map(|entry| entry.unwrap()).collect()
}

/// That the database shows what `model` holds.
async fn agrees(db: &Database, model: &Model) {
    let things = db.collection::<Thing>().await.unwrap();
    let held = |name: &str| {
        let held = model.there().filter(|((collection, _), _)| collection == name);
        held.map(|(_, held)| held.value.clone()).collect::<Vec<_>>()
    };
    let expected: Vec<Thing> = held("things").iter().map(|value| rmp_serde::from_slice(value).unwrap()).collect();
    assert_eq!(things.all().await.unwrap(), expected);
    for group in 0..3_u8 {
        let of_group: Vec<_> = expected.iter().filter(|thing| thing.group == group).cloned().collect();
        assert_eq!(things.by_group(group).await.unwrap(), of_group);
    }
    for name in 0..6_u8 {
        let named: Vec<_> = expected.iter().filter(|thing| thing.name == Some(name)).cloned().collect();
        assert!(named.len() < 2);
        assert_eq!(things.by_name(name).await.unwrap().as_slice(), named);
    }
    let totals = db.collection::<Total>().await.unwrap();
    let expected: Vec<Total> = held("totals").iter().map(|value| rmp_serde::from_slice(value).unwrap()).collect();
    assert_eq!(totals.all().await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_outcome_is_that_of_one_order() -> Result<()> {
    for round in 0..6 {
        let db = Database::memory().await?;
        let (things, totals) = (db.collection::<Thing>().await?, db.collection::<Total>().await?);
        let writers = (0..4_u64).map(|writer| {
            let (db, things, totals) = (db.clone(), things.clone(), totals.clone());
            tokio::spawn(async move {
                let mut chance = Choices::seeded(round * 10 + writer);
                let mut conflicts = 0;
                for _ in 0..60 {
                    conflicts += u64::from(call(&db, &things, &totals, &mut chance).await);
                }
                conflicts
            })
        });
        let mut conflicts = 0_u64;
        for writer in writers.collect::<Vec<_>>() {
            conflicts += writer.await.unwrap();
        }
        let entries = entries(&db).await;
        let model = Model::of(&entries);
        agrees(&db, &model).await;
        assert_eq!(model.refused.len(), 0, "what was refused has gone");
        assert!(db.flume().stat()?.deleted >= conflicts, "more writers were refused than entries");
        for total in entries.iter().filter(|entry| !model.refused.contains(&entry.seq)) {
            let Some(change) = total.value.changes.iter().find(|change| change.collection == "totals") else {
                continue;
            };
            let written: Total = rmp_serde::from_slice(&change.value).unwrap();
            let before = Model::of(entries.iter().take_while(|entry| entry.seq < total.seq));
            let things = before.there().filter(|((collection, _), _)| collection == "things");
            let of_group =
                things.filter(|(_, held)| rmp_serde::from_slice::<Thing>(&held.value).unwrap().group == written.group);
            assert_eq!(written.things as usize, of_group.count(), "what it read was not so when it was written");
        }
        db.prune().await?;
        agrees(&db, &model).await;
        db.records().rebuild().await?;
        agrees(&db, &model).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pruning_meanwhile_changes_nothing_and_rebuilds_nothing() -> Result<()> {
    let db = Database::memory().await?;
    let (things, totals) = (db.collection::<Thing>().await?, db.collection::<Total>().await?);
    let epoch = {
        let mut watch = things.watch();
        assert!(matches!(watch.next().await, Some(Ok(Change::CaughtUp))));
        watch
    };
    let mut watch = epoch;
    let pruner = tokio::spawn({
        let db = db.clone();
        async move {
            let mut pruned = 0;
            for _ in 0..100 {
                pruned += db.prune().await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            pruned
        }
    });
    let done = Arc::new(AtomicBool::new(false));
    let written = done.clone();
    let watcher = tokio::spawn(async move {
        let mut held = std::collections::BTreeMap::new();
        loop {
            let all_written = written.load(Ordering::Acquire);
            let change = match tokio::time::timeout(Duration::from_secs(1), watch.next()).await {
                Ok(change) => change,
                Err(_) if all_written => break,
                // The machine has other things to do.
                Err(_) => continue,
            };
            match change.unwrap().unwrap() {
                Change::Put(thing) => drop(held.insert(thing.id, thing)),
                Change::Deleted(id) => drop(held.remove(&id)),
                change => panic!("{change:?}: the view was built anew"),
            }
        }
        held.into_values().collect::<Vec<_>>()
    });
    let writers = (0..3_u64).map(|writer| {
        let (db, things, totals) = (db.clone(), things.clone(), totals.clone());
        tokio::spawn(async move {
            let mut chance = Choices::seeded(writer);
            for _ in 0..400 {
                call(&db, &things, &totals, &mut chance).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Release);
    assert!(pruner.await.unwrap() > 0);
    assert_eq!(watcher.await.unwrap(), things.all().await?);
    let all = (things.all().await?, totals.all().await?);
    db.prune().await?;
    db.records().rebuild().await?;
    assert_eq!((things.all().await?, totals.all().await?), all);
    Ok(())
}

fn open(sim: &Sim) -> Database {
    let flume = Flume::builder(Envelope).env(sim.env.clone()).set(|settings| {
        settings.log.segment_bytes = 4096;
        settings.views.publish_every = Duration::from_millis(1);
        settings.views.sync_every = Duration::ZERO;
    });
    let flume = sim.block_on(flume.open("/db").into_future()).unwrap();
    sim.block_on(Database::with_flume(flume).into_future()).unwrap()
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut() {
    soak_or_count(60, |seed| {
        let mut chance = Choices::seeded(seed as u64);
        let mut sim = Sim::new(seed as u64);
        let mut last: Option<Vec<Thing>> = None;
        for _ in 0..4 {
            let db = open(&sim);
            let things = sim.block_on(db.collection::<Thing>().into_future()).unwrap();
            let totals = sim.block_on(db.collection::<Total>().into_future()).unwrap();
            let now = sim.block_on(things.all().into_future()).unwrap();
            assert_eq!(now, last.take().unwrap_or_default());
            let entries: Vec<Entry<Write>> = sim.block_on(entries(&db));
            sim.block_on(agrees(&db, &Model::of(&entries)));
            for _ in 0..chance.pick(30) {
                if chance.pick(8) == 0 {
                    sim.block_on(db.prune().into_future()).unwrap();
                }
                sim.block_on(call(&db, &things, &totals, &mut chance));
            }
            last = Some(sim.block_on(things.all().into_future()).unwrap());
            let next = if chance.pick(4) == 0 { sim.kill() } else { sim.crash(&mut chance) };
            drop((db, things, totals));
            sim = next;
        }
    });
}

#[test]
fn an_entry_reads_as_it_was_written() {
    let mut out = Vec::new();
    let db = Database::memory().blocking().unwrap();
    let things = db.collection::<Thing>().blocking().unwrap();
    things.put(&Thing { id: 1, group: 2, name: Some(3), count: 4 }).blocking().unwrap();
    for entry in db.flume().scan(..).blocking() {
        let entry = entry.unwrap();
        out.clear();
        Envelope.encode(&entry.value, &mut out).unwrap();
        let bytes = flumedb::Bytes::copy_from_slice(&out);
        assert_eq!(Envelope.decode(&bytes).unwrap(), entry.value);
        for len in 0..bytes.len() {
            assert!(Envelope.decode(&bytes.slice(..len)).is_err(), "cut at {len}");
        }
        for at in 0..bytes.len() {
            let mut flipped = out.clone();
            flipped[at] ^= 0x55;
            // Another write or none, but no panic.
            drop(Envelope.decode(&flipped.into()));
        }
    }
}
