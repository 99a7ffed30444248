//! Guards against an index that gives wrong answers, or ends the program, when its file is not as it was written: it says
//! `Corrupt`, or it answers right.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::sync::Arc;

use flumedb::{
    Entry, Env, ErrorKind, Result, Seq,
    codec::{Codec, Json},
    env::{File, MemoryStorage, OpenMode, Storage},
    log::MemoryLog,
    view::{Checkpoint, Entries, Place, Retraction, Run, View, ViewContext},
    views::Index,
};
use flumedb_sim::{Fault, FaultKind, Sim};
use proptest::prelude::*;

type View0 = Index<u64, (String, u64)>;

fn index() -> View0 {
    Index::new(1, |item: &u64| {
        [(format!("key {}", item % 97), *item), ("all".to_owned(), item.wrapping_mul(7919) % 1000)]
    })
    .cache_bytes(0)
}

fn checkpoint(next: u64) -> Checkpoint {
    let none: Option<Vec<u8>> = None;
    let fields = (vec![7_u8], ("index", 1, ""), "json", next.checked_sub(1), none, 0, Vec::<(u64, u64)>::new());
    Checkpoint::from_bytes(&rmp_serde::to_vec(&fields).unwrap()).unwrap()
}

fn open(view: &mut View0, storage: &Arc<dyn Storage>) -> Result<Option<Checkpoint>> {
    let log = Arc::new(MemoryLog::new(&Env::memory()).unwrap());
    let entries = Entries::new(log, |bytes| Json::<u64>::new().decode(bytes));
    view.open(&ViewContext { place: Some(Place { storage: storage.clone(), dir: "index".into() }), entries })
}

fn apply(view: &mut View0, items: std::ops::Range<u64>) -> Result<()> {
    view.apply(&Run::new(items.map(|item| Entry { seq: Seq::new(item), value: item }).collect::<Vec<_>>()))
}

/// Opens the store and asks it all there is to ask: the rows it shows.
fn interrogate(storage: &Arc<dyn Storage>) -> Result<Vec<((String, u64), Seq)>> {
    let mut view = index();
    let found = open(&mut view, storage)?;
    let reader = view.publish(&found.unwrap_or_else(|| checkpoint(0)))?;
    let rows: Vec<_> = reader.all().map(|row| row.map(|row| (row.key, row.seq))).collect::<Result<_>>()?;
    for (key, seq) in rows.iter().step_by(31) {
        let hits: Vec<Seq> = reader.get(key.clone()).seqs().collect::<Result<_>>()?;
        assert!(hits.contains(seq));
    }
    assert_eq!(view.retract(Seq::new(3), None)?, Retraction::Done);
    apply(&mut view, 10_000..10_400)?;
    let reader = view.publish(&checkpoint(10_400))?;
    assert!(reader.all().rev().collect::<Result<Vec<_>>>()?.len() >= 800);
    view.sync()?;
    Ok(rows)
}

fn expected() -> Vec<((String, u64), Seq)> {
    let keys = |item: u64| [(format!("key {}", item % 97), item), ("all".to_owned(), item.wrapping_mul(7919) % 1000)];
    let mut rows: Vec<_> = (0..3000).flat_map(|item| keys(item).map(|key| (key, Seq::new(item)))).collect();
    rows.sort();
    rows
}

/// A store of 3000 entries, as a program leaves it that closes it, or one that is killed.
fn stored(killed: bool) -> Vec<u8> {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    storage.create_dir_all("index".as_ref()).unwrap();
    let mut view = index();
    open(&mut view, &storage).unwrap();
    for part in 0..3 {
        apply(&mut view, part * 1000..(part + 1) * 1000).unwrap();
        view.publish(&checkpoint((part + 1) * 1000)).unwrap();
    }
    view.sync().unwrap();
    let file = storage.open("index/store".as_ref(), OpenMode::Read).unwrap();
    if killed {
        return read(&*file);
    }
    drop(view);
    read(&*file)
}

