//! Records with a key and indexes: what most programs want of a database.

use flumedb::{Database, ErrorKind, Record, Result};

#[derive(Debug, serde::Serialize, serde::Deserialize, Record)]
#[record(name = "posts")]
struct Post {
    #[key]
    id: u64,
    #[index]
    author: String,
    #[unique]
    slug: String,
    likes: u32,
}

fn post(id: u64, author: &str, slug: &str) -> Post {
    Post { id, author: author.into(), slug: slug.into(), likes: 0 }
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = Database::open("collections.flume").await?;
    let posts = db.collection::<Post>().await?;

    posts.put(&post(1, "alice", "hello")).await?; // on the disk once this returns
    posts.put(&post(2, "alice", "tides")).await?;
    match posts.put(&post(3, "bob", "hello")).await {
        Err(taken) if taken.kind() == ErrorKind::Conflict => println!("{taken}"),
        other => other?,
    }

    posts.update(1, |post| post.likes += 1).await?; // again, if somebody else did meanwhile
    println!("{:?}", posts.by_slug("hello").await?);
    println!("alice wrote {:?}", posts.by_author("alice").rev().keys().await?);
    // Several changes, all or none, as if nobody else wrote meanwhile.
    db.write(|tx| {
        let mut all = tx.range(&posts, 1..)?;
        all.iter_mut().for_each(|post| post.author = "carol".into());
        all.iter().try_for_each(|post| tx.put(&posts, post))
    })
    .await?;
    println!("carol wrote {}", posts.by_author("carol").count().await?);

    let mut watch = posts.watch(); // what there is, then what changes
    posts.delete(2).await?;
    for _ in 0..2 {
        println!("{:?}", watch.next().await.transpose()?);
    }
    db.close().await
}

// prints:
// "posts": the record 1 has this slug already, and slug is unique; take another
// Some(Post { id: 1, author: "alice", slug: "hello", likes: 1 })
// alice wrote [2, 1]
// carol wrote 2
// Some(Put(Post { id: 1, author: "carol", slug: "hello", likes: 1 }))
// Some(CaughtUp)
