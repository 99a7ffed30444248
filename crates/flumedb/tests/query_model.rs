//! Query sets against the naive way: the model test of the view that each index is, and any query through any indexes
//! against the same query over all entries. Guards against ranges that leave out what the filter lets through, keys out of
//! order, entries twice or not at all where old and new meet, and indexes that keep what was deleted.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use flumedb::{
    Entry, ErrorKind, Flume, Seq,
    codec::JsonDocs,
    mfr::{Compat, Language, Pipeline},
    views::{
        IndexOn, Query,
        query::{QueryIndex, QueryReader, Told},
    },
};
use flumedb_sim::{
    Choices, soak_or_count,
    views::{Subject, check},
};
use futures_util::StreamExt;
use serde_json::{Value, json};

/// Values that have something in common, and their neighbours.
fn scalar(chance: &mut Choices) -> Value {
    let all = [
        json!(null),
        json!(false),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(1.5),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992_i64),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("a\0"),
        json!("b"),
        json!("1"),
        json!("x".repeat(1100)),
        json!("x".repeat(1100) + "y"),
    ];
    all[chance.pick(all.len() as u64) as usize].clone()
}

fn value(chance: &mut Choices, depth: u32) -> Value {
    match chance.pick(if depth == 0 { 5 } else { 8 }) {
        5 => (0..chance.pick(3)).map(|_| value(chance, depth - 1)).collect(),
        6 => json!({ "a": value(chance, depth - 1) }),
        7 => json!({}),
        _ => scalar(chance),
    }
}

fn document(chance: &mut Choices) -> Value {
    let mut doc = json!({});
    for name in ["a", "b", "c"] {
        if chance.pick(5) > 0 {
            doc[name] = value(chance, 2);
        }
    }
    doc
}

fn test(chance: &mut Choices) -> Value {
    let of = value(chance, 1);
    let list = |chance: &mut Choices| (0..chance.pick(4)).map(|_| value(chance, 1)).collect::<Value>();
    match chance.pick(14) {
        0 => json!({ "$eq": of }),
        1 => json!({ "$ne": of }),
        2 => json!({ "$gt": scalar(chance) }),
        3 => json!({ "$gte": scalar(chance) }),
        4 => json!({ "$lt": scalar(chance) }),
        5 => json!({"$lte": scalar(chance), "$gt": scalar(chance)}),
        6 => json!({ "$prefix": (["", "a", "x", "1"][chance.pick(4) as usize]) }),
        7 => json!({ "$prefix": list(chance) }),
        8 => json!({ "$in": list(chance) }),
        9 => {
            json!({ "$is": (["null", "boolean", "number", "string", "array", "object", "undefined"][chance.pick(7) as usize]) })
        }
        10 => json!({ "$not": true }),
        11 => json!({ "$gte": list(chance) }),
        12 => json!({ "a": scalar(chance) }),
        _ => scalar(chance),
    }
}

fn filter(chance: &mut Choices) -> Value {
    let mut filter = json!({});
    for name in ["a", "b", "c"] {
        if chance.pick(2) == 0 {
            filter[name] = test(chance);
        }
    }
    filter
}

fn indexes(chance: &mut Choices) -> Vec<IndexOn> {
    let paths = [vec!["a"], vec!["b"], vec!["c"], vec!["a", "a"], vec!["b", "0"], vec!["b", "a"]];
    let index = |chance: &mut Choices, number| {
        let own = (0..=chance.pick(3)).map(|_| paths[chance.pick(paths.len() as u64) as usize].clone());
        IndexOn::new(format!("index{number}"), own.collect::<Vec<_>>())
    };
    (0..=chance.pick(3)).map(|number| index(chance, number)).collect()
}

fn naive(query: &Pipeline, entries: &[(Seq, Value)]) -> Vec<Value> {
    query.run(entries.iter().map(|(_, value)| value)).map(|row| row.unwrap().value).collect()
}

