//! Links and their queries against what flumeview-links 2.1.0 gives over the same log: with `Compat::Originals` every result is the
//! same, and the same order is chosen; without it a query gives what it says, whichever order is walked. What differs on purpose:
//! `$sort` sorts, where the original wants an order of exactly its columns and refuses all else; and a limit counts rows, where the
//! original without an order counts entries.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use flumedb::{
    Flume,
    codec::{Document, JsonDoc, JsonDocs},
    mfr::{Compat, Language},
    views::{
        Link, Links,
        links::{Column, LinksReader},
    },
};
use flumedb_ssb::OffsetLog;
use serde_json::Value;

/// The links that the mapping of the vectors emits.
fn emitted(doc: &JsonDoc) -> Vec<Link> {
    let value = doc.to_value(&[]).unwrap();
    let content = &value["value"]["content"];
    let mut links = Vec::new();
    if content.is_string() {
        return links;
    }
    let mut put = |rel: &str, dest: &Value| {
        let link = Link::new(value["value"]["author"].as_str().unwrap(), rel, dest.as_str().unwrap());
        links.push(link.with("ts", value["timestamp"].clone()).with("v", serde_json::json!({"type": content["type"]})));
    };
    if content["root"].is_string() {
        put("root", &content["root"]);
    }
    if content["vote"].is_object() {
        put("vote", &content["vote"]["link"]);
    }
    if content["contact"].is_string() {
        put(if content.get("following").is_some() { "follow" } else { "block" }, &content["contact"]);
    }
    for mention in content["mentions"].as_array().into_iter().flatten() {
        put("mention", &mention["link"]);
    }
    match &content["branch"] {
        Value::Array(branches) => branches.iter().for_each(|branch| put("branch", branch)),
        branch @ Value::String(_) => put("branch", branch),
        _ => {}
    }
    links
}

/// The orders of the vectors by their names there.
const ORDERS: [(&str, &[&[&str]]); 4] = [
    ("SRD", &[&["source"], &["rel"], &["dest"]]),
    ("DRS", &[&["dest"], &["rel"], &["source"]]),
    ("RTS", &[&["rel"], &["ts"]]),
    ("NEST", &[&["v", "type"], &["source"]]),
];

fn columns(paths: &[&[&str]]) -> Vec<Column> {
    paths.iter().map(|path| path.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().into()).collect()
}

fn open() -> (Flume<JsonDocs>, LinksReader<JsonDoc>) {
    let env = common::machine(&common::vector("views/log.offset"));
    let log = OffsetLog::builder().env(env).open("log.offset").unwrap();
    let db = Flume::with_log(std::sync::Arc::new(log), JsonDocs).blocking().unwrap();
    let links = Links::new(1, emitted).order(columns(ORDERS[2].1)).order(columns(ORDERS[3].1));
    let reader = db.view("links", links).blocking().unwrap().read().blocking().unwrap();
    (db, reader)
}

