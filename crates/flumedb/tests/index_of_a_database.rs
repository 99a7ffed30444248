//! Guards against an index that misses or repeats a match where the past meets the present, shows what was deleted, or is
//! built anew when the database is opened again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Env, ErrorKind, Flume, Result, Seq,
    codec::{Document, JsonDoc, JsonDocs},
    view::Live,
    views::{
        AnyKey, Index,
        index::{Found, IndexReader, Matches},
    },
};
use futures_util::StreamExt;
use proptest::prelude::*;

type ByTag = Index<JsonDoc, (String, i64)>;

/// Indexes `{"tags":["a","b"],"rank":1}` by tag and rank, counting what it is given.
fn by_tag(applied: &Arc<AtomicUsize>) -> ByTag {
    let applied = applied.clone();
    Index::new(1, move |doc: &JsonDoc| {
        applied.fetch_add(1, Ordering::SeqCst);
        let (mut keys, rank) = (Vec::new(), doc.integer(&["rank"]).unwrap_or(0));
        doc.items(&["tags"], &mut |tag| keys.extend(tag.text(&[]).map(|tag| (tag.into_owned(), rank))));
        keys
    })
}

fn post(tags: &str, rank: u64) -> String {
    let tags: Vec<String> = tags.chars().map(String::from).collect();
    serde_json::json!({ "tags": tags, "rank": rank }).to_string()
}

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future.into_future()).await.unwrap()
}

fn seqs(matches: Matches<JsonDoc, (String, i64)>) -> Vec<u64> {
    matches.seqs().map(|seq| seq.unwrap().get()).collect()
}

async fn read(live: &Live<ByTag>) -> IndexReader<JsonDoc, (String, i64)> {
    soon(live.read()).await.unwrap()
}

#[tokio::test]
async fn what_is_deleted_is_found_no_more() -> Result<()> {
    let db = Flume::builder(JsonDocs).env(Env::memory()).open("data").await?;
    let live = db.view("by-tag", by_tag(&Arc::default())).await?;
    db.append_all((0..6).map(|rank| post("ab", rank))).await?;
    let before = read(&live).await;
    db.delete([Seq::new(2), Seq::new(4)]).await?;
    let after = read(&live).await;
    assert_eq!(seqs(before.prefix("a")), [0, 1, 2, 3, 4, 5], "a snapshot stays as it is");
    assert_eq!(seqs(after.prefix("a").rev()), [5, 3, 1, 0]);
    // The entries are gone for the old snapshot too.
    let values = before.prefix("b").entries().map(|entry| entry.map(|entry| entry.seq.get()));
    assert_eq!(values.collect::<Vec<_>>().await.into_iter().collect::<Result<Vec<_>>>()?, [0, 1, 3, 5]);
    Ok(())
}

#[tokio::test]
async fn a_reopened_index_goes_on_where_it_was() -> Result<()> {
    let (env, applied) = (Env::memory(), Arc::default());
    for round in 0..3 {
        let db = Flume::builder(JsonDocs).env(env.clone()).open("data").await?;
        let live = db.view("by-tag", by_tag(&applied)).await?;
        db.append_all((0..10).map(|rank| post("a", 10 * round + rank))).await?;
        let reader = read(&live).await;
        assert_eq!(seqs(reader.all()), (0..10 * (round + 1)).collect::<Vec<_>>());
        assert_eq!(applied.load(Ordering::SeqCst) as u64, 10 * (round + 1), "nothing is taken in twice");
        db.close().await?;
        let closed = reader.all().find_map(Result::err);
        assert!(closed.is_none_or(|error| error.kind() == ErrorKind::Closed));
    }
    Ok(())
}

/// The type of the keys is a part of the definition: nobody reads texts as numbers.
#[tokio::test]
async fn an_index_over_another_type_of_key_is_built_anew_and_the_former_stays() -> Result<()> {
    let (env, applied) = (Env::memory(), Arc::new(AtomicUsize::new(0)));
    let open = || Flume::builder(JsonDocs).env(env.clone()).open("data");
    let counted = applied.clone();
    let text = move |doc: &JsonDoc| {
        counted.fetch_add(1, Ordering::SeqCst);
        doc.integer(&["rank"]).map(|rank| rank.to_string())
    };
    let db = open().await?;
    let by_text = db.view("rank", Index::new(1, text.clone())).await?;
    db.append_all((0..20).map(|rank| post("a", rank))).await?;
    assert_eq!(by_text.read().await?.get("12").seqs().count(), 1);
    db.close().await?;

    let db = open().await?;
    let by_number = db.view("rank", Index::new(1, |doc: &JsonDoc| doc.integer(&["rank"]))).await?;
    let found: Vec<i64> = by_number.read().await?.range(12..14).keys().collect::<Result<_>>()?;
    assert_eq!(found, [12, 13]);
    db.close().await?;

    let db = open().await?;
    let any = |doc: &JsonDoc| AnyKey::try_from(doc.field(&["rank"])?).ok();
    let by_any = db.view("rank", Index::new(1, any)).await?;
    assert_eq!(by_any.read().await?.range(12..14).seqs().count(), 2);
    db.close().await?;

    let db = open().await?;
    let by_text = db.view("rank", Index::new(1, text)).await?;
    assert_eq!(by_text.read().await?.get("12").seqs().count(), 1);
    assert_eq!(applied.load(Ordering::SeqCst), 20, "the older program finds its own");
    Ok(())
}

