//! Views: folds over the log, kept on the disk, read fresh, stale, or two of them at one position.

use std::collections::BTreeMap;

use flumedb::{Env, Flume, Result, codec::Json, views::Reduce};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payment {
    account: String,
    cents: i64,
}

fn payment(account: &str, cents: i64) -> Payment {
    Payment { account: account.into(), cents }
}

#[tokio::main]
async fn main() -> Result<()> {
    // A disk in memory, so that this runs anywhere; `Flume::open("payments", …)` is the same on a real one.
    let env = Env::memory();
    for opening in 1..=2 {
        let db = Flume::builder(Json::<Payment>::new()).env(env.clone()).open("payments").await?;
        let balances = Reduce::new(1, BTreeMap::new(), |all: &mut BTreeMap<String, i64>, payment: &Payment| {
            *all.entry(payment.account.clone()).or_default() += payment.cents;
        });
        let balances = db.view("balances", balances).await?;
        let count = db.view("count", Reduce::new(1, 0u64, |count, _: &Payment| *count += 1)).await?;

        db.append_all([payment("alice", 1000), payment("bob", 500), payment("alice", -250)]).await?;

        // Waits until the view has caught up; then plain values, which do not change any more.
        let now = balances.read().await?;
        assert_eq!((now.get("alice"), now.get("bob")), (Some(&(750 * opening)), Some(&(500 * opening))));

        // Readers of two views at one and the same position. Reopened, both go on where they were stored.
        let (accounts, payments) = db.read_all((&balances, &count)).await?;
        assert_eq!((accounts.len(), *payments), (2, 3 * opening as u64));
        println!("{:?} after {} payments", *accounts, *payments);

        // Never waits, and shows whatever is there.
        assert!(balances.read_stale().is_some());
        db.wait_all().await?;
        assert!(count.progress().is_live());
        db.close().await?;
    }
    Ok(())
}
