//! Guards against views that take ever more room although their log keeps only the newest, or all but those is deleted, and
//! against ones that then find what is gone, or miss what is there.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on ends; on the real disk")]

use std::{fs, path::Path};

use flumedb::{
    Flume, Result, Seq,
    codec::{Document, JsonDoc, JsonDocs},
    log::{Before, Durability},
    views::{Bitmaps, Groups, HashIndex, Op, aggregate::Count},
};

const KEPT: u64 = 2_000;
/// So many entries are appended in a round.
const ROUND: u64 = 10_000;
const ROUNDS: u64 = 4;

/// Bytes of the files whose names end so, wherever they are.
fn bytes_of(dir: &Path, name_end: &str) -> u64 {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    files
        .map(|file| match file.metadata().unwrap() {
            it if it.is_dir() => bytes_of(&file.path(), name_end),
            it if file.file_name().to_string_lossy().ends_with(name_end) => it.len(),
            _ => 0,
        })
        .sum()
}

fn id(number: u64) -> String {
    format!("entry {number}")
}

/// Appends a round of entries, lets the log begin in it, and holds views against what is left. Bytes of the hash
/// index's runs.
async fn round(dir: &Path, round: u64) -> Result<u64> {
    let db = Flume::builder(JsonDocs)
        .set(|settings| {
            settings.log.durability = Durability::System;
            settings.log.segment_bytes = 64 << 10;
        })
        .open(dir)
        .await?;
    let ids = HashIndex::new(1, |doc: &JsonDoc| doc.text(&["id"]).map(String::from)).recent(256);
    let ids = db.view("ids", ids).await?;
    let bitmaps = Bitmaps::new(&db);

    let head = db.head().map_or(0, |head| head.get() + 1);
    let texts: Vec<String> = (round * ROUND..(round + 1) * ROUND)
        .map(|number| format!(r#"{{"id":"{}","even":{}}}"#, id(number), number % 2 == 0))
        .collect();
    for texts in texts.chunks(500) {
        db.append_all(texts.iter().map(String::as_str)).await?;
    }
    let end = db.head().map_or(0, |head| head.get() + 1);
    db.drop_before(Before::Seq(Seq::new(end - KEPT))).await?;
    assert!(db.first().map_or(0, Seq::get) > head, "the log still begins before this round");

    let even = bitmaps.query(Op::equal("even", true)).seqs().await?;
    let (mut left, mut scan) = (Vec::new(), db.scan(..));
    while let Some(entry) = scan.next().await {
        left.push(entry?);
    }
    let of_left = left.iter().filter(|entry| entry.value.boolean(&["even"]) == Some(true)).map(|entry| entry.seq);
    assert!(even.into_iter().eq(of_left));
    let reader = ids.read().await?;
    for entry in &left {
        let id = entry.value.text(&["id"]).unwrap();
        assert_eq!(reader.get(&*id).await?.map(|found| found.seq), Some(entry.seq));
    }
    assert_eq!(reader.get(&id(round * ROUND / 2)).await?.map(|found| found.seq), None);
    db.close().await?;
    Ok(bytes_of(dir, ".run"))
}

#[tokio::test]
async fn what_the_log_dropped_takes_no_room_in_a_hash_index() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let mut sizes = Vec::new();
    for number in 0..ROUNDS {
        sizes.push(round(dir.path(), number).await?);
    }
    println!("{sizes:?}");
    let most = sizes.iter().skip(2).max();
    assert!(most < sizes.first().map(|first| first * 2).as_ref(), "{sizes:?}");
    Ok(())
}

#[tokio::test]
async fn what_was_deleted_takes_no_room_in_groups_with_undo() -> Result<()> {
    const AT_ONCE: u64 = 8;
    let dir = tempfile::tempdir().unwrap();
    let db =
        Flume::builder(JsonDocs).set(|settings| settings.log.durability = Durability::System).open(dir.path()).await?;
    let groups = Groups::new(1, |doc: &JsonDoc| doc.text(&["kind"]).map(String::from), Count).with_undo();
    let groups = db.view("kinds", groups).await?;
    let (mut former, mut sizes) = (Vec::new(), Vec::new());
    for round in 1..=6_000_u64 {
        let texts: Vec<String> = (0..AT_ONCE).map(|at| format!(r#"{{"kind":"kind {}"}}"#, at % 3)).collect();
        let seqs = db.append_all(texts.iter().map(String::as_str)).await?;
        db.delete(std::mem::replace(&mut former, seqs)).await?;
        let reader = groups.read().await?;
        if round.is_multiple_of(500) {
            assert_eq!(reader.all().total()?, AT_ONCE);
            db.sync().await?;
            sizes.push(bytes_of(dir.path(), "store"));
        }
    }
    println!("{sizes:?}");
    // Of a few entries; the store grows by doubling, and a list of all members ever would take 1,120,392 bytes by now.
    assert!(sizes.last().is_some_and(|last| *last < 800_000), "{sizes:?}");
    db.close().await
}
