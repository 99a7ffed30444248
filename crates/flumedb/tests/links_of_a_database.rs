//! Guards against links that are missed or told twice where the past meets the present, a limit that counts something else
//! than rows, a view that is built anew for nothing or goes on under other orders, and a question that is answered by no or by the
//! wrong order without saying so.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Env, ErrorKind, Flume, Result, Seq,
    codec::Json,
    mfr::Pipeline,
    view::Live,
    views::{
        Link, Links,
        links::{Column, Find, FoundLink},
        query::Told,
    },
};
use futures_util::StreamExt;

/// Who, and whom they name, at a time.
type Post = (String, Vec<String>, u64);

fn names(applied: &Arc<AtomicUsize>) -> Links<Post> {
    let applied = applied.clone();
    Links::new(1, move |(who, whom, time): &Post| {
        applied.fetch_add(1, Ordering::SeqCst);
        let (who, time) = (who.clone(), *time);
        let links = whom.iter().map(move |whom| Link::new(&*who, "names", whom).with("ts", time));
        links.collect::<Vec<_>>()
    })
    .order(["ts"])
}

fn post(who: &str, whom: &str, time: u64) -> Post {
    (who.to_owned(), whom.chars().map(String::from).collect(), time)
}

async fn soon<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future.into_future()).await.unwrap()
}

fn told(find: Find<Post>) -> Vec<(u64, String)> {
    find.into_iter().map(|row| row.map(|row| (row.seq.get(), row.link.dest)).unwrap()).collect()
}

async fn database(env: &Env, applied: &Arc<AtomicUsize>) -> Result<(Flume<Json<Post>>, Live<Links<Post>>)> {
    let db = Flume::builder(Json::new()).env(env.clone()).open("data").await?;
    let live = db.view("names", names(applied)).await?;
    Ok((db, live))
}

