//! Groups with aggregates: visits by page and hour.

use flumedb::{
    Flume, Result,
    codec::Json,
    views::{
        Groups, Windows,
        aggregate::{Count, Distinct, Max, Quantiles},
    },
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Visit {
    page: String,
    who: u32,
    millis: u32,
    at: i64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = Flume::open("visits", Json::<Visit>::new()).await?;
    let hours = Windows::tumbling(3_600)?;
    let visits = Groups::new(
        1,
        move |visit: &Visit| hours.of(visit.at).map(|hour| (visit.page.clone(), hour)).collect::<Vec<_>>(),
        (
            Count,
            Distinct::new(|visit: &Visit| [visit.who]),
            Quantiles::new(|visit: &Visit| [f64::from(visit.millis)]),
            Max::new(|visit: &Visit| [visit.millis]),
        ),
    );
    let visits = db.view("visits", visits.with_undo()).await?;
    let seqs = db
        .append_all((0..10_000_u32).map(|n| Visit {
            page: ["about", "blog", "index"][(n % 3) as usize].into(),
            who: n % 800,
            millis: 20 + n % 97,
            at: i64::from(n) * 2,
        }))
        .await?;

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
// x
