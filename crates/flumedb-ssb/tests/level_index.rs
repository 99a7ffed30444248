//! Guards against an index that answers otherwise than flumeview-level, or orders keys otherwise than charwise, where those are
//! right: every question of the vectors, over the log that they are over. Where charwise is wrong is told here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::ops::Bound;

use common::{sha256, vector_rows, vectors};
use flumedb::{
    Flume, Seq,
    codec::Json,
    views::{AnyKey, Index, index::IndexReader},
};
use flumedb_ssb::OffsetLog;
use serde_json::{Value, json};

/// A message and its place, which the original shows to the function of an index.
type Message = (u64, Value);
type Reader = IndexReader<Message, AnyKey>;

/// A value as the vectors write it, with tags for what JSON does not have.
fn key(value: &Value) -> AnyKey {
    if let Some(number) = value.get("$number") {
        return AnyKey::Float(number.as_str().unwrap().replace("Infinity", "inf").parse().unwrap());
    }
    match value {
        Value::Object(tag) if tag.contains_key("$undefined") => AnyKey::Undefined,
        Value::Array(items) => AnyKey::Array(items.iter().map(key).collect()),
        other => AnyKey::try_from(other).unwrap(),
    }
}

/// The keys of the manifest's `index_functions`.
fn keys_of(view: &str, (seq, message): &Message) -> Vec<AnyKey> {
    let (value, time) = (&message["value"], &message["timestamp"]);
    let content = &value["content"];
    let rows = match view {
        "key" => vec![message["key"].clone()],
        "clock" => vec![json!([value["author"], value["sequence"]])],
        "type_ts" => {
            vec![json!([if content.is_string() { "private" } else { content["type"].as_str().unwrap() }, time])]
        }
        "mentions" => {
            let mentions = content["mentions"].as_array().cloned().unwrap_or_default();
            mentions.iter().map(|mention| json!([mention["link"], value["author"], time])).collect()
        }
        "mixed" => {
            let channel = content.get("channel").cloned().unwrap_or(json!(false));
            vec![json!([null, seq]), json!(["n", value["sequence"], seq]), json!([channel, -time.as_i64().unwrap()])]
        }
        other => panic!("there is no index {other}"),
    };
    rows.iter().map(key).collect()
}

async fn messages() -> Vec<Message> {
    let log = OffsetLog::builder().open(vectors().join("views/log.offset")).unwrap();
    let all = common::all(&log).await.into_iter();
    all.map(|(seq, _, payload)| (seq, serde_json::from_slice(&payload).unwrap())).collect()
}

/// The index, and what keeps it open.
async fn read(view: &'static str, messages: &[Message]) -> (Reader, Flume<Json<Message>>) {
    let db = Flume::memory(Json::<Message>::new()).unwrap();
    let index = db.view(view, Index::new(1, move |message: &Message| keys_of(view, message))).await.unwrap();
    db.append_all(messages).await.unwrap();
    (index.read().await.unwrap(), db)
}

/// The key as JSON, as JavaScript writes it.
fn text(key: &AnyKey) -> String {
    match key {
        AnyKey::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(",")),
        AnyKey::Null => "null".to_owned(),
        AnyKey::Bool(truth) => truth.to_string(),
        AnyKey::Integer(number) => number.to_string(),
        AnyKey::Text(text) => Value::from(text.as_str()).to_string(),
        other => panic!("{other:?} is in no answer"),
    }
}

/// The rows of a question. The original keeps one entry of each key, the newest.
fn rows(reader: &Reader, opts: &Value) -> Vec<(AnyKey, Seq)> {
    let bound = |with: &str, without: &str| match (opts.get(with), opts.get(without)) {
        (Some(value), _) => Bound::Included(key(value)),
        (None, Some(value)) => Bound::Excluded(key(value)),
        (None, None) => Bound::Unbounded,
    };
    let bounds = (bound("gte", "gt"), bound("lte", "lt"));
    let found = |row: flumedb::Result<flumedb::views::index::Match<AnyKey>>| row.map(|row| (row.key, row.seq)).unwrap();
    let mut rows: Vec<(AnyKey, Seq)> = reader.range(bounds.clone()).map(found).collect();
    let mut backwards: Vec<_> = reader.range(bounds).rev().map(found).collect();
    backwards.reverse();
    assert_eq!(rows, backwards);
    rows.reverse();
    rows.dedup_by(|next, newer| next.0 == newer.0);
    if opts["reverse"] != true {
        rows.reverse();
    }
    rows.truncate(opts["limit"].as_u64().map_or(usize::MAX, |limit| limit as usize));
    rows
}

