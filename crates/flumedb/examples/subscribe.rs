//! Subscriptions: where one begins, what it tells, and that a slow one misses nothing.

use flumedb::{Event, Flume, From, Result, codec::Utf8};

#[tokio::main]
async fn main() -> Result<()> {
    let db = Flume::memory(Utf8)?;
    let one = db.append("one").await?;
    let two = db.append("two").await?;
    db.append("three").await?;

    // Only what comes; history and what comes; what comes behind an entry that was seen before.
    let mut new = db.subscribe(From::Head);
    let mut events = db.subscribe(From::Start).events();
    let mut rest = db.subscribe(From::After(two));

    // None of them is read yet. They hold a place in the log, so this waits for nobody.
    db.delete([one]).await?;
    db.append("four").await?;

    assert_eq!(new.next().await.transpose()?.map(|entry| entry.value).as_deref(), Some("four"));
    assert_eq!(rest.next().await.transpose()?.map(|entry| entry.value).as_deref(), Some("three"));

    let mut told = Vec::new();
    while told.len() < 5 {
        match events.next().await.transpose()? {
            Some(Event::Entry(entry)) => told.push(entry.value),
            Some(Event::Deleted(seq)) => told.push(format!("{seq} is gone")),
            Some(Event::CaughtUp) => told.push("that was the history".into()),
            _ => break,
        }
    }
    println!("{told:#?}");
    assert_eq!(told, ["two", "three", "that was the history", "0 is gone", "four"]);

    // The same without a runtime: an iterator, here over what is there, the newest first.
    let newest: Vec<_> = db.scan(..).rev().limit(2).blocking().collect::<Result<_>>()?;
    assert_eq!(newest.iter().map(|entry| entry.value.as_str()).collect::<Vec<_>>(), ["four", "three"]);
    Ok(())
}
