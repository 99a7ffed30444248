//! Guards against a hash index that misses an entry, or ends the program, when one of its files is not as it was written: it
//! says `Corrupt`, or it is behind and takes in again what it lacks, or it answers right.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{path::PathBuf, sync::Arc};

use flumedb::{
    Entry, Env, ErrorKind, Result, Seq,
    codec::{Codec, Json},
    env::{MemoryStorage, OpenMode, Storage},
    log::{Batch, Log, MemoryLog},
    view::{Checkpoint, Entries, Place, Run, View, ViewContext},
    views::HashIndex,
};

const KEYS: u64 = 900;

fn checkpoint(next: u64) -> Checkpoint {
    let none: Option<Vec<u8>> = None;
    let fields = (vec![7_u8], ("hash-index", 1, ""), "json", next.checked_sub(1), none, 0, Vec::<(u64, u64)>::new());
    Checkpoint::from_bytes(&rmp_serde::to_vec(&fields).unwrap()).unwrap()
}

fn index() -> HashIndex<u64, u64> {
    HashIndex::new(1, |item: &u64| [*item]).recent(200)
}

fn run_of(items: std::ops::Range<u64>) -> Run<u64> {
    Run::new(items.map(|item| Entry { seq: Seq::new(item), value: item }).collect::<Vec<_>>())
}

fn open(
    view: &mut HashIndex<u64, u64>,
    storage: &Arc<dyn Storage>,
    log: &Arc<MemoryLog>,
) -> Result<Option<Checkpoint>> {
    let entries = Entries::new(log.clone(), |bytes| Json::<u64>::new().decode(bytes));
    view.open(&ViewContext { place: Some(Place { storage: storage.clone(), dir: "view".into() }), entries })
}

/// Opens what is there, lets it catch up, and asks for everything.
fn interrogate(storage: &Arc<dyn Storage>, log: &Arc<MemoryLog>) -> Result<()> {
    let mut view = index();
    let next = open(&mut view, storage, log)?.and_then(|at| at.since()).map_or(0, |since| since.get() + 1);
    assert!(next <= KEYS);
    view.apply(&run_of(next..KEYS))?;
    let reader = view.publish(&checkpoint(KEYS))?;
    for key in 0..KEYS {
        let candidates = reader.candidates(&key).collect::<Result<Vec<_>>>()?;
        assert!(candidates.contains(&Seq::new(key)), "{key} is missing");
    }
    view.sync()
}

fn copy(files: &[(PathBuf, Vec<u8>)]) -> Arc<dyn Storage> {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    storage.create_dir_all("view".as_ref()).unwrap();
    for (path, bytes) in files {
        storage.open(path, OpenMode::CreateNew).unwrap().write_all(0, bytes).unwrap();
    }
    storage
}

#[test]
fn any_file_changed_cut_or_gone_is_told_or_made_good() {
    let log = Arc::new(MemoryLog::new(&Env::memory()).unwrap());
    let mut batch = Batch::new();
    (0..KEYS).for_each(|key| batch.push(key.to_string().as_bytes()));
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(log.append(batch)).unwrap();
    let storage = copy(&[]);
    let mut view = index();
    open(&mut view, &storage, &log).unwrap();
    for from in (0..850).step_by(50) {
        view.apply(&run_of(from..from + 50)).unwrap();
        view.publish(&checkpoint(from + 50)).unwrap();
    }
    view.sync().unwrap();
    // What was published behind that is nowhere but at the end of the journal.
    view.apply(&run_of(850..880)).unwrap();
    view.publish(&checkpoint(880)).unwrap();
    drop(view);
    let read = |name: &String| {
        let path = PathBuf::from("view").join(name);
        let file = storage.open(&path, OpenMode::Read).unwrap();
        let bytes = file.read(0, file.len().unwrap() as usize).unwrap().to_vec();
        (path, bytes)
    };
    let files: Vec<_> = storage.list("view".as_ref()).unwrap().iter().map(read).collect();
    assert!(files.iter().any(|(path, _)| path.extension().is_some_and(|ending| ending == "run")), "{files:?}");
    interrogate(&copy(&files), &log).unwrap();
    let (mut told, mut good) = (0, 0);
    let mut try_with = |files: &[(PathBuf, Vec<u8>)]| match interrogate(&copy(files), &log) {
        Ok(()) => good += 1,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            told += 1;
        }
    };
    for which in 0..files.len() {
        let len = files[which].1.len();
        for at in (0..len).step_by(len / 150 + 1).chain([len.saturating_sub(1)]) {
            let mut changed = files.clone();
            if let Some(byte) = changed[which].1.get_mut(at) {
                *byte ^= 0x41;
                try_with(&changed);
            }
            changed[which].1.truncate(at);
            try_with(&changed);
        }
        let mut gone = files.clone();
        gone.remove(which);
        try_with(&gone);
    }
    assert!(told > 50 && good > 20, "{told} told, {good} made good");
}
