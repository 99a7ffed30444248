//! A fold with a way back, and a replica of it elsewhere that follows by messages alone.

use std::collections::BTreeMap;

use flumedb::{
    Env, Flume, Result,
    codec::Json,
    views::{
        Reduce,
        reduce::{Replica, Told},
    },
};

type Balances = BTreeMap<String, i64>;
/// Account, cents, and whether it was only a test.
type Payment = (String, i64, bool);

fn payment(account: &str, cents: i64) -> Payment {
    (account.to_owned(), cents, account == "eve")
}

fn book(all: &mut Balances, (account, cents): &(String, i64), sign: i64) {
    *all.entry(account.clone()).or_default() += cents * sign;
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = Flume::builder(Json::<Payment>::new()).env(Env::memory()).open("payments").await?;
    // What the map gives nothing for is skipped, and never travels.
    let map = |(account, cents, test): &Payment| (!test).then(|| (account.clone(), *cents));
    let balances = Reduce::mapped(1, Balances::new(), map, |all: &mut Balances, item, _| book(all, item, 1))
        .with_mapped_inverse(|all, item, _| book(all, item, -1));
    let balances = db.view("balances", balances).await?;
    let seqs = db.append_all([payment("alice", 1000), payment("bob", 500)]).await?;

    let mut replica = Replica::new(|all: &mut Balances, item: &(String, i64), _| book(all, item, 1));
    let mut feed = balances.feed();
    for step in 0..4 {
        let told = feed.next().await.expect("it goes on until the database is closed")?;
        let message = serde_json::to_string(&told).expect("JSON"); // from here …
        println!("{message}");
        let told: Told<Balances, (String, i64)> = serde_json::from_str(&message).expect("JSON"); // … to there
        replica.take(told)?;
        match step {
            0 => db.append(&payment("alice", -250)).await.map(drop)?,
            1 => db.append(&payment("eve", 1)).await.map(drop)?,
            // Takes one call of the inverse; the replica is told the state once more.
            2 => db.delete(seqs.iter().copied().skip(1)).await?,
            _ => assert_eq!(replica.state(), Some(&*balances.read().await?)),
        }
    }
    Ok(())
}

// prints:
// {"Snapshot":{"since":1,"state":{"alice":1000,"bob":500}}}
// {"Item":{"seq":2,"item":["alice",-250]}}
// {"Skipped":{"since":3}}
// {"Snapshot":{"since":4,"state":{"alice":750,"bob":0}}}
