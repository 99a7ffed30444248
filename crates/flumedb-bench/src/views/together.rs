//! Five views at once: what that costs over the slowest alone, and over what the cores have to do at the least.

use std::{
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use flumedb::{
    Flume,
    codec::{Document, JsonDoc, JsonDocs},
    view::{Live, View},
    views::{HashIndex, Index, Reduce},
};

use super::{
    timed::{Timed, Times},
    wait,
};
use crate::{Result, measure::Sample, workloads::Context};

const VIEWS: [&str; 5] = ["author", "kind", "time", "previous", "sum"];

pub(super) fn measure(cx: &Context) -> Result<Sample> {
    let decode = decode(cx)?;
    let (mut slowest, mut work) = (0.0_f64, decode);
    for name in VIEWS {
        let (seconds, applied) = build(cx, &[name])?;
        slowest = slowest.max(seconds);
        work += applied;
    }
    let (seconds, applied) = build(cx, &VIEWS)?;
    let cores = thread::available_parallelism()?.get() as f64;
    let least = slowest.max(work / cores);
    let sample = Sample::of(cx.entries as u64, seconds, 0).with("decode_s", decode).with("slowest_s", slowest);
    let sample = sample.with("work_s", work / cores).with("applied_s", applied);
    Ok(sample.with("ratio", seconds / least))
}

fn log(cx: &Context) -> std::path::PathBuf {
    cx.kept("flumedb").join("flumedb")
}

/// Seconds to decode every message on one thread.
fn decode(cx: &Context) -> Result<f64> {
    let db = Flume::read_only(log(cx), JsonDocs).blocking()?;
    let start = Instant::now();
    for entry in db.scan(..).blocking() {
        black_box(entry?);
    }
    Ok(start.elapsed().as_secs_f64())
}

type Seen = Arc<Mutex<Times>>;

/// Seconds until views of these names have caught up, and of all their calls together.
fn build(cx: &Context, names: &[&str]) -> Result<(f64, f64)> {
    if cx.scratch.exists() {
        std::fs::remove_dir_all(&cx.scratch)?;
    }
    wait(async {
        let db = Flume::builder(JsonDocs).views_in(&cx.scratch).open(log(cx)).await?;
        let start = Instant::now();
        let mut times: Vec<Seen> = Vec::new();
        for name in names {
            times.push(add(&db, name).await?);
        }
        db.wait_all().await?;
        let seconds = start.elapsed().as_secs_f64();
        let applied =
            times.iter().map(|times| times.lock().unwrap_or_else(PoisonError::into_inner).total.as_secs_f64());
        let applied = applied.sum();
        db.close().await?;
        Ok((seconds, applied))
    })
}

async fn add(db: &Flume<JsonDocs>, name: &str) -> Result<Seen> {
    async fn run<V: View<Item = JsonDoc>>(db: &Flume<JsonDocs>, name: &str, view: V) -> Result<Seen> {
        let (view, times) = Timed::new(view, false);
        let _: Live<Timed<V>> = db.view(name, view).await?;
        Ok(times)
    }
    let text = |path: &'static str| move |doc: &JsonDoc| doc.text(&[path]).map(String::from);
    match name {
        "author" => {
            let keys = |doc: &JsonDoc| Some((doc.text(&["author"])?.into_owned(), doc.integer(&["sequence"])?));
            run(db, name, Index::new(1, keys)).await
        }
        "kind" => run(db, name, Index::new(1, |doc: &JsonDoc| doc.text(&["content", "type"]).map(String::from))).await,
        "time" => run(db, name, Index::new(1, |doc: &JsonDoc| doc.number(&["timestamp"]))).await,
        "previous" => run(db, name, HashIndex::new(1, text("previous"))).await,
        _ => {
            let sum = |sum: &mut i64, doc: &JsonDoc| *sum += doc.integer(&["sequence"]).unwrap_or(0);
            run(db, name, Reduce::new(1, 0_i64, sum)).await
        }
    }
}
