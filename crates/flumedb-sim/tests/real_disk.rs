//! Guards against a simulator that is unlike a real disk: the same calls must give the same answers and leave the same
//! files on both, or every test on the simulated disk proves nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{fmt, io, path::Path, sync::Arc};

use flumedb::env::{File, OpenMode, OsStorage, PathKind, Storage};
use flumedb_sim::Sim;
use proptest::prelude::*;

const NAMES: [&str; 6] = ["a", "b", "d", "d/a", "d/e", "d/e/f"];

#[derive(Clone, Debug)]
enum Op {
    Create(&'static str),
    Write(&'static str, u64, usize, u8),
    SetLen(&'static str, u64),
    Allocate(&'static str, u64),
    Read(&'static str, u64, usize),
    CreateDirs(&'static str),
    Rename(&'static str, &'static str),
    Remove(&'static str),
    RemoveDir(&'static str),
    List(&'static str),
    Kind(&'static str),
    Sync(&'static str),
}

fn op() -> impl Strategy<Value = Op> {
    let name = || prop::sample::select(&NAMES[..]);
    let place = || prop_oneof![0..20u64, 500..530u64, 4000..9000u64];
    prop_oneof![
        3 => name().prop_map(Op::Create),
        6 => (name(), place(), 0..6000usize, any::<u8>()).prop_map(|(n, at, len, b)| Op::Write(n, at, len, b)),
        2 => (name(), place()).prop_map(|(n, len)| Op::SetLen(n, len)),
        1 => (name(), place()).prop_map(|(n, len)| Op::Allocate(n, len)),
        4 => (name(), place(), 0..6000usize).prop_map(|(n, at, len)| Op::Read(n, at, len)),
        2 => name().prop_map(Op::CreateDirs),
        3 => (name(), name()).prop_map(|(from, to)| Op::Rename(from, to)),
        1 => name().prop_map(Op::Remove),
        1 => name().prop_map(Op::RemoveDir),
        1 => name().prop_map(Op::List),
        1 => name().prop_map(Op::Kind),
        1 => name().prop_map(Op::Sync),
    ]
}

fn with(
    storage: &dyn Storage,
    path: &Path,
    act: impl FnOnce(Arc<dyn File>) -> io::Result<String>,
) -> io::Result<String> {
    act(storage.open(path, OpenMode::Write)?)
}

fn said(answer: impl fmt::Debug) -> io::Result<String> {
    Ok(format!("{answer:?}"))
}

/// Does `op` below `root`; what it says, or how it fails.
fn act(storage: &dyn Storage, root: &Path, op: &Op) -> Result<String, io::ErrorKind> {
    let at = |name: &str| root.join(name);
    let answer = match op {
        Op::Create(name) => storage.open(&at(name), OpenMode::CreateNew).and_then(|file| said(file.len()?)),
        Op::Write(name, offset, len, byte) => {
            with(storage, &at(name), |file| said(file.write(*offset, &vec![*byte; *len])?))
        }
        Op::SetLen(name, len) => with(storage, &at(name), |file| said(file.set_len(*len)?)),
        Op::Allocate(name, len) => with(storage, &at(name), |file| said(file.allocate(*len)?)),
        Op::Read(name, offset, len) => with(storage, &at(name), |file| said(file.read(*offset, *len)?)),
        Op::CreateDirs(name) => storage.create_dir_all(&at(name)).and_then(said),
        Op::Rename(from, to) => {
            // With several things wrong, each system complains of another one.
            let moved = storage.rename(&at(from), &at(to)).map_err(|_| io::ErrorKind::Other);
            moved.map_err(io::Error::from).and_then(said)
        }
        Op::Remove(name) => storage.remove(&at(name)).and_then(said),
        Op::RemoveDir(name) => storage.remove_dir_all(&at(name)).and_then(said),
        Op::List(name) => storage.list(&at(name)).and_then(said),
        Op::Kind(name) => storage.kind(&at(name)).and_then(said),
        Op::Sync(name) => with(storage, &at(name), |file| said(file.sync()?)),
    };
    answer.map_err(|error| error.kind())
}

/// Every file below `dir` and its bytes.
fn contents(storage: &dyn Storage, dir: &Path, found: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for name in storage.list(dir)? {
        let path = dir.join(&name);
        if storage.kind(&path)? == Some(PathKind::Dir) {
            found.push((name, Vec::new()));
            contents(storage, &path, found)?;
        } else {
            let file = storage.open(&path, OpenMode::Read)?;
            found.push((name, file.read(0, usize::try_from(file.len()?).unwrap())?.to_vec()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_calls_have_the_same_outcome_on_both(ops in prop::collection::vec(op(), 1..40)) {
        let sim = Sim::new(1);
        let real = OsStorage::new();
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new("root");
        sim.disk.create_dir_all(root).unwrap();
        for op in &ops {
            prop_assert_eq!(act(&sim.disk, root, op), act(&real, dir.path(), op), "{:?}", op);
        }
        let (mut simulated, mut existing) = (Vec::new(), Vec::new());
        contents(&sim.disk, root, &mut simulated).unwrap();
        contents(&real, dir.path(), &mut existing).unwrap();
        prop_assert_eq!(simulated, existing);
    }
}

#[test]
fn a_lock_is_held_once_and_free_after_its_guard() {
    let dir = tempfile::tempdir().unwrap();
    let sim = Sim::new(1);
    for (storage, path) in [(&sim.disk as &dyn Storage, "lock".into()), (&OsStorage::new(), dir.path().join("lock"))] {
        let held = storage.lock(&path).unwrap().unwrap();
        assert!(storage.lock(&path).unwrap().is_none());
        drop(held);
        assert!(storage.lock(&path).unwrap().is_some());
    }
}
