//! Guards against a command that writes an encrypted database's entries in the clear, one that cannot read it though it has
//! the keys, and one that changes something though it has not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::path::Path;

use support::{flume, flume_with, temp};

const SECRET: &str = "a-secret-that-nobody-reads";

/// Whether the secret stands in a file below `dir`.
fn leaks(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return leaks(&path);
        }
        std::fs::read(&path).unwrap().windows(SECRET.len()).any(|it| it == SECRET.as_bytes())
    })
}

#[test]
fn every_command_takes_the_keys_and_none_leaks() {
    let dir = temp();
    let at = dir.path();
    flume(at, &["keygen", "keys"]).fine();
    let line = format!(
        r#"{{"key":"%{SECRET}.sha256","value":{{"author":"@{SECRET}","content":{{"type":"post","text":"{SECRET}"}}}}}}"#
    );
    let lines = format!("{line}\n{line}\n{line}\n");
    assert_eq!(flume_with(at, &["append", "db", "--compress", "--key-file", "keys"], &lines).fine(), ["0", "1", "2"]);
    assert_eq!(flume(at, &["cat", "db", "--values", "--key-file", "keys"]).fine(), [&*line; 3]);
    assert_eq!(flume(at, &["get", "db", "1", "--values", "--key-file", "keys"]).fine(), [&line[..]]);
    flume(at, &["check", "db", "--key-file", "keys"]).fine();
    // Damage shows without keys.
    flume(at, &["check", "db"]).fine();
    let count = flume(
        at,
        &[
            "query",
            "db",
            "--where",
            r#"{"op":"equal","path":"value.content.type","value":"post"}"#,
            "--count",
            "--key-file",
            "keys",
        ],
    );
    assert_eq!(count.fine(), ["3"]);
    flume(at, &["rebuild", "db", "--key-file", "keys"]).fine();
    flume(at, &["check", "db", "--views", "--key-file", "keys"]).fine();
    flume(at, &["import", "db", "second", "--compress", "--key-file", "keys"]).fine();
    assert_eq!(flume(at, &["cat", "second", "--values", "--key-file", "keys"]).fine().len(), 3);
    assert!(flume(at, &["sql", "db", "SELECT count(*) FROM messages", "--key-file", "keys"]).failed(1).is_empty());
    flume(at, &["delete", "db", "1", "--key-file", "keys"]).fine();
    for db in ["db", "second"] {
        assert!(!leaks(&at.join(db)), "{db}");
    }

    flume(at, &["convert", "db", "plain", "--to", "flume", "--key-file", "keys", "--in-the-clear"]).fine();
    assert!(leaks(&at.join("plain")));
    assert_eq!(flume(at, &["cat", "plain", "--values"]).fine().len(), 2);
    flume(at, &["convert", "plain", "again", "--to", "flume", "--compress", "--key-file", "keys"]).fine();
    assert!(!leaks(&at.join("again")));
    assert_eq!(flume(at, &["cat", "again", "--values", "--key-file", "keys"]).fine().len(), 2);
}

