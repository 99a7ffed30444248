//! Guards against collections that forget, mix up or half-apply what was written, and against errors that do not say what
//! to do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

use std::time::Duration;

use flumedb::{
    Database, Env, Error, ErrorKind, Flume, Record, Result,
    collection::{Change, Collection, Envelope, History, Old, Write},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Record)]
#[record(name = "posts")]
struct Post {
    #[key]
    id: u32,
    #[index]
    author: String,
    #[unique]
    slug: Option<String>,
    #[index]
    tags: Vec<String>,
    likes: u32,
}

fn post(id: u32, author: &str, slug: Option<&str>) -> Post {
    Post { id, author: author.into(), slug: slug.map(Into::into), tags: vec![], likes: 0 }
}

fn ids(posts: &[Post]) -> Vec<u32> {
    posts.iter().map(|post| post.id).collect()
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

async fn posts() -> (Database, Collection<Post>) {
    let db = Database::memory().await.unwrap();
    let posts = db.collection().await.unwrap();
    (db, posts)
}

#[tokio::test]
async fn what_is_put_is_found() -> Result<()> {
    let (_db, posts) = posts().await;
    for id in [3, 1, 2, 255, 256] {
        posts.put(&Post { tags: vec!["all".into(), format!("t{id}")], ..post(id, "alice", None) }).await?;
    }
    posts.put(&post(2, "bob", Some("two"))).await?;
    posts.delete(3).await?;
    posts.delete(77).await?;

    assert_eq!(posts.get(1).await?.unwrap().author, "alice");
    assert_eq!(posts.get(3).await?, None);
    assert_eq!(ids(&posts.all().await?), [1, 2, 255, 256]);
    assert_eq!(ids(&posts.all().rev().limit(2).await?), [256, 255]);
    assert_eq!(ids(&posts.range(2..=255).await?), [2, 255]);
    assert_eq!(ids(&posts.range(2..255).await?), [2]);
    assert_eq!(ids(&posts.range(256..).await?), [256]);
    assert_eq!(ids(&posts.range((std::ops::Bound::Excluded(1), std::ops::Bound::Unbounded)).await?), [2, 255, 256]);
    #[allow(clippy::reversed_empty_ranges, reason = "must not panic")]
    let empty = posts.range(9..2).await?;
    assert_eq!(empty, []);
    assert_eq!(ids(&posts.by_author("alice").await?), [1, 255, 256]);
    assert_eq!(ids(&posts.by_author("bob").await?), [2]);
    assert_eq!(ids(&posts.by_author_range("b".."c").await?), [2]);
    assert_eq!(ids(&posts.by_author_range::<&str>(..).await?), [1, 255, 256, 2]);
    assert_eq!(ids(&posts.by_tags("all").await?), [1, 255, 256], "the new version of 2 has no tags");
    assert_eq!(ids(&posts.by_tags("t3").await?), [0_u32; 0]);
    assert_eq!(posts.by_slug("two").await?.unwrap().id, 2);
    assert_eq!(posts.by_slug("one").await?, None);
    assert_eq!(posts.by_author("alice").keys().await?, [1, 255, 256]);
    assert_eq!(posts.all().count().await?, 4);
    assert_eq!(posts.all().rev().first().await?.unwrap().id, 256);
    let streamed: Vec<u32> = posts.all().stream().map(|post| post.unwrap().id).collect().await;
    assert_eq!(streamed, [1, 2, 255, 256]);
    Ok(())
}

#[tokio::test]
async fn a_key_of_a_unique_index_belongs_to_one_record() -> Result<()> {
    let (db, posts) = posts().await;
    posts.put(&post(1, "alice", Some("hello"))).await?;
    let refused = posts.put(&Post { tags: vec!["x".into()], ..post(2, "bob", Some("hello")) }).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("slug"), "{refused}");
    assert_eq!(posts.get(2).await?, None, "nothing of it is visible");
    assert_eq!(posts.by_author("bob").count().await? + posts.by_tags("x").count().await?, 0);

    // Its own, none at all, and a free one.
    posts.put(&post(1, "alice", Some("hello"))).await?;
    posts.put(&post(2, "bob", None)).await?;
    posts.put(&post(3, "bob", None)).await?;
    posts.put(&post(1, "alice", Some("bye"))).await?;
    posts.put(&post(2, "bob", Some("hello"))).await?;
    assert_eq!(posts.by_slug("hello").await?.unwrap().id, 2);

    // Two records can change places.
    db.write(|tx| {
        tx.put(&posts, &post(1, "alice", Some("hello")))?;
        tx.put(&posts, &post(2, "bob", Some("bye")))
    })
    .await?;
    assert_eq!(posts.by_slug("hello").await?.unwrap().id, 1);
    let both = db.write(|tx| {
        tx.put(&posts, &post(8, "eve", Some("new")))?;
        tx.put(&posts, &post(9, "eve", Some("new")))
    });
    assert_eq!(kind(both.await), ErrorKind::Conflict);
    assert_eq!(posts.by_author("eve").count().await?, 0);
    Ok(())
}

