//! Guards against a query that takes memory or time without bound within one row, or one function.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test that cannot go on ends")]

use std::time::{Duration, Instant};

use flumedb::{ErrorKind, Flume, codec::Json, view::Live};
use flumedb_sql::{Query, Rows, Sql, SqlReader, Value};

type Item = (String, i64);

fn db(items: impl IntoIterator<Item = Item>) -> (Flume<Json<Item>>, Live<Sql<Item>>) {
    let db = Flume::memory(Json::new()).unwrap();
    let tables = "CREATE TABLE items (seq INTEGER PRIMARY KEY, name TEXT, n INTEGER);
        CREATE VIRTUAL TABLE names USING fts5(name, content='items', content_rowid='seq')";
    let view = Sql::new(1, tables, |(name, n): &Item, rows: &mut Rows<'_>| {
        rows.insert("items", &[name.into(), (*n).into()]);
        rows.insert("names", &[name.into()]);
    });
    let view = db.view("items", view.unwrap()).blocking().unwrap();
    db.append_all(items).blocking().unwrap();
    (db, view)
}

fn hundred() -> (Flume<Json<Item>>, Live<Sql<Item>>) {
    db((0..100).map(|n| (format!("name {n}"), n)))
}

/// What the query comes to, all of it.
fn ends(query: Query<'_>) -> Option<ErrorKind> {
    query.each(|_| Ok(())).err().map(|error| error.kind())
}

/// Asks for no more than a moment, which may be too little, and is not much more.
fn soon(reader: &SqlReader, sql: &str) {
    let begun = Instant::now();
    let end = ends(reader.query(sql).time_limit(Duration::from_millis(300)));
    let took = begun.elapsed();
    let known = [None, Some(ErrorKind::TimedOut), Some(ErrorKind::LimitExceeded), Some(ErrorKind::Invalid)];
    let shown: String = sql.chars().take(100).collect();
    println!("{took:?} {end:?} {shown}");
    assert!(known.contains(&end), "{end:?}: {shown}");
    assert!(took < Duration::from_secs(8), "{took:?}: {shown}");
}

#[test]
fn no_function_goes_on_long_after_the_time() {
    let (_db, view) = hundred();
    let reader = view.read().blocking().unwrap();
    soon(
        &reader,
        "SELECT instr(replace(hex(zeroblob(8000000)),'0','a'), replace(hex(zeroblob(4000000)),'0','a')||'b')",
    );
    soon(&reader, "SELECT printf('%.8000000c', 'a') LIKE '%' || printf('%.900c', 'a') || 'b'");
    // The longest values that each may have: once, for each of 10,000 rows, and 400 times for each row.
    let long = |bytes: usize| format!("printf('%.*c', {}, 'a')", bytes.saturating_sub(10));
    let keys = |bytes: usize, sign: &str| {
        format!(
            "(SELECT '{{' || group_concat('\"' || {sign}x || '\":1') || '}}' FROM \
             (WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT {}) SELECT x FROM c))",
            bytes / 14
        )
    };
    type Called<'a> = &'a dyn Fn(usize) -> String;
    let called: [Called<'_>; 9] = [
        &|bytes| format!("({} || a.n) LIKE '%' || {} || 'b'", long(bytes), long(260)),
        &|bytes| format!("({} || a.n) GLOB '*' || {} || 'b'", long(bytes), long(260)),
        &|bytes| format!("({} || a.n) GLOB '*[b' || {} || 'a]b'", long(bytes), long(250).replace("'a'", "'c'")),
        &|bytes| format!("instr({} || a.n, {} || 'b')", long(bytes), long(bytes / 2)),
        &|bytes| format!("length(replace({} || a.n, {} || 'b', ''))", long(bytes), long(bytes / 2)),
        // SQLite keeps a list of the letters, which is a value, too.
        &|bytes| format!("length(trim({} || a.n, {} || 'a'))", long(bytes), long(bytes / 13).replace("'a'", "'b'")),
        &|bytes| {
            format!("length(unhex(replace({}, 'a', '-') || a.n, printf('%.*c', {bytes} - 9, ' ') || '-'))", long(bytes))
        },
        &|bytes| format!("length(json_patch({}, {}))", keys(bytes, ""), keys(bytes, "-")),
        &|bytes| format!("length(hex({} || a.n)) + length(upper({} || a.n))", long(bytes / 2), long(bytes)),
    ];
    for called in called {
        // There is a limit of subqueries.
        let many = if called(1).contains("SELECT") { 20 } else { 400 };
        longest_soon(&reader, &|bytes| format!("SELECT {} FROM items AS a LIMIT 1", called(bytes)));
        longest_soon(&reader, &|bytes| {
            format!("SELECT count(*) FROM items AS a, items AS b WHERE {} = 7", called(bytes))
        });
        longest_soon(&reader, &|bytes| format!("SELECT {} FROM items AS a", vec![called(bytes); many].join(", ")));
    }
}

