//! Guards against a query over several views that finds too much or too little, tells it in another order than it says, pages
//! that lose or repeat a row, readers of one query that stand at different positions, and views that are built one after
//! another where one pass would do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod bitmaps_support;

use std::{
    collections::BTreeMap,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
};

use bitmaps_support::{any_doc, any_leaf, any_number, any_op, even, holds, number};
use flumedb::{
    Bytes, ErrorKind, Flume, Result, Seq,
    codec::{Codec, Json},
    views::{
        Bitmaps, Op,
        bitmaps::{Cursor, Number, Query, Told},
    },
};
use flumedb_sim::{Choices, Sim, soak_or_count};
use futures_util::StreamExt;
use serde_json::{Value, json};

/// JSON that counts how often it is decoded.
#[derive(Clone)]
struct Counted(Json<Value>, Arc<AtomicUsize>);

impl Codec for Counted {
    type Input = Value;
    type Item = Value;

    fn identity(&self) -> String {
        self.0.identity()
    }

    fn encode(&self, input: &Value, out: &mut Vec<u8>) -> Result<()> {
        self.0.encode(input, out)
    }

    fn decode(&self, bytes: &Bytes) -> Result<Value> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.decode(bytes)
    }
}

fn codec() -> Counted {
    Counted(Json::new(), Arc::default())
}

type Docs = BTreeMap<Seq, Value>;

fn bitmaps(db: &Flume<Counted>) -> Bitmaps<Counted> {
    let bitmaps = Bitmaps::new(db);
    bitmaps.predicate("even", 1, even);
    bitmaps
}

