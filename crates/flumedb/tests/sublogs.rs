//! Guards against a sublog that has entries which its query does not find, or lacks some; views over it that do not hear of a
//! deletion, hear of one that is none of theirs, or keep what they built over other entries.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod bitmaps_support;

use std::{collections::BTreeMap, future::IntoFuture, sync::Arc};

use bitmaps_support::{any_doc, any_leaf, any_op, even, holds};
use flumedb::{
    ErrorKind, Flume, Result, Seq, Span,
    codec::Json,
    log::{Batch, Log, ReadRequest, SlotKind},
    view::{Checkpoint, Definition, Retraction, Run, View, ViewContext},
    views::{Bitmaps, Index, Op, Reduce},
};
use flumedb_sim::{Choices, Sim, soak_or_count};
use serde_json::{Value, json};

type Docs = BTreeMap<Seq, Value>;
type Db = Flume<Json<Value>>;

/// Takes back what it has taken in, and only that: it stops at anything else.
struct Exact(Docs);

impl View for Exact {
    type Item = Value;
    type Reader = Docs;

    fn definition(&self) -> Definition {
        Definition::new("exact", 1, "")
    }

    fn open(&mut self, _: &ViewContext<Value>) -> Result<Option<Checkpoint>> {
        self.0.clear();
        Ok(None)
    }

    fn apply(&mut self, run: &Run<Value>) -> Result<()> {
        for entry in run.iter() {
            assert!(self.0.insert(entry.seq, entry.value.clone()).is_none(), "{} twice", entry.seq);
        }
        Ok(())
    }

    fn retract(&mut self, seq: Seq, _: Option<&Value>) -> Result<Retraction> {
        assert!(self.0.remove(&seq).is_some(), "{seq} was never here");
        Ok(Retraction::Done)
    }

    fn publish(&mut self, _: &Checkpoint) -> Result<Docs> {
        Ok(self.0.clone())
    }
}

fn keep(docs: &mut Docs, entry: &Value) {
    // What a fold is given has no name; the documents have one.
    docs.insert(Seq::new(entry["id"].as_u64().unwrap()), entry.clone());
}

fn open(sim: &Sim) -> Db {
    let builder = Flume::builder(Json::new()).env(sim.env.clone()).set(|settings| settings.views.memory = 16 << 10);
    sim.block_on(builder.open("db").into_future()).unwrap()
}

fn bitmaps(db: &Db) -> Bitmaps<Json<Value>> {
    let bitmaps = Bitmaps::new(db);
    bitmaps.predicate("even", 1, even);
    bitmaps
}

struct Sub {
    db: Db,
    exact: flumedb::view::Live<Exact>,
    folded: flumedb::view::Live<Reduce<Value, Docs, fn(&mut Docs, &Value)>>,
    index: flumedb::view::Live<Index<Value, u64>>,
}

fn follow(sim: &Sim, db: &Db, op: &Op) -> Sub {
    let log = sim.block_on(bitmaps(db).sublog(op.clone()).into_future()).unwrap();
    let builder = Flume::builder(Json::new()).env(sim.env.clone()).views_in("db/sub");
    let db = sim.block_on(builder.with_log(log).into_future()).unwrap();
    let exact = sim.block_on(db.view("exact", Exact(Docs::new())).into_future()).unwrap();
    let fold: fn(&mut Docs, &Value) = keep;
    let folded = sim.block_on(db.view("folded", Reduce::new(1, Docs::new(), fold)).into_future()).unwrap();
    let index = Index::new(1, |doc: &Value| doc["id"].as_u64());
    let index = sim.block_on(db.view("index", index).into_future()).unwrap();
    Sub { db, exact, folded, index }
}

impl Sub {
    fn compare(&self, sim: &Sim, op: &Op, docs: &Docs) {
        let expected: Docs =
            docs.iter().filter(|(_, doc)| holds(op, doc)).map(|(seq, doc)| (*seq, doc.clone())).collect();
        assert_eq!(sim.block_on(self.exact.read().into_future()).unwrap(), expected, "{op}");
        assert_eq!(*sim.block_on(self.folded.read().into_future()).unwrap(), expected, "{op}");
        let index = sim.block_on(self.index.read().into_future()).unwrap();
        let mut seqs: Vec<Seq> = index.all().seqs().collect::<Result<_>>().unwrap();
        seqs.sort_unstable();
        assert!(seqs.iter().eq(expected.keys()), "{op}");
    }
}

