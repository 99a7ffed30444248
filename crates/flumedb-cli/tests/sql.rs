//! Guards against `flume sql` that answers otherwise than a plain walk, writes, holds the database, or whose errors do not
//! say what to do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use serde_json::{Value, json};
use support::{Running, files, flume, flume_with, sample, temp};

const COUNT: &str = "SELECT count(*) AS n FROM messages WHERE type = 'post'";

#[test]
fn a_database_and_a_bare_log_give_the_same_rows() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    let lines = flume(dir.path(), &["cat", "db"]).fine();
    let posts: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["value"].clone())
        .filter(|m| m["value"]["content"]["type"] == "post")
        .collect();
    for path in ["db", &sample()] {
        assert_eq!(flume(dir.path(), &["sql", path, COUNT]).fine(), [format!("{{\"n\":{}}}", posts.len())]);
        let rows = flume(
            dir.path(),
            &["sql", path, "SELECT key, author, timestamp FROM messages WHERE type = 'post' ORDER BY messages.seq"],
        )
        .fine();
        let expected = posts
            .iter()
            .map(|m| json!({"key": m["key"], "author": m["value"]["author"], "timestamp": m["value"]["timestamp"]}));
        let rows: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }
    // What comes is in the next answer; what goes is not.
    let message = r#"{"key":"%new","value":{"author":"@new","sequence":1,"content":{"type":"post","text":"tide"}}}"#;
    let seq = flume_with(dir.path(), &["append", "db"], message).fine().remove(0);
    let tide =
        ["sql", "db", "SELECT p.key FROM search JOIN posts AS p ON p.seq = search.rowid WHERE search MATCH 'tide'"];
    assert_eq!(flume(dir.path(), &tide).fine(), [r#"{"key":"%new"}"#]);
    flume(dir.path(), &["delete", "db", &seq]).fine();
    assert_eq!(flume(dir.path(), &tide).fine(), [""; 0]);
    assert_eq!(flume(dir.path(), &["rebuild", "db", "sql"]).fine(), ["rebuilt sql: 1000 keys"]);
    assert_eq!(flume(dir.path(), &["sql", "db", COUNT]).fine(), [format!("{{\"n\":{}}}", posts.len())]);
}

#[test]
fn rows_are_objects_or_values_or_a_table() {
    let dir = temp();
    support::database(dir.path(), "db", &[]);
    let sql = "SELECT 1 AS a, 'x, \"y\"' AS \"b c\", NULL AS a, x'00ff' AS blob, 1.5 AS r UNION ALL SELECT 10, 'two' || char(10) || 'lines', 3, 'täglich', 1e300 * 1e300";
    let run = |args: &[&str]| flume(dir.path(), &[&["sql", "db", sql], args].concat()).fine();
    let rows = [
        r#"{"a":1,"b c":"x, \"y\"","a_2":null,"blob":{"base64":"AP8="},"r":1.5}"#,
        r#"{"a":10,"b c":"two\nlines","a_2":3,"blob":"täglich","r":"inf"}"#,
    ];
    assert_eq!(run(&[]), rows);
    assert_eq!(run(&["--json"]), rows);
    assert_eq!(
        run(&["--csv"]),
        ["a,b c,a,blob,r", "1,\"x, \"\"y\"\"\",,AP8=,1.5", "10,\"two", "lines\",3,täglich,inf"]
    );
    let table = [
        "a   b c        a     blob     r",
        "──  ─────────  ────  ───────  ───",
        " 1  x, \"y\"     null  AP8=     1.5",
        "10  two⏎lines     3  täglich  inf",
    ];
    assert_eq!(run(&["--table"]), table);
    let none = ["sql", "db", "SELECT key, type FROM messages"];
    assert_eq!(flume(dir.path(), &none).fine(), [""; 0]);
    assert_eq!(flume(dir.path(), &[&none[..], &["--csv"]].concat()).fine(), ["key,type"]);
}

#[test]
fn parameters_have_a_type_and_sql_comes_from_standard_input_too() {
    let dir = temp();
    support::database(dir.path(), "db", &[]);
    let types = ["sql", "db", "SELECT typeof(?), typeof(?), typeof(?), typeof(?), typeof(?), :name", "--csv"];
    let params = [
        "--param",
        "3",
        "--param",
        "-0.5",
        "--param",
        "\"3\"",
        "--param",
        "null",
        "--param",
        "@a=.ed25519",
        "--param",
        ":name=a=b",
    ];
    let lines = flume(dir.path(), &[&types[..], &params].concat()).fine();
    assert_eq!(lines[1], "integer,real,text,null,text,a=b");
    assert_eq!(flume_with(dir.path(), &["sql", "db", "-"], "SELECT 1 AS one").fine(), [r#"{"one":1}"#]);
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    flume(dir.path(), &["sql", "db", COUNT]).fine();
    // Opening for the view's sake may end a commit; entries are another matter.
    let log = || flume(dir.path(), &["cat", "db"]).fine();
    let before = log();
    for (args, code, says) in [
        (&["DELETE FROM messages"][..], 2, "DELETE is refused"),
        (&["ATTACH 'x' AS x"], 2, "ATTACH is refused"),
        (&["VACUUM INTO 'x'"], 2, "VACUUM is refused"),
        (&["SELECT nowhere FROM messages"], 2, "line 1, column 8: no such column: nowhere"),
        (&["SELECT 1; SELECT 2"], 2, "one statement"),
        (&["SELECT ?1"], 2, "parameter ?1 has no value"),
        (&["SELECT 1", "--param", "1"], 2, "leave"),
        (&["SELECT 1", "--param", "9223372036854775808"], 2, "larger"),
        (
            &[
                "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c",
                "--time-limit",
                "0.2",
            ],
            1,
            "--time-limit",
        ),
        (&["SELECT length(hex(zeroblob(600000)))"], 1, "--memory"),
    ] {
        let ran = flume(dir.path(), &[&["sql", "db"], args].concat());
        assert!(ran.err.contains(says), "{args:?}: {ran:?}");
        assert_eq!(ran.failed(code), [""; 0], "{args:?}");
    }
    assert!(!dir.path().join("x").exists());
    assert!(log() == before);
    let more = flume(dir.path(), &["sql", "db", "SELECT length(hex(zeroblob(600000))) AS n", "--memory", "64"]);
    assert_eq!(more.fine(), [r#"{"n":1200000}"#]);
    flume(dir.path(), &["sql", "nothing", "SELECT 1"]).failed(1);
    flume(dir.path(), &["sql", "nothing", "--schema"]).failed(1);
    assert_eq!(flume(dir.path(), &["sql", "db"]).code, 2);
    assert_eq!(flume(dir.path(), &["sql", "db", "SELECT 1", "--json", "--csv"]).code, 2);
    // A database that holds no messages has empty tables.
    flume_with(dir.path(), &["append", "other"], "1\n{\"a\":2}\n").fine();
    assert_eq!(flume(dir.path(), &["sql", "other", COUNT]).fine(), [r#"{"n":0}"#]);
}

#[test]
fn the_schema_lists_tables_and_views_with_their_columns() {
    let dir = temp();
    support::database(dir.path(), "db", &[]);
    let rows: Vec<Value> = flume(dir.path(), &["sql", "db", "--schema"])
        .fine()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "abouts", "blobs", "contacts", "links", "mentions", "messages", "votes", "authors", "branches", "follows",
            "posts", "search"
        ]
    );
    assert_eq!(rows[3], json!({"name": "links", "type": "table", "columns": "seq, rel, dest"}));
}

#[test]
fn it_works_beside_a_running_writer_and_keeps_views_where_it_is_told() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    let mut writer = Running::start(dir.path(), &["append", "db"]);
    writer.send("{\"key\":\"%new\",\"value\":{\"author\":\"@new\",\"content\":{\"type\":\"post\"}}}\n");
    writer.line();
    let before = files(&dir.path().join("db/views"));
    let ran = flume(dir.path(), &["sql", "db", COUNT]);
    assert_eq!((ran.code, &ran.lines[..]), (0, &[r#"{"n":248}"#.to_owned()][..]), "{ran:?}");
    assert!(ran.err.contains("--views DIR") && ran.err.lines().count() == 1, "{ran:?}");
    for _ in 0..2 {
        let ran = flume(dir.path(), &["sql", "db", COUNT, "--views", "mine"]);
        assert_eq!((ran.code, &ran.lines[..]), (0, &[r#"{"n":248}"#.to_owned()][..]), "{ran:?}");
    }
    assert!(dir.path().join("mine").is_dir());
    assert_eq!(files(&dir.path().join("db/views")), before, "another's views are not touched");
}

#[test]
fn a_torn_log_is_asked_as_far_as_it_is_whole() {
    let dir = temp();
    let bytes = std::fs::read(sample()).unwrap();
    std::fs::write(dir.path().join("torn.offset"), &bytes[..bytes.len() - 10]).unwrap();
    let ran = flume(dir.path(), &["sql", "torn.offset", "SELECT count(*) AS n FROM messages"]);
    assert_eq!((ran.code, &ran.lines[..]), (1, &[r#"{"n":999}"#.to_owned()][..]), "{ran:?}");
    assert!(ran.err.contains("torn"), "{ran:?}");
}