#[tokio::test]
async fn a_limit_counts_rows_and_entries_come_as_often_as_they_say_something() -> Result<()> {
    let (db, live) = database(&Env::memory(), &Arc::default()).await?;
    db.append_all(&[post("ann", "bcd", 5), post("bob", "", 6), post("ann", "cc", 7)]).await?;
    let reader = live.read().await?;
    let (b, c, d) = ("b".to_owned(), "c".to_owned(), "d".to_owned());
    assert_eq!(told(reader.from("ann").limit(3)), [(0, b.clone()), (0, c.clone()), (2, c.clone())]);
    assert_eq!(told(reader.find().limit(2)), [(0, b), (0, c.clone())], "of one entry that says three things");
    assert_eq!(told(reader.find().rev().limit(2)), [(2, c), (0, d)], "what is said twice in one entry is one row");
    assert_eq!(told(reader.find().limit(0)), []);
    let entries: Vec<u64> = reader.to("c").entries().map(|entry| entry.unwrap().seq.get()).collect().await;
    assert_eq!(entries, [0, 2]);
    db.delete([Seq::new(0)]).await?;
    let entries: Vec<u64> = reader.to("c").entries().map(|entry| entry.unwrap().seq.get()).collect().await;
    assert_eq!(entries, [2], "an old reader knows the row, but the entry is gone");
    assert_eq!(told(live.read().await?.find()).len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_order_is_chosen_and_told_and_another_is_refused() -> Result<()> {
    let (db, live) = database(&Env::memory(), &Arc::default()).await?;
    db.append_all(&[post("ann", "bc", 9), post("bob", "c", 3)]).await?;
    let reader = live.read().await?;
    let columns = |names: &[&str]| Some(names.iter().map(|name| Column::from(*name)).collect::<Vec<_>>());
    let (forward, back) = (columns(&["source", "rel", "dest"]), columns(&["dest", "rel", "source"]));
    let explained = |find: Find<Post>| {
        let plan = find.explain().unwrap();
        (plan.order, plan.fixed, plan.bounded)
    };
    assert_eq!(explained(reader.from("ann")), (forward.clone(), 1, false));
    assert_eq!(explained(reader.from("ann").rel("names")), (forward.clone(), 2, false));
    assert_eq!(explained(reader.from("ann").to("b").rel("names")), (forward.clone(), 3, false));
    assert_eq!(explained(reader.to("b").prefix("rel", "n").range("ts", 1..)), (back, 1, true));
    assert_eq!(explained(reader.find().range("ts", ..3)), (columns(&["ts"]), 0, true));
    assert_eq!(explained(reader.find().rel("names")), (None, 0, false), "no order begins with it");
    assert_eq!(explained(reader.from("ann").sorted(["ts"])), (columns(&["ts"]), 0, false), "slower, but in order");
    assert_eq!(told(reader.find().sorted(["ts"])).iter().map(|row| row.0).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(told(reader.find().sorted::<&str>([])).len(), 3);

    let refused = reader.find().sorted(["dest", "source"]);
    let error = refused.explain().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("(dest, source)") && error.to_string().contains("(ts)"), "{error}");
    let rows: Vec<_> = refused.into_iter().collect();
    assert!(matches!(&rows[..], [Err(again)] if again.kind() == ErrorKind::Invalid), "{rows:?}");
    // A range that is turned around, or of no kind.
    assert_eq!(told(reader.find().range("ts", (Bound::Included(9), Bound::Excluded(3)))), []);
    assert_eq!(told(reader.find().range::<u64>("ts", ..)).len(), 3);
    Ok(())
}

#[tokio::test]
async fn links_that_are_opened_again_go_on_where_they_were() -> Result<()> {
    let (env, applied) = (Env::memory(), Arc::default());
    for round in 0..3_usize {
        let (db, live) = database(&env, &applied).await?;
        db.append_all((0..10).map(|time| post("ann", "bc", time))).await?;
        assert_eq!(soon(live.read()).await?.count()?, 20 * (round as u64 + 1));
        assert_eq!(applied.load(Ordering::SeqCst), 10 * (round + 1), "nothing is taken in twice");
        db.close().await?;
    }
    // Other orders are another view.
    let db = Flume::builder(Json::<Post>::new()).env(env.clone()).open("data").await?;
    let live = db.view("names", names(&applied).order(["rel", "ts"])).await?;
    assert_eq!(soon(live.read()).await?.find().rel("names").explain()?.fixed, 1);
    assert_eq!(applied.load(Ordering::SeqCst), 60);
    let error = db.view("none", Links::new(1, |_: &Post| []).order::<&str>([])).await.err().unwrap();
    assert!(error.to_string().contains("needs a column"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_told_twice_where_the_past_meets_the_present() -> Result<()> {
    let (db, live) = database(&Env::memory(), &Arc::default()).await?;
    let posts = |from: u64| (from..from + 20).map(|time| post("ann", if time % 3 == 0 { "bc" } else { "d" }, time));
    for round in 0..8 {
        let start = db.head().map_or(0, |head| head.get() + 1);
        let writer = tokio::spawn({
            let (db, batches) = (db.clone(), [posts(start), posts(start + 20), posts(start + 40)]);
            async move {
                for batch in batches {
                    db.append_all(batch).await.unwrap();
                }
            }
        });
        let mut follow = live.follow_links(|reader| reader.find().sorted::<&str>([]).equal("dest", "c"));
        let expected: Vec<u64> = (0..start + 60).filter(|seq| seq % 60 % 3 == 0).collect();
        let (mut found, mut caught_up) = (Vec::new(), false);
        while found.len() < expected.len() || !caught_up {
            match soon(follow.next()).await.unwrap()? {
                FoundLink::Row(row) => found.push(row.seq.get()),
                FoundLink::CaughtUp => assert!(!std::mem::replace(&mut caught_up, true)),
                other => panic!("{other:?}"),
            }
        }
        writer.await.unwrap();
        assert_eq!(found, expected, "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn following_ends_with_the_limit_or_the_database() -> Result<()> {
    let (db, live) = database(&Env::memory(), &Arc::default()).await?;
    db.append(&post("ann", "b", 1)).await?;
    let mut some = live.follow_links(|reader| reader.from("ann").limit(3));
    let mut none = live.follow_links(|reader| reader.from("ann").limit(1));
    let mut all = live.follow_links(|reader| reader.from("bob"));
    assert!(matches!(soon(some.next()).await, Some(Ok(FoundLink::Row(_)))));
    assert_eq!(soon(some.next()).await.unwrap()?, FoundLink::CaughtUp);
    assert!(matches!(soon(none.next()).await, Some(Ok(FoundLink::Row(_)))));
    assert_eq!(soon(none.next()).await.unwrap()?, FoundLink::CaughtUp);
    assert!(soon(none.next()).await.is_none(), "one was asked for, and told");
    assert_eq!(soon(all.next()).await.unwrap()?, FoundLink::CaughtUp);
    db.append_all(&[post("bob", "", 2), post("ann", "bcd", 3)]).await?;
    for dest in ["b", "c"] {
        assert!(matches!(soon(some.next()).await, Some(Ok(FoundLink::Row(row))) if row.link.dest == dest));
    }
    assert!(soon(some.next()).await.is_none());
    let waiting = tokio::spawn(async move { (all.next().await.unwrap(), all.next().await.is_none()) });
    db.close().await?;
    let (last, ended) = soon(waiting).await.unwrap();
    assert_eq!((last.unwrap_err().kind(), ended), (ErrorKind::Closed, true));
    Ok(())
}

#[tokio::test]
async fn a_query_takes_the_order_that_fits_and_counts_what_it_makes() -> Result<()> {
    let (db, live) = database(&Env::memory(), &Arc::default()).await?;
    db.append_all((0..9).map(|time| post("ann", if time % 2 == 0 { "bc" } else { "c" }, time))).await?;
    let reader = live.read().await?;
    let query = |text: &str| reader.query(&Pipeline::parse(text).unwrap());
    let values = |text: &str| query(text).map(|row| row.unwrap().value.to_string()).collect::<Vec<_>>();
    let late = r#"[{"$filter":{"ts":{"$gt":5}}},{"$map":"ts"}]"#;
    assert_eq!(query(late).explain().order, Some(vec!["ts".into()]));
    assert_eq!(values(late), ["6", "6", "7", "8", "8"]);
    assert_eq!(query(late).rev().limit(3).map(|row| row.unwrap().value).collect::<Vec<_>>(), [8, 8, 7]);
    let whole = query(r#"{"dest":"b","rel":"names"}"#);
    assert_eq!((whole.explain().fixed, whole.explain().bounded), (2, false));
    let whole: Vec<_> = whole.map(|row| row.unwrap().seq.unwrap().get()).collect();
    assert_eq!(whole, [0, 2, 4, 6, 8], "a row that comes out as it was knows its entry");
    let counted = r#"[{"$filter":{"source":"ann"}},{"$reduce":{"to":"dest","n":{"$count":true}}}]"#;
    assert_eq!(values(counted), [r#"{"n":5,"to":"b"}"#, r#"{"n":9,"to":"c"}"#]);
    assert_eq!(query(counted).limit(1).count(), 1, "a limit counts what comes out");
    assert_eq!(query(r#"[{"$filter":{"nope":1}}]"#).explain().order, None);
    assert_eq!(values(r#"[{"$filter":{"nope":1}}]"#), [""; 0], "the filter is applied without an order, too");
    Ok(())
}

#[tokio::test]
async fn a_query_that_is_followed_tells_what_is_new_and_refuses_what_has_no_end() -> Result<()> {
    let (db, live) = database(&Env::memory(), &Arc::default()).await?;
    db.append_all(&[post("ann", "b", 1), post("ann", "c", 2)]).await?;
    let query = Pipeline::parse(r#"[{"$filter":{"dest":"b"}},{"$map":"ts"}]"#)?;
    let mut all = live.follow_query(&query, None);
    let mut two = live.follow_query(&query, Some(2));
    for told in [&mut all, &mut two] {
        assert!(matches!(soon(told.next()).await, Some(Ok(Told::Row(row))) if row.value == 1));
        assert_eq!(soon(told.next()).await.unwrap()?, Told::CaughtUp);
    }
    db.append_all(&[post("ann", "c", 3), post("bob", "cb", 4)]).await?;
    assert!(matches!(soon(two.next()).await, Some(Ok(Told::Row(row))) if row.value == 4));
    assert!(soon(two.next()).await.is_none(), "two were asked for, and told, and no third is waited for");
    assert!(matches!(soon(all.next()).await, Some(Ok(Told::Row(row))) if row.value == 4));
    db.append(&post("bob", "b", 5)).await?;
    assert!(matches!(soon(all.next()).await, Some(Ok(Told::Row(row))) if row.value == 5));
    let sorted = Pipeline::parse(r#"[{"$sort":["ts"]}]"#)?;
    let error = soon(live.follow_query(&sorted, None).next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    Ok(())
}
