//! Guards against a flumelog-level directory that the program cannot take in, changes, or takes in twice.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::path::Path;

use support::{files, flume, temp};

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flumedb-ssb/fixtures/level").join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn it_is_printed_and_checked_and_left_as_it_is() {
    let (dir, path) = (temp(), fixture("log"));
    let before = files(Path::new(&path));
    let lines = flume(dir.path(), &["cat", &path]).fine();
    assert_eq!(lines.len(), 120);
    assert!(lines[0].starts_with("{\"seq\":") && lines[0].contains("\"value\":{\"n\":0,"), "{}", lines[0]);
    let mut reverse = flume(dir.path(), &["cat", &path, "--reverse"]).fine();
    reverse.reverse();
    assert_eq!(reverse, lines);
    let head = flume(dir.path(), &["since", &path]).fine().remove(0);
    assert_eq!(flume(dir.path(), &["get", &path, &head]).fine(), lines[119..]);
    assert_eq!(flume(dir.path(), &["cat", &path, "--gte", &head]).fine(), lines[119..]);
    let report = flume(dir.path(), &["check", &path, "--json"]).json();
    assert_eq!((&report["format"], &report["entries"], &report["ok"]), (&"level".into(), &120.into(), &true.into()));
    for args in [&["append", &path][..], &["delete", &path, &head], &["repair", &path]] {
        flume(dir.path(), args).failed(1);
    }
    assert_eq!(files(Path::new(&path)), before);
}

#[test]
fn every_entry_is_imported_once() {
    let dir = temp();
    for (name, count) in [("log", 120), ("tables", 455)] {
        let path = fixture(name);
        assert_eq!(
            flume(dir.path(), &["import", &path, name]).fine().last().unwrap().split(' ').nth(1),
            Some(&*count.to_string())
        );
        let again = flume(dir.path(), &["import", &path, name]).fine();
        assert!(again.last().unwrap().starts_with("imported 0 entries"), "{again:?}");
        let values = flume(dir.path(), &["cat", name, "--values"]).fine();
        assert_eq!(values, flume(dir.path(), &["cat", &path, "--values"]).fine());
        assert_eq!(values.len(), count);
    }
}

#[test]
fn what_is_damaged_is_told_of_and_the_rest_is_imported() {
    let dir = temp();
    std::fs::create_dir(dir.path().join("level")).unwrap();
    for (path, mut bytes) in files(Path::new(&fixture("tables"))) {
        let name = path.file_name().unwrap();
        if name == "000007.ldb" {
            bytes[100] ^= 1;
        }
        std::fs::write(dir.path().join("level").join(name), bytes).unwrap();
    }
    let ran = flume(dir.path(), &["import", "level", "db"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("000007.ldb is damaged at byte 0"), "{ran:?}");
    let values = flume(dir.path(), &["cat", "db", "--values"]).fine();
    assert!((430..455).contains(&values.len()), "{}", values.len());
}
