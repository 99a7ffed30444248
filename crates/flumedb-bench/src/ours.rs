//! What only ours has: views that catch up, opening after `kill -9`, opening with views.

use std::{path::Path, time::Instant};

use flumedb::{
    Flume,
    codec::Json,
    view::Live,
    views::{Index, Reduce, index::IndexReader},
};

use crate::{
    Result,
    measure::{MemoryWatch, Sample},
    messages::{Message, Messages},
    workloads::{BATCH, Context},
};

/// The log that is opened is at least this long.
const BIG: u64 = 1 << 30;
const BIG_LOG: &str = "flumedb-1g";

/// The fields that the views of a Scuttlebutt program look at.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Post {
    author: String,
    sequence: u64,
    timestamp: u64,
    content: Content,
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Content {
    r#type: String,
}

type Db = Flume<Json<Post>>;

/// What `work` does with a database, waited for on this thread.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(work)
}

/// Builds an index from author to messages from scratch.
pub(crate) fn index(cx: &Context) -> Result<Sample> {
    let messages = cx.messages()?;
    let (author, expected) = messages.count_first_author()?;
    wait(async {
        let codec = Json::<Message>::new();
        let db = Flume::builder(codec).views_in(&cx.scratch).open(cx.kept("flumedb").join("flumedb")).await?;
        let start = Instant::now();
        let view = db.view("author", Index::new(1, |message: &Message| [message.author.clone()])).await?;
        let reader: IndexReader<Message, String> = view.read().await?;
        let seconds = start.elapsed().as_secs_f64();
        let count = reader.get(author.as_str()).seqs().count() as u64;
        if count != expected {
            return Err(format!("the index has {count} messages of an author with {expected}").into());
        }
        db.close().await?;
        Ok(Sample::of(messages.len() as u64, seconds, messages.total_bytes()))
    })
}

/// Sums a field of all messages from scratch.
pub(crate) fn reduce(cx: &Context) -> Result<Sample> {
    let messages = cx.messages()?;
    wait(async {
        let codec = Json::<Post>::new();
        let db = Flume::builder(codec).views_in(&cx.scratch).open(cx.kept("flumedb").join("flumedb")).await?;
        let start = Instant::now();
        let view = db.view("sum", sum()).await?;
        std::hint::black_box(*view.read().await?);
        let seconds = start.elapsed().as_secs_f64();
        db.close().await?;
        Ok(Sample::of(messages.len() as u64, seconds, messages.total_bytes()))
    })
}

fn sum() -> Reduce<Post, u64, impl Fn(&mut u64, &Post) + Send + 'static> {
    Reduce::new(1, 0, |sum: &mut u64, post: &Post| *sum += post.sequence)
}

/// Adds five views and waits until they have caught up.
async fn five_views(db: &Db) -> Result {
    let author = db.view("author", Index::new(1, |post: &Post| [(post.author.clone(), post.sequence)])).await?;
    let kind = db.view("type", Index::new(1, |post: &Post| [post.content.r#type.clone()])).await?;
    let time = db.view("time", Index::new(1, |post: &Post| [post.timestamp])).await?;
    let both =
        db.view("type-time", Index::new(1, |post: &Post| [(post.content.r#type.clone(), post.timestamp)])).await?;
    let sum = db.view("sum", sum()).await?;
    read(&author).await?;
    read(&kind).await?;
    read(&time).await?;
    read(&both).await?;
    std::hint::black_box(*sum.read().await?);
    Ok(())
}

async fn read<K: flumedb::views::Key>(view: &Live<Index<Post, K>>) -> Result {
    std::hint::black_box(view.read().await?.since());
    Ok(())
}

/// Makes the log that is opened, with five views that have caught up.
fn fill(cx: &Context) -> Result {
    let dir = cx.kept(BIG_LOG);
    if dir.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&dir)?;
    let messages = cx.messages()?;
    let all: Vec<&[u8]> = messages.iter().collect();
    let store = crate::stores::open("flumedb", &dir, false)?;
    let mut bytes = 0;
    for batch in all.chunks(BATCH).cycle() {
        store.append(batch)?;
        bytes += batch.iter().map(|message| message.len() as u64).sum::<u64>();
        if bytes >= BIG {
            break;
        }
    }
    store.close()?;
    wait(async {
        let db = Flume::open(dir.join("flumedb"), Json::<Post>::new()).await?;
        five_views(&db).await?;
        Ok(db.close().await?)
    })
}

/// Goes on appending to the long log until it is killed.
pub(crate) fn append_until_killed(cx: &Context) -> Result {
    let messages = cx.messages()?;
    let all: Vec<&[u8]> = messages.iter().collect();
    let store = crate::stores::open("flumedb", &cx.kept(BIG_LOG), false)?;
    println!("ready");
    for batch in all.chunks(10).cycle() {
        store.append(batch)?;
    }
    Ok(())
}

/// Opens the long log, as it is.
pub(crate) fn open_log(cx: &Context) -> Result<Sample> {
    fill(cx)?;
    let dir = cx.kept(BIG_LOG);
    let start = Instant::now();
    let store = crate::stores::open("flumedb", &dir, false)?;
    store.get(&[0], &mut |message| {
        std::hint::black_box(message);
    })?;
    let seconds = start.elapsed().as_secs_f64();
    store.close()?;
    Ok(Sample::of(1, seconds, 0).with("ms", seconds * 1e3))
}

/// Opens the long log with five views that are as far as it is.
pub(crate) fn open_views(cx: &Context) -> Result<Sample> {
    fill(cx)?;
    let path = cx.kept(BIG_LOG).join("flumedb");
    // What the killed writers have left is not what is measured here.
    let open = || Flume::open(&path, Json::<Post>::new());
    wait(async {
        let db = open().await?;
        five_views(&db).await?;
        db.close().await?;
        let start = Instant::now();
        let db = open().await?;
        five_views(&db).await?;
        let seconds = start.elapsed().as_secs_f64();
        db.close().await?;
        Ok(Sample::of(1, seconds, 0).with("ms", seconds * 1e3))
    })
}

/// Five views catch up with the long log from nothing, while the process's memory is watched.
pub(crate) fn catch_up(cx: &Context) -> Result<Sample> {
    fill(cx)?;
    let views: &Path = &cx.scratch;
    wait(async {
        let codec = Json::<Post>::new();
        let db = Flume::builder(codec).views_in(views).open(cx.kept(BIG_LOG).join("flumedb")).await?;
        let watch = MemoryWatch::start();
        let start = Instant::now();
        five_views(&db).await?;
        let seconds = start.elapsed().as_secs_f64();
        let peak = watch.stop();
        let entries = db.head().map_or(0, |head| head.get() + 1);
        let bytes = db.stat()?.bytes;
        db.close().await?;
        Ok(Sample::of(entries, seconds, bytes).with("anon_mb", peak))
    })
}

impl Messages {
    /// The author of the first message, and how many are theirs.
    pub(crate) fn count_first_author(&self) -> Result<(String, u64)> {
        let author = serde_json::from_slice::<Message>(self.get(0))?.author;
        let mut count = 0;
        for message in self.iter() {
            count += u64::from(serde_json::from_slice::<Message>(message)?.author == author);
        }
        Ok((author, count))
    }
}