#[tokio::test]
async fn following_ends_with_the_limit() -> Result<()> {
    let db = Flume::memory(JsonDocs)?;
    let live = db.view("by-tag", by_tag(&Arc::default())).await?;
    db.append_all([post("a", 1), post("b", 2), post("a", 3)]).await?;
    let mut all = live.follow(|index| index.prefix("a").limit(3));
    let mut new = live.follow_new(|index| index.prefix("a").limit(1));
    assert_eq!(soon(new.next()).await.transpose()?, Some(Found::CaughtUp));
    db.append_all([post("b", 4), post("a", 5), post("a", 6)]).await?;
    let (mut told, mut marks) = (vec![], 0);
    while let Some(found) = soon(all.next()).await.transpose()? {
        match found {
            Found::Match(found) => told.push(found.key.1),
            _ => marks += 1,
        }
    }
    // It is asked for the first time when there are four already.
    assert_eq!((told, marks), (vec![1, 3, 5], 0));
    assert!(matches!(soon(new.next()).await, Some(Ok(Found::Match(found))) if found.key.1 == 5));
    assert_eq!(soon(new.next()).await.transpose()?, None);
    Ok(())
}

#[tokio::test]
async fn following_ends_when_the_database_does() -> Result<()> {
    let db = Flume::memory(JsonDocs)?;
    let live = db.view("by-tag", by_tag(&Arc::default())).await?;
    db.append(&post("ab", 1)).await?;
    let mut follow = live.follow(|index| index.range(("a", 0)..("a", 2)));
    assert!(matches!(soon(follow.next()).await, Some(Ok(Found::Match(found))) if found.key == ("a".to_owned(), 1)));
    assert_eq!(soon(follow.next()).await.unwrap()?, Found::CaughtUp);
    let waiting = tokio::spawn(async move { (follow.next().await.unwrap(), follow.next().await.is_none()) });
    db.append_all([post("b", 1), post("a", 2)]).await?;
    db.close().await?;
    let (last, ended) = soon(waiting).await.unwrap();
    assert_eq!((last.unwrap_err().kind(), ended), (ErrorKind::Closed, true));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Writers go on while one follows from somewhere in between: each match comes once.
    #[test]
    fn nothing_is_lost_or_repeated_across_the_seam(
        before in 0..60_u64, during in prop::collection::vec(1..20_u64, 1..8), reverse: bool
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(async {
            let db = Flume::memory(JsonDocs).unwrap();
            let live = db.view("by-tag", by_tag(&Arc::default())).await.unwrap();
            let posts = |from: u64, count: u64| (from..from + count).map(|n| post(if n % 3 == 0 { "ba" } else { "c" }, n));
            if before > 0 {
                db.append_all(posts(0, before)).await.unwrap();
            }
            let total = before + during.iter().sum::<u64>();
            let writer = tokio::spawn({
                let (db, mut from) = (db.clone(), before);
                async move {
                    for count in during {
                        db.append_all(posts(from, count)).await.unwrap();
                        from += count;
                    }
                }
            });
            let mut follow = live.follow(move |index| {
                let matches = index.prefix("a");
                if reverse { matches.rev() } else { matches }
            });
            let (mut old, mut new, mut caught_up) = (vec![], vec![], false);
            let expected: Vec<u64> = (0..total).filter(|n| n % 3 == 0).collect();
            while old.len() + new.len() < expected.len() || !caught_up {
                match soon(follow.next()).await.unwrap().unwrap() {
                    Found::Match(found) => if caught_up { &mut new } else { &mut old }.push(found.seq.get()),
                    Found::CaughtUp => assert!(!std::mem::replace(&mut caught_up, true)),
                    other => panic!("{other:?}"),
                }
            }
            writer.await.unwrap();
            if reverse {
                old.reverse();
            }
            assert!(old.len() as u64 >= before.div_ceil(3));
            old.extend(new);
            assert_eq!(old, expected);
        });
    }
}
