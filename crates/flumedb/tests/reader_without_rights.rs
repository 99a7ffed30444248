//! Guards against a reader that may not write and so cannot tell that nobody else does: it would look no further than a head
//! page from before a power cut, and not say so.
//!
//! Wants to mount a directory read-only, in a namespace of its own; says so where it cannot.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, which looks at the real disk")]

mod process_support;

use std::{fs, path::Path};

use flumedb::{
    Env, ErrorKind, Flume, Seq,
    codec::Utf8,
    log::{LogSettings, SegmentedLog, Sharing},
};
use process_support::{Mounted, in_own_namespace, skipped};

const TEST: &str = "a_reader_without_rights_sees_all_there_is";

fn append(dir: &Path, texts: &[&str]) {
    let db = Flume::open(dir, Utf8).blocking().unwrap();
    db.append_all(texts.iter().copied()).blocking().unwrap();
    db.close().blocking().unwrap();
}

#[test]
fn a_reader_without_rights_sees_all_there_is() {
    if !in_own_namespace(TEST, true) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (db, shown, backup) = (dir.path().join("db"), dir.path().join("shown"), dir.path().join("backup"));
    append(&db, &["a", "b"]);
    let head = fs::read(db.join("head")).unwrap();
    append(&db, &["c", "d"]);
    // As a power cut leaves it, since it is never synced while the log is open.
    fs::write(db.join("head"), head).unwrap();
    let mounted = Mounted::new(&["--bind"], &db, &shown).and_then(|mounted| {
        process_support::try_run(&["mount", "-o", "remount,bind,ro", shown.to_str().unwrap()]).map(|()| mounted)
    });
    let _mounted = match mounted {
        Ok(mounted) => mounted,
        Err(error) => return skipped(TEST, &format!("nothing can be mounted read-only here ({error})")),
    };
    let refused = SegmentedLog::open(&Env::os(), &shown, LogSettings::default()).err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::Io), "it can be written to");

    let head = || Flume::read_only(&shown, Utf8).blocking().unwrap().head();
    assert_eq!(head(), Some(Seq::new(3)));
    let back_up = || SegmentedLog::backup_at(&Env::os(), &shown, &backup, Sharing::Copy, |_, _| ()).unwrap();
    assert_eq!(back_up().head, Some(Seq::new(3)));
    assert_eq!(SegmentedLog::check(&Env::os(), &shown).unwrap().head, Some(Seq::new(3)));
    // Nor does it take a log that is written to for one that is not.
    let db = Flume::open(&db, Utf8).blocking().unwrap();
    assert!(Env::os().storage.is_locked(&shown.join("lock")).unwrap());
    db.append("e").blocking().unwrap();
    assert_eq!(head(), Some(Seq::new(4)));
    assert_eq!(back_up().head, Some(Seq::new(4)));
    db.close().blocking().unwrap();
    assert!(!Env::os().storage.is_locked(&shown.join("lock")).unwrap());
    assert!(!Env::os().storage.is_locked(&shown.join("nothing")).unwrap());
}