/// Asks everything that a query can be asked.
async fn ask(query: &Query<Counted>, docs: &Docs, sort: &Number, chance: &mut Choices) {
    let op = query.op().clone();
    let found: Vec<Seq> = docs.iter().filter(|(_, doc)| holds(&op, doc)).map(|(seq, _)| *seq).collect();
    assert_eq!(query.count().await.unwrap(), found.len() as u64, "{op}");
    assert_eq!(query.seqs().await.unwrap(), found, "{op}");
    let mut backwards = query.clone().descending().seqs().await.unwrap();
    backwards.reverse();
    assert_eq!(backwards, found, "{op}");

    let mut sorted = found.clone();
    let rank = |seq: &Seq| number(&docs[seq], sort).map_or(f64::NEG_INFINITY, |number| number);
    sorted.sort_by(|one, two| rank(one).total_cmp(&rank(two)).then(one.cmp(two)));
    let by_number = query.clone().sort(sort.clone());
    assert_eq!(by_number.seqs().await.unwrap(), sorted, "{op} by {sort:?}");
    let mut backwards = by_number.clone().descending().seqs().await.unwrap();
    backwards.reverse();
    assert_eq!(backwards, sorted, "{op} by {sort:?}");

    for (query, all) in [(query, &found), (&by_number, &sorted)] {
        for reverse in [false, true] {
            let query = if reverse { query.clone().descending() } else { query.clone() };
            let mut all = all.clone();
            if reverse {
                all.reverse();
            }
            let rows = 1 + chance.pick(7);
            let (mut paged, mut cursor) = (Vec::new(), None::<Cursor>);
            loop {
                let query = match cursor {
                    // As text and back.
                    Some(cursor) => query.clone().after(cursor.to_string().parse().unwrap()),
                    None => query.clone(),
                };
                let page = query.page(rows).await.unwrap();
                assert_eq!(page.next.is_some(), paged.len() + page.seqs.len() < all.len(), "{op}");
                paged.extend(page.seqs);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(paged, all, "{op} in pages of {rows}");
            let (skip, limit) = (chance.pick(9), chance.pick(9));
            let some = query.skip(skip).limit(limit).seqs().await.unwrap();
            let expected: Vec<Seq> = all.iter().skip(skip as usize).take(limit as usize).copied().collect();
            assert_eq!(some, expected, "{op}");
        }
    }
    let mut entries = query.run().await.unwrap().entries();
    for seq in found {
        let entry = entries.next().await.unwrap().unwrap();
        assert_eq!((entry.seq, &entry.value), (seq, &docs[&seq]));
    }
    assert!(entries.next().await.is_none());
}

fn open(sim: &Sim) -> Flume<Counted> {
    let builder = Flume::builder(codec()).env(sim.env.clone()).set(|settings| settings.views.memory = 16 << 10);
    sim.block_on(builder.open("db").into_future()).unwrap()
}

#[test]
fn any_query_over_any_history() {
    soak_or_count(60, |seed| {
        let mut chance = Choices::seeded(seed as u64);
        let sim = Sim::new(seed as u64);
        let (mut db, mut docs) = (open(&sim), Docs::new());
        for _ in 0..8 {
            match chance.pick(6) {
                0..=2 => {
                    let new: Vec<Value> = (0..chance.pick(30)).map(|_| any_doc(&mut chance)).collect();
                    if !new.is_empty() {
                        let seqs = sim.block_on(db.append_all(&new).into_future()).unwrap();
                        docs.extend(seqs.into_iter().zip(new));
                    }
                }
                3 => {
                    let gone: Vec<Seq> = docs.keys().copied().filter(|_| chance.pick(8) == 0).collect();
                    docs.retain(|seq, _| !gone.contains(seq));
                    sim.block_on(db.delete(gone).into_future()).unwrap();
                }
                4 => {
                    sim.block_on(db.close().into_future()).unwrap();
                    db = open(&sim);
                }
                _ => {}
            }
            let op = any_op(&mut chance, 3);
            let sort = any_number(&mut chance);
            let bitmaps = bitmaps(&db);
            // As JSON and back.
            assert_eq!(Op::from_json(&op.to_json().to_string()).unwrap().to_json(), op.to_json());
            sim.block_on(ask(&bitmaps.query(op), &docs, &sort, &mut chance));
        }
        sim.block_on(db.close().into_future()).unwrap();
    });
}

/// So many that blocks are full, containers change their kind and windows follow on another.
#[tokio::test]
async fn many_entries() {
    let (db, mut chance) = (Flume::memory(codec()).unwrap(), Choices::seeded(3));
    let mut docs = Docs::new();
    for _ in 0..7 {
        let new: Vec<Value> = (0..20_000_u64)
            .map(|number| json!({"a": if number % 3 > 0 { "post" } else { "" }, "b": [chance.pick(900)], "n": chance.pick(5_000)}))
            .collect();
        let seqs = db.append_all(&new).await.unwrap();
        docs.extend(seqs.into_iter().zip(new));
        // Between publishes.
        bitmaps(&db).query(Op::equal("a", "post")).count().await.unwrap();
    }
    let gone: Vec<Seq> = docs.keys().copied().filter(|_| chance.pick(50) == 0).collect();
    docs.retain(|seq, _| gone.binary_search(seq).is_err());
    db.delete(gone).await.unwrap();
    let ops = [
        Op::equal("a", "post"),
        Op::includes("b", 7).and(Op::equal("a", "")),
        Op::includes("b", 7).or(Op::includes("b", 8)).and(!Op::equal("a", "")),
        Op::gt("n", 4_990).and(Op::equal("a", "post")),
        Op::lt("n", 2_500),
        Op::absent("a"),
    ];
    for op in ops {
        let found: Vec<Seq> = docs.iter().filter(|(_, doc)| holds(&op, doc)).map(|(seq, _)| *seq).collect();
        let query = bitmaps(&db).query(op.clone());
        assert_eq!(query.count().await.unwrap(), found.len() as u64, "{op}");
        assert_eq!(query.seqs().await.unwrap(), found, "{op}");
        assert!(query.clone().descending().seqs().await.unwrap().iter().rev().eq(&found), "{op}");
        let mut sorted = found.clone();
        sorted.sort_by_key(|seq| (docs[seq]["n"].as_i64(), *seq));
        let by_number = query.sort("n");
        assert_eq!(by_number.seqs().await.unwrap(), sorted, "{op}");
        // Few of many are found by walking along the numbers, not by gathering.
        for at in [0, sorted.len() / 2, sorted.len().saturating_sub(3)] {
            let some = by_number.clone().skip(at as u64).limit(5).seqs().await.unwrap();
            assert!(some.iter().eq(sorted.iter().skip(at).take(5)), "{op} at {at}");
            let some = by_number.clone().descending().skip(at as u64).limit(5).seqs().await.unwrap();
            assert!(some.iter().eq(sorted.iter().rev().skip(at).take(5)), "{op} at {at} from the end");
        }
        let first = by_number.page(5).await.unwrap();
        if let Some(cursor) = first.next {
            let second = by_number.clone().after(cursor).page(5).await.unwrap();
            assert!(second.seqs.iter().eq(sorted.iter().skip(5).take(5)), "{op}");
        }
    }
}

#[tokio::test]
async fn three_new_views_cost_one_pass_and_none_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let counted = codec();
    let op = Op::equal("a", 1).or(Op::includes("b", "x")).or(Op::gt("n", 3));
    let docs: Vec<Value> = (0..5_000).map(|number| json!({"a": number % 7, "b": ["x"], "n": number})).collect();
    {
        let db = Flume::open(dir.path(), counted.clone()).await.unwrap();
        db.append_all(&docs).await.unwrap();
        let bitmaps = bitmaps(&db);
        assert_eq!(bitmaps.query(op.clone()).count().await.unwrap(), 5_000);
        assert_eq!(counted.1.load(Ordering::Relaxed), 5_000, "each entry was decoded once for three views");
        // Another handle, and another question to the same views.
        assert_eq!(Bitmaps::new(&db).query(Op::equal("a", 2)).count().await.unwrap(), 714);
        assert_eq!(db.progress().len(), 3);
        db.close().await.unwrap();
    }
    let db = Flume::open(dir.path(), counted.clone()).await.unwrap();
    assert_eq!(bitmaps(&db).query(op).count().await.unwrap(), 5_000);
    assert_eq!(counted.1.load(Ordering::Relaxed), 5_000, "nothing was read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_sees_one_position_while_entries_come() {
    let db = Flume::memory(codec()).unwrap();
    let bitmaps = bitmaps(&db);
    let writer = tokio::spawn({
        let db = db.clone();
        async move {
            for number in 0..600_u64 {
                db.append(&json!({"a": "post", "n": number})).await.unwrap();
            }
        }
    });
    // Whatever the position, each entry is in both.
    let torn = Op::equal("a", "post").and(!Op::gte("n", 0)).or(Op::gte("n", 0).and(!Op::equal("a", "post")));
    while !writer.is_finished() {
        let before = db.head().map_or(0, |head| head.get() + 1);
        assert_eq!(bitmaps.query(torn.clone()).count().await.unwrap(), 0);
        assert!(bitmaps.query(Op::equal("a", "post")).count().await.unwrap() >= before, "it reads what was written");
    }
}

#[tokio::test]
async fn what_is_told_live_is_all_and_once() {
    let db = Flume::memory(codec()).unwrap();
    let mut chance = Choices::seeded(9);
    let (mut docs, mut told, mut new) = (Docs::new(), Vec::new(), Vec::new());
    let append = async |docs: &mut Docs, chance: &mut Choices| {
        for _ in 0..40 {
            let doc = any_doc(chance);
            docs.insert(db.append(&doc).await.unwrap(), doc);
        }
    };
    append(&mut docs, &mut chance).await;
    let op = Op::absent("a").or(Op::gt("n", 2));
    let bitmaps = bitmaps(&db);
    let mut both = bitmaps.query(op.clone()).descending().follow(true);
    let mut only_new = bitmaps.query(op.clone()).follow(false);
    assert_eq!(only_new.next().await.unwrap().unwrap(), Told::CaughtUp);
    let mut old: Vec<Seq> = docs.iter().filter(|(_, doc)| holds(&op, doc)).map(|(seq, _)| *seq).collect();
    old.reverse();
    while let Told::Match(seq) = both.next().await.unwrap().unwrap() {
        told.push(seq);
    }
    assert_eq!(told, old, "what was there, in the order of the query");
    let before = docs.len();
    append(&mut docs, &mut chance).await;
    let expected: Vec<Seq> = docs.iter().skip(before).filter(|(_, doc)| holds(&op, doc)).map(|(seq, _)| *seq).collect();
    for follow in [&mut both, &mut only_new] {
        new.clear();
        while new.len() < expected.len() {
            match follow.next().await.unwrap().unwrap() {
                Told::Match(seq) => new.push(seq),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(new, expected, "then what came, in the order of the log");
    }
    db.close().await.unwrap();
    assert_eq!(both.next().await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(both.next().await.is_none());
}

/// Guards against an answer that takes a value for one of another type.
#[tokio::test]
async fn no_two_values_share_a_bitmap() {
    let db = Flume::memory(codec()).unwrap();
    let values = [json!(1), json!("1"), json!(null), json!(false), json!(true), json!(0), json!(""), json!("null")];
    for value in &values {
        db.append(&json!({"v": value, "list": [value]})).await.unwrap();
    }
    db.append(&json!({})).await.unwrap();
    let bitmaps = bitmaps(&db);
    for (number, value) in values.iter().enumerate() {
        let expected = [Seq::new(number as u64)];
        assert_eq!(bitmaps.query(Op::equal("v", value.clone())).seqs().await.unwrap(), expected, "{value}");
        assert_eq!(bitmaps.query(Op::includes("list", value.clone())).seqs().await.unwrap(), expected, "{value}");
    }
    assert_eq!(bitmaps.query(Op::absent("v")).seqs().await.unwrap(), [Seq::new(8)]);
    // Paths that read alike are two.
    db.append(&json!({"x.y": 1, "x": {"y": 2}})).await.unwrap();
    assert_eq!(bitmaps.query(Op::equal("x.y", 1)).count().await.unwrap(), 0);
    assert_eq!(bitmaps.query(Op::equal(["x.y"], 1)).count().await.unwrap(), 1);
    assert_eq!(bitmaps.query(Op::equal("x.y", 2)).count().await.unwrap(), 1);
}

/// Guards against a query that is dropped half way and leaves something behind that stops others.
#[tokio::test]
async fn queries_may_be_dropped_at_any_point() {
    let db = Flume::memory(codec()).unwrap();
    let bitmaps = bitmaps(&db);
    let mut chance = Choices::seeded(4);
    for round in 0..50_u64 {
        db.append(&any_doc(&mut chance)).await.unwrap();
        let query = bitmaps.query(any_leaf(&mut chance));
        let mut running = query.run();
        // A few polls, then no more.
        for _ in 0..round % 4 {
            let mut context = Context::from_waker(Waker::noop());
            if Pin::new(&mut running).poll(&mut context).is_ready() {
                break;
            }
        }
        drop(running);
    }
    assert_eq!(bitmaps.query(Op::All).count().await.unwrap(), 50);
}

#[tokio::test]
async fn record_numbers_count_what_was_deleted_but_no_deletions() {
    let db = Flume::memory(codec()).unwrap();
    for number in 0..10_000 {
        db.append(&json!({"n": number})).await.unwrap();
        if number % 100 == 50 {
            let head = db.head().unwrap();
            db.delete([head]).await.unwrap();
        }
    }
    let bitmaps = bitmaps(&db);
    for records in [vec![0, 1], vec![49, 50, 51, 52], vec![9_999, 10_000], vec![5_000, 4_096, 4_095, 5_000]] {
        let mut found = bitmaps.query(Op::Seqs(records.clone())).run().await.unwrap().entries();
        let mut numbers = Vec::new();
        while let Some(entry) = found.next().await {
            numbers.push(entry.unwrap().value["n"].as_u64().unwrap());
        }
        let mut expected: Vec<u64> =
            records.into_iter().filter(|record| *record < 10_000 && record % 100 != 50).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(numbers, expected);
    }
}
