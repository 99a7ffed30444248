//! Guards against a file that the program makes and that other users of the machine can read, however careless the umask:
//! the log, what its views keep (SQLite's files too), converted and repaired logs and what is kept beside them.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test, which looks at the real disk"
)]

mod support;

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path, process::Command};

use support::{sample, temp};

/// Runs `flume ARGS…` in `dir` with the umask that allows everything.
fn flume(dir: &Path, args: &[&str]) {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_flume")]).args(args).current_dir(dir);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Asserts the modes of everything below, and says how many files have each of these endings.
fn look(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{} has mode {mode:o}", path.display());
        found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        if path.is_dir() {
            look(&path, found);
        }
    }
}

#[test]
fn what_the_program_makes_is_for_its_owner() {
    let dir = temp();
    let sample = sample();
    flume(dir.path(), &["import", &sample, "db"]);
    flume(dir.path(), &["query", "db", "--type", "post", "--count"]);
    flume(dir.path(), &["sql", "db", "SELECT count(*) FROM messages"]);
    flume(dir.path(), &["convert", &sample, "log.bipf", "--to", "aaol", "--codec", "bipf"]);
    flume(dir.path(), &["convert", &sample, "log.offset", "--to", "offset48"]);
    fs::OpenOptions::new().append(true).open(dir.path().join("log.offset")).unwrap().write_all(&[1, 2, 3]).unwrap();
    flume(dir.path(), &["repair", "log.offset"]);
    let mut found = Vec::new();
    look(dir.path(), &mut found);
    for name in ["head", "lock", "store", "store.sqlite", "log.bipf", "log.offset.torn"] {
        assert!(found.iter().any(|found| found == name), "no {name} among {found:?}");
    }
}
