//! Has this been seen? A filter that says "no", or "perhaps", in a few bits a key; the log is asked only where it says "perhaps".
//!
//! `cargo run --example bloom`

use flumedb::{
    Flume, Result,
    codec::Utf8,
    views::{Bloom, HashIndex},
};

#[tokio::main]
async fn main() -> Result<()> {
    let db = Flume::open("seen", Utf8).await?;
    // Room for 1000 names at first, and at most one wrong "perhaps" in a thousand.
    let seen = Bloom::new(1, |line: &String| [line.clone()]).items(1_000).probability(0.001);
    let seen = db.view("seen", seen).await?;
    let entries = db.view("entries", HashIndex::new(1, |line: &String| [line.clone()])).await?;

    let names: Vec<String> = (0..5_000).map(|number| format!("message {number}")).collect();
    db.append_all(names.iter().map(String::as_str)).await?;

    let (seen, entries) = (seen.read().await?, entries.read().await?);
    for name in ["message 7", "message 4999", "message 5000"] {
        let known = seen.may_contain(name) && entries.get(name).await?.is_some();
        println!("{name}: {}", if known { "known" } else { "new" });
    }
    println!("all that were appended: {}", names.iter().all(|name| seen.may_contain(name.as_str())));
    let wrong = (5_000..105_000).filter(|number| seen.may_contain(&*format!("message {number}"))).count();
    println!("fewer than 1 in 1000 others: {}", wrong < 100);
    println!("it grew to {} stages", seen.stages());
    println!("bits a key: fewer than 40: {}", seen.bits() / seen.count() < 40);
    db.close().await
}

// prints:
// message 7: known
// message 4999: known
// message 5000: new
// all that were appended: true
// fewer than 1 in 1000 others: true
// it grew to 3 stages
// bits a key: fewer than 40: true