/// JSON text with the members in the order in which the original has them.
fn text(value: &Value, order: &[&str]) -> String {
    let members: Vec<String> = order
        .iter()
        .filter_map(|name| Some((name, value.get(name)?)))
        .map(|(name, value)| format!("{}:{value}", Value::from(*name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// All links there are, and the entry of each: what the original gives where no order fits. It gives a link twice that one entry
/// says twice, which in its orders is one row, and in ours always.
fn all_emitted(db: &Flume<JsonDocs>) -> Vec<(u64, Value)> {
    let entries = db.scan(..).blocking().map(Result::unwrap);
    entries
        .flat_map(|entry| emitted(&entry.value).into_iter().map(move |link| (entry.seq.get(), link.to_value())))
        .collect()
}

fn queries() -> Vec<Value> {
    let rows = common::vector_rows("views/links.jsonl");
    assert_eq!(rows.len(), 164);
    rows.into_iter().filter(|row| !row["opts"]["query"].to_string().contains("$sort")).collect()
}

#[test]
fn every_result_is_that_of_the_original_in_compat_mode() {
    let (db, reader) = open();
    let language = Language::new().compat(Compat::Originals);
    let mut hashed = 0;
    for row in queries() {
        let opts = &row["opts"];
        if row["index"].is_null() && opts.get("limit").is_some() {
            // There the original counts entries, those without links as well, and we count rows.
            continue;
        }
        let query = language.parse_value(&opts["query"]).unwrap();
        let mut asked = reader.query(&query).limit(opts["limit"].as_u64().unwrap_or(u64::MAX));
        if opts["reverse"] == true {
            asked = asked.rev();
        }
        let order = row["index"].as_str().map(|name| ORDERS.iter().find(|order| order.0 == name).unwrap().1);
        assert_eq!(asked.explain().order, order.map(columns), "{opts}");
        let mut ours: Vec<Value> = asked.map(|row| row.unwrap().value).collect();
        if order.is_none() {
            let theirs = all_emitted(&db);
            let mut distinct = theirs.clone();
            distinct.dedup();
            let distinct: Vec<Value> = distinct.into_iter().map(|(_, value)| value).collect();
            assert_eq!(ours, distinct, "{opts}");
            ours = theirs.into_iter().map(|(_, value)| value).collect();
        }
        assert_eq!(ours.len() as u64, row["count"].as_u64().unwrap(), "{opts}");
        if let Some(all) = row["result"].as_array() {
            assert_eq!(&ours, all, "{opts}");
            continue;
        }
        let (first, last) = (row["first"].as_array().unwrap(), row["last"].as_array().unwrap());
        assert!(ours.starts_with(first) && ours.ends_with(last), "{opts}");
        let names = match order {
            Some(paths) => paths.iter().map(|path| path[0]).collect(),
            None => vec!["source", "rel", "dest", "ts", "v"],
        };
        let lines: Vec<String> = ours.iter().map(|value| text(value, &names)).collect();
        assert_eq!(common::sha256(lines.join("\n").as_bytes()), row["result_sha256"].as_str().unwrap(), "{opts}");
        hashed += 1;
    }
    assert!(hashed > 20, "{hashed}");
}

#[test]
fn otherwise_a_query_gives_what_it_says_whichever_order_is_walked() {
    let (_db, reader) = open();
    let all: Vec<Link> = reader.find().into_iter().map(|row| row.unwrap().link).collect();
    let sorted = |mut values: Vec<Value>| {
        values.sort_by_key(Value::to_string);
        values
    };
    let mut differs = 0;
    for row in queries() {
        let opts = &row["opts"];
        let query = Language::new().parse_value(&opts["query"]).unwrap();
        let expected: Vec<Value> = query.run(&all).map(|row| row.unwrap().value).collect();
        let ours: Vec<Value> = reader.query(&query).map(|row| row.unwrap().value).collect();
        assert_eq!(sorted(ours.clone()), sorted(expected), "{opts}");
        let mut back: Vec<Value> = reader.query(&query).rev().map(|row| row.unwrap().value).collect();
        assert_eq!(back.len(), ours.len());
        if query.is_streaming() {
            back.reverse();
            assert_eq!(back, ours, "{opts}");
        }
        let limit = opts["limit"].as_u64().unwrap_or(u64::MAX);
        let some: Vec<Value> = reader.query(&query).limit(limit).map(|row| row.unwrap().value).collect();
        assert_eq!(some.len() as u64, limit.min(ours.len() as u64), "a limit counts rows: {opts}");
        assert!(ours.starts_with(&some));
        differs += usize::from(some.len() as u64 != row["count"].as_u64().unwrap());
    }
    assert!(
        differs > 5,
        "a filter is applied without an order, a limit counts rows, links that are alike in an order stay two"
    );
}

#[test]
fn what_the_original_refuses_to_sort_is_sorted() {
    let (_db, reader) = open();
    let sorted = |paths: &str| {
        let query = Language::new().parse(&format!(r#"[{{"$filter":{{}}}},{{"$sort":{paths}}}]"#)).unwrap();
        reader.query(&query).map(|row| row.unwrap().value).collect::<Vec<Value>>()
    };
    let by_rel = sorted(r#"["rel","ts"]"#);
    assert_eq!(by_rel.len() as u64, reader.count().unwrap());
    assert!(by_rel.is_sorted_by_key(|row| (row["rel"].to_string(), row["ts"].as_u64())));
    assert_eq!(sorted(r#"["nope"]"#).len(), by_rel.len());
    // As the original has it, where an order is of just these columns: rows that are alike in them are one.
    let theirs = common::vector_rows("views/links.jsonl")
        .into_iter()
        .find(|row| row["opts"]["query"].to_string().contains("[\"rel\",\"ts\"]"));
    let mut seen: Vec<(String, Value)> = by_rel.iter().map(|row| (row["rel"].to_string(), row["ts"].clone())).collect();
    seen.dedup();
    assert_eq!(seen.len() as u64, theirs.unwrap()["count"].as_u64().unwrap());
}
