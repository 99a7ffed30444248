//! A database on the disk: append, get, a view that has caught up when it answers, and what comes.

use flumedb::{Flume, From, Result, codec::Json, views::Reduce};

#[derive(serde::Serialize, serde::Deserialize)]
struct Post {
    text: String,
    likes: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = Flume::open("first_steps.flume", Json::<Post>::new()).await?;
    let likes = db.view("likes", Reduce::new(1, 0u64, |sum, post: &Post| *sum += post.likes)).await?;
    let before = *likes.read().await?;

    let seq = db.append(&Post { text: "hello".into(), likes: 3 }).await?; // on the disk once this returns
    assert_eq!(db.get(seq).await?.text, "hello");
    assert_eq!(*likes.read().await?, before + 3); // has caught up with that append

    let mut feed = db.subscribe(From::Start); // history, then what comes
    while let Some(entry) = feed.next().await.transpose()? {
        println!("{} {:?} has {} likes", entry.seq, entry.value.text, entry.value.likes);
        if entry.seq == seq {
            break;
        }
    }
    db.close().await
}
