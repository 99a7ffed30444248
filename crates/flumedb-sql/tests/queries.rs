//! Guards against a query that does more than read, goes on for ever, takes memory without bound, reads what came after its
//! reader, or keeps the log and other views waiting; and against errors that do not say what to do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use flumedb::{ErrorKind, Flume, codec::Json, view::Live};
use flumedb_sql::{Row, Rows, Sql, SqlReader, Value};
use support::{Post, view};

type Item = (String, i64);

fn db() -> (Flume<Json<Item>>, Live<Sql<Item>>) {
    let db = Flume::memory(Json::new()).unwrap();
    let tables = "CREATE TABLE items (seq INTEGER PRIMARY KEY, name TEXT, n INTEGER);
        CREATE VIRTUAL TABLE names USING fts5(name, content='items', content_rowid='seq')";
    let view = Sql::new(1, tables, |(name, n): &Item, rows: &mut Rows<'_>| {
        rows.insert("items", &[name.into(), (*n).into()]);
        rows.insert("names", &[name.into()]);
    });
    let view = db.view("items", view.unwrap()).blocking().unwrap();
    db.append_all((0..100).map(|n| (format!("name {n}"), n))).blocking().unwrap();
    (db, view)
}

fn refused(reader: &SqlReader, sql: &str) -> String {
    let error = reader.query(sql).walk(|rows| {
        while rows.next()?.is_some() {}
        Ok(())
    });
    let error = error.err().unwrap_or_else(|| panic!("{sql} was taken"));
    assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    error.to_string()
}

