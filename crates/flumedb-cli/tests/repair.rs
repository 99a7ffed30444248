//! Guards against a repair that loses bytes: it cuts only a torn tail, keeps what it cuts, and refuses damage unless told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use support::{copy, database, files, flume, temp};

#[test]
fn a_torn_tail_is_cut_and_kept() {
    let dir = temp();
    for name in ["torn-cut5-32.log", "torn-cutmid-48.log", "torn-garbage40-53.log"] {
        let path = copy(dir.path(), name);
        let before = std::fs::read(&path).unwrap();
        flume(dir.path(), &["repair", name]).fine();
        let after = std::fs::read(&path).unwrap();
        let kept = std::fs::read(path.with_added_extension("torn")).unwrap();
        assert_eq!([after, kept].concat(), before, "{name}");
        flume(dir.path(), &["check", name]).fine();
        assert_eq!(flume(dir.path(), &["repair", name]).fine(), ["there was nothing to repair"]);
    }
}

#[test]
fn what_is_whole_is_left_alone() {
    let dir = temp();
    let path = copy(dir.path(), "json-32.log");
    let before = std::fs::read(&path).unwrap();
    flume(dir.path(), &["repair", "json-32.log"]).fine();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    database(dir.path(), "db", &["1", "2"]);
    let lines = flume(dir.path(), &["cat", "db"]).fine();
    flume(dir.path(), &["repair", "db"]).fine();
    assert_eq!(flume(dir.path(), &["cat", "db"]).fine(), lines);
}

#[test]
fn damage_is_refused_unless_told_otherwise() {
    let dir = temp();
    let path = copy(dir.path(), "json-32.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let whole = flume(dir.path(), &["cat", "json-32.log"]).fine();
    bytes[99] ^= 1;
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&path, &bytes).unwrap();
    let ran = flume(dir.path(), &["repair", "json-32.log"]);
    assert!(ran.err.contains("--skip-damage"), "{ran:?}");
    ran.failed(1);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);

    flume(dir.path(), &["repair", "json-32.log", "--skip-damage"]).fine();
    assert_eq!(std::fs::read(path.with_added_extension("damaged")).unwrap(), bytes[99..121]);
    let kept = std::fs::read(path.with_added_extension("torn")).unwrap();
    assert!(bytes.ends_with(&kept) && !kept.is_empty());
    let mended = flume(dir.path(), &["cat", "json-32.log"]).fine();
    let expected: Vec<_> = whole[..whole.len() - 1].iter().filter(|line| !line.starts_with("{\"seq\":99,")).collect();
    assert_eq!(mended.iter().collect::<Vec<_>>(), expected, "positions stay, the damaged entry is gone");
    assert_eq!(flume(dir.path(), &["get", "json-32.log", "99"]).failed(1), [r#"{"seq":99,"deleted":true}"#]);
}

#[test]
fn a_damaged_database_too() {
    let dir = temp();
    for value in ["\"first\"", "\"marker\"", "\"last\""] {
        database(dir.path(), "db", &[value]);
    }
    let (path, mut bytes) = files(&dir.path().join("db"))
        .into_iter()
        .find(|(_, bytes)| bytes.windows(6).any(|window| window == b"marker"))
        .unwrap();
    let at = bytes.windows(6).position(|window| window == b"marker").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    flume(dir.path(), &["repair", "db"]).failed(1);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    flume(dir.path(), &["repair", "db", "--skip-damage"]).fine();
    flume(dir.path(), &["check", "db"]).fine();
    assert_eq!(flume(dir.path(), &["cat", "db", "--values"]).fine(), ["\"first\"", "\"last\""]);
    let kept = files(&dir.path().join("db")).into_iter().any(|(_, kept)| kept == bytes);
    assert!(kept, "the damaged file is kept");
}

#[test]
fn what_is_no_log_is_left_alone() {
    let dir = temp();
    std::fs::write(dir.path().join("garbage"), [7; 300]).unwrap();
    for args in [&["repair", "garbage"][..], &["repair", "garbage", "--skip-damage"]] {
        flume(dir.path(), args).failed(1);
        assert_eq!(std::fs::read(dir.path().join("garbage")).unwrap(), [7; 300]);
    }
}
