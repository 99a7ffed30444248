//! Guards against clones of files, which only some file systems have: that they do not hold what their file holds, can be read
//! by others than their file, or are made of something that is no file of ours.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on ends")]

mod process_support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Arc,
};

use flumedb::{
    Env, Flume,
    codec::Utf8,
    env::{OsStorage, Storage},
    log::{SegmentedLog, Sharing},
};
use process_support::{Image, Mounted, in_own_namespace, run, skipped};

const TEST: &str = "a_backup_of_clones_is_whole_and_as_private_as_its_log";

#[test]
fn a_backup_of_clones_is_whole_and_as_private_as_its_log() {
    if !in_own_namespace(TEST, false) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let memory = Mounted::tmpfs(scratch.path(), "600m");
    for kind in ["btrfs", "xfs"] {
        if !Image::can_be(kind) {
            skipped(&format!("clones on {kind}"), &format!("there is no mkfs.{kind}"));
            continue;
        }
        let image = Image::create(kind, &memory.dir().join("disk.img")).unwrap();
        match image.mount(&memory.dir().join("disk")) {
            Ok(mounted) => live(&mounted),
            Err(error) => skipped(&format!("clones on {kind}"), &error),
        }
        image.remove();
    }
}

fn live(disk: &Mounted) {
    let (log, backup, restored) = (disk.dir().join("log"), disk.dir().join("backup"), disk.dir().join("restored"));
    let env = Env { storage: Arc::new(OsStorage::for_group()), ..Env::os() };
    let open = |dir| Flume::builder(Utf8).env(env.clone()).set(|all| all.log.segment_bytes = 64 << 10).open(dir);
    let db = open(&log).blocking().unwrap();
    for round in 0..3_u64 {
        for number in 0..40 {
            db.append_all((0..50).map(|of| format!("entry {of} of {number} in {round}"))).blocking().unwrap();
        }
        let done = db.backup(&backup, Sharing::Share).blocking().unwrap();
        assert!(done.cloned > 0 && done.linked == 0, "{done:?}");
        let verified = SegmentedLog::verify(&env, &backup).unwrap();
        assert!(verified.report.is_ok() && verified.report.entries == (round + 1) * 2_000, "{verified:?}");
    }
    db.close().blocking().unwrap();
    SegmentedLog::restore(&env, &backup, &restored, |_, _| ()).unwrap();
    for dir in [&log, &backup, &restored] {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o640, "{} has mode {mode:o}", entry.path().display());
        }
    }
    let db = open(&restored).blocking().unwrap();
    assert_eq!(db.scan(..).blocking().map(Result::unwrap).count(), 6_000);
    db.close().blocking().unwrap();
}

#[test]
fn nothing_is_cloned_but_a_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "somebody else's").unwrap();
    symlink(at("file"), at("link")).unwrap();
    run(&["mkfifo", at("pipe").to_str().unwrap()]);
    for from in ["link", "pipe"] {
        // A pipe must not be waited for, either.
        OsStorage::new().reflink(&at(from), &at("clone")).unwrap_err();
        assert!(!at("clone").exists(), "a clone of a {from}");
    }
}
