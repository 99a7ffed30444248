//! Guards against damage that ends the program or hangs it, or stops a view that could be built anew: a byte of the store is
//! changed, or the store cut, and a program opens it.
//!
//! SQLite keeps no checksums. What it notices is built anew; what it does not notice is read as it is, and nothing here says
//! otherwise; `check` finds it where it is in the structure.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use flumedb::{Error, ErrorKind, Flume, codec::Json};
use flumedb_sim::{Choices, soak_or_count};
use support::{Post, any_post, look, view};

fn store(dir: &Path) -> PathBuf {
    let mut open = vec![dir.join("views")];
    while let Some(dir) = open.pop() {
        for path in support::files(&dir) {
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("store.sqlite") {
                return path;
            }
        }
    }
    panic!("there is no store");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in support::files(from) {
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

/// Everything the view can be asked.
fn ask(db: &Flume<Json<Post>>) -> Result<i64, Error> {
    let posts = db.view("posts", view(1)).blocking()?;
    let reader = posts.read().timeout(Duration::from_secs(20)).blocking()?;
    for sql in [
        "SELECT * FROM posts ORDER BY author",
        "SELECT * FROM words",
        "SELECT * FROM places",
        "SELECT * FROM sqlite_schema",
    ] {
        reader.query(sql).each(|row| {
            assert!((0..row.columns().len()).all(|at| row.value(at).is_some()));
            Ok(())
        })?;
    }
    reader
        .query("SELECT rowid, snippet(search, 0, '', '', '', 3) FROM search WHERE search MATCH 'tide OR w*'")
        .each(|_| Ok(()))?;
    reader.query("SELECT count(*) FROM posts").one().map(Option::unwrap_or_default)
}

#[test]
fn a_changed_byte_ends_no_program_and_what_is_noticed_is_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    let mut chance = Choices::seeded(3);
    let posts: Vec<Post> = (0..600).map(|_| any_post(&mut chance)).collect();
    {
        let db = Flume::builder(Json::<Post>::new()).open(&original).blocking().unwrap();
        db.append_all(&posts).blocking().unwrap();
        assert_eq!(ask(&db).unwrap(), 600);
        db.close().blocking().unwrap();
    }
    let len = fs::metadata(store(&original)).unwrap().len();
    // What a page has, as the head of the file says.
    let page = u64::from(u16::from_be_bytes(fs::read(store(&original)).unwrap()[16..18].try_into().unwrap()));
    let pages = len / page;
    soak_or_count(60, |number| {
        let mut chance = Choices::seeded(number as u64);
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("db");
        copy(&original, &dir);
        let path = store(&dir);
        let mut bytes = fs::read(&path).unwrap();
        match number % 4 {
            0 => bytes.truncate(chance.pick(len) as usize),
            // The heads of pages, where the structure is.
            1 => bytes[(chance.pick(pages) * page + chance.pick(16)) as usize] ^= 1 << chance.pick(8),
            2 => (0..100).for_each(|_| bytes[chance.pick(len) as usize] ^= 1 << chance.pick(8)),
            _ => bytes[chance.pick(len) as usize] ^= 1 << chance.pick(8),
        }
        fs::write(&path, bytes).unwrap();
        let begun = Instant::now();
        let db = Flume::builder(Json::<Post>::new()).open(&dir).blocking().unwrap();
        match ask(&db) {
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid), "{number}: {error}");
                let view = db.view("again", view(1)).blocking().unwrap();
                assert_eq!(look(&view.read().blocking().unwrap()).posts.len(), 600, "the log and other views are well");
            }
        }
        db.close().blocking().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30), "{number}");
    });
}

#[test]
fn a_store_that_is_none_is_built_anew() {
    for garbage in [&b"no database at all, but long enough to be looked at as one by whoever opens it"[..], b""] {
        let dir = tempfile::tempdir().unwrap();
        let open = || Flume::builder(Json::<Post>::new()).open(dir.path()).blocking().unwrap();
        let db = open();
        db.append(&Post { author: "alice".into(), words: vec!["tide".into()] }).blocking().unwrap();
        assert_eq!(ask(&db).unwrap(), 1);
        db.close().blocking().unwrap();
        drop(db);
        fs::write(store(dir.path()), garbage).unwrap();
        assert_eq!(ask(&open()).unwrap(), 1);
    }
}

#[test]
fn rebuild_mends_what_check_finds() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Flume::builder(Json::<Post>::new()).open(dir.path()).blocking().unwrap();
    let db = open();
    let post = Post { author: "alice".into(), words: vec!["tide".into()] };
    db.append_all(vec![post; 300]).blocking().unwrap();
    assert_eq!(ask(&db).unwrap(), 300);
    db.close().blocking().unwrap();
    drop(db);
    // An index says another author than the table.
    let path = store(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(5).rposition(|window| window == b"alice").unwrap();
    bytes[at] = b'A';
    fs::write(&path, bytes).unwrap();
    let db = open();
    let posts = db.view("posts", view(1)).blocking().unwrap();
    let error = posts.read().blocking().unwrap().check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(posts.rebuild()).unwrap();
    posts.read().blocking().unwrap().check().unwrap();
    assert_eq!(ask_only(&posts), 300);
}

fn ask_only(posts: &flumedb::view::Live<flumedb_sql::Sql<Post>>) -> i64 {
    posts.read().blocking().unwrap().query("SELECT count(*) FROM posts WHERE author = 'alice'").one().unwrap().unwrap()
}