/// What a query finds does not depend on the indexes there are.
#[test]
fn a_query_through_indexes_finds_what_a_scan_finds() {
    let mut used = std::sync::atomic::AtomicU64::new(0);
    soak_or_count(120, |number| {
        let mut chance = Choices::seeded(number as u64);
        let db = Flume::memory(JsonDocs).unwrap();
        let set = Query::open(&db, "set", indexes(&mut chance)).blocking().unwrap();
        let docs: Vec<_> = (0..40).map(|_| document(&mut chance)).collect();
        let texts: Vec<_> = docs.iter().map(Value::to_string).collect();
        let seqs = db.append_all(texts).blocking().unwrap();
        let mut entries: Vec<_> = seqs.into_iter().zip(docs).collect();
        for _ in 0..chance.pick(5) {
            let (seq, _) = entries.remove(chance.pick(entries.len() as u64) as usize);
            db.delete([seq]).blocking().unwrap();
        }
        for _ in 0..60 {
            let filter = filter(&mut chance);
            let query = Pipeline::parse(&json!([{ "$filter": filter }]).to_string()).unwrap();
            let key = |value: &Value| value.to_string();
            let mut expected: Vec<_> = naive(&query, &entries).iter().map(key).collect();
            expected.sort();
            let ask = || if chance_of(&filter) { set.ask(&query).reverse() } else { set.ask(&query) };
            let rows: Vec<_> = ask().rows().blocking().map(|row| row.unwrap()).collect();
            for row in &rows {
                let entry = entries.iter().find(|(seq, _)| Some(*seq) == row.seq).unwrap();
                assert_eq!(entry.1, row.value);
            }
            let mut found: Vec<_> = rows.iter().map(|row| key(&row.value)).collect();
            found.sort();
            let explain = ask().explain().blocking().unwrap();
            assert_eq!(found, expected, "{number}: {filter} {explain:?}");
            assert!(explain.rows >= rows.len() as u64, "{filter} {explain:?}");
            if explain.index.is_some() {
                assert!(explain.rows <= entries.len() as u64, "an entry is looked at once");
                used.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            let count = set.ask(&query).limit(2).rows().blocking().count();
            assert_eq!(count, found.len().min(2));
        }
    });
    assert!(*used.get_mut() > 500, "indexes are used: {used:?}");
}

fn chance_of(filter: &Value) -> bool {
    filter.to_string().len().is_multiple_of(2)
}

/// An index over paths that depend on the version; asked queries that it fits.
struct Indexed;

impl Indexed {
    fn on(version: u32) -> IndexOn {
        match version {
            1 => IndexOn::new("a", [["a"], ["b"]]),
            _ => IndexOn::new("a", [["b"], ["a"]]),
        }
    }

    fn queries() -> Vec<Pipeline> {
        let filters = [
            json!({"a": "a", "b": "a"}),
            json!({"a": {"$gte": 0}, "b": {"$is": "number"}}),
            json!({"a": {"$is": "string"}, "b": {"$in": [null, 1, "x".repeat(1100)]}}),
            json!({"a": {"$prefix": []}, "b": {"$lt": true}}),
            json!({"a": {"$in": [0, "ab", [1]]}, "b": {"$gt": ""}}),
        ];
        filters.map(|filter| Pipeline::parse(&json!([{ "$filter": filter }]).to_string()).unwrap()).into()
    }
}

impl Subject for Indexed {
    type Item = Value;
    type View = QueryIndex<Value>;
    type Seen = Vec<Vec<Seq>>;

    fn view(&self, version: u32) -> QueryIndex<Value> {
        QueryIndex::new(Self::on(version)).unwrap()
    }

    fn item(&self, chance: &mut Choices) -> Value {
        document(chance)
    }

    async fn look(&self, reader: &QueryReader<Value>) -> Vec<Vec<Seq>> {
        let mut seen = Vec::new();
        for query in Self::queries() {
            let rows: Vec<_> = reader.ask(&query).unwrap().collect().await;
            let mut seqs: Vec<_> = rows.into_iter().map(|row| row.unwrap().seq.unwrap()).collect();
            seqs.sort();
            seen.push(seqs);
        }
        seen
    }

    fn expect(&self, _: u32, entries: &[Entry<Value>]) -> Vec<Vec<Seq>> {
        let found = |query: Pipeline| {
            let mut running = query.start();
            let rows = entries.iter().filter_map(|entry| running.push(Some(entry.seq), &entry.value).unwrap());
            rows.map(|row| row.seq.unwrap()).collect()
        };
        Self::queries().into_iter().map(found).collect()
    }
}

#[test]
fn an_index_shows_what_its_entries_come_to_whatever_happens() {
    check(&Indexed, 60);
}

#[tokio::test]
async fn old_rows_then_a_mark_then_new_ones() {
    let db = Flume::memory(JsonDocs).unwrap();
    let indexes = [IndexOn::new("n", [["n"]])];
    let set = Query::open(&db, "set", indexes).await.unwrap();
    db.append_all([r#"{"n":2}"#, r#"{"n":1}"#, r#"{"n":9}"#]).await.unwrap();
    let query = Pipeline::parse(r#"[{"$filter": {"n": {"$lt": 5}}}, {"$map": "n"}]"#).unwrap();
    let row = |told: Option<flumedb::Result<Told>>| match told.unwrap().unwrap() {
        Told::Row(row) => row.value,
        told => json!(format!("{told:?}")),
    };

    let mut all = set.ask(&query).limit(4).follow();
    let mut new = set.ask(&query).only_new().follow();
    assert_eq!([row(all.next().await), row(all.next().await)], [1, 2], "in the order of the index");
    assert_eq!([row(all.next().await), row(new.next().await)], ["CaughtUp", "CaughtUp"]);
    db.append_all([r#"{"n":7}"#, r#"{"n":4}"#, r#"{"n":3}"#, r#"{"n":0}"#]).await.unwrap();
    assert_eq!([row(all.next().await), row(all.next().await)], [4, 3], "in the order of the log");
    assert!(all.next().await.is_none(), "the limit is of all rows");
    assert_eq!([row(new.next().await), row(new.next().await), row(new.next().await)], [4, 3, 0]);
    drop(new);

    let never = Pipeline::parse(r#"[{"$reduce": {"$count": true}}]"#).unwrap();
    let error = set.ask(&never).follow().next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_query_reads_what_was_appended_before() {
    let db = Flume::memory(JsonDocs).unwrap();
    let set = Query::open(&db, "set", [IndexOn::new("n", [["n"]])]).await.unwrap();
    let (indexed, scanned) =
        (Pipeline::parse(r#"{"n": {"$gte": 0}}"#).unwrap(), Pipeline::parse(r#"{"m": {"$gte": 0}}"#).unwrap());
    for number in 0..50 {
        let seq = db.append(&format!(r#"{{"n":{number},"m":{number}}}"#)).await.unwrap();
        assert_eq!(set.ask(&indexed).rows().count().await, number + 1);
        assert_eq!(set.ask(&scanned).rows().count().await, number + 1);
        assert_eq!(set.ask(&indexed).at(seq).rows().count().await, number + 1);
        assert!(set.ask(&indexed).stale().rows().count().await <= number + 1);
    }
}

/// A query is answered a turn at a time, and can be left at any point.
#[tokio::test]
async fn a_long_query_can_be_dropped() {
    let db = Flume::memory(JsonDocs).unwrap();
    db.append_all((0..5000).map(|number| format!(r#"{{"n":{number}}}"#))).await.unwrap();
    let set = Query::open(&db, "set", []).await.unwrap();
    let none = Pipeline::parse(r#"{"n": -1}"#).unwrap();
    let mut rows = set.ask(&none).rows();
    let waiting = std::future::poll_fn(|cx| {
        use futures_util::Stream;
        std::task::Poll::Ready(std::pin::Pin::new(&mut rows).poll_next(cx).is_pending())
    });
    assert!(waiting.await, "it gave way before it was through");
    drop(rows);
    assert_eq!(set.ask(&none).rows().count().await, 0);
}

#[test]
fn explain_says_what_is_done() {
    let db = Flume::memory(JsonDocs).unwrap();
    let indexes = r#"[{"key": "author", "value": ["author", "time"]}, {"key": "tags", "value": ["tags"]}]"#;
    let set = Query::open(&db, "set", IndexOn::parse_list(indexes).unwrap()).blocking().unwrap();
    let text = |n: u32| format!(r#"{{"author":"a{}","time":{n},"tags":["t{}",{n}],"text":"hello"}}"#, n % 3, n % 2);
    db.append_all((0..30).map(text)).blocking().unwrap();
    let explain = |query: &str, compat| {
        let query = Language::new().compat(compat).parse(query).unwrap();
        let rows = set.ask(&query).rows().blocking().count();
        (rows, serde_json::to_value(set.ask(&query).reverse().explain().blocking().unwrap()).unwrap())
    };
    let (rows, said) = explain(
        r#"{"author": {"$in": ["a2", "a0"]}, "time": {"$gt": 6, "$lte": 20}, "text": "hello"}"#,
        Compat::Corrected,
    );
    assert_eq!(rows, 9);
    assert_eq!(
        said,
        json!({
            "index": "author",
            "ranges": [{"from": ["a0", 6], "to": ["a0", 20]}, {"from": ["a2", 6], "to": ["a2", 20]}],
            "reverse": true,
            "rows": 10,
            "filtered": [{"path": ["text"], "is": "hello"}],
            "scores": {"author": 5},
        })
    );

    let (rows, said) = explain(r#"[{"$filter": {"tags": {"$prefix": ["t1"]}}}]"#, Compat::Corrected);
    assert_eq!((rows, &said["index"], &said["rows"]), (15, &json!("tags"), &json!(15)));
    let (rows, said) = explain(r#"[{"$filter": {"tags": {"$prefix": ["t1"]}}}]"#, Compat::Originals);
    assert_eq!((rows, &said["index"]), (0, &json!("tags")), "in the originals the ends are exchanged");

    let (rows, said) = explain(r#"{"text": {"$prefix": "he"}}"#, Compat::Corrected);
    assert_eq!((rows, &said["index"], &said["rows"], &said["ranges"]), (30, &json!(null), &json!(30), &json!([])));
}

#[test]
fn indexes_are_declared_or_refused_by_name() {
    let db = Flume::memory(JsonDocs).unwrap();
    for (indexes, expected) in [
        (
            r#"[{"key": "b", "value": ["b"]}, {"key": "a", "value": []}]"#,
            "at /1/value in the list of indexes: the index \"a\" has no path",
        ),
        (r#"[{"key": "a", "value": ["b"], "exakt": true}]"#, "no list of indexes: unknown field `exakt`"),
        (r#"{"key": "a"}"#, "no list of indexes: invalid type"),
        (r#"[{"key": "a", "value": [5]}]"#, "no list of indexes: data did not match"),
    ] {
        let opened = IndexOn::parse_list(indexes).and_then(|on| Query::open(&db, "set", on).blocking().map(drop));
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with(expected), "{indexes}: {error}");
    }
}

/// More values than ranges are made of are no reason to choose an index that then is not used.
#[test]
fn a_long_list_of_values_is_left_to_another_index() {
    let db = Flume::memory(JsonDocs).unwrap();
    let indexes = r#"[{"key": "author", "value": ["author", "time"]}, {"key": "type", "value": ["type"]}]"#;
    let set = Query::open(&db, "set", IndexOn::parse_list(indexes).unwrap()).blocking().unwrap();
    let text =
        |n: u32| format!(r#"{{"author":"a{}","time":{n},"type":"{}"}}"#, n % 100, ["post", "vote"][n as usize % 2]);
    db.append_all((0..300).map(text)).blocking().unwrap();
    let authors = |count: u32| (0..count).map(|n| format!("a{n}")).collect::<Vec<_>>();
    let explain = |filter: Value| {
        let query = Language::new().parse_value(&json!([{ "$filter": filter }])).unwrap();
        let found = set.ask(&query).rows().blocking().count();
        let said = set.ask(&query).explain().blocking().unwrap_or_else(|error| panic!("{filter}: {error}"));
        let said = serde_json::to_value(said).unwrap();
        (said["index"].clone(), said["rows"].as_u64().unwrap(), found)
    };
    assert_eq!(explain(json!({"author": {"$in": authors(64)}})), (json!("author"), 192, 192));
    assert_eq!(explain(json!({"author": {"$in": authors(65)}})), (json!(null), 300, 195));
    let filter = json!({"author": {"$in": authors(65)}, "type": "post"});
    assert_eq!(explain(filter), (json!("type"), 150, 99));
    // What else is said of the same path still counts.
    let filter = json!({"author": {"$in": authors(65), "$prefix": "a1"}});
    assert_eq!(explain(filter), (json!("author"), 33, 33));
    // The same for several lists that come to too many together: only the first is used.
    let filter = json!({"author": {"$in": authors(10)}, "time": {"$in": (0..10).collect::<Vec<_>>()}});
    assert_eq!(explain(filter), (json!("author"), 30, 10));
}
