//! Guards against a store whose rows and checkpoint do not agree after its process has died, or that is lost with it.
//!
//! A child process appends to a database and deletes from it while the view runs; it is killed (SIGKILL on Unix) after 0 to
//! 60 ms. 25 times on the same database, 500 with `FLUME_SOAK` set. Afterwards the view goes on where it was, and shows
//! what one that is built anew shows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

mod support;

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use flumedb::{Flume, Seq, codec::Json};
use flumedb_sim::{Choices, soak_or};
use support::{Post, any_post, expect, look, view};

/// Where the child works; that it is set makes this process the child.
const DIR: &str = "FLUME_SQL_KILL_DIR";
const TEST: &str = "rows_and_checkpoint_agree_whenever_the_process_is_killed";

fn open(dir: &Path) -> Flume<Json<Post>> {
    Flume::builder(Json::new())
        .set(|settings| {
            settings.views.publish_every = Duration::from_millis(1);
            settings.views.sync_every = Duration::from_millis(3);
        })
        .open(dir)
        .blocking()
        .unwrap()
}

/// Appends for ever, and now and then deletes and reads.
fn work_for_ever(dir: &Path, seed: u64) {
    let mut chance = Choices::seeded(seed);
    let db = open(dir);
    let posts = db.view("posts", view(1).wal_bytes(256 << 10)).blocking().unwrap();
    println!("ready");
    loop {
        let batch: Vec<Post> = (0..=chance.pick(20)).map(|_| any_post(&mut chance)).collect();
        let last = db.append_all(&batch).blocking().unwrap().pop().unwrap();
        match chance.pick(4) {
            0 => drop(db.delete([Seq::new(chance.pick(last.get()))]).blocking()),
            1 => drop(posts.read().blocking().unwrap()),
            _ => {}
        }
    }
}

#[test]
fn rows_and_checkpoint_agree_whenever_the_process_is_killed() {
    if let Ok(dir) = env::var(DIR) {
        let (dir, seed) = dir.split_once('|').unwrap();
        return work_for_ever(Path::new(dir), seed.parse().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("db");
    let mut chance = Choices::seeded(7);
    let mut went_on = 0;
    for life in 0..soak_or(500, 25) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(DIR, format!("{}|{life}", dir.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("ready")));
        thread::sleep(Duration::from_millis(chance.pick(60)));
        child.kill().unwrap();
        child.wait().unwrap();

        let db = open(&dir);
        let posts = db.view("posts", view(1)).blocking().unwrap();
        went_on += usize::from(posts.read_stale().is_some_and(|reader| reader.since().is_some()));
        let seen = look(&posts.read().blocking().unwrap());
        let entries: Vec<(u64, Post)> =
            db.scan(..).blocking().map(|entry| entry.map(|entry| (entry.seq.get(), entry.value)).unwrap()).collect();
        let expected = expect(1, db.head().map(Seq::get), entries.iter().map(|(seq, post)| (*seq, post)));
        assert_eq!(seen, expected, "life {life}");
        if life % 8 == 0 {
            let anew = db.view("anew", view(1)).blocking().unwrap();
            assert_eq!(look(&anew.read().blocking().unwrap()), expected, "life {life}: built anew");
        }
        posts.read().blocking().unwrap().check().unwrap();
        db.close().blocking().unwrap();
    }
    assert!(went_on > 0, "it never began where it was");
}
