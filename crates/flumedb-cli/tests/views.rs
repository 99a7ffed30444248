//! Guards against views that are not there after an import, or of which nobody can tell how far they are.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use serde_json::{Value, json};
use support::{Running, copy, files, flume, flume_with, sample, temp};

const NAMES: [&str; 4] = ["by-key", "by-author", "by-type", "by-time"];

fn stat(dir: &std::path::Path, path: &str) -> Value {
    let ran = flume(dir, &["stat", path, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.json()
}

#[test]
fn an_import_builds_the_default_views_and_stat_says_how_far_each_is() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    let object = stat(dir.path(), "db");
    assert_eq!((&object["entries"], &object["head"], &object["format"]), (&json!(1000), &json!(999), &json!("flume")));
    assert!(object["bytes"].as_u64().unwrap() > 800_000);
    let mut names = NAMES;
    names.sort_unstable();
    let expected = names.map(|name| json!({"name": name, "since": 999, "lag": 0, "state": "closed", "kind": "index"}));
    assert_eq!(object["views"], json!(expected));
    assert_eq!(
        (&object["durable"], &object["segments"], &object["torn"]["files"]),
        (&json!(999), &json!(1), &json!(0))
    );
    let lines = flume(dir.path(), &["stat", "db"]).fine();
    for name in NAMES {
        assert!(lines.iter().any(|line| line.contains(name) && line.ends_with("at 999 of 999")), "{lines:?}");
    }
    let lines = flume(dir.path(), &["views", "db"]).fine();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].contains("by-key") && lines[0].contains("1000 keys"), "{lines:?}");
}

#[test]
fn stat_of_a_log_file_has_no_views_and_beside_a_writer_it_says_how_far_they_are() {
    let dir = temp();
    copy(dir.path(), "deleted-32.log");
    let object = stat(dir.path(), "deleted-32.log");
    assert_eq!((&object["format"], &object["views"]), (&json!("offset32"), &json!([])));
    assert_eq!(object["entries"].as_u64().unwrap() + object["deleted"].as_u64().unwrap(), 31);
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    let mut writer = Running::start(dir.path(), &["append", "db"]);
    writer.send("1\n");
    writer.line();
    let object = stat(dir.path(), "db");
    assert_eq!((&object["entries"], object["views"].as_array().unwrap().len()), (&json!(1001), 4));
    assert!(
        object["views"].as_array().unwrap().iter().all(|view| view["since"] == 999 && view["lag"] == 1),
        "{object}"
    );
    for command in ["views", "rebuild"] {
        flume(dir.path(), &[command, "db"]).failed(3);
    }
}

#[test]
fn a_rebuilt_view_is_what_it_was() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    let query = || flume(dir.path(), &["query", "db", "--type", "post"]).fine();
    let before = query();
    assert_eq!(flume(dir.path(), &["rebuild", "db", "by-type"]).fine(), ["rebuilt by-type: 860 keys"]);
    assert_eq!(query(), before);
    assert_eq!(flume(dir.path(), &["rebuild", "db"]).fine().len(), 4);
    assert_eq!(query(), before);
    flume(dir.path(), &["rebuild", "db", "by-colour"]).failed(1);
    // Views that are gone are built by whoever asks.
    std::fs::remove_dir_all(dir.path().join("db/views")).unwrap();
    assert_eq!(query(), before);
}

#[test]
fn views_that_queries_and_sql_have_made_are_listed_and_removed() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    flume(dir.path(), &["query", "db", "--where", r#"{"op":"equal","path":"value.content.type","value":"post"}"#])
        .fine();
    flume(dir.path(), &["sql", "db", "SELECT count(*) FROM messages"]).fine();
    let views = stat(dir.path(), "db")["views"].as_array().unwrap().clone();
    let named = |kind: &str| views.iter().find(|view| view["kind"] == kind).unwrap_or_else(|| panic!("{views:?}"));
    let (bitmap, sql) = (named("bitmaps"), named("sql"));
    assert_eq!(
        (&bitmap["since"], &bitmap["lag"], &sql["since"], &sql["name"]),
        (&json!(999), &json!(0), &json!(999), &json!("sql"))
    );
    let bitmap = bitmap["name"].as_str().unwrap();
    let lines = flume(dir.path(), &["views", "db"]).fine();
    for name in [bitmap, "sql"] {
        assert!(lines.iter().any(|line| line.starts_with(name) && line.contains("at 999 of 999")), "{lines:?}");
    }
    let removed = format!("removed {bitmap}: it is built anew when it is next asked");
    assert_eq!(flume(dir.path(), &["rebuild", "db", bitmap]).fine(), [&*removed]);
    assert!(!stat(dir.path(), "db")["views"].as_array().unwrap().iter().any(|view| view["name"] == bitmap));
    let left = files(&dir.path().join("db/views"));
    assert!(!left.iter().any(|(path, _)| path.display().to_string().contains(bitmap)), "nothing of it is left");
    flume(dir.path(), &["query", "db", "--where", r#"{"op":"equal","path":"value.content.type","value":"post"}"#])
        .fine();
    let lines = flume(dir.path(), &["rebuild", "db"]).fine();
    assert_eq!(lines.iter().filter(|line| line.starts_with("rebuilt")).count(), 5, "{lines:?}");
    assert!(lines.contains(&removed), "{lines:?}");
}

#[test]
fn stores_of_older_definitions_are_kept_until_they_are_pruned() {
    let dir = temp();
    flume_with(dir.path(), &["append", "db"], "1").fine();
    flume(dir.path(), &["rebuild", "db"]).fine();
    let older = dir.path().join("db/views/by-key-0123456789abcdef");
    std::fs::create_dir(&older).unwrap();
    assert_eq!(flume(dir.path(), &["views", "db"]).fine().len(), 4);
    assert!(older.is_dir());
    let lines = flume(dir.path(), &["views", "db", "--prune"]).fine();
    assert_eq!(lines[4..], ["removed by-key-0123456789abcdef"]);
    assert!(!older.exists());
}

#[test]
fn only_a_database_keeps_views() {
    let dir = temp();
    copy(dir.path(), "json-32.log");
    for command in ["views", "rebuild"] {
        flume(dir.path(), &[command, "json-32.log"]).failed(1);
        flume(dir.path(), &[command, "nothing"]).failed(1);
    }
}
