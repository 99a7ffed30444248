//! Durable consumers: side effects, which views must not have, with the position kept in the log itself.

use flumedb::{Env, Flume, From, Result, Seq, codec::Utf8, log::Note};

/// Sends a mail for each order, as long as the mail server lasts. Acknowledges after each, so that an order whose mail
/// was sent, but not acknowledged, is mailed again: at least once.
async fn mail(db: &Flume<Utf8>, server: &mut Vec<String>, capacity: usize) -> Result<()> {
    let mut feed = db.subscribe(From::Stored("mailer")).events();
    while let Some(flumedb::Event::Entry(order)) = feed.next().await.transpose()? {
        if server.len() == capacity {
            return Ok(());
        }
        server.push(order.value);
        db.ack("mailer", order.seq).await?;
    }
    Ok(())
}

/// Answers an order in the log: the answer and the position are one commit, so that there is one answer, exactly once.
async fn bill(db: &Flume<Utf8>, order: Seq) -> Result<Seq> {
    let text = db.get(order).await?;
    db.append(&format!("bill for {text}")).note(Note::consumer("billing", order)).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let env = Env::memory();
    let open = || Flume::builder(Utf8).env(env.clone()).open("shop");

    let mut mails = Vec::new();
    let db = open().await?;
    db.append_all(["a lamp", "two chairs", "a table"]).await?;
    mail(&db, &mut mails, 2).await?;
    drop(db); // however the program ends

    let db = open().await?;
    mail(&db, &mut mails, usize::MAX).await?;
    println!("mailed {mails:?}");
    assert_eq!(mails, ["a lamp", "two chairs", "a table"]);

    for _ in 0..3 {
        let order = db.subscribe(From::Stored("billing")).next().await.transpose()?;
        bill(&db, order.expect("a subscription ends with an error only").seq).await?;
    }
    let bills: Vec<_> = db.scan(..).rev().limit(3).blocking().map(|entry| Ok(entry?.value)).collect::<Result<_>>()?;
    println!("{bills:?}");
    assert_eq!(bills, ["bill for a table", "bill for two chairs", "bill for a lamp"]);
    Ok(())
}
