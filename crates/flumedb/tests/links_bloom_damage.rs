//! Guards against links that are wrong or missing, and a filter that says "no" of a key that is in, when their file is not as it
//! was written, or a call to the disk fails: they say so, or are behind and take in again what they lack, or answer right.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{fmt::Debug, sync::Arc};

use flumedb::{
    Entry, Env, ErrorKind, Result, Seq,
    codec::{Codec, Json},
    env::{MemoryStorage, OpenMode, Storage},
    log::MemoryLog,
    view::{Checkpoint, Entries, Place, Retraction, Run, View, ViewContext},
    views::{Bloom, Link, Links, links::Way},
};
use flumedb_sim::{Fault, FaultKind, Sim};

const ITEMS: u64 = 900;

/// A view that is kept in one store, and what it should say once it has taken in everything but the entry 3.
trait Subject: View<Item = u64> {
    fn fresh() -> Self;
    fn ask(reader: &Self::Reader) -> Result<()>;
}

impl Subject for Links<u64> {
    fn fresh() -> Self {
        let link =
            |item: &u64| [Link::new(format!("n{}", item % 31), "to", format!("n{}", item * 7 % 31)).with("ts", *item)];
        Self::new(1, link).order(["ts"]).cache_bytes(32 << 10)
    }

    fn ask(reader: &Self::Reader) -> Result<()> {
        let expected: Vec<u64> = (0..ITEMS).filter(|item| *item != 3).collect();
        let arrived: Vec<u64> = reader.find().into_iter().map(|row| Ok(row?.seq.get())).collect::<Result<_>>()?;
        assert_eq!(arrived, expected);
        let timed: Vec<u64> =
            reader.find().sorted(["ts"]).into_iter().map(|row| Ok(row?.seq.get())).collect::<Result<_>>()?;
        assert_eq!(timed, expected);
        assert_eq!(reader.graph().edges("n3", Way::Both).collect::<Result<Vec<_>>>()?.len(), 57);
        Ok(())
    }
}

impl Subject for Bloom<u64, u64> {
    fn fresh() -> Self {
        Self::new(1, |item: &u64| [*item]).items(300).probability(0.001)
    }

    fn ask(reader: &Self::Reader) -> Result<()> {
        assert!((0..ITEMS).all(|key| reader.may_contain(&key)), "a key is denied");
        assert!((ITEMS..20_000).filter(|key| reader.may_contain(key)).count() < 100, "all is said to be in");
        Ok(())
    }
}

fn checkpoint(next: u64) -> Checkpoint {
    let none: Option<Vec<u8>> = None;
    let fields = (vec![7_u8], ("any", 1, ""), "json", next.checked_sub(1), none, 0, Vec::<(u64, u64)>::new());
    Checkpoint::from_bytes(&rmp_serde::to_vec(&fields).unwrap()).unwrap()
}

fn open<V: Subject>(view: &mut V, storage: &Arc<dyn Storage>, log: &Arc<MemoryLog>) -> Result<u64> {
    let entries = Entries::new(log.clone(), |bytes| Json::<u64>::new().decode(bytes));
    let found =
        view.open(&ViewContext { place: Some(Place { storage: storage.clone(), dir: "view".into() }), entries })?;
    Ok(found.and_then(|at| at.since()).map_or(0, |since| since.get() + 1))
}

fn apply<V: Subject>(view: &mut V, items: std::ops::Range<u64>) -> Result<()> {
    view.apply(&Run::new(items.map(|item| Entry { seq: Seq::new(item), value: item }).collect::<Vec<_>>()))
}

/// Opens what is there, lets it catch up, and asks for everything.
fn interrogate<V: Subject>(storage: &Arc<dyn Storage>, log: &Arc<MemoryLog>) -> Result<()> {
    let mut view = V::fresh();
    let next = open(&mut view, storage, log)?;
    assert!(next <= ITEMS);
    apply(&mut view, next..ITEMS)?;
    assert_eq!(view.retract(Seq::new(3), None)?, Retraction::Done);
    V::ask(&view.publish(&checkpoint(ITEMS))?)?;
    view.sync()
}

