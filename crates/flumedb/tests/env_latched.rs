//! Guards against a second sync after a failed one: the system has dropped the pages and says that all is well, and what
//! was never on the disk would count as durable.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::{io, path::Path, sync::Arc};

use flumedb::env::{Latched, OpenMode, Storage};
use flumedb_sim::{Fault, FaultKind, Sim, SimDisk};

fn latched(sim: &Sim) -> Latched<SimDisk> {
    Latched::new(Arc::new(sim.disk.clone()))
}

/// Every call that changes something fails on `storage`, and reads work.
fn assert_only_reads(storage: &Latched<SimDisk>, file: &dyn flumedb::env::File) {
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
