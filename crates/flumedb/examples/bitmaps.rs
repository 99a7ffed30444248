//! Questions about any fields in any combination: each is answered by bitmaps that are built when they are first asked.
//! `cargo run --example bitmaps`

use flumedb::{
    Flume, Result,
    codec::{Document, JsonDocs},
    views::{Bitmaps, Op, Reduce},
};
use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let db = Flume::memory(JsonDocs)?;
    db.append_all([
        r#"{"type":"post","author":"ada","tags":["tide","boat"],"likes":3}"#,
        r#"{"type":"vote","author":"ada","likes":1}"#,
        r#"{"type":"post","author":"bob","tags":["boat"],"likes":12}"#,
        r#"{"type":"post","author":"ada","tags":[],"likes":7,"root":"%1"}"#,
    ])
    .await?;

    let bitmaps = Bitmaps::new(&db);
    let posts = Op::equal("type", "post");
    println!("posts: {}", bitmaps.query(posts.clone()).count().await?);

    // A tree of operators, built here or read from JSON.
    let boats = posts.clone().and(Op::includes("tags", "boat")).and(!Op::equal("author", "bob"));
    println!("asked: {boats}");
    println!("boats: {:?}", bitmaps.query(boats).seqs().await?);

    // By a number, the most first; each entry is fetched when it is asked for.
    let mut liked = bitmaps.query(posts.clone()).sort("likes").descending().run().await?.entries();
    while let Some(entry) = liked.next().await {
        let entry = entry?;
        println!("{} likes: {}", entry.value.integer(&["likes"]).unwrap_or(0), entry.seq);
    }

    // In pages: what a page costs does not depend on where it is.
    let page = bitmaps.query(posts.clone()).page(2).await?;
    println!("page: {:?}, go on at {}", page.seqs, page.next.map_or("the end".to_owned(), |next| next.to_string()));

    // What a query finds is a log of its own, that other views can follow.
    let posts = Flume::with_log(bitmaps.sublog(posts).await?, JsonDocs).await?;
    let sum = Reduce::new(1, 0, |sum: &mut i64, post: &_| *sum += Document::integer(post, &["likes"]).unwrap_or(0));
    let likes = posts.view("likes", sum).await?;
    db.append(r#"{"type":"post","likes":8}"#).await?;
    println!("likes of posts: {}", *likes.read().await?);
    Ok(())
}

// prints:
// posts: 3
// asked: {"args":[{"op":"equal","path":"type","value":"post"},{"op":"includes","path":"tags","value":"boat"},{"args":[{"op":"equal","path":"author","value":"bob"}],"op":"not"}],"op":"and"}
// boats: [Seq(0)]
// 12 likes: 2
// 7 likes: 3
// 3 likes: 0
// page: [Seq(0), Seq(2)], go on at 2
// likes of posts: 30
