//! Guards against views that miss a message, or find one that is not there: each view over the sample log, held against
//! a plain walk through its JSON; in memory, and stored and reopened.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use flumedb::{Flume, Seq, codec::JsonDocs};
use flumedb_ssb::{OffsetLog, views};
use serde_json::Value;

fn sample() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/ssb.offset")
}

/// Every message of the sample, read without this crate.
fn plain() -> Vec<(u64, Value)> {
    let bytes = std::fs::read(sample()).unwrap();
    let (mut messages, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        messages.push((at as u64, serde_json::from_slice(&bytes[at + 4..at + 4 + len]).unwrap()));
        at += len + 12;
    }
    messages
}

fn numbers(seqs: impl Iterator<Item = flumedb::Result<Seq>>) -> Vec<u64> {
    seqs.map(|seq| seq.unwrap().get()).collect()
}

async fn expect_views(db: &Flume<JsonDocs>) {
    let messages = plain();
    assert_eq!(messages.len(), 1000);
    let by_key = db.view("by-key", views::by_key()).await.unwrap();
    let by_author = db.view("by-author", views::by_author()).await.unwrap();
    let by_type = db.view("by-type", views::by_type()).await.unwrap();
    let by_time = db.view("by-time", views::by_time()).await.unwrap();
    let (by_key, by_author) = (by_key.read().await.unwrap(), by_author.read().await.unwrap());
    let (by_type, by_time) = (by_type.read().await.unwrap(), by_time.read().await.unwrap());

    let mut authors: BTreeMap<&str, Vec<(i64, u64)>> = BTreeMap::new();
    let mut types: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (seq, message) in &messages {
        assert_eq!(numbers(by_key.get(message["key"].as_str().unwrap()).seqs()), [*seq]);
        let value = &message["value"];
        let sequence = value["sequence"].as_i64().unwrap();
        authors.entry(value["author"].as_str().unwrap()).or_default().push((sequence, *seq));
        if let Some(kind) = value["content"]["type"].as_str() {
            types.entry(kind).or_default().push(*seq);
        }
    }
    for (author, mut posts) in authors {
        posts.sort_unstable();
        assert!(numbers(by_author.prefix(author).seqs()).into_iter().eq(posts.iter().map(|&(_, seq)| seq)));
        let (sequence, seq) = posts[posts.len() / 2];
        assert_eq!(numbers(by_author.get((author, sequence)).seqs()), [seq]);
    }
    assert_eq!(by_type.count().unwrap(), types.values().map(|seqs| seqs.len() as u64).sum::<u64>());
    for (kind, seqs) in types {
        assert_eq!(numbers(by_type.get(kind).seqs()), seqs, "{kind}");
    }
    let (from, to) = (1_438_800_000_000.0, 1_438_900_000_000.0);
    let mut within: Vec<(u64, u64)> = Vec::new();
    for (seq, message) in &messages {
        let time = message["value"]["timestamp"].as_f64().unwrap();
        if (from..to).contains(&time) {
            within.push((time as u64, *seq));
        }
    }
    within.sort_unstable();
    assert!(within.len() > 100);
    assert!(numbers(by_time.range(from..to).seqs()).into_iter().eq(within.into_iter().map(|(_, seq)| seq)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_agrees_with_a_plain_walk() {
    let log = Arc::new(OffsetLog::open(sample()).unwrap());
    expect_views(&Flume::with_log(log, JsonDocs).await.unwrap()).await;

    // Stored beside an offset log, and found again.
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let log = Arc::new(OffsetLog::open(sample()).unwrap());
        let db = Flume::builder(JsonDocs).views_in(dir.path()).with_log(log).await.unwrap();
        expect_views(&db).await;
        db.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_view_notices_that_an_entry_was_deleted_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.offset");
    std::fs::copy(sample(), &path).unwrap();
    let views_in = dir.path().join("views");
    let messages = plain();
    let (seq, message) = &messages[100];
    let key = message["key"].as_str().unwrap();
    for (open, found) in [(1, 1), (2, 0), (3, 0)] {
        let log = Arc::new(OffsetLog::builder().append().open(&path).unwrap());
        let db = Flume::builder(JsonDocs).views_in(&views_in).with_log(log).await.unwrap();
        let by_key = db.view("by-key", views::by_key()).await.unwrap();
        assert_eq!(by_key.read().await.unwrap().get(key).count(), found, "opening {open}");
        if open == 1 {
            db.delete([Seq::new(*seq)]).await.unwrap();
        }
        db.close().await.unwrap();
    }
}
