//! Guards against bad input that changes something, or is answered by a panic or a riddle: no file, no rights, no log, a
//! newer log, no such entry, no JSON.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use support::{database, files, flume, flume_with, temp};

const READING: [&[&str]; 8] =
    [&["cat"], &["since"], &["get", "0"], &["stat"], &["check"], &["check", "--json"], &["query"], &["tail"]];
const WRITING: [&[&str]; 3] = [&["append"], &["delete", "0"], &["repair"]];

/// Runs a command on a path: `["get", "0"]` on `x` is `flume get x 0`.
fn on(dir: &std::path::Path, command: &[&str], path: &str) -> support::Ran {
    let mut args = vec![command[0], path];
    args.extend(&command[1..]);
    flume_with(dir, &args, "1\n")
}

#[test]
fn what_is_no_log_is_told_of_in_one_sentence_and_left_alone() {
    let dir = temp();
    std::fs::write(dir.path().join("text"), "Dear diary, this is no log.").unwrap();
    std::fs::write(dir.path().join("zeros"), [0; 4096]).unwrap();
    std::fs::create_dir(dir.path().join("directory")).unwrap();
    std::fs::write(dir.path().join("directory/file"), "x").unwrap();
    let before = files(dir.path());
    for path in ["text", "zeros", "directory"] {
        for command in READING.iter().chain(&WRITING) {
            let ran = on(dir.path(), command, path);
            assert!(ran.lines.is_empty() || command[0] == "check", "{command:?} {path}: {ran:?}");
            let ran_again = format!("{ran:?}");
            assert!(ran.err.contains(path), "{ran_again}");
            ran.failed(1);
        }
        flume(dir.path(), &["import", path, "db"]).failed(1);
    }
    let after: Vec<_> = files(dir.path()).into_iter().filter(|(path, _)| path.extension().is_none()).collect();
    assert_eq!(after, before);
}

#[test]
fn what_fails_leaves_nothing_behind() {
    let dir = temp();
    flume_with(dir.path(), &["append", "nodb"], "no json").failed(2);
    assert!(!dir.path().join("nodb").exists());
    std::fs::write(dir.path().join("garbage"), [7; 300]).unwrap();
    let ran = flume(dir.path(), &["repair", "garbage"]);
    assert!(!ran.err.contains("--skip-damage"), "{ran:?}");
    ran.failed(1);
    assert!(!dir.path().join("garbage.lock").exists());
    database(dir.path(), "db", &["1", "2"]);
    for name in ["db", "./db"] {
        flume(dir.path(), &["import", name, "db", "--source", "x"]).failed(2);
    }
    assert_eq!(flume(dir.path(), &["cat", "db"]).fine().len(), 2);
}

#[test]
fn a_log_from_a_newer_version_is_left_alone() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2"]);
    let (segment, mut bytes) = files(&dir.path().join("db"))
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|ending| ending == "seg"))
        .unwrap();
    newer(&mut bytes);
    std::fs::write(&segment, &bytes).unwrap();
    let before = files(dir.path());
    for command in READING.iter().chain(&WRITING).filter(|command| command[0] != "tail") {
        let ran = on(dir.path(), command, "db");
        assert_eq!(ran.code, 1, "{command:?}: {ran:?}");
        assert!(ran.err.contains("newer"), "{command:?}: {ran:?}");
    }
    assert_eq!(files(dir.path()), before);
}

/// Makes a segment one of a version that is not there yet: the number after the magic, and the checksum that closes the
/// header, whose length stands behind the number.
fn newer(bytes: &mut [u8]) {
    bytes[8] = 99;
    let sum_at = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize - 4;
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[..sum_at]) as u32;
    bytes[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_deletion_of_what_is_not_there_deletes_nothing() {
    let dir = temp();
    database(dir.path(), "db", &["1", "2"]);
    for bad in ["2", "-1", "18446744073709551615"] {
        flume(dir.path(), &["delete", "db", "0", bad]).failed(1);
    }
    assert_eq!(flume(dir.path(), &["cat", "db"]).fine().len(), 2);
    flume(dir.path(), &["delete", "db", "0"]).fine();
    flume(dir.path(), &["delete", "db", "0"]).fine();
}

#[test]
fn a_directory_without_rights_is_a_failure_of_the_system() {
    use std::os::unix::fs::PermissionsExt;
    let dir = temp();
    database(dir.path(), "db", &["1"]);
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::rename(dir.path().join("db"), closed.join("db")).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Who may do anything is not stopped by rights.
    if std::fs::read_dir(&closed).is_err() {
        for command in READING {
            on(dir.path(), command, "closed/db").failed(3);
        }
    }
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(flume(dir.path(), &["cat", "closed/db"]).fine().len(), 1);
}
