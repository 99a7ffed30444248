//! Guards against bitmaps that hold anything else than the entries of the log have: each kind of view through whole histories
//! of a log and of the machine under it, held against one that is built anew and against a walk through the documents.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod bitmaps_support;

use std::collections::BTreeMap;

use bitmaps_support::{any_doc, even, holds, long};
use flumedb::{
    Entry, Seq,
    views::bitmaps::{BitmapReader, BitmapView, Number, Op, Part},
};
use flumedb_sim::{
    Choices,
    views::{Subject, check},
};
use serde_json::{Value, json};

/// A kind of view, in two versions, and what it can be asked.
struct Kind {
    view: fn(u32) -> BitmapView<Value>,
    ops: fn(u32) -> Vec<Op>,
}

fn scalars() -> Vec<Value> {
    let mut scalars: Vec<Value> =
        vec![json!(null), json!(true), json!(false), json!(0), json!(1), json!(1.0), json!("1"), json!("")];
    scalars.extend([json!("post"), json!("pole\0"), json!(-2.5), json!(long("a")), json!(long("b"))]);
    scalars.extend((2..40).map(|number| json!(number)));
    scalars
}

impl Subject for Kind {
    type Item = Value;
    type View = BitmapView<Value>;
    type Seen = BTreeMap<String, Vec<Seq>>;

    fn view(&self, version: u32) -> BitmapView<Value> {
        (self.view)(version)
    }

    fn item(&self, chance: &mut Choices) -> Value {
        any_doc(chance)
    }

    async fn look(&self, reader: &BitmapReader<Value>) -> Self::Seen {
        let mut seen = BTreeMap::new();
        // Of either version; the view refuses what it does not know of.
        let ops = [(self.ops)(1), (self.ops)(2)];
        for op in ops.iter().flatten() {
            let Ok(mut matches) = reader.matches(op).await else { continue };
            let mut seqs = Vec::new();
            while let Some(seq) = matches.next().await {
                seqs.push(seq.unwrap());
            }
            seen.insert(op.to_string(), seqs);
        }
        assert!(seen.len() * 2 >= ops[0].len(), "it answers nothing");
        seen
    }

    fn expect(&self, version: u32, entries: &[Entry<Value>]) -> Self::Seen {
        let found = |op: &Op| entries.iter().filter(|entry| holds(op, &entry.value)).map(|entry| entry.seq).collect();
        (self.ops)(version).iter().map(|op| (op.to_string(), found(op))).collect()
    }
}

#[test]
fn values() {
    fn path(version: u32) -> &'static str {
        if version == 1 { "a" } else { "in.t" }
    }
    let ops = |version| {
        let mut ops: Vec<Op> = scalars().into_iter().map(|value| Op::equal(path(version), value)).collect();
        ops.push(Op::absent(path(version)));
        ops.extend(["", "p", "pol", "pole\0", &long(""), &long("a")].map(|text| Op::prefix(path(version), text)));
        ops
    };
    check(&Kind { view: |version| BitmapView::values(path(version)), ops }, 20);
}

#[test]
fn items() {
    fn pluck(version: u32) -> Option<&'static str> {
        (version == 2).then_some("x")
    }
    let ops = |version| {
        let of = |value| match pluck(version) {
            Some(pluck) => Op::includes_at("b", pluck, value),
            None => Op::includes("b", value),
        };
        scalars().into_iter().map(of).collect()
    };
    check(&Kind { view: |version| BitmapView::items("b", pluck(version).map(Into::into)), ops }, 20);
}

#[test]
fn numbers() {
    fn number(version: u32) -> Number {
        if version == 1 { "n".into() } else { Number::Least(vec!["n".into(), "a".into()]) }
    }
    let ops = |version| {
        let than = (0..26).map(|half| f64::from(half) / 2.0 - 0.5);
        let ops = than.flat_map(|than| {
            let number = || number(version);
            [Op::gt(number(), than), Op::gte(number(), than), Op::lt(number(), than), Op::lte(number(), than)]
        });
        ops.collect()
    };
    check(&Kind { view: |version| BitmapView::numbers(number(version)), ops }, 20);
}

#[test]
fn parts() {
    fn part(version: u32) -> Part {
        Part { bytes: 4, offset: version as usize - 1, map: false }
    }
    let ops = |version| {
        let texts = scalars().into_iter().filter(Value::is_string);
        texts.map(|value| Op::Equal { path: "a".into(), value: value.into(), part: Some(part(version)) }).collect()
    };
    check(&Kind { view: |version| BitmapView::parts("a", 4, part(version).offset), ops }, 10);
}

#[test]
fn predicates_and_entries() {
    let view = |version| BitmapView::predicate("n", "even", version, even);
    check(&Kind { view, ops: |_| vec![Op::predicate("n", "even")] }, 10);
    check(&Kind { view: |_| BitmapView::entries(), ops: |_| vec![Op::All] }, 10);
}