#[test]
fn without_its_key_nothing_is_read_and_nothing_changed() {
    let dir = temp();
    let at = dir.path();
    flume(at, &["keygen", "keys"]).fine();
    flume(at, &["keygen", "others"]).fine();
    flume_with(at, &["append", "db", "--key-file", "keys"], "{}\n").fine();
    for wrong in [&[][..], &["--key-file", "others"]] {
        let with = |args: &[&str]| flume_with(at, &[args, wrong].concat(), "{}\n");
        for args in
            [&["append", "db"][..], &["delete", "db", "0"], &["cat", "db"], &["get", "db", "0"], &["repair", "db"]]
        {
            let ran = with(args);
            assert!(ran.err.contains("key 1"), "{args:?}: {ran:?}");
            ran.failed(2);
        }
    }
    // A check needs none, but one that is wrong is told, however slowly it reads.
    for slow in [&[][..], &["--rate", "5"]] {
        let check = |keys: &[&str]| flume(at, &[&["check", "db"], slow, keys].concat());
        let ran = check(&["--key-file", "others"]);
        assert!(ran.err.contains("another key 1"), "{slow:?}: {ran:?}");
        ran.failed(2);
        check(&[]).fine();
        check(&["--key-file", "keys"]).fine();
    }
    assert_eq!(flume(at, &["cat", "db", "--values", "--key-file", "keys"]).fine(), ["{}"]);

    // A second key is for what comes now; both are in the file.
    flume(at, &["keygen", "keys"]).fine();
    flume_with(at, &["append", "db", "--key-file", "keys"], "{\"b\":2}\n").fine();
    assert_eq!(flume(at, &["cat", "db", "--values", "--key-file", "keys"]).fine(), ["{}", "{\"b\":2}"]);
    let keys = std::fs::read_to_string(at.join("keys")).unwrap();
    assert_eq!(keys.lines().count(), 2);
    std::fs::write(at.join("newest"), keys.lines().last().unwrap()).unwrap();
    let ran = flume(at, &["get", "db", "0", "--key-file", "newest"]);
    assert!(ran.err.contains("key 1"), "{ran:?}");
    ran.failed(2);
    for (bad, says) in [("nowhere", "nowhere"), ("db", "db")] {
        assert!(flume(at, &["cat", "db", "--key-file", bad]).err.contains(says));
    }
    std::fs::write(at.join("bad"), "1 00ff").unwrap();
    let ran = flume(at, &["cat", "db", "--key-file", "bad"]);
    assert!(ran.err.contains("line 1") && !ran.err.contains("00ff"), "{ran:?}");
    ran.failed(2);
}

/// As an orchestrator mounts secrets: the file is a link to a link.
#[cfg(unix)]
#[test]
fn a_file_of_keys_may_be_a_link() {
    use std::os::unix::fs::symlink;

    let dir = temp();
    let at = dir.path();
    std::fs::create_dir_all(at.join("mounted/v1")).unwrap();
    symlink("v1", at.join("mounted/now")).unwrap();
    symlink("now/keys", at.join("mounted/keys")).unwrap();
    symlink("mounted/keys", at.join("keys")).unwrap();
    for args in [&["keygen", "keys"][..], &["cat", "db", "--key-file", "keys"]] {
        let ran = flume(at, args);
        assert!(ran.err.contains("cannot follow the link keys"), "{ran:?}");
        ran.failed(1);
    }
    flume(at, &["keygen", "mounted/v1/keys"]).fine();
    flume_with(at, &["append", "db", "--key-file", "keys"], "{}\n").fine();
    flume(at, &["keygen", "keys"]).fine();
    let keys = std::fs::read_to_string(at.join("mounted/v1/keys")).unwrap();
    assert_eq!(keys.lines().count(), 2);
    assert!(at.join("keys").is_symlink() && at.join("mounted/keys").is_symlink(), "the links are still links");
    assert_eq!(flume(at, &["cat", "db", "--values", "--key-file", "keys"]).fine(), ["{}"]);
}

/// Secrets are mounted so at times, and read; who puts a new one where others see it is told.
#[cfg(unix)]
#[test]
fn keygen_says_that_others_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let dir = temp();
    let at = dir.path();
    flume(at, &["keygen", "keys"]).fine();
    let set = |mode| std::fs::set_permissions(at.join("keys"), std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o666] {
        set(mode);
        let ran = flume(at, &["keygen", "keys"]);
        assert!(ran.err.contains(&format!("{mode:o}")) && ran.err.contains("`chmod 600 keys`"), "{mode:o}: {ran:?}");
        assert_eq!(ran.failed(0).len(), 1, "the key is there");
        flume_with(at, &["append", "db", "--key-file", "keys"], "{}\n").fine();
    }
    set(0o600);
    flume(at, &["keygen", "keys"]).fine();
    let keys = std::fs::read_to_string(at.join("keys")).unwrap();
    assert_eq!(keys.lines().count(), 6);
}
