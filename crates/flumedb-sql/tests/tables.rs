//! Guards against declarations that cannot be kept: each is refused with what to do, and what is allowed works.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use flumedb::{ErrorKind, Flume, codec::Json};
use flumedb_sql::{Rows, Sql};

type Item = (String, i64);

fn declared(tables: &str) -> flumedb::Result<Sql<Item>> {
    Sql::new(1, tables, |_: &Item, _: &mut Rows<'_>| {})
}

#[test]
fn what_cannot_be_kept_is_refused_with_advice() {
    for (tables, says) in [
        ("", "CREATE TABLE"),
        ("CREATE TABLE t (a)", "seq"),
        ("CREATE TABLE t (seq TEXT, a)", "INTEGER"),
        ("CREATE TABLE t (seq INTEGER, a TEXT UNIQUE)", "two entries"),
        ("CREATE TABLE t (seq INTEGER, id INTEGER PRIMARY KEY)", "two entries"),
        ("CREATE TABLE t (seq INTEGER, a); CREATE UNIQUE INDEX i ON t (a)", "two entries"),
        ("CREATE TABLE t (seq INTEGER, a); CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t; END", "trigger"),
        ("CREATE TABLE t (seq INTEGER, a); INSERT INTO t VALUES (1, 2)", "INSERT"),
        ("CREATE TABLE t (seq INTEGER, a); DROP TABLE t", "DROP"),
        ("CREATE TABLE t (seq INTEGER, a); REINDEX t", "REINDEX"),
        ("CREATE TEMP TABLE t (seq INTEGER, a)", "temporary"),
        ("CREATE TABLE t (seq INTEGER, a); ATTACH '/tmp/x' AS x", "another database"),
        ("CREATE TABLE t (seq INTEGER, a); PRAGMA journal_mode = off", "PRAGMA journal_mode"),
        ("BEGIN; CREATE TABLE t (seq INTEGER, a)", "transaction"),
        ("CREATE TABLE flume_t (seq INTEGER, a)", "flume_"),
        ("CREATE TABLE t (seq INTEGER, a); CREATE VIEW v AS SELECT b FROM t", "no such column"),
        ("CREATE TABLE t (seq INTEGER, a", "incomplete"),
        ("CREATE VIRTUAL TABLE t USING rtree(id, x, y)", "rtree"),
        ("CREATE VIRTUAL TABLE t USING fts5(a, content='')", "contentless_delete"),
        ("CREATE TABLE t (seq INTEGER, a DEFAULT (load_extension('x')))", "load_extension"),
    ] {
        let error = declared(tables).err().unwrap_or_else(|| panic!("{tables} was taken"));
        assert_eq!(error.kind(), ErrorKind::Invalid, "{tables}: {error}");
        assert!(error.to_string().contains(says), "{tables}: {error}");
    }
}

#[test]
fn a_row_that_does_not_fit_stops_the_view_at_its_entry_and_says_why() {
    let wrongs: [(&str, fn(&Item, &mut Rows<'_>)); 5] = [
        ("no table other", |_, rows| rows.insert("other", &[1.into()])),
        ("2 values", |_, rows| rows.insert("t", &[1.into(), 2.into()])),
        ("UNIQUE", |_, rows| {
            rows.insert("t", &[1.into()]);
            rows.insert("t", &[2.into()]);
        }),
        ("NOT NULL", |_, rows| rows.insert("t", &[None::<i64>.into()])),
        ("cannot store TEXT", |item, rows| rows.insert("t", &[(&item.0).into()])),
    ];
    for (says, map) in wrongs {
        let db = Flume::memory(Json::<Item>::new()).unwrap();
        let tables = "CREATE TABLE t (seq INTEGER PRIMARY KEY, a INTEGER NOT NULL) STRICT";
        let map = move |item: &Item, rows: &mut Rows<'_>| {
            if item.1 == 2 {
                map(item, rows)
            }
        };
        let view = db.view("t", Sql::new(1, tables, map).unwrap()).blocking().unwrap();
        let healthy =
            db.view("sum", flumedb::views::Reduce::new(1, 0, |sum, item: &Item| *sum += item.1)).blocking().unwrap();
        db.append_all((1..=3).map(|n| ("text".to_owned(), n))).blocking().unwrap();
        let error = view.read().blocking().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Faulted);
        assert_eq!(error.seq().map(flumedb::Seq::get), Some(1), "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_eq!(*healthy.read().blocking().unwrap(), 6, "another view goes on");
    }
}

#[test]
fn every_kind_of_table_gives_its_rows_back_and_up() {
    let tables = "
        CREATE TABLE one (seq INTEGER PRIMARY KEY, a TEXT, twice INTEGER GENERATED ALWAYS AS (n * 2), n INTEGER);
        CREATE TABLE many (a TEXT, seq INTEGER NOT NULL);
        CREATE TABLE keyed (a TEXT, seq INTEGER, PRIMARY KEY (seq, a)) WITHOUT ROWID;
        CREATE TABLE \"odd \"\" name\" (seq INTEGER, \"a b\" TEXT);
        CREATE VIRTUAL TABLE words USING fts5(a);
        CREATE VIRTUAL TABLE bare USING fts5(a, content='', contentless_delete=1);
        CREATE INDEX by_n ON one (n);
        CREATE VIEW sums AS SELECT sum(n) AS n FROM one";
    let map = |(a, n): &Item, rows: &mut Rows<'_>| {
        rows.insert("one", &[a.into(), (*n).into()]);
        for word in a.split(' ') {
            rows.insert("many", &[word.into()]);
            rows.insert("keyed", &[word.into()]);
            rows.insert("odd \" name", &[word.into()]);
        }
        rows.insert("words", &[a.into()]);
        rows.insert("bare", &[a.into()]);
    };
    let db = Flume::memory(Json::<Item>::new()).unwrap();
    let view = db.view("t", Sql::new(1, tables, map).unwrap()).blocking().unwrap();
    db.append(&("high water".into(), 3)).blocking().unwrap();
    let seq = db.append(&("low water".into(), 4)).blocking().unwrap();
    let counts = |expected: [i64; 8]| {
        let reader = view.read().blocking().unwrap();
        let one = |sql: &str| reader.query(sql).one::<Option<i64>>().unwrap().flatten().unwrap_or(0);
        let found = [
            one("SELECT count(*) FROM one"),
            one("SELECT sum(twice) FROM one"),
            one("SELECT count(*) FROM many WHERE a = 'water'"),
            one("SELECT count(*) FROM keyed"),
            one("SELECT count(*) FROM \"odd \"\" name\" WHERE \"a b\" = 'low'"),
            one("SELECT count(*) FROM words WHERE words MATCH 'water'"),
            one("SELECT count(*) FROM bare WHERE bare MATCH 'low OR high'"),
            one("SELECT n FROM sums"),
        ];
        assert_eq!(found, expected);
        reader.check().unwrap();
    };
    counts([2, 14, 2, 4, 1, 2, 2, 7]);
    db.delete([seq]).blocking().unwrap();
    counts([1, 6, 1, 2, 0, 1, 1, 3]);
}
