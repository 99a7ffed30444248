//! Guards against a snapshot that changes, a directory that stays locked, an index that needs the database it came from,
//! and texts that are too large, too strange or empty.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use flumedb::{Flume, codec::Utf8};
use flumedb_search::{Marks, Search, SearchReader};
use tantivy::{Directory, directory::RamDirectory};

fn count(reader: &SearchReader<String>, query: &str) -> u64 {
    reader.search(query).unwrap().count().unwrap()
}

fn lines() -> Search<String> {
    Search::new(1, |line: &String| [line.clone()])
}

#[tokio::test]
async fn a_snapshot_shows_what_it_showed_whatever_comes() {
    let dir = tempfile::tempdir().unwrap();
    let db = Flume::open(dir.path(), Utf8).await.unwrap();
    let search = db.view("search", lines()).await.unwrap();
    let seqs = db.append_all(["high tide", "low tide", "moon"]).await.unwrap();
    let old = search.read().await.unwrap();
    db.delete([seqs[0]]).await.unwrap();
    for number in 0..100 {
        db.append(&*format!("tide {number}")).await.unwrap();
        search.read().await.unwrap();
    }
    assert_eq!((count(&old, "tide"), old.since()), (2, Some(seqs[2])));
    assert_eq!(count(&search.read().await.unwrap(), "tide"), 101);
    let found = old.search("tide").unwrap().entries().await.unwrap();
    assert_eq!(found.iter().map(|found| &*found.value).collect::<Vec<_>>(), ["low tide"], "the other one is gone");
    search.rebuild().await.unwrap();
    assert_eq!(count(&old, "tide"), 2);
    db.close().await.unwrap();
    drop((db, search));
    assert_eq!(count(&old, "tide"), 2);
    let db = Flume::open(dir.path(), Utf8).await.expect("nothing is locked any more");
    let search = db.view("search", lines()).await.unwrap();
    assert_eq!(count(&search.read().await.unwrap(), "tide"), 101);
}

/// The checkpoint travels in tantivy's own commit.
#[tokio::test]
async fn plain_tantivy_opens_what_was_stored_and_finds_the_checkpoint_in_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let db = Flume::open(dir.path(), Utf8).await.unwrap();
    let search = db.view("search", lines()).await.unwrap();
    let seqs = db.append_all(["high tide", "low tide", "moon"]).await.unwrap();
    search.read().await.unwrap();
    db.delete([seqs[1]]).await.unwrap();
    search.read().await.unwrap();
    db.close().await.unwrap();
    let ram = RamDirectory::create();
    for view in std::fs::read_dir(dir.path().join("views")).unwrap().map(|entry| entry.unwrap().path()) {
        for file in std::fs::read_dir(view).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            ram.atomic_write(file.file_name().unwrap().as_ref(), &std::fs::read(&file).unwrap()).unwrap();
        }
    }
    let index = tantivy::Index::open(ram).unwrap();
    assert_eq!(index.validate_checksum().unwrap().len(), 0);
    let searcher = index.reader().unwrap().searcher();
    assert_eq!(searcher.num_docs(), 2);
    let field = index.schema().get_field("text.text").unwrap();
    let term = tantivy::Term::from_field_text(field, "tide");
    let query = tantivy::query::TermQuery::new(term, tantivy::schema::IndexRecordOption::Basic);
    assert_eq!(searcher.search(&query, &tantivy::collector::Count).unwrap(), 1);
    assert!(index.load_metas().unwrap().payload.unwrap().contains("checkpoint"));
}

#[tokio::test]
async fn texts_may_be_anything() {
    let db = Flume::memory(Utf8).unwrap();
    let search = db.view("search", lines()).await.unwrap();
    let huge = "tide and moon, 東京 ".repeat(500_000);
    let word = "x".repeat(70_000);
    db.append_all(["", " \0\0 ", "\0tide\0", &*huge, &*word, "…", "🌊"]).await.unwrap();
    let reader = search.read().await.unwrap();
    for (query, found) in [("tide", 2), ("\"moon 東京 tide\"", 1), (&word[..4000], 1), ("xxx*", 1), ("🌊", 1)] {
        let beginning: String = query.chars().take(20).collect();
        assert_eq!(count(&reader, query), found, "{beginning}");
    }
    let found = reader.search("moon").unwrap().entries().await.unwrap();
    assert!(found[0].snippet(&Marks::new("[", "]")).contains("[moon]"));
}
