//! Guards against a `Reduce` that comes to another result than flumeview-reduce did over the same log: every view of the
//! vectors, over the first part of the log, over the rest after reopening, after deletions, and in a replica.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::{fs, path::Path, sync::Arc};

use common::{entries, vector, vector_rows};
use flumedb::{
    Flume, Seq,
    codec::Json,
    views::{
        Reduce,
        reduce::{Mapped, Replica},
    },
};
use flumedb_ssb::OffsetLog;
use serde_json::{Value, json};

type Fold = fn(&mut Value, &Value, Seq);

/// What a view of the vectors does, by its name.
fn defined(name: &str) -> (Value, fn(&Value) -> Option<Value>, Fold) {
    match name {
        "count" => (json!(0), whole, count),
        "count_no_initial" => (Value::Null, whole, count),
        "types" => (json!({}), |item| Some(json!(kind(item))), |state, kind, _| add(state, kind.as_str().unwrap(), 1)),
        "latest" => (json!({}), whole, |state, item, _| {
            let author = item["value"]["author"].as_str().unwrap();
            if state[author]["s"].as_u64() < item["value"]["sequence"].as_u64() {
                state[author] = json!({ "s": item["value"]["sequence"], "t": item["timestamp"] });
            }
        }),
        "votes" => {
            let votes = |item: &Value| Some(item["value"]["content"]["vote"].clone()).filter(Value::is_object);
            (json!({ "up": 0, "sum": 0 }), votes, |state, vote, _| {
                let value = vote["value"].as_i64().unwrap();
                add(state, "up", i64::from(value > 0));
                add(state, "sum", value);
            })
        }
        "seqs" => {
            let contacts = |item: &Value| (kind(item) == "contact").then_some(Value::Null);
            (json!([]), contacts, |state, _, seq| {
                state.as_array_mut().unwrap().push(json!([seq.get(), seq.get()]));
            })
        }
        other => panic!("a view of the vectors that is not known here: {other}"),
    }
}

fn whole(item: &Value) -> Option<Value> {
    Some(item.clone())
}

fn kind(item: &Value) -> &str {
    if item["value"]["content"].is_string() { "private" } else { item["value"]["content"]["type"].as_str().unwrap() }
}

fn count(state: &mut Value, _: &Value, _: Seq) {
    *state = json!(state.as_u64().unwrap_or_default() + 1);
}

fn add(state: &mut Value, name: &str, by: i64) {
    let before = state[name].as_i64().unwrap_or_default();
    state[name] = json!(before + by);
}

fn view(name: &str) -> Reduce<Value, Value, Mapped<Value, Value, Fold>> {
    let (initial, map, fold) = defined(name);
    Reduce::mapped(1, initial, map, fold)
}

async fn open(dir: &Path) -> Flume<Json<Value>> {
    let log = Arc::new(OffsetLog::builder().append().open(dir.join("log.offset")).unwrap());
    Flume::builder(Json::new()).views_in(dir.join("views")).with_log(log).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_comes_to_what_the_original_came_to() {
    let log = vector("views/log.offset");
    let files = entries("views/reduce");
    assert!(!files.is_empty());
    for file in files {
        let dir = tempfile::tempdir().unwrap();
        let first = file["first_part"]["bytes_of_log"].as_u64().unwrap() as usize;
        let rows = vector_rows(file["file"].as_str().unwrap());
        for (part, value, state_file) in
            [(first, "value_after_first", "state_file_after_first"), (log.len(), "value", "state_file")]
        {
            fs::write(dir.path().join("log.offset"), &log[..part]).unwrap();
            let db = open(dir.path()).await;
            for row in &rows {
                let name = row["view"].as_str().unwrap();
                let view = db.view(name, view(name)).await.unwrap();
                let reader = view.read().await.unwrap();
                assert_eq!(*reader, row[value], "{name}");
                let stored: Value = serde_json::from_str(row[state_file].as_str().unwrap()).unwrap();
                assert_eq!(reader.since().map(Seq::get), stored["seq"].as_u64(), "{name}: skipped ones count as seen");
                if part == log.len() {
                    // A live stream begins with the whole state.
                    let mut replica = Replica::new(defined(name).2);
                    replica.take(view.feed().next().await.unwrap().unwrap()).unwrap();
                    assert_eq!((replica.state(), &row["stream"][0]), (Some(&row["value"]), &row["value"]));
                }
            }
            db.close().await.unwrap();
        }
    }
}

/// On purpose otherwise: the original goes on counting what was deleted until it is built anew (190), here it is gone at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_counted_no_more() {
    let rows = vector_rows("views/deleted.jsonl");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log.offset"), vector("views/log.offset")).unwrap();
    let db = open(dir.path()).await;
    let count = db.view("count", view("count")).await.unwrap();
    assert_eq!(*count.read().await.unwrap(), json!(190));
    let told = |field: &str| rows.iter().find_map(|row| row.get(field)).cloned().unwrap();
    assert_eq!(told("reduce_count_live"), json!(190), "the original");
    db.delete(rows.iter().filter_map(|row| row["deleted_seq"].as_u64()).map(Seq::new)).await.unwrap();
    db.close().await.unwrap();
    let db = open(dir.path()).await;
    let count = db.view("count", view("count")).await.unwrap();
    let reader = count.read().await.unwrap();
    assert_eq!(*reader, told("reduce_count_after_rebuild"));
    assert_eq!(reader.since().map(Seq::get), told("count_since").as_u64());
}