#[test]
fn what_writes_or_leaves_the_database_is_refused_by_name() {
    let (_db, view) = db();
    let reader = view.read().blocking().unwrap();
    let other = tempfile::tempdir().unwrap();
    let other = other.path().join("other.sqlite");
    let attach = format!("ATTACH '{}' AS other", other.display());
    let vacuum = format!("VACUUM INTO '{}'", other.display());
    for (sql, name) in [
        ("INSERT INTO items VALUES (1000, 'x', 1)", "INSERT"),
        ("UPDATE items SET n = 0", "UPDATE"),
        ("DELETE FROM items", "DELETE"),
        ("REPLACE INTO items VALUES (1, 'x', 1)", "REPLACE"),
        ("WITH a AS (SELECT 1) DELETE FROM items", "DELETE"),
        ("INSERT INTO names(names) VALUES ('rebuild')", "INSERT"),
        ("CREATE TABLE t (a)", "CREATE"),
        ("CREATE TEMP TABLE t AS SELECT * FROM items", "CREATE"),
        ("CREATE TEMP VIEW t AS SELECT * FROM items", "CREATE"),
        ("CREATE INDEX i ON items (n)", "CREATE"),
        ("CREATE TRIGGER t AFTER INSERT ON items BEGIN SELECT 1; END", "CREATE"),
        ("CREATE VIRTUAL TABLE temp.v USING fts5vocab('main', 'names', 'row')", "CREATE"),
        ("DROP TABLE items", "DROP"),
        ("ALTER TABLE items ADD COLUMN x", "ALTER"),
        (&attach, "ATTACH"),
        ("DETACH main", "DETACH"),
        ("VACUUM", "VACUUM"),
        (&vacuum, "VACUUM"),
        ("REINDEX", "REINDEX"),
        ("ANALYZE", "ANALYZE"),
        ("BEGIN", "BEGIN"),
        ("COMMIT", "COMMIT"),
        ("ROLLBACK", "ROLLBACK"),
        ("SAVEPOINT s", "SAVEPOINT"),
        ("PRAGMA query_only = 0", "PRAGMA query_only"),
        ("PRAGMA journal_mode = delete", "PRAGMA journal_mode"),
        ("PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint"),
        ("PRAGMA user_version = 7", "PRAGMA user_version"),
        ("PRAGMA writable_schema = 1", "PRAGMA writable_schema"),
        ("PRAGMA temp_store_directory = '/'", "PRAGMA temp_store_directory"),
        ("PRAGMA cache_size = 1000000", "PRAGMA cache_size"),
        ("PRAGMA hard_heap_limit = 1", "PRAGMA hard_heap_limit"),
        ("PRAGMA optimize", "PRAGMA optimize"),
        ("SELECT * FROM pragma_cache_size", "PRAGMA cache_size"),
        ("SELECT load_extension('/tmp/x.so')", "load_extension"),
        ("SELECT 1; DELETE FROM items", "one statement"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("-- a comment\n/* another */ DELETE FROM items", "DELETE"),
    ] {
        let message = refused(&reader, sql);
        assert!(message.contains(name), "{sql}: {message}");
    }
    assert!(!other.exists());
    // The reader is as good as new, still in its transaction.
    assert_eq!(reader.query("SELECT count(*) FROM items").one::<i64>().unwrap(), Some(100));
}

#[test]
fn what_only_reads_is_taken() {
    let (_db, view) = db();
    let reader = view.read().blocking().unwrap();
    for sql in [
        "SELECT * FROM items ORDER BY n DESC LIMIT 3",
        "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 9) SELECT x FROM c",
        "VALUES (1), (2)",
        "SELECT name FROM names WHERE names MATCH 'name' ORDER BY rank LIMIT 2",
        "SELECT snippet(names, 0, '[', ']', '…', 4), bm25(names), highlight(names, 0, '<', '>') FROM names WHERE names MATCH '7'",
        "SELECT n, sum(n) OVER (ORDER BY n) FROM items",
        "SELECT value FROM json_each('[1,2]')",
        "EXPLAIN QUERY PLAN SELECT * FROM items",
        "EXPLAIN SELECT * FROM items",
        "PRAGMA table_info(items)",
        "PRAGMA table_list",
        "SELECT * FROM pragma_table_xinfo('items')",
        "SELECT name, sql FROM sqlite_schema",
        "SELECT datetime(0, 'unixepoch'), printf('%d', 1), lower('A') ;  -- and no more",
    ] {
        let mut rows = 0;
        reader
            .query(sql)
            .each(|_| {
                rows += 1;
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(rows > 0, "{sql}");
    }
    reader.check().unwrap();
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let (_db, view) = db();
    let reader = view.read().blocking().unwrap();
    for (sql, says) in [
        ("SELECT\n  nowhere FROM items", "line 2, column 3: no such column: nowhere"),
        ("SELEC 1", "line 1, column 1: near \"SELEC\""),
        ("SELECT * FROM other", "no such table: other"),
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("SELECT regexp('(a+)+$', name) FROM items", "no such function: regexp"),
        ("SELECT name REGEXP 'a' FROM items", "no such function: REGEXP"),
        ("SELECT n FROM items WHERE names MATCH", "incomplete input"),
        ("SELECT rowid FROM names WHERE names MATCH '\"'", "unterminated string"),
    ] {
        let message = refused(&reader, sql);
        assert!(message.contains(says), "{sql}: {message}");
    }
    let deep = format!("SELECT {}1{}", "(1+".repeat(300), ")".repeat(300));
    assert!(refused(&reader, &deep).contains("depth"));
    let long = |bytes: usize| format!("SELECT '{}'", "x".repeat(bytes - "SELECT ''".len()));
    assert!(reader.query(&long(1 << 20)).one::<String>().unwrap().is_some());
    let message = refused(&reader, &long((1 << 20) + 1));
    assert!(message.contains("1048577 bytes is too long; at most 1048576"), "{message}");
    let many = vec!["SELECT 1"; 200].join(" UNION ALL ");
    assert!(refused(&reader, &many).contains("compound"));
    let wide = format!("SELECT {}", vec!["1"; 1001].join(","));
    assert!(refused(&reader, &wide).contains("columns"));
    for long in ["SELECT zeroblob(100000000)", "SELECT group_concat(printf('%.1000000c', 'x')) FROM items"] {
        let error = reader.query(long).one::<Vec<u8>>().unwrap_err();
        assert!(error.kind() == ErrorKind::LimitExceeded && error.to_string().contains("memory_bytes"), "{error}");
    }
}

#[test]
fn parameters_go_in_and_typed_rows_come_out() {
    let (_db, view) = db();
    let reader = view.read().blocking().unwrap();
    let types = reader.query("SELECT ?, ?, ?, ?, ?, typeof(?5)");
    let types = types.bind(None::<i64>).bind(7_u8).bind(0.5).bind("text").bind(&[0_u8, 255][..]);
    type All = (Option<i64>, i64, f64, String, Vec<u8>, String);
    let expected = (None, 7, 0.5, "text".to_owned(), vec![0, 255], "blob".to_owned());
    assert_eq!(types.one::<All>().unwrap(), Some(expected));

    let between = reader.query("SELECT n FROM items WHERE n BETWEEN :from AND @to AND n <> $not");
    let between = between.bind_named("from", 3).bind_named("@to", 6).bind_named("not", 5);
    assert_eq!(between.all::<i64>().unwrap(), [3, 4, 6]);
    let injected = reader.query("SELECT count(*) FROM items WHERE name = ?1").bind("x' OR 1 = 1 --");
    assert_eq!(injected.one::<i64>().unwrap(), Some(0));

    for (query, says) in [
        (reader.query("SELECT ?1, :name").bind(1), ":name has no value"),
        (reader.query("SELECT ?1").bind(1).bind(2), "2 values for 1 parameters"),
        (reader.query("SELECT 1").bind_named("x", 1), "no parameter x"),
    ] {
        let error = query.all::<(Option<i64>,)>().unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(says), "{error}");
    }
    let wrong = reader.query("SELECT name FROM items").one::<i64>().unwrap_err();
    assert!(wrong.to_string().contains("column name is text, and was read as an integer"), "{wrong}");
    assert!(reader.query("SELECT 1").one::<(i64, i64)>().is_err(), "there is one column");
    assert!(reader.query("SELECT -1").one::<u64>().is_err());
    assert_eq!(reader.query("SELECT NULL").one::<Option<String>>().unwrap(), Some(None));
    assert_eq!(reader.query("SELECT 1 WHERE 0").one::<i64>().unwrap(), None);
    let columns = reader.query("SELECT n AS one, name FROM items").walk(|rows| Ok(rows.columns().to_vec())).unwrap();
    assert_eq!(columns, ["one", "name"]);
    let borrowed = |row: &Row<'_>| {
        assert_eq!(row.value(0), Some(Value::Text("name 0")));
        Ok(())
    };
    reader.query("SELECT name FROM items LIMIT 1").each(borrowed).unwrap();
}

#[test]
fn limits_end_a_query_and_nothing_else() {
    let (db, view) = db();
    let reader = view.read().blocking().unwrap();
    let endless = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    let begun = Instant::now();
    let runs = std::thread::spawn({
        let reader = reader.clone();
        move || reader.query(endless).time_limit(Duration::from_millis(300)).one::<i64>()
    });
    // The log and the view go on meanwhile.
    for n in 0..20 {
        db.append(&("more".into(), n)).blocking().unwrap();
        let fresh = view.read().blocking().unwrap();
        assert_eq!(fresh.query("SELECT count(*) FROM items").one::<i64>().unwrap(), Some(101 + n));
    }
    assert_eq!(runs.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(5));
    // So does the reader, which shows what it showed.
    assert_eq!(reader.query("SELECT count(*) FROM items").one::<i64>().unwrap(), Some(100));

    let rows = reader.query("SELECT n FROM items").row_limit(99).all::<i64>().unwrap_err();
    assert!(rows.kind() == ErrorKind::LimitExceeded && rows.to_string().contains("99"), "{rows}");
    assert_eq!(reader.query("SELECT n FROM items").row_limit(100).all::<i64>().unwrap().len(), 100);

    // What one does with the rows takes no time from the query, and a query may be asked within another.
    let slow = reader.query("SELECT n FROM items ORDER BY n LIMIT 3").time_limit(Duration::from_millis(100));
    let mut names = Vec::new();
    slow.each(|row| {
        std::thread::sleep(Duration::from_millis(60));
        let name = reader.query("SELECT name FROM items WHERE n = ?1").bind(row.get::<i64>(0)?).one::<String>()?;
        names.extend(name);
        Ok(())
    })
    .unwrap();
    assert_eq!(names, ["name 0", "name 1", "name 2"]);

    // Patterns have no way to explode.
    let patterns = [("LIKE", "%a%a%a%a%a%a%a%a%a%a%b"), ("GLOB", "*a*a*a*a*a*a*a*a*a*a*b")];
    for (how, pattern) in patterns {
        let begun = Instant::now();
        let sql = format!("SELECT printf('%.5000c', 'a') {how} '{pattern}'");
        assert_eq!(reader.query(&sql).one::<bool>().unwrap(), Some(false));
        assert!(begun.elapsed() < Duration::from_secs(2), "{how}");
    }
}

#[test]
fn a_query_waits_for_another_of_the_same_reader_no_longer_than_it_was_given() {
    let (_db, view) = db();
    let reader = view.read().blocking().unwrap();
    reader
        .query("SELECT n FROM items")
        .walk(|rows| {
            rows.next()?;
            let other = reader.clone();
            let waits =
                std::thread::spawn(move || other.query("SELECT 1").time_limit(Duration::from_millis(20)).one::<i64>());
            assert_eq!(waits.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
            Ok(())
        })
        .unwrap();
    assert_eq!(reader.query("SELECT 1").one::<i64>().unwrap(), Some(1));
}

#[test]
fn readers_that_are_held_do_not_let_the_store_grow_without_bound() {
    let dir = tempfile::tempdir().unwrap();
    let db = Flume::builder(Json::<Post>::new()).open(dir.path().join("db")).blocking().unwrap();
    let limit = 2 << 20;
    let view = db.view("posts", view(1).wal_bytes(limit)).blocking().unwrap();
    let wal = || {
        let files = std::fs::read_dir(dir.path().join("db/views")).unwrap();
        let dirs = files.filter_map(|file| file.ok()).filter(|file| file.path().is_dir());
        let dirs = dirs.flat_map(|dir| walk(&dir.path())).filter(|path| path.to_str().unwrap().ends_with("-wal"));
        dirs.map(|path| std::fs::metadata(path).unwrap().len()).sum::<u64>()
    };
    let (mut longest, mut held, mut closed) = (0, BTreeMap::new(), 0);
    for round in 0..60_u64 {
        let post = |n| Post { author: format!("{n}"), words: vec![format!("{round} {n} {}", "x".repeat(500))] };
        db.append_all((0..100).map(post)).blocking().unwrap();
        let reader = view.read().blocking().unwrap();
        // In the second half readers are held for ever.
        if round >= 30 {
            held.insert(round, reader);
        } else {
            longest = longest.max(wal());
        }
        held.retain(|round, reader| match reader.query("SELECT count(*) FROM posts").one::<u64>() {
            Ok(count) => {
                assert_eq!(count, Some((round + 1) * 100));
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                closed += 1;
                false
            }
        });
    }
    // A commit may come on top of what is allowed.
    assert!(longest < limit, "{longest} bytes though nobody held a reader");
    assert!(wal() < 2 * limit, "{} bytes", wal());
    assert!(closed > 0 && !held.is_empty(), "{closed} readers were closed, {} are held", held.len());
    db.close().blocking().unwrap();
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    support::files(dir).into_iter().flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