#[test]
fn views_over_a_sublog_are_views_over_the_entries_it_has() {
    soak_or_count(40, |seed| {
        let mut chance = Choices::seeded(seed as u64);
        let mut sim = Sim::new(seed as u64);
        let op = loop {
            let op = if chance.pick(2) == 0 { any_leaf(&mut chance) } else { any_op(&mut chance, 2) };
            // One that looks at entries is refused.
            let text = op.to_string();
            if !text.contains("prefix") && !text.contains("long ") {
                break op;
            }
        };
        let (mut db, mut docs, mut id) = (open(&sim), Docs::new(), 0);
        let mut sub = follow(&sim, &db, &op);
        for _ in 0..12 {
            match chance.pick(8) {
                0..=3 => {
                    let mut new = Vec::new();
                    for _ in 0..=chance.pick(12) {
                        let mut doc = any_doc(&mut chance);
                        doc["id"] = json!(id + new.len());
                        new.push(doc);
                    }
                    let seqs = sim.block_on(db.append_all(&new).into_future()).unwrap();
                    for (seq, mut doc) in seqs.into_iter().zip(new) {
                        id = seq.get() as usize + 1;
                        assert_eq!(doc["id"], seq.get());
                        docs.insert(seq, doc.take());
                    }
                }
                4..=5 => {
                    let gone: Vec<Seq> = docs.keys().copied().filter(|_| chance.pick(6) == 0).collect();
                    docs.retain(|seq, _| !gone.contains(seq));
                    if !gone.is_empty() {
                        sim.block_on(db.delete(gone).into_future()).unwrap();
                        id += 1;
                    }
                }
                6 => {
                    if chance.pick(2) == 0 {
                        sim.block_on(sub.db.close().into_future()).unwrap();
                        sim.block_on(db.close().into_future()).unwrap();
                    }
                    drop((sub, db));
                    sim = if chance.pick(2) == 0 { sim.kill() } else { sim.crash(&mut chance) };
                    db = open(&sim);
                    sub = follow(&sim, &db, &op);
                }
                _ => {}
            }
            if chance.pick(2) == 0 {
                sub.compare(&sim, &op, &docs);
            }
        }
        sub.compare(&sim, &op, &docs);
    });
}

#[tokio::test]
async fn what_a_sublog_shows() {
    let db: Db = Flume::memory(Json::new()).unwrap();
    let bitmaps = bitmaps(&db);
    for number in 0..10 {
        db.append(&json!({"odd": number % 2 == 1, "id": number})).await.unwrap();
    }
    let log: Arc<dyn Log> = bitmaps.sublog(Op::equal("odd", true)).await.unwrap();
    assert_eq!(log.barrier().await.unwrap(), Some(Seq::new(9)));
    let all = log.read(ReadRequest::forwards(Span::ALL)).await.unwrap();
    assert_eq!(all.slots.iter().map(|slot| slot.seq.get()).collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
    let back = log.read(ReadRequest::backwards(Span { from: 0, to: 8 })).await.unwrap();
    assert_eq!(back.slots.iter().map(|slot| slot.seq.get()).collect::<Vec<_>>(), [7, 5, 3, 1]);
    assert_eq!(log.get(Seq::new(2)).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.get(Seq::new(3)).await.unwrap(), db.log().get(Seq::new(3)).await.unwrap());

    // Of two that are deleted together, one is here.
    db.delete([Seq::new(2), Seq::new(3)]).await.unwrap();
    db.delete([Seq::new(4)]).await.unwrap();
    let head = log.head();
    assert_eq!(log.barrier().await.unwrap(), Some(Seq::new(11)));
    assert_eq!(*head.borrow(), Some(Seq::new(11)), "the head follows");
    let all = log.read(ReadRequest::forwards(Span::ALL)).await.unwrap();
    let slots: Vec<(u64, SlotKind)> = all.slots.iter().map(|slot| (slot.seq.get(), slot.kind)).collect();
    let entry = SlotKind::Entry;
    let expected = [(1, entry), (3, SlotKind::Deleted), (5, entry), (7, entry), (9, entry), (10, SlotKind::Tombstone)];
    assert_eq!(slots, expected);
    assert_eq!(all.targets(all.slots.last().unwrap()).collect::<Vec<_>>(), [Seq::new(3)]);
    assert_eq!(log.get(Seq::new(3)).await.unwrap_err().kind(), ErrorKind::Deleted);
    assert_eq!((log.stat().unwrap().entries, log.stat().unwrap().deleted), (4, 1));

    let mut batch = Batch::new();
    batch.push(b"{}");
    assert_eq!(log.append(batch).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let long = Op::prefix("odd", "x".repeat(200));
    assert_eq!(bitmaps.sublog(long).await.err().unwrap().kind(), ErrorKind::Unsupported);
    assert_ne!(log.identity(), bitmaps.sublog(Op::equal("odd", "true")).await.unwrap().identity());

    // Nobody asks, and still it shows what comes.
    let mut head = log.head();
    db.append(&json!({"odd": true, "id": 12})).await.unwrap();
    head.wait_for(|head| *head == Some(Seq::new(12))).await.unwrap();
    db.close().await.unwrap();
    assert_eq!(log.barrier().await.unwrap_err().kind(), ErrorKind::Closed);
}
