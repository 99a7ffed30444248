//! Bitmaps of three fields at once, beside a bare loop that reads the same fields on as many threads.

use std::{fs, hint::black_box, path::PathBuf, thread, time::Instant};

use flumedb::{
    Flume, Seq,
    codec::{Document, JsonDocs},
    views::{Bitmaps, Op},
};

use super::{disk_bytes, wait};
use crate::{
    Result,
    measure::{Sample, cpu_seconds},
    messages::Random,
    workloads::Context,
};

/// As many as views have.
const THREADS: u64 = 2;
const PATHS: [&[&str]; 3] = [&["value", "author"], &["value", "content", "type"], &["value", "content", "root"]];

pub(super) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    match subject {
        "bitmaps" => wait(build(cx)),
        "fields-loop" => bare_loop(cx),
        other => Err(format!("there is no `{other}` here").into()),
    }
}

/// A log of messages as ssb-db keeps them, in part answers to others; written once.
async fn log(cx: &Context) -> Result<PathBuf> {
    let path = cx.kept("bitmaps").join(format!("log-{}", cx.entries));
    if path.exists() {
        return Ok(path);
    }
    let part = path.with_extension("part");
    fs::create_dir_all(cx.kept("bitmaps"))?;
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    let db = Flume::open(&part, JsonDocs).await?;
    let (messages, mut random) = (cx.messages()?, Random(7));
    let (mut batch, mut threads) = (Vec::new(), Vec::<String>::new());
    for (message, number) in messages.iter().zip(0_u64..) {
        let text = str::from_utf8(message)?;
        let key = format!("%{:043}=.sha256", random.below(u64::MAX));
        let mut value = text.to_owned();
        if text.contains(r#""type":"post","#) && !threads.is_empty() && random.below(4) > 0 {
            let recent = random.below(threads.len().min(20_000) as u64) as usize;
            let root = threads.iter().rev().nth(recent).map_or("", String::as_str);
            value = text.replacen(r#""type":"post","#, &format!(r#""type":"post","root":"{root}","#), 1);
        }
        if random.below(10) == 0 {
            threads.push(key.clone());
        }
        batch.push(format!(r#"{{"key":"{key}","value":{value},"timestamp":{}}}"#, 1_500_000_000_000 + number * 998));
        if batch.len() == 1_000 || number + 1 == messages.len() as u64 {
            db.append_all(batch.iter().map(String::as_str)).buffered().await?;
            batch.clear();
        }
    }
    db.close().await?;
    fs::rename(&part, &path)?;
    Ok(path)
}

fn bare_loop(cx: &Context) -> Result<Sample> {
    let log = wait(log(cx))?;
    let db = Flume::builder(JsonDocs).views_in_memory().open(log).blocking()?;
    let entries = cx.entries as u64;
    Sample::time(|| {
        let workers = (0..THREADS).map(|number| {
            let db = db.clone();
            thread::spawn(move || -> Result<u64> {
                let (from, to) = (number * entries / THREADS, (number + 1) * entries / THREADS);
                let mut bytes = 0;
                for entry in db.scan(Seq::new(from)..Seq::new(to)).blocking() {
                    let entry = entry?;
                    for path in PATHS {
                        bytes += entry.value.text(path).map_or(0, |text| text.len() as u64);
                    }
                }
                Ok(bytes)
            })
        });
        let workers: Vec<_> = workers.collect();
        let mut bytes = 0;
        for worker in workers {
            bytes += worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok((entries, black_box(bytes)))
    })
}

async fn build(cx: &Context) -> Result<Sample> {
    let log = log(cx).await?;
    let open = || Flume::builder(JsonDocs).views_in(&cx.scratch).open(&log);
    let db = open().await?;
    let three = |author: &str| {
        Op::equal("value.author", author)
            .or(Op::equal("value.content.type", "post"))
            .or(Op::equal("value.content.root", "%none"))
    };
    let (start, cpu) = (Instant::now(), cpu_seconds());
    black_box(Bitmaps::new(&db).query(three("@none")).count().await?);
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    db.close().await?;
    let bytes = disk_bytes(&cx.scratch) as f64 / cx.entries as f64;

    let db = open().await?;
    let bitmaps = Bitmaps::new(&db);
    let middle = db.get(Seq::new(cx.entries as u64 / 2)).await?;
    let author = middle.text(&["value", "author"]).ok_or("a message without an author")?.into_owned();
    let both = bitmaps.query(Op::equal("value.content.type", "post").and(Op::equal("value.author", author.as_str())));
    let both = both.descending();
    black_box(both.count().await?);
    let (mut first, mut page) = (Vec::new(), Vec::new());
    for _ in 0..1_000 {
        let start = Instant::now();
        black_box(both.run().await?.next().await.ok_or("no row")??);
        first.push(start.elapsed().as_secs_f64() * 1e6);
    }
    // Page after page by a number, through all there is or the first 500.
    let votes = bitmaps.query(Op::equal("value.content.type", "vote")).sort("value.timestamp").descending();
    let mut cursor = votes.page(5).await?.next;
    while let Some(after) = cursor.filter(|_| page.len() < 500) {
        let start = Instant::now();
        cursor = votes.clone().after(after).page(5).await?.next;
        page.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let count = bitmaps.query(Op::equal("value.content.type", "vote"));
    let mut count_ns = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        black_box(count.count().await?);
        count_ns.push(start.elapsed().as_secs_f64() * 1e6);
    }
    db.close().await?;
    let sample =
        Sample::of(cx.entries as u64, seconds, 0).with("first_us", median(first)).with("page_us", median(page));
    Ok(sample.with("count_us", median(count_ns)).with("row_bytes", bytes).with("cpu_s", cpu))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}
