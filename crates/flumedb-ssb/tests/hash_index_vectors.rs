//! Guards against a `HashIndex` that finds another entry than flumeview-hashtable did: every question of the vectors over the
//! log that they are over, its whole file and the one of the first part, and what is deleted.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeSet;

use common::{entries, vector, vector_rows};
use flumedb::{Flume, Seq, codec::Json, view::Live, views::HashIndex};
use flumedb_ssb::{
    OffsetLog,
    indexes::{Content, Hashtable, IndexFile},
};
use serde_json::Value;

/// The log of the vectors, or as many bytes of it, with the index of its keys; and where it lies.
async fn open(bytes: Option<usize>) -> (Flume<Json<Value>>, Live<HashIndex<Value, String>>, tempfile::TempDir) {
    let (dir, log) = (tempfile::tempdir().unwrap(), vector("views/log.offset"));
    std::fs::write(dir.path().join("log.offset"), &log[..bytes.unwrap_or(log.len())]).unwrap();
    let log = OffsetLog::builder().append().open(dir.path().join("log.offset")).unwrap();
    let db = Flume::builder(Json::new()).views_in_memory().with_log(std::sync::Arc::new(log)).await.unwrap();
    let keys = |message: &Value| message["key"].as_str().map(str::to_owned);
    let view = db.view("keys", HashIndex::new(1, keys)).await.unwrap();
    (db, view, dir)
}

fn table(name: &str) -> Hashtable {
    let file = IndexFile::parse("keys.ht", vector(name)).unwrap();
    let Content::Hashtable(table) = file.content() else { panic!("{file:?}") };
    table.clone()
}

/// Row V16: the original answers with the position plus 1.
#[tokio::test]
async fn every_key_finds_what_the_original_found() {
    let (_db, view, _dir) = open(None).await;
    let reader = view.read().await.unwrap();
    let (mut found, mut not) = (0, 0);
    for row in vector_rows("views/hashtable.jsonl") {
        let key = row["get"].as_str().unwrap();
        let entry = reader.get(key).await.unwrap();
        match row["value_returned_as_3rd_cb_arg"].as_u64() {
            Some(answer) => {
                let entry = entry.unwrap();
                assert_eq!(entry.seq.get() + 1, answer, "{row}");
                assert_eq!(entry.value["key"], row["found_key"], "{row}");
                found += 1;
            }
            None => {
                assert!(entry.is_none() && row["error"]["name"] == "NotFoundError", "{row}");
                not += 1;
            }
        }
    }
    assert_eq!((found, not), (40, 10));
}

#[tokio::test]
async fn the_entries_are_those_of_the_files() {
    let first = entries("views/reduce").remove(0)["first_part"].clone();
    let bytes = first["bytes_of_log"].as_u64().map(|bytes| bytes as usize);
    for (name, bytes) in [("views/ht-first.ht", bytes), ("views/ht.ht", None)] {
        let (db, view, _dir) = open(bytes).await;
        let (reader, table) = (view.read().await.unwrap(), table(name));
        assert_eq!(reader.since().map(Seq::get), table.since.map(u64::from), "{name}");
        let theirs: BTreeSet<u64> =
            table.tables.iter().flat_map(|table| table.iter()).flatten().map(u64::from).collect();
        let (mut ours, mut scan) = (BTreeSet::new(), db.scan(..));
        while let Some(entry) = scan.next().await {
            let entry = entry.unwrap();
            let found = reader.get(entry.value["key"].as_str().unwrap()).await.unwrap().unwrap();
            assert_eq!(found.seq, entry.seq, "{name}");
            ours.insert(found.seq.get());
        }
        assert_eq!(ours, theirs, "{name}");
        if bytes.is_some() {
            assert_eq!(first["records"], ours.len(), "{name}");
        }
    }
}

/// The original tells one of them as deleted and the others as not found; here none is found.
#[tokio::test]
async fn what_was_deleted_is_found_no_more() {
    let (db, view, _dir) = open(None).await;
    let rows = vector_rows("views/deleted.jsonl");
    let deleted: Vec<&Value> = rows.iter().filter(|row| row["deleted_seq"].is_u64()).collect();
    db.delete(deleted.iter().map(|row| Seq::new(row["deleted_seq"].as_u64().unwrap()))).await.unwrap();
    let reader = view.read().await.unwrap();
    assert_eq!(deleted.len(), 6);
    for row in &deleted {
        assert!(row["hashtable_get"]["error"].is_object(), "{row}");
        assert!(reader.get(row["key"].as_str().unwrap()).await.unwrap().is_none(), "{row}");
    }
    // Nothing else is hidden by them.
    let mut left = 0;
    let mut scan = db.scan(..);
    while let Some(entry) = scan.next().await {
        let entry = entry.unwrap();
        assert_eq!(reader.get(entry.value["key"].as_str().unwrap()).await.unwrap().unwrap().seq, entry.seq);
        left += 1;
    }
    assert_eq!(left, 190 - 6);
}