/// Asks with a value as long as it may be.
fn longest_soon(reader: &SqlReader, sql: &dyn Fn(usize) -> String) {
    let error = reader.query(&sql(2 << 20)).each(|_| Ok(())).unwrap_err().to_string();
    let longest = error.split("longer than ").nth(1).unwrap_or_else(|| panic!("{error}"));
    let longest: usize = longest.split(' ').next().unwrap().parse().unwrap();
    print!("{longest} bytes: ");
    soon(reader, &sql(longest));
}

#[test]
fn the_words_of_a_text_are_shown_in_time() {
    let (_db, view) = db([("a ".repeat(8000), 0), ("a ".repeat(32_000), 1), ("a ".repeat(1 << 19), 2)]);
    let reader = view.read().blocking().unwrap();
    for rowid in 0..3 {
        let found = format!("FROM names WHERE names MATCH 'a' AND rowid = {rowid}");
        soon(&reader, &format!("SELECT snippet(names, 0, '[', ']', '', 60) {found}"));
        soon(&reader, &format!("SELECT highlight(names, 0, '[', ']') {found}"));
        soon(&reader, &format!("SELECT bm25(names) {found}"));
    }
}

#[test]
fn memory_of_a_query_is_bounded() {
    let (_db, view) = hundred();
    let reader = view.read().blocking().unwrap();
    let sum = |term: &dyn Fn(usize) -> String, many: usize| (0..many).map(term).collect::<Vec<_>>();
    let before = peak();
    // As much as one may have, in many columns at once; as arguments of functions within functions; under one name.
    for bytes in [60_000_000, 1 << 20, 300_000, 30_000] {
        let columns = sum(&|n| format!("randomblob({bytes} + seq) AS a{n}"), 40).join(", ");
        let lengths = sum(&|n| format!("length(a{n}) > length(a0) * 0"), 40).join(" + ");
        let wide = format!("SELECT count(*) FROM (SELECT {columns} FROM items LIMIT 1) WHERE {lengths}");
        ends(reader.query(&wide));
        let many = sum(&|_| format!("randomblob({bytes} + n)"), 100).join(", ");
        let deep = sum(&|_| format!("max({many})"), 100).join(", ");
        ends(reader.query(&format!("SELECT length(max({deep})) FROM items")));
        let names = vec!["x"; 1000].join(", ");
        ends(reader.query(&format!("SELECT {names} FROM (SELECT randomblob({bytes} + n) AS x FROM items LIMIT 2)")));
        let rows = format!("SELECT randomblob({bytes}) FROM items AS a, items AS b, items AS c LIMIT 1000000");
        let all = reader.query(&rows).all::<Vec<u8>>().unwrap_err();
        assert_eq!(all.kind(), ErrorKind::LimitExceeded, "{all}");
    }
    let Some((before, after)) = before.zip(peak()) else { return };
    // `all` may hold 256 MiB, and may be about to hold more in a vector that grows.
    println!("{before} KiB, then {after}");
    assert!(after - before < 500 << 10, "{before} KiB, then {after}");
}

/// The most memory that this process has had, in KiB, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn exceeded(query: Query<'_>, says: &[&str]) {
    let error = query.each(|_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    says.iter().for_each(|says| assert!(error.to_string().contains(says), "{error}"));
}

