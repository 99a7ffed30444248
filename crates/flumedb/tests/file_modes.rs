//! Guards against a file or directory of a database that other users of the machine can read, however careless the umask.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, which looks at the real disk")]

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use flumedb::{
    Env, Flume,
    codec::Json,
    env::OsStorage,
    views::{HashIndex, Index, Reduce},
};

/// Everything below a directory, with its mode.
fn modes(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
        found.push((path.clone(), mode));
        if path.is_dir() {
            found.extend(modes(&path));
        }
    }
    found
}

fn assert_modes(dir: &Path, file: u32, folder: u32) -> usize {
    let modes = modes(dir);
    for (path, mode) in &modes {
        let expected = if path.is_dir() { folder } else { file };
        assert_eq!(*mode, expected, "{} has mode {mode:o}", path.display());
    }
    modes.len()
}

/// Fills a database with views of each way of keeping files, closes it, tears its log and opens it again.
fn live(env: &Env, dir: &Path) {
    let open = || Flume::builder(Json::<u64>::new()).env(env.clone()).open(dir).blocking().unwrap();
    let db = open();
    let index = db.view("index", Index::new(1, |n: &u64| [*n])).blocking().unwrap();
    let hash = db.view("hash", HashIndex::new(1, |n: &u64| Some(n.to_string()))).blocking().unwrap();
    let sum = db.view("sum", Reduce::new(1, 0, |sum, n: &u64| *sum += n)).blocking().unwrap();
    db.append_all(0..1000).blocking().unwrap();
    index.read().blocking().unwrap();
    hash.read().blocking().unwrap();
    sum.read().blocking().unwrap();
    db.close().blocking().unwrap();
    let segment = modes(dir).into_iter().find(|(path, _)| path.extension().is_some_and(|ending| ending == "seg"));
    fs::OpenOptions::new().append(true).open(segment.unwrap().0).unwrap().write_all(&[7; 100]).unwrap();
    let db = open();
    assert!(db.recovery().is_some_and(|recovery| recovery.kept_in.is_some()), "the tail was kept");
    db.close().blocking().unwrap();
}

#[test]
fn whatever_is_made_is_for_its_owner_or_as_the_setting_says() {
    const INSIDE: &str = "FLUMEDB_TEST_UMASK";
    if std::env::var_os(INSIDE).is_none() {
        // The umask is the process's: a child has the one that allows everything.
        let mut child = Command::new("sh");
        child.args(["-c", "umask 0 && exec \"$0\" --nocapture"]).arg(std::env::current_exe().unwrap());
        assert!(child.env(INSIDE, "0").status().unwrap().success());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mine, ours) = (dir.path().join("a/mine"), dir.path().join("ours"));
    live(&Env::os(), &mine);
    assert!(assert_modes(&mine, 0o600, 0o700) >= 12);
    assert_eq!(mine.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(mine.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700, "made on the way");

    let group = Env { storage: Arc::new(OsStorage::for_group()), ..Env::os() };
    live(&group, &ours);
    assert_modes(&ours, 0o640, 0o750);

    // What somebody has chosen for a file that is there stays.
    let head = mine.join("head");
    fs::set_permissions(&head, fs::Permissions::from_mode(0o644)).unwrap();
    let db = Flume::open(&mine, Json::<u64>::new()).blocking().unwrap();
    db.append(&1).blocking().unwrap();
    db.close().blocking().unwrap();
    assert_eq!(head.metadata().unwrap().permissions().mode() & 0o777, 0o644);
}