/// The file of a view that has taken in most of it, as a program leaves it that closes it, or one that is killed.
fn stored<V: Subject>(killed: bool, log: &Arc<MemoryLog>) -> Vec<u8> {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    storage.create_dir_all("view".as_ref()).unwrap();
    let mut view = V::fresh();
    open(&mut view, &storage, log).unwrap();
    for part in 0..8 {
        apply(&mut view, part * 100..(part + 1) * 100).unwrap();
        view.publish(&checkpoint((part + 1) * 100)).unwrap();
        view.sync().unwrap();
    }
    let read = || {
        let file = storage.open("view/store".as_ref(), OpenMode::Read).unwrap();
        file.read(0, file.len().unwrap() as usize).unwrap().to_vec()
    };
    if killed {
        return read();
    }
    drop(view);
    read()
}

fn check<V: Subject>(bytes: &[u8], log: &Arc<MemoryLog>, what: &dyn Debug) {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    storage.create_dir_all("view".as_ref()).unwrap();
    storage.open("view/store".as_ref(), OpenMode::CreateNew).unwrap().write_all(0, bytes).unwrap();
    if let Err(error) = interrogate::<V>(&storage, log) {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what:?}: {error}");
    }
}

fn every_kind_of_damage<V: Subject>() {
    let log = Arc::new(MemoryLog::new(&Env::memory()).unwrap());
    for killed in [false, true] {
        let bytes = stored::<V>(killed, &log);
        check::<V>(&bytes, &log, &"nothing");
        // A bit in every stretch of the file, and cuts.
        for at in (0..330).step_by(3).chain((330..bytes.len()).step_by(1531)) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            check::<V>(&flipped, &log, &("flipped", killed, at));
        }
        for cut in (0..bytes.len()).step_by(9000) {
            check::<V>(&bytes[..cut], &log, &("cut", killed, cut));
        }
    }
}

/// A call to the disk fails once: the view says so, and what is found later is what was published and synced.
fn calls_that_fail<V: Subject>() {
    use FaultKind::{Flip, Io, Short, Sync};
    let log = Arc::new(MemoryLog::new(&Env::memory()).unwrap());
    for kind in [Io, Short, Sync, Flip] {
        // The store is the one of other views, whose tests let every single call fail.
        for call in (0..).step_by(flumedb_sim::soak_or(1, 5)) {
            let sim = Sim::new(call);
            sim.disk.create_dir_all("view".as_ref()).unwrap();
            sim.disk.sync_dir("".as_ref()).unwrap();
            let storage = sim.env.storage.clone();
            sim.disk.set_fault(Fault { kind, nth: call, lasting: false });
            let mut synced = 0;
            let outcome = (|| {
                let mut view = V::fresh();
                open(&mut view, &storage, &log)?;
                for part in 0..3 {
                    apply(&mut view, part * 40..(part + 1) * 40)?;
                    view.publish(&checkpoint((part + 1) * 40))?;
                    view.sync()?;
                    synced = (part + 1) * 40;
                }
                Ok::<_, flumedb::Error>(())
            })();
            let hit = sim.disk.clear_faults() > call;
            let mut view = V::fresh();
            let found = open(&mut view, &storage, &log).unwrap_or_else(|error| panic!("{kind:?} at {call}: {error:?}"));
            assert!(found >= synced, "{kind:?} at {call}: {found} instead of {synced}");
            drop(view);
            interrogate::<V>(&storage, &log).unwrap_or_else(|error| panic!("{kind:?} at {call}: {error:?}"));
            if !hit {
                assert!(outcome.is_ok() && synced == 120);
                break;
            }
        }
    }
}

#[test]
fn links_and_their_damage() {
    every_kind_of_damage::<Links<u64>>();
}

#[test]
fn filters_and_their_damage() {
    every_kind_of_damage::<Bloom<u64, u64>>();
}

#[test]
fn links_and_calls_that_fail() {
    calls_that_fail::<Links<u64>>();
}

#[test]
fn filters_and_calls_that_fail() {
    calls_that_fail::<Bloom<u64, u64>>();
}