#[tokio::test]
async fn insert_update_and_what_they_refuse() -> Result<()> {
    let (db, posts) = posts().await;
    posts.insert(&post(1, "alice", None)).await?;
    let again = posts.insert(&post(1, "bob", None)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert_eq!(posts.get(1).await?.unwrap().author, "alice");
    posts.delete(1).await?;
    posts.insert(&post(1, "bob", None)).await?;

    assert_eq!(posts.update(1, |post| post.likes += 1).await?.unwrap().likes, 1);
    assert_eq!(posts.update(2, |_| unreachable!()).await?, None);
    assert_eq!(kind(posts.update(1, |post| post.id = 2).await), ErrorKind::Invalid);

    let other = Database::memory().await?;
    assert_eq!(kind(other.write(|tx| tx.get(&posts, 1)).await), ErrorKind::Invalid);
    let failed = db.write(|tx| {
        tx.delete(&posts, 1)?;
        Err::<(), _>(Error::new(ErrorKind::NotFound, "changed my mind"))
    });
    assert_eq!(kind(failed.await), ErrorKind::NotFound);
    assert!(posts.get(1).await?.is_some());
    assert_eq!(kind(posts.by_unique::<String>("author", "bob").await), ErrorKind::Invalid);
    assert_eq!(kind(posts.by_index::<u32>("author", 1).await), ErrorKind::Invalid);
    assert_eq!(kind(posts.by_index::<u32>("likes", 1).await), ErrorKind::Invalid);
    Ok(())
}

#[tokio::test]
async fn a_transaction_reads_its_own_writes() -> Result<()> {
    let (db, posts) = posts().await;
    posts.put_all(&[post(1, "alice", None), post(2, "alice", None), post(3, "alice", None)]).await?;
    let seen = db
        .write(|tx| {
            tx.delete(&posts, 2)?;
            tx.insert(&posts, &post(4, "bob", None))?;
            assert!(tx.get(&posts, 2)?.is_none());
            assert!(tx.update(&posts, 4, |post| {
                post.likes = 9;
                Ok(())
            })?);
            Ok(ids(&tx.range::<_, u32>(&posts, ..)?))
        })
        .await?;
    assert_eq!(seen, [1, 3, 4]);
    assert_eq!(posts.get(4).await?.unwrap().likes, 9);
    assert_eq!(ids(&posts.all().await?), seen);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_between_writers() -> Result<()> {
    let (db, posts) = posts().await;
    posts.put(&post(1, "alice", None)).await?;
    posts.put(&post(2, "alice", None)).await?;
    let writers = (0..4_u32).map(|writer| {
        let (db, posts) = (db.clone(), posts.clone());
        tokio::spawn(async move {
            for _ in 0..50 {
                posts.update(1, |post| post.likes += 1).await.unwrap();
                // A record whose number is how many there are: wrong if somebody comes between the count and the put.
                db.write(|tx| {
                    let all = tx.range(&posts, 100..)?;
                    tx.insert(&posts, &post(100 + all.len() as u32, &writer.to_string(), None))
                })
                .await
                .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(posts.get(1).await?.unwrap().likes, 200);
    assert_eq!(ids(&posts.range(100..).await?), (100..300).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_claims_one_wins() -> Result<()> {
    let (_db, posts) = posts().await;
    for round in 0..50_u32 {
        let slug = format!("round {round}");
        let claims = (0..4_u32).map(|writer| {
            let (posts, slug) = (posts.clone(), slug.clone());
            tokio::spawn(async move { posts.put(&post(round * 4 + writer, "w", Some(&slug))).await })
        });
        let mut won = vec![];
        for (writer, claim) in claims.collect::<Vec<_>>().into_iter().enumerate() {
            match claim.await.unwrap() {
                Ok(()) => won.push(round * 4 + writer as u32),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
            }
        }
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(posts.by_slug(&slug).await?.unwrap().id, won[0]);
        assert_eq!(posts.range(round * 4..round * 4 + 4).count().await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_snapshot_stays_as_it_is() -> Result<()> {
    let (db, posts) = posts().await;
    posts.put_all(&[post(1, "alice", Some("a")), post(2, "bob", Some("b"))]).await?;
    let before = posts.at(&db.read().await?);
    posts.update(1, |post| post.author = "carol".into()).await?;
    posts.delete(2).await?;
    db.prune().await?;
    assert_eq!(ids(&before.all().await?), [1, 2]);
    assert_eq!(ids(&before.by_author("alice").await?), [1]);
    assert_eq!(before.by_slug("b").await?.unwrap().id, 2);
    assert_eq!(posts.by_slug("b").await?, None);
    drop(before);
    assert!(db.prune().await? >= 3, "two superseded versions and a deletion");
    Ok(())
}

/// Does what a watch says, until it says that it has caught up, or nothing for a while.
async fn follow(
    watch: &mut flumedb::collection::Watch<Post>,
    held: &mut std::collections::BTreeMap<u32, Post>,
) -> usize {
    let mut told = 0;
    while let Ok(change) = tokio::time::timeout(Duration::from_millis(200), watch.next()).await {
        told += 1;
        match change.unwrap().unwrap() {
            Change::Put(post) => drop(held.insert(post.id, post)),
            Change::Deleted(id) => drop(held.remove(&id)),
            Change::CaughtUp => return told,
            Change::Reset => held.clear(),
            _ => panic!("unknown change"),
        }
    }
    told
}

#[tokio::test]
async fn a_watch_tells_what_there_is_and_what_changes() -> Result<()> {
    let (db, posts) = posts().await;
    let mut held = Default::default();
    posts.put_all(&[post(1, "alice", None), post(2, "bob", None), post(3, "bob", None)]).await?;
    let mut watch = posts.watch();
    assert_eq!(follow(&mut watch, &mut held).await, 4);
    posts.update(1, |post| post.likes = 1).await?;
    posts.delete(2).await?;
    posts.put(&post(4, "eve", None)).await?;
    posts.delete(4).await?;
    drop(posts.insert(&post(3, "mallory", None)).await);
    db.prune().await?;
    follow(&mut watch, &mut held).await;
    assert_eq!(held.values().cloned().collect::<Vec<_>>(), posts.all().await?);
    assert_eq!(held.len(), 2);
    // An entry that somebody deletes from the log by hand.
    let (seq, _) = db.records().read().await?.find("posts", &3_u32.to_be_bytes())?.unwrap();
    db.flume().delete([seq]).await?;
    assert!(matches!(watch.next().await, Some(Ok(Change::Reset))));
    held.clear();
    follow(&mut watch, &mut held).await;
    assert_eq!(held.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(posts.all().await?.len(), 1);
    Ok(())
}

macro_rules! kept {
    ($name:ident, $history:expr) => {
        #[derive(Debug, PartialEq, Serialize, Deserialize, Record)]
        #[record(name = "kept", history = $history)]
        struct $name {
            #[key]
            id: u32,
            value: u32,
        }
    };
}
kept!(KeptAll, All);
kept!(KeptLast, Last(3));
kept!(KeptAge, Age(std::time::Duration::from_secs(3600)));
kept!(KeptShort, Age(std::time::Duration::ZERO));

async fn versions<T: Record<Key = u32>>(db: &Database, make: impl Fn(u32) -> T) -> (usize, usize) {
    let kept = db.collection::<T>().await.unwrap();
    for value in 0..10 {
        kept.put(&make(value)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    db.prune().await.unwrap();
    let before = kept.history(1).await.unwrap().len();
    kept.delete(1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    db.prune().await.unwrap();
    let deleted = kept.history(1).await.unwrap();
    assert!(deleted.first().is_none_or(|version| version.record.is_none()));
    (before, deleted.len())
}

#[tokio::test]
async fn history_is_kept_as_declared() {
    let db = || async { Database::memory().await.unwrap() };
    assert_eq!(versions(&db().await, |value| KeptAll { id: 1, value }).await, (10, 11));
    assert_eq!(versions(&db().await, |value| KeptLast { id: 1, value }).await, (3, 0));
    assert_eq!(versions(&db().await, |value| KeptAge { id: 1, value }).await, (10, 11));
    let short = db().await;
    assert_eq!(versions(&short, |value| KeptShort { id: 1, value }).await, (1, 0));
    // The declaration, and tombstones.
    assert_eq!(short.flume().stat().unwrap().entries, 1);
}

#[tokio::test]
async fn what_is_superseded_leaves_the_log() -> Result<()> {
    let (db, posts) = posts().await;
    for likes in 0..20 {
        posts.put(&Post { likes, ..post(1, "alice", Some("a")) }).await?;
    }
    drop(posts.put(&post(2, "eve", Some("a"))).await);
    drop(posts.insert(&post(1, "eve", None)).await);
    assert_eq!(db.prune().await?, 19, "those that were refused have gone already");
    assert_eq!(db.flume().stat()?.entries, 2, "the declaration and the record");
    assert_eq!(posts.get(1).await?.unwrap().likes, 19);
    Ok(())
}

#[tokio::test]
async fn one_entry_with_many_records_holds_nothing_up() -> Result<()> {
    let (db, posts) = posts().await;
    db.write(|tx| (0..100).try_for_each(|id| tx.put(&posts, &post(id, "alice", Some(&id.to_string()))))).await?;
    for likes in 0..1000 {
        posts.put(&Post { likes, ..post(7, "alice", Some("7")) }).await?;
    }
    db.prune().await?;
    assert_eq!(db.flume().stat()?.entries, 101, "the declaration, and each record for itself");
    assert_eq!(posts.all().count().await?, 100);
    assert_eq!(posts.by_slug("7").await?.unwrap().likes, 999);
    assert_eq!(posts.by_slug("99").await?.unwrap().id, 99);
    Ok(())
}

mod versions_of_a_type {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize, Record)]
    #[record(name = "people")]
    pub(super) struct V1 {
        #[key]
        pub(super) name: String,
        pub(super) age: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Record)]
    #[record(name = "people", version = 2, migrate = V2::migrate, history = History::All)]
    pub(super) struct V2 {
        #[key]
        pub(super) name: String,
        #[index]
        pub(super) born: u32,
    }

    impl V2 {
        fn migrate(old: Old<'_>) -> Result<Self> {
            let V1 { name, age } = old.decode()?;
            Ok(Self { name, born: 2026 - age })
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Record)]
    #[record(name = "people", version = 2)]
    pub(super) struct Unique {
        #[key]
        pub(super) name: String,
        #[unique]
        pub(super) born: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Record)]
    #[record(name = "people", version = 3)]
    pub(super) struct OtherKey {
        #[key]
        pub(super) name: u64,
    }
}

#[tokio::test]
async fn records_are_migrated() -> Result<()> {
    use versions_of_a_type::{OtherKey, Unique, UniqueIndexes, V1, V2, V2Indexes};
    let db = Database::memory().await?;
    let old = db.collection::<V1>().await?;
    let people: Vec<_> = (0..600).map(|n| V1 { name: format!("p{n:03}"), age: n % 50 }).collect();
    old.put_all(&people).await?;

    let new = db.collection::<V2>().await?;
    assert_eq!(new.get("p001").await?.unwrap().born, 2025);
    assert_eq!(new.by_born(2025).count().await?, 12, "the index is there for old records");
    assert_eq!(new.all().count().await?, 600);
    assert_eq!(kind(db.collection::<V1>().await), ErrorKind::Unsupported, "an older program is told");
    let error = old.get("p001").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(kind(db.collection::<OtherKey>().await), ErrorKind::Invalid);

    // An index that is unique now, and two records that have the same there.
    let error = db.collection::<Unique>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let new = db.collection::<V2>().await?;
    for n in 50..600 {
        new.delete(format!("p{n:03}")).await?;
    }
    let unique = db.collection::<Unique>().await?;
    assert_eq!(unique.by_born(2025).await?.unwrap().name, "p001");
    assert_eq!(unique.all().count().await?, 50);
    Ok(())
}

#[tokio::test]
async fn all_is_there_after_reopening_and_rebuilding() -> Result<()> {
    let env = Env::memory();
    let open = || async { Database::with_flume(Flume::builder(Envelope).env(env.clone()).open("db").await?).await };
    let db = open().await?;
    let posts = db.collection::<Post>().await?;
    for id in 0..50 {
        posts.put(&post(id % 20, ["alice", "bob"][id as usize % 2], Some(&format!("s{}", id % 20)))).await?;
    }
    drop(posts.put(&post(99, "eve", Some("s1"))).await);
    posts.delete(5).await?;
    let all = posts.all().await?;
    db.close().await?;
    drop((db, posts));

    let db = open().await?;
    let posts = db.collection::<Post>().await?;
    assert_eq!(posts.all().await?, all);
    db.records().rebuild().await?;
    assert_eq!(posts.all().await?, all);
    db.prune().await?;
    db.records().rebuild().await?;
    assert_eq!(posts.all().await?, all);
    assert_eq!(posts.by_author("eve").count().await?, 0);
    posts.put(&post(5, "carol", Some("s5"))).await?;
    assert_eq!(posts.by_slug("s5").await?.unwrap().author, "carol");
    Ok(())
}

#[tokio::test]
async fn a_log_of_something_else_is_told() -> Result<()> {
    let env = Env::memory();
    let other = Flume::builder(flumedb::codec::Utf8).env(env.clone()).open("db").await?;
    other.append("hello").await?;
    other.close().await?;
    drop(other);
    let flume = Flume::builder(Envelope).env(env).open("db").await?;
    let error = Database::with_flume(flume).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Faulted);
    assert!(error.to_string().contains("database of collections"), "{error}");
    Ok(())
}

#[tokio::test]
async fn views_of_ones_own_follow_the_same_log() -> Result<()> {
    let (db, posts) = posts().await;
    let count = flumedb::views::Reduce::new(1, 0, |count: &mut usize, write: &Write| *count += write.changes.len());
    let changes = db.flume().view("changes", count).await?;
    posts.put(&post(1, "alice", None)).await?;
    assert_eq!(*changes.read().await?, 2, "the declaration and the record");
    Ok(())
}

#[test]
fn no_runtime_is_needed() -> Result<()> {
    let db = Database::memory().blocking()?;
    let posts = db.collection::<Post>().blocking()?;
    posts.put(&post(1, "alice", None)).blocking()?;
    db.write(|tx| tx.put(&posts, &post(2, "bob", None))).blocking()?;
    assert_eq!(posts.all().blocking()?.len(), 2);
    assert_eq!(posts.by_author("bob").blocking()?.len(), 1);
    let first = posts.watch().blocking().next().unwrap()?;
    assert_eq!(first, Change::Put(post(1, "alice", None)));
    db.close().blocking()
}

#[tokio::test]
async fn another_process_reads_what_is_there_while_it_is_pruned() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path()).await?;
    let posts = db.collection::<Post>().await?;
    posts.put_all(&[post(1, "alice", Some("a")), post(2, "bob", None)]).await?;
    // A handle that knows nothing of who else reads, as in another process.
    let reader = Database::with_flume(Flume::read_only(dir.path(), Envelope).await?).await?;
    let read = reader.collection::<Post>().await?;
    let before = read.at(&reader.read().await?);
    for likes in 1..=50 {
        posts.update(1, |post| post.likes = likes).await?;
        db.prune().await?;
        assert_eq!(read.get(1).await?.unwrap().likes, likes, "it has caught up");
        assert_eq!(read.all().count().await?, 2);
    }
    // What it showed is gone; what there is now is given instead, and nothing is missing.
    assert_eq!(before.all().await?.len(), 2);
    assert_eq!(kind(read.put(&post(3, "eve", None)).await), ErrorKind::Unsupported);
    Ok(())
}

/// Indexes of values that are worked out, and a key of several parts: without the derive.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    place: String,
    hour: u32,
    degrees: f64,
}

impl Record for Reading {
    type Key = (String, u32);
    const NAME: &'static str = "readings";

    fn key(&self) -> Self::Key {
        (self.place.clone(), self.hour)
    }

    fn indexes() -> Vec<flumedb::collection::IndexDefinition> {
        vec![flumedb::collection::IndexDefinition::new::<(u32, String)>("day")]
    }

    fn index(&self, rows: &mut flumedb::collection::IndexRows) {
        rows.add::<(u32, String)>("day", &(self.hour / 24, self.place.as_str()));
        if self.place == "nowhere" {
            rows.add::<u32>("undeclared", &1);
        }
    }
}

#[tokio::test]
async fn a_record_by_hand() -> Result<()> {
    let db = Database::memory().await?;
    let readings = db.collection::<Reading>().await?;
    for hour in 0..48 {
        for place in ["a", "b"] {
            readings.put(&Reading { place: place.into(), hour, degrees: 0.5 }).await?;
        }
    }
    assert_eq!(readings.prefix("b").count().await?, 48);
    assert_eq!(readings.range(("a", 46)..("b", 2)).count().await?, 4);
    assert_eq!(readings.by_index::<(u32, String)>("day", (1, "b")).count().await?, 24);
    assert_eq!(readings.get(("a", 3)).await?.unwrap().hour, 3);
    let undeclared = readings.put(&Reading { place: "nowhere".into(), hour: 1, degrees: 0.0 }).await;
    assert_eq!(kind(undeclared), ErrorKind::Invalid);
    Ok(())
}
