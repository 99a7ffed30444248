//! A view with a table of each kind, what its readers tell, and a plain model of that.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use flumedb::{
    Env, Seq,
    codec::{Codec, Json},
    env::OsStorage,
    log::{Batch, Log, MemoryLog},
    view::{Checkpoint, Entries, Place, View, ViewContext},
};
use flumedb_sim::Choices;
use flumedb_sql::{Rows, Sql, SqlReader};
use serde::{Deserialize, Serialize};

pub(crate) const TABLES: &str = "
    CREATE TABLE posts (seq INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL);
    CREATE INDEX by_author ON posts (author);
    CREATE TABLE words (seq INTEGER NOT NULL, word TEXT NOT NULL);
    CREATE INDEX by_word ON words (word);
    CREATE TABLE places (seq INTEGER, nth INTEGER, word TEXT, PRIMARY KEY (seq, nth)) WITHOUT ROWID;
    CREATE VIRTUAL TABLE search USING fts5(text, content = 'posts', content_rowid = 'seq')";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) author: String,
    pub(crate) words: Vec<String>,
}

/// All that a reader tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) since: Option<u64>,
    pub(crate) posts: Vec<(i64, String, String)>,
    pub(crate) words: Vec<(i64, String)>,
    pub(crate) places: Vec<(i64, i64, String)>,
    pub(crate) found: Vec<i64>,
    pub(crate) by_author: Vec<(String, i64)>,
}

/// Version 2 writes authors otherwise.
pub(crate) fn view(version: u32) -> Sql<Post> {
    let view = Sql::new(version, TABLES, move |post: &Post, rows: &mut Rows<'_>| {
        let (author, text) = (author(version, post), post.words.join(" "));
        rows.insert("posts", &[(&author).into(), (&text).into()]);
        rows.insert("search", &[(&text).into()]);
        for (nth, word) in (0..).zip(&post.words) {
            rows.insert("words", &[word.into()]);
            rows.insert("places", &[i64::into(nth), word.into()]);
        }
    });
    view.unwrap().cache_bytes(1 << 16)
}

fn author(version: u32, post: &Post) -> String {
    if version == 1 { post.author.clone() } else { post.author.to_uppercase() }
}

pub(crate) fn any_post(chance: &mut Choices) -> Post {
    let pick = |chance: &mut Choices, from: &[&str]| from[chance.pick(from.len() as u64) as usize].to_owned();
    let words = (0..chance.pick(4)).map(|_| pick(chance, &["tide", "water", "Wörter", "'; --", "a\0b"])).collect();
    Post { author: pick(chance, &["alice", "bob", ""]), words }
}

pub(crate) fn look(reader: &SqlReader) -> Seen {
    Seen {
        since: reader.since().map(Seq::get),
        posts: reader.query("SELECT seq, author, text FROM posts ORDER BY seq").all().unwrap(),
        words: reader.query("SELECT seq, word FROM words ORDER BY seq, word").all().unwrap(),
        places: reader.query("SELECT seq, nth, word FROM places ORDER BY seq, nth").all().unwrap(),
        found: reader.query("SELECT rowid FROM search WHERE search MATCH 'tide' ORDER BY rowid").all().unwrap(),
        by_author: reader.query("SELECT author, count(*) FROM posts GROUP BY author ORDER BY author").all().unwrap(),
    }
}

pub(crate) fn expect<'a>(version: u32, since: Option<u64>, posts: impl IntoIterator<Item = (u64, &'a Post)>) -> Seen {
    let mut seen = Seen { since, ..Seen::default() };
    let mut counts = BTreeMap::<String, i64>::new();
    for (seq, post) in posts {
        let seq = seq as i64;
        seen.posts.push((seq, author(version, post), post.words.join(" ")));
        let mut words: Vec<(i64, String)> = post.words.iter().map(|word| (seq, word.clone())).collect();
        words.sort();
        seen.words.extend(words);
        seen.places.extend((0..).zip(&post.words).map(|(nth, word)| (seq, nth, word.clone())));
        if post.words.iter().any(|word| word == "tide") {
            seen.found.push(seq);
        }
        *counts.entry(author(version, post)).or_default() += 1;
    }
    seen.by_author = counts.into_iter().collect();
    seen
}

/// The `number`th checkpoint of a test that is its own host; the number travels in a field that is not the view's business.
pub(crate) fn checkpoint(number: u64, since: Option<u64>) -> Checkpoint {
    let none: Option<Vec<u8>> = None;
    let fields = (vec![7_u8], ("sql", 1, ""), "json", since, none, number, Vec::<(u64, u64)>::new());
    Checkpoint::from_bytes(&rmp_serde::to_vec(&fields).unwrap()).unwrap()
}

/// The number of a checkpoint, and what it covers.
pub(crate) fn number(checkpoint: &Checkpoint) -> (u64, Option<u64>) {
    type Fields = (Vec<u8>, (String, u32, String), String, Option<u64>, Option<Vec<u8>>, u64, Vec<(u64, u64)>);
    let fields: Fields = rmp_serde::from_slice(&checkpoint.to_bytes()).unwrap();
    (fields.5, fields.3)
}

/// What a view is opened with in `dir`, over a log that ends at `head`.
pub(crate) fn context(dir: Option<&Path>, head: Option<u64>) -> ViewContext<Post> {
    let log = MemoryLog::new(&Env::memory()).unwrap();
    let mut batch = Batch::new();
    (0..head.map_or(0, |head| head + 1)).for_each(|_| batch.push(b"{}"));
    if head.is_some() {
        flumedb_sim::now(log.append(batch)).unwrap();
    }
    let place = dir.map(|dir| Place { storage: Arc::new(OsStorage::new()), dir: dir.to_owned() });
    ViewContext { place, entries: Entries::new(Arc::new(log), |bytes| Json::<Post>::new().decode(bytes)) }
}

/// Copies the files of a directory as they are now.
pub(crate) fn image(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files(dir) {
        std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    copy
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// What a new program finds in `dir`: the checkpoint, and what it tells.
pub(crate) fn found(dir: &Path) -> flumedb::Result<Option<(u64, Seen)>> {
    let mut view = view(1);
    let Some(found) = view.open(&context(Some(dir), None))? else { return Ok(None) };
    let seen = look(&view.publish(&found)?);
    Ok(Some((number(&found).0, seen)))
}
