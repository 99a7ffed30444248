//! Guards against a second sync after a failed one: the system has dropped the pages and says that all is well, and what
//! was never on the disk would count as durable.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use bytes::Bytes;
use flumedb::env::{File, Latched, Lock, MemoryStorage, OpenMode, PathKind, Storage, Watch};
use flumedb_sim::{Fault, FaultKind, Sim, SimDisk};

fn latched(sim: &Sim) -> Latched<SimDisk> {
    Latched::new(Arc::new(sim.disk.clone()))
}

/// Every call that changes something fails on `storage`, and reads work.
fn assert_only_reads(storage: &Latched<SimDisk>, file: &dyn File) {
    assert!(file.write(0, b"more").is_err());
    assert!(file.set_len(1).is_err());
    assert!(file.allocate(10_000).is_err());
    assert!(file.sync().is_err());
    assert!(storage.open("b".as_ref(), OpenMode::CreateNew).is_err());
    assert!(storage.open("a".as_ref(), OpenMode::Write).is_err());
    assert!(storage.create_dir_all("d".as_ref()).is_err());
    assert!(storage.rename("a".as_ref(), "b".as_ref()).is_err());
    assert!(storage.remove("a".as_ref()).is_err());
    assert!(storage.sync_dir(Path::new("")).is_err());
    assert_eq!(file.read(0, 4).unwrap(), "kept");
    assert_eq!(storage.list(Path::new("")).unwrap(), ["a"]);
    assert_eq!(storage.open("a".as_ref(), OpenMode::Read).unwrap().len().unwrap(), 4);
}

#[test]
fn after_a_failed_sync_nothing_is_written_and_reads_work() {
    for kind in [FaultKind::Sync, FaultKind::SyncDir] {
        let sim = Sim::new(1);
        let storage = latched(&sim);
        let file = storage.open("a".as_ref(), OpenMode::CreateNew).unwrap();
        file.write_all(0, b"kept").unwrap();
        file.sync().unwrap();
        assert_eq!(storage.failure(), None);
        sim.disk.set_fault(Fault { kind, nth: 0, lasting: false });
        let failed = if kind == FaultKind::Sync { file.sync() } else { storage.sync_dir(Path::new("")) };
        assert!(failed.is_err());
        assert!(storage.failure().unwrap().contains("EIO"));
        assert_only_reads(&storage, &*file);
    }
}

#[test]
fn a_failed_write_latches_unless_the_disk_is_full_or_the_call_was_interrupted() {
    for (kind, latches) in [(FaultKind::Io, true), (FaultKind::Full, false), (FaultKind::Interrupted, false)] {
        let sim = Sim::new(1);
        let storage = latched(&sim);
        let file = storage.open("a".as_ref(), OpenMode::CreateNew).unwrap();
        file.write_all(0, b"kept").unwrap();
        sim.disk.set_fault(Fault { kind, nth: 0, lasting: false });
        let error = file.write(0, b"lost").unwrap_err();
        assert_eq!(error.kind() == io::ErrorKind::StorageFull, kind == FaultKind::Full);
        if latches {
            assert_only_reads(&storage, &*file);
        } else {
            assert_eq!(storage.failure(), None);
            file.write_all(0, b"more").unwrap();
            file.sync().unwrap();
        }
    }
}

/// A storage of which the first sync fails, once a second one has begun or had time to.
#[derive(Default)]
struct TellsOnce {
    memory: MemoryStorage,
    syncs: Arc<(Mutex<u32>, Condvar)>,
}

struct TellsOnceFile {
    file: Arc<dyn File>,
    syncs: Arc<(Mutex<u32>, Condvar)>,
}

impl Storage for TellsOnce {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.memory.open(path, mode)?;
        Ok(Arc::new(TellsOnceFile { file, syncs: self.syncs.clone() }))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.memory.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.memory.list(dir)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        self.memory.kind(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.memory.remove(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.memory.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.memory.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.memory.lock(path)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.memory.is_locked(path)
    }

    fn watch(&self, path: &Path) -> io::Result<Box<dyn Watch>> {
        self.memory.watch(path)
    }
}

impl File for TellsOnceFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.file.read(offset, len)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let (syncs, begun) = &*self.syncs;
        let mut syncs = syncs.lock().unwrap();
        *syncs += 1;
        begun.notify_all();
        if *syncs > 1 {
            return Ok(());
        }
        let patience = Duration::from_millis(200);
        drop(begun.wait_timeout_while(syncs, patience, |syncs| *syncs < 2).unwrap());
        Err(io::Error::other("told once"))
    }
}

#[test]
fn two_that_sync_at_once_are_both_told_of_a_failure() {
    let storage = Latched::new(Arc::new(TellsOnce::default()));
    let file = storage.open("a".as_ref(), OpenMode::CreateNew).unwrap();
    let answers = thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| file.sync()));
        both.map(|thread| thread.join().unwrap())
    });
    assert!(answers.iter().all(Result::is_err), "one of two was told that all is well");
}
