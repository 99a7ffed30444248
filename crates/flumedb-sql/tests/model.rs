//! Guards against tables that hold anything else than their entries' rows, whatever happens to the log, the program and the
//! machine; and against readers that see what came after them.
//!
//! Twice: under the host on the simulated machine, where the store itself lies in a temporary directory and is built anew
//! at each opening; and alone on the real disk, where a copy of the directory is taken at any step, as a process that dies
//! there would leave it, and opened beside it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

mod support;

use std::collections::BTreeMap;

use flumedb::{
    Entry, Seq,
    view::{Retraction, Run, View},
};
use flumedb_sim::{Choices, soak_or_count, views};
use flumedb_sql::{Sql, SqlReader};
use support::{Post, Seen, any_post, checkpoint, context, expect, found, image, look, number, view};

struct Posts;

impl views::Subject for Posts {
    type Item = Post;
    type View = Sql<Post>;
    type Seen = Seen;

    fn view(&self, version: u32) -> Sql<Post> {
        // Some of the histories are those of an encrypted database.
        view(version).in_the_clear()
    }

    fn item(&self, chance: &mut Choices) -> Post {
        any_post(chance)
    }

    async fn look(&self, reader: &SqlReader) -> Seen {
        // The model is not told where the log ends.
        Seen { since: None, ..look(reader) }
    }

    fn expect(&self, version: u32, entries: &[Entry<Post>]) -> Seen {
        expect(version, None, entries.iter().map(|entry| (entry.seq.get(), &entry.value)))
    }
}

#[test]
fn whatever_happens_the_tables_hold_the_rows_of_their_entries() {
    views::check(&Posts, 40);
}

/// The view alone, on the real disk.
struct Rig {
    dir: tempfile::TempDir,
    view: Sql<Post>,
    posts: BTreeMap<u64, Post>,
    next: u64,
    /// What each publish showed.
    published: Vec<Seen>,
    synced: usize,
    held: Vec<(SqlReader, Seen)>,
    wal_bytes: u64,
}

impl Rig {
    fn now(&self) -> Seen {
        expect(1, self.next.checked_sub(1), self.posts.iter().map(|(seq, post)| (*seq, post)))
    }

    fn publish(&mut self) {
        let at = checkpoint(self.published.len() as u64, self.next.checked_sub(1));
        let reader = self.view.publish(&at).unwrap();
        let now = self.now();
        assert_eq!(look(&reader), now);
        self.published.push(now.clone());
        self.held.push((reader, now));
    }

    /// What a process that dies now leaves is what was published last, or nothing if nothing was.
    fn die(&self) {
        let copy = image(self.dir.path());
        let left = found(copy.path()).unwrap();
        assert_eq!(left, self.published.len().checked_sub(1).map(|last| (last as u64, self.published[last].clone())));
    }

    /// What a power cut leaves: the write-ahead log ends anywhere behind what was synced.
    fn lose(&self, chance: &mut Choices, (synced, head): &(u64, Vec<u8>)) {
        let copy = image(self.dir.path());
        let wal = copy.path().join("store.sqlite-wal");
        let _ = std::fs::remove_file(copy.path().join("store.sqlite-shm"));
        let (len, now) = self.wal();
        if now != *head {
            // It has begun from its start since; what was synced is in the database.
            return;
        }
        if len > *synced {
            let file = std::fs::OpenOptions::new().write(true).open(&wal).unwrap();
            file.set_len(synced + chance.pick(len - synced + 1)).unwrap();
        }
        let left = found(copy.path()).unwrap();
        let last = left.as_ref().map_or(0, |(number, _)| *number as usize + 1);
        assert!(last >= self.synced, "publish {last} was found, {} was synced", self.synced);
        assert_eq!(left.map(|(_, seen)| seen), last.checked_sub(1).map(|last| self.published[last].clone()));
    }