fn read(file: &dyn File) -> Vec<u8> {
    file.read(0, file.len().unwrap() as usize).unwrap().to_vec()
}

fn check(bytes: &[u8], what: &str) {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    storage.create_dir_all("index".as_ref()).unwrap();
    storage.open("index/store".as_ref(), OpenMode::CreateNew).unwrap().write_all(0, bytes).unwrap();
    match interrogate(&storage) {
        Ok(rows) => assert!(rows == expected(), "{what}: {} rows instead of 6000", rows.len()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}"),
    }
}

#[test]
fn what_is_not_damaged_is_read() {
    for killed in [false, true] {
        let bytes = stored(killed);
        assert!(bytes.len() > 100_000);
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        storage.create_dir_all("index".as_ref()).unwrap();
        storage.open("index/store".as_ref(), OpenMode::CreateNew).unwrap().write_all(0, &bytes).unwrap();
        assert!(interrogate(&storage).unwrap() == expected());
    }
}

#[test]
fn every_bit_of_the_header() {
    for killed in [false, true] {
        let bytes = stored(killed);
        for bit in 0..330 * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&bytes, &format!("bit {bit} flipped"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn flips_cuts_and_holes(killed: bool, at: prop::sample::Index, bit in 0..8_u32, how in 0..4) {
        let mut bytes = stored(killed);
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] ^= 1 << bit,
            1 => bytes.truncate(at),
            2 => {
                let end = (at + 4096).min(bytes.len());
                bytes[at..end].fill(0);
            }
            // A write that went to another place.
            _ => {
                let (block, blocks) = (4104, bytes.len() / 4104);
                let from = at / block % blocks * block;
                bytes.copy_within(from..from + block, blocks / 2 * block);
            }
        }
        if !bytes.is_empty() && at > 20 {
            check(&bytes, &format!("killed {killed}, at {at}, bit {bit}, how {how}"));
        }
    }
}

/// Every call to the disk fails once: the view says so, and what is found later is what was published and synced.
#[test]
fn every_call_that_fails() {
    use FaultKind::{Flip, Full, Interrupted, Io, Read, Short, Sync, SyncDir};
    for kind in [Io, Full, Interrupted, Short, Sync, SyncDir, Read, Flip] {
        for call in 0.. {
            let sim = Sim::new(call);
            sim.disk.create_dir_all("index".as_ref()).unwrap();
            sim.disk.sync_dir("".as_ref()).unwrap();
            let storage = sim.env.storage.clone();
            sim.disk.set_fault(Fault { kind, nth: call, lasting: false });
            let mut synced = 0;
            let outcome = (|| {
                let mut view = index();
                open(&mut view, &storage)?;
                for part in 0..3 {
                    apply(&mut view, part * 100..(part + 1) * 100)?;
                    view.publish(&checkpoint((part + 1) * 100))?;
                    view.sync()?;
                    synced = (part + 1) * 100;
                }
                Ok(())
            })();
            if let Err(error) = &outcome {
                let error: &flumedb::Error = error;
                let said = match kind {
                    Full => error.kind() == ErrorKind::StorageFull,
                    Flip => error.kind() == ErrorKind::Corrupt,
                    _ => error.kind() == ErrorKind::Io,
                };
                assert!(said, "{kind:?} at {call}: {error:?}");
            }
            let hit = sim.disk.clear_faults() > call;
            let mut view = index();
            let found = open(&mut view, &storage).unwrap_or_else(|error| panic!("{kind:?} at {call}: {error:?}"));
            let found = found.map_or(0, |found| found.since().unwrap().get() + 1);
            assert!(found >= synced, "{kind:?} at {call}: {found} instead of {synced}");
            assert_eq!(view.publish(&checkpoint(found)).unwrap().count().unwrap(), 2 * found);
            if !hit {
                assert!(outcome.is_ok() && synced == 300);
                break;
            }
        }
    }
}
