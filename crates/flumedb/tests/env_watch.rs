//! Guards against a follower in another process that sleeps on although the writer's file has changed, or that is woken
//! all the time by files that are none of its business.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on ends")]

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use flumedb::env::{MemoryStorage, OpenMode, OsStorage, Storage};

const LONG: Duration = Duration::from_secs(20);

/// Waits while another handle does `change`; how long that took.
fn waited(storage: &dyn Storage, path: &Path, change: impl Fn() + Sync) -> Duration {
    let mut watch = storage.watch(path).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(&change);
        watch.wait(LONG);
    });
    start.elapsed()
}

#[test]
fn a_write_from_another_handle_wakes_the_waiter() {
    let dir = tempfile::tempdir().unwrap();
    let stores: [(&dyn Storage, _); 2] =
        [(&OsStorage::new(), dir.path().join("head")), (&MemoryStorage::new(), "head".into())];
    for (storage, path) in stores {
        storage.open(&path, OpenMode::CreateNew).unwrap();
        for _ in 0..20 {
            let took = waited(storage, &path, || {
                storage.open(&path, OpenMode::Write).unwrap().write_all(0, b"new").unwrap();
            });
            assert!(took < LONG, "slept on although the file had changed");
        }
    }
}

#[test]
fn a_change_before_the_wait_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let storage = OsStorage::new();
    let path = dir.path().join("head");
    let file = storage.open(&path, OpenMode::CreateNew).unwrap();
    let mut watch = storage.watch(&path).unwrap();
    file.write_all(0, b"new").unwrap();
    let start = Instant::now();
    watch.wait(LONG);
    assert!(start.elapsed() < LONG);
}

#[test]
fn a_file_that_comes_to_be_or_is_replaced_wakes_the_waiter() {
    let dir = tempfile::tempdir().unwrap();
    let storage = OsStorage::new();
    let (path, new) = (dir.path().join("head"), dir.path().join("new"));
    for _ in 0..2 {
        let took = waited(&storage, &path, || {
            storage.open(&new, OpenMode::CreateNew).unwrap();
            storage.rename(&new, &path).unwrap();
        });
        assert!(took < LONG);
    }
}

#[test]
fn other_files_and_nothing_at_all_do_not_wake_the_waiter() {
    let dir = tempfile::tempdir().unwrap();
    let storage = OsStorage::new();
    let path = dir.path().join("head");
    storage.open(&path, OpenMode::CreateNew).unwrap();
    let other = storage.open(&dir.path().join("other"), OpenMode::CreateNew).unwrap();
    let mut watch = storage.watch(&path).unwrap();
    other.write_all(0, b"new").unwrap();
    let (start, short) = (Instant::now(), Duration::from_millis(50));
    watch.wait(short);
    assert!(start.elapsed() >= short);
}