#[test]
fn a_value_may_have_a_part_of_the_memory() {
    let (_db, view) = db([("x".repeat(2 << 20), 0)]);
    let reader = view.read().blocking().unwrap();
    let length = |sql: &str| reader.query(sql).one::<u64>().unwrap();
    assert_eq!(length("SELECT length(zeroblob(1048576))"), Some(1 << 20));
    exceeded(reader.query("SELECT length(zeroblob(1048577))"), &["1048576 bytes", "memory_bytes"]);
    // A statement with 64 places for values; those with slower functions.
    let many = |bytes| format!("SELECT length(zeroblob({bytes})){}", " + length(zeroblob(1))".repeat(31));
    assert_eq!(length(&many(524_288)), Some(524_288 + 31));
    exceeded(reader.query(&many(524_289)), &["524288 bytes"]);
    for (name, part) in [
        ("n || zeroblob({}) LIKE 'a'", 64),
        ("instr(zeroblob({} - n * 0), 'a')", 256),
        ("replace(zeroblob({} - n * 0), 'a', 'b')", 256),
        ("trim(zeroblob({} - n * 0), 'a')", 1024),
        ("unhex(zeroblob({} - n * 0), 'a')", 2048),
    ] {
        // There are some steps besides.
        let asked = |bytes: usize| format!("SELECT {} FROM items", name.replace("{}", &bytes.to_string()));
        assert_eq!(ends(reader.query(&asked((32 << 20) / (part + 5)))), None, "{name}");
        exceeded(reader.query(&asked((32 << 20) / part + 1)), &["memory_bytes"]);
    }
    // What is stored, and what is given.
    exceeded(reader.query("SELECT name FROM items"), &["1048576 bytes"]);
    let more = reader.query("SELECT name FROM items").memory_bytes(64 * (2 << 20));
    assert_eq!(more.one::<String>().unwrap().map(|name| name.len()), Some(2 << 20));
    let given = vec![0; (1 << 20) + 1];
    assert_eq!(ends(reader.query("SELECT ?1").bind(&given[1..])), None);
    exceeded(reader.query("SELECT ?1").bind(&given[..]), &["1048576 bytes"]);
    // Never more than 64 MiB, whatever the memory.
    let most = |bytes: usize| format!("SELECT length(zeroblob({bytes}))");
    assert_eq!(ends(reader.query(&most(64 << 20)).memory_bytes(usize::MAX)), None);
    exceeded(reader.query(&most((64 << 20) + 1)).memory_bytes(usize::MAX), &["67108864 bytes"]);
    // One query may be walked through while another is asked that may have less, and looks go through all.
    let walked = reader.query("SELECT name FROM items, (VALUES (1), (2))").memory_bytes(1 << 30).walk(|rows| {
        let mut seen = 0;
        while rows.next()?.is_some() {
            exceeded(reader.query("SELECT name FROM items"), &["1048576 bytes"]);
            seen += 1;
        }
        Ok(seen)
    });
    assert_eq!(walked.unwrap(), 2);
    reader.check().unwrap();
    assert_eq!(reader.difference(&reader).unwrap(), None);
}

#[test]
fn a_row_and_all_rows_have_so_many_bytes() {
    let (_db, view) = hundred();
    let reader = view.read().blocking().unwrap();
    // One value in many columns is kept once by SQLite, and given many times.
    let row = |bytes: usize| {
        format!("SELECT {} FROM (SELECT zeroblob({bytes}) AS x FROM items LIMIT 1)", ["x"; 128].join(","))
    };
    let fits = (32 << 20) / 128 - 16;
    let seen = reader.query(&row(fits)).walk(|rows| Ok(rows.next()?.map(|row| row.columns().len())));
    assert_eq!(seen.unwrap(), Some(128));
    exceeded(reader.query(&row(fits + 1)), &["33554560 bytes", "33554432", "memory_bytes"]);

    let rows = || reader.query("SELECT name, n FROM items WHERE n < 10");
    let bytes = 10 * (16 + 6 + 16);
    assert_eq!(rows().byte_limit(bytes).all::<(String, i64)>().unwrap().len(), 10);
    let error = rows().byte_limit(bytes - 1).all::<(String, i64)>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("more than 379 bytes") && error.to_string().contains("byte_limit"), "{error}");
    // `all` has a limit of its own, walking has none.
    let many = "SELECT zeroblob(1048560) FROM items AS a, items AS b LIMIT ";
    assert_eq!(reader.query(&format!("{many} 256")).all::<Vec<u8>>().unwrap().len(), 256);
    let error = reader.query(&format!("{many} 257")).all::<Vec<u8>>().unwrap_err();
    assert!(error.kind() == ErrorKind::LimitExceeded && error.to_string().contains("268435456"), "{error}");
    assert_eq!(ends(reader.query(&format!("{many} 300"))), None);
}

#[test]
fn one_statement_without_nul() {
    let (_db, view) = hundred();
    let reader = view.read().blocking().unwrap();
    for (sql, says) in [
        ("SELECT 1; DROP TABLE items", "more than one statement"),
        ("SELECT 1;\n-- more\nDELETE FROM items", "more than one statement"),
        ("DROP TABLE items; SELECT 1", "DROP is refused"),
        ("PRAGMA cache_size = 1; SELECT 1", "PRAGMA cache_size is refused"),
        ("SELECT 1\0; and anything", "line 1, column 9: a NUL"),
        ("SELECT\n'a\0b'", "line 2, column 3: a NUL"),
    ] {
        let error = reader.query(sql).each(|_| Ok(())).unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(says), "{sql}: {error}");
    }
    // The longest statement there may be.
    let long = |bytes: usize| format!("SELECT 1 /*{}*/", "x".repeat(bytes - 13));
    assert_eq!(reader.query(&long(1 << 20)).one::<i64>().unwrap(), Some(1));
    assert_eq!(ends(reader.query(&long((1 << 20) + 1))), Some(ErrorKind::Invalid));
    for sql in ["; ; SELECT 1 ;", " -- a\n;/* b */ SELECT 1; -- c", "\u{feff}SELECT 1"] {
        assert_eq!(reader.query(sql).one::<i64>().unwrap(), Some(1), "{sql}");
    }
    assert_eq!(reader.query("SELECT ?1").bind(Value::Text("a\0b")).one::<String>().unwrap().as_deref(), Some("a\0b"));
}