fn written(rows: &[(AnyKey, Seq)], opts: &Value, messages: &[Message]) -> Vec<String> {
    let wants = |part: &str| opts.get(part) != Some(&json!(false));
    let write = |(key, seq): &(AnyKey, Seq)| {
        let (place, message) = &messages[seq.get() as usize];
        let value = format!("\"<msg {}>\"", message["key"].as_str().unwrap());
        let parts = [("keys", "key", text(key)), ("seqs", "seq", place.to_string()), ("values", "value", value)];
        let parts: Vec<_> = parts.into_iter().filter(|(part, ..)| wants(part)).collect();
        match &parts[..] {
            [(_, _, only)] => only.clone(),
            parts => {
                let members: Vec<_> = parts.iter().map(|(_, name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    };
    rows.iter().map(write).collect()
}

#[tokio::test]
async fn every_question_gets_the_answer_of_the_original() {
    let (files, messages) = (common::entries("views/level"), messages().await);
    assert!(!files.is_empty());
    for file in files {
        let views = ["key", "clock", "type_ts", "mentions", "mixed"];
        assert_eq!(file["index_functions"].as_object().unwrap().len(), views.len());
        let mut readers = Vec::new();
        for view in views {
            readers.push((view, read(view, &messages).await));
        }
        let questions = vector_rows(file["file"].as_str().unwrap());
        assert_eq!(file["rows"], questions.len());
        for question in questions {
            let (reader, _) = &readers.iter().find(|(view, _)| question["view"] == *view).unwrap().1;
            if question["op"] == "get" {
                let found = reader.get(key(&question["key"])).rev().next().transpose().unwrap();
                let found = found.map(|found| messages[found.seq.get() as usize].0);
                assert_eq!(found, question["seq"].as_u64(), "{question}");
                assert_eq!(found.is_none(), question.get("error").is_some(), "{question}");
            } else {
                let rows = written(&rows(reader, &question["opts"]), &question["opts"], &messages);
                assert_eq!(rows.len() as u64, question["count"], "{question}");
                assert_eq!(sha256(rows.join("\n").as_bytes()), question["result_sha256"], "{question}: {rows:?}");
            }
        }
    }
}

#[test]
fn keys_are_in_the_order_of_charwise() {
    let mut all: Vec<(AnyKey, String)> = Vec::new();
    for row in vector_rows("views/charwise.jsonl") {
        all.push((key(&row["v"]), row["encoded"].as_str().unwrap().to_owned()));
    }
    let order: Vec<String> = serde_json::from_slice(&common::vector("views/charwise-order.json")).unwrap();
    let mut wrong = Vec::new();
    for (one, one_text) in &all {
        for (two, two_text) in &all {
            let place = |text: &String| order.iter().position(|other| other == text);
            let (Some(one_place), Some(two_place)) = (place(one_text), place(two_text)) else { continue };
            if one.cmp(two) != one_place.cmp(&two_place) {
                wrong.push((one, two));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(order.len() > 100 && all.len() > 100);
}

/// charwise separates the items of an array by a byte that is greater than a space: there, `["a b"]` comes before `["a"]`.
#[test]
fn a_text_in_an_array_comes_before_one_that_it_begins() {
    let keys = [json!(["a"]), json!(["a", 1]), json!(["a b"]), json!(["a!"]), json!(["a\u{0}b"]), json!(["ab"])];
    let mut sorted: Vec<AnyKey> = keys.iter().map(key).collect();
    sorted.sort();
    let expected = [json!(["a"]), json!(["a", 1]), json!(["a\u{0}b"]), json!(["a b"]), json!(["a!"]), json!(["ab"])];
    assert_eq!(sorted, expected.iter().map(key).collect::<Vec<_>>());
}

/// What the original forgets: a second entry with the same key.
#[tokio::test]
async fn entries_with_one_key_are_all_kept() {
    let messages = messages().await;
    let twice = [&messages[..], &messages].concat();
    let (reader, _db) = read("key", &twice).await;
    let seqs: Vec<u64> = reader.get(key(&messages[7].1["key"])).seqs().map(|seq| seq.unwrap().get()).collect();
    assert_eq!(seqs, [7, 7 + messages.len() as u64]);
}

/// The original says once that it was deleted, and then that there is none; here there is none.
#[tokio::test]
async fn what_was_deleted_is_found_no_more() {
    let messages = messages().await;
    let db = Flume::memory(Json::<Message>::new()).unwrap();
    let index = db.view("key", Index::new(1, |message: &Message| keys_of("key", message))).await.unwrap();
    db.append_all(&messages).await.unwrap();
    let rows = vector_rows("views/deleted.jsonl");
    let deleted: Vec<&Value> = rows.iter().filter(|row| row["deleted_seq"].is_u64()).collect();
    assert_eq!(deleted.len(), 6);
    let before = index.read().await.unwrap();
    let place = |row: &Value| messages.iter().position(|message| row["deleted_seq"] == message.0).unwrap() as u64;
    for row in &deleted {
        let seqs: Vec<u64> = before.get(key(&row["key"])).seqs().map(|seq| seq.unwrap().get()).collect();
        assert_eq!(seqs, [place(row)], "{row}");
    }
    db.delete(deleted.iter().map(|row| Seq::new(place(row)))).await.unwrap();
    let reader = index.read().await.unwrap();
    for row in deleted {
        assert_eq!(row["level_get_first"]["error"]["code"], "flumelog:deleted", "{row}");
        assert_eq!(row["level_get_second"]["error"]["name"], "NotFoundError", "{row}");
        assert!(reader.get(key(&row["key"])).next().is_none(), "{row}");
    }
    let left = rows.iter().find_map(|row| row.get("level_read_count_after")).unwrap();
    assert_eq!(*left, reader.range::<AnyKey>(..).count());
}
