//! Groups with aggregates: visits by page and hour.

use flumedb::{
    Flume, Result,
    codec::Json,
    views::{
        Groups, Windows,
        aggregate::{Count, Distinct, Max, Quantiles},
    },
};

/// The page, who, after how many milliseconds, and when in seconds.
type Visit = (String, u32, u32, i64);

fn visit(n: u32) -> Visit {
    let page = if n.is_multiple_of(3) { "about" } else { "blog" };
    (page.to_owned(), n % 800, 20 + n % 97, i64::from(n) * 2)
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = Flume::open("visits", Json::<Visit>::new()).await?;
    let hours = Windows::tumbling(3_600)?;
    let keys = move |(page, .., at): &Visit| hours.of(*at).map(|hour| (page.clone(), hour)).collect::<Vec<_>>();
    let aggregates = (
        Count,
        Distinct::new(|(_, who, ..): &Visit| [*who]),
        Quantiles::new(|(.., millis, _): &Visit| [f64::from(*millis)]),
        Max::new(|(.., millis, _): &Visit| [*millis]),
    );
    let visits = db.view("visits", Groups::new(1, keys, aggregates).with_undo()).await?;
    let seqs = db.append_all((0..10_000).map(visit)).await?;

    let now = visits.read().await?;
    println!("{} groups", now.count()?);
    for group in now.range(("blog", 0)..("blog", 7_200)) {
        let group = group?;
        let (count, people, millis, most) = group.value;
        let median = millis.quantile(0.5).unwrap_or_default();
        println!("{:?}: {count} visits of {people} people, median {median:.1}, at most {most:?}", group.key);
    }
    // All hours of a page together, and the busiest of all.
    println!("blog: {} people or so", now.prefix("blog").total()?.1);
    println!("busiest: {:?}", now.top(1, |(count, ..)| *count)?.first().map(|group| &group.key));

    // What is deleted is in no group any more.
    db.delete(seqs.into_iter().take(1_000)).await?;
    println!("{:?}", visits.read().await?.get(("blog", 0))?.map(|(count, ..)| count));
    db.close().await
}

// prints:
// 12 groups
// ("blog", 0): 1200 visits of 792 people, median 67.5, at most Some(116)
// ("blog", 3600): 1200 visits of 792 people, median 69.5, at most Some(116)
// blog: 792 people or so
// busiest: Some(("blog", 0))
// Some(534)