    /// How long the write-ahead log is, and the bytes that are others when it begins from its start.
    fn wal(&self) -> (u64, Vec<u8>) {
        let wal = std::fs::read(self.dir.path().join("store.sqlite-wal")).unwrap();
        (wal.len() as u64, wal[..wal.len().min(32)].to_vec())
    }

    fn reopen(&mut self) {
        self.view = view(1).wal_bytes(self.wal_bytes);
        let at = self.view.open(&context(Some(self.dir.path()), self.next.checked_sub(1))).unwrap();
        assert_eq!(at.as_ref().map(|at| number(at).0), self.published.len().checked_sub(1).map(|last| last as u64));
        // Nobody told a reader of a store that was closed.
        for (reader, _) in self.held.drain(..) {
            assert_eq!(reader.query("SELECT 1").one::<i64>().unwrap_err().kind(), flumedb::ErrorKind::Closed);
        }
    }
}

#[test]
fn on_the_disk_it_is_as_it_was_published_wherever_the_program_stops() {
    soak_or_count(25, |seed| {
        let mut chance = Choices::seeded(seed as u64);
        let dir = tempfile::tempdir().unwrap();
        // With a short one it begins anew all the time, and takes readers with it that are held.
        let wal_bytes = if seed % 2 == 0 { 512 << 20 } else { 300 << 10 };
        let mut view = view(1).wal_bytes(wal_bytes);
        let head = Some(chance.pick(30)).filter(|head| *head > 3);
        assert_eq!(view.open(&context(Some(dir.path()), head)).unwrap(), None);
        let (posts, published, held) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut rig = Rig { dir, view, posts, next: 0, published, synced: 0, held, wal_bytes };
        let mut synced_wal = None;
        for _ in 0..60 {
            match chance.pick(12) {
                0..=3 => {
                    let posts: Vec<Post> = (0..chance.pick(6)).map(|_| any_post(&mut chance)).collect();
                    let first = rig.next;
                    rig.next += posts.len() as u64;
                    let entries =
                        (first..).zip(&posts).map(|(seq, post)| Entry { seq: Seq::new(seq), value: post.clone() });
                    rig.view.apply(&Run::new(entries.collect::<Vec<_>>())).unwrap();
                    rig.posts.extend((first..).zip(posts));
                }
                4 => {
                    let seq = chance.pick(rig.next + 1);
                    rig.posts.remove(&seq);
                    assert_eq!(rig.view.retract(Seq::new(seq), None).unwrap(), Retraction::Done);
                }
                5 if rig.next > 0 => {
                    let seq = chance.pick(rig.next);
                    let post = Some(any_post(&mut chance)).filter(|_| chance.pick(3) > 0);
                    assert_eq!(rig.view.reprocess(Seq::new(seq), post.as_ref()).unwrap(), Retraction::Done);
                    rig.posts.remove(&seq);
                    rig.posts.extend(post.map(|post| (seq, post)));
                }
                6..=7 => rig.publish(),
                8 => {
                    rig.view.sync().unwrap();
                    rig.synced = rig.published.len();
                    synced_wal = Some(rig.wal());
                }
                9 => rig.die(),
                10 => synced_wal.iter().for_each(|synced| rig.lose(&mut chance, synced)),
                // What was taken in and not published is taken in again; here it is published first.
                11 => {
                    rig.publish();
                    rig.reopen();
                    synced_wal = None;
                }
                _ => {}
            }
            if rig.held.len() > 3 {
                rig.held.remove(0);
            }
            let newest = rig.held.len().saturating_sub(1);
            rig.held = rig
                .held
                .drain(..)
                .enumerate()
                .filter(|(at, (reader, _))| {
                    let closed = reader.query("SELECT 1").one::<i64>().is_err();
                    assert!(!closed || (*at < newest && wal_bytes < 1 << 20), "seed {seed}: a reader was closed");
                    !closed
                })
                .map(|(_, held)| held)
                .collect();
            for (reader, seen) in &rig.held {
                assert_eq!(&look(reader), seen, "seed {seed}: a reader that is held");
            }
        }
    });
}
