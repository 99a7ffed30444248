//! What it costs to build, to update, to ask and to keep, over texts with as many words as people use. Not run unless asked
//! for: `cargo test --release -p flumedb-search --test costs -- --ignored --nocapture`; `FLUME_ENTRIES` says how many.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use flumedb::{Flume, codec::Utf8};
use flumedb_search::{Ask, Marks, Order, Search};

/// A post of about 40 words, of which a few are frequent and most are rare.
fn post(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words = 20 + next() % 40;
    let mut text = String::new();
    for _ in 0..words {
        // Zipf: the chance of a word falls as its rank rises.
        let unit = (next() >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = (100_000_f64.powf(unit)) as u64;
        text.push_str(&format!("w{rank} "));
    }
    text
}

/// Seconds that this process has used the processors for; how long it took says little on a busy machine.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

fn bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { bytes(&entry.path()) } else { entry.metadata().map_or(0, |of| of.len()) }
            },
        )
        .sum()
}

/// The best of several, as others use the machine, too.
fn best(ask: &Ask<'_, String>) -> (usize, Duration) {
    let times = (0..30).map(|_| {
        let start = Instant::now();
        (ask.hits().unwrap().hits.len(), start.elapsed())
    });
    times.min_by_key(|(_, took)| *took).unwrap()
}

#[tokio::test]
#[ignore = "measures"]
async fn what_it_costs() {
    let entries: u64 = std::env::var("FLUME_ENTRIES").ok().and_then(|of| of.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir().unwrap();
    let db = Flume::open(dir.path(), Utf8).await.unwrap();
    let mut text = 0;
    for batch in 0..entries / 1000 {
        let posts: Vec<String> = (batch * 1000..(batch + 1) * 1000).map(post).collect();
        text += posts.iter().map(String::len).sum::<usize>();
        db.append_all(posts.iter().map(|post| &**post)).buffered().await.unwrap();
    }
    db.sync().await.unwrap();
    let (start, before) = (Instant::now(), cpu());
    let search = db.view("search", Search::new(1, |line: &String| [line.clone()])).await.unwrap();
    let reader = search.read().await.unwrap();
    let (took, used) = (start.elapsed().as_secs_f64(), cpu() - before);
    println!(
        "{entries} entries, {text} bytes of text: built in {took:.2} s, {used:.2} s of a processor, {} pieces, {}",
        reader.segments(),
        resident()
    );
    let mut slowest = Duration::ZERO;
    let before = cpu();
    for number in 0..2_000 {
        db.append(&*post(entries + number)).buffered().await.unwrap();
        let start = Instant::now();
        search.read().await.unwrap();
        slowest = slowest.max(start.elapsed());
    }
    println!(
        "an append and a read {:.0} µs of a processor, the slowest read {slowest:?}",
        (cpu() - before) * 1e6 / 2000.0
    );
    db.close().await.unwrap();
    let views = bytes(&dir.path().join("views"));
    println!("{views} bytes on the disk, {:.1} an entry", views as f64 / entries as f64);
    let (start, before) = (Instant::now(), cpu());
    let db = Flume::open(dir.path(), Utf8).await.unwrap();
    let search = db.view("search", Search::new(1, |line: &String| [line.clone()])).await.unwrap();
    let reader = search.read().await.unwrap();
    println!("opened in {:?}, {:.2} s of a processor, {} pieces", start.elapsed(), cpu() - before, reader.segments());
    for query in ["w1", "w20", "w500", "w40000", "w1 w2", "w20 w500", "\"w1 w2\"", "w99*", "w1*", "w1 -w2"] {
        let count = reader.search(query).unwrap().count().unwrap();
        let [newest, relevant] =
            [Order::Newest, Order::Relevance].map(|order| best(&reader.search(query).unwrap().order(order)));
        println!("{query}: {count} entries; the newest 20 in {:?}, the most relevant in {:?}", newest.1, relevant.1);
    }
    let start = Instant::now();
    let found = reader.search("w20 w500").unwrap().entries().await.unwrap();
    let snippets: usize = found.iter().map(|found| found.snippet(&Marks::new("<b>", "</b>").html()).len()).sum();
    println!("{} entries with snippets of {snippets} bytes in {:?}", found.len(), start.elapsed());
}
