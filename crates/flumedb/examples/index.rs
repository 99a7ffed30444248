//! Ordered keys: ranges, prefixes, keys of any type, and what is new as it comes.

use flumedb::{
    Flume, Result,
    codec::{Document, JsonDoc, JsonDocs},
    views::{AnyKey, Index, index::Found},
};

#[tokio::main]
async fn main() -> Result<()> {
    let db = Flume::open("tides", JsonDocs).await?;
    // Typed: by harbour and hour.
    let by_hour =
        Index::new(1, |tide: &JsonDoc| Some((tide.text(&["harbour"])?.into_owned(), tide.integer(&["hour"])?)));
    let by_hour = db.view("by-hour", by_hour).await?;
    // Whatever stands in the document: nothing, a truth value, a number, a text, in this order.
    let by_note = Index::new(1, |tide: &JsonDoc| AnyKey::try_from(tide.field(&["note"])?).ok());
    let by_note = db.view("by-note", by_note).await?;

    db.append_all([
        r#"{"harbour":"Delfzijl","hour":3,"note":"ebb"}"#,
        r#"{"harbour":"Den Helder","hour":5,"note":null}"#,
        r#"{"harbour":"Delfzijl","hour":9,"note":2.5}"#,
        r#"{"harbour":"Delfzijl","hour":15,"note":true}"#,
    ])
    .await?;

    let reader = by_hour.read().await?;
    for found in reader.range(("Delfzijl", 4)..=("Delfzijl", 20)) {
        println!("{:?}", found?.key);
    }
    let latest = reader.prefix("Delfzijl").rev().limit(1).seqs().next().transpose()?;
    println!("the latest is entry {}", latest.map_or(String::new(), |seq| seq.to_string()));
    println!("{:?}", by_note.read().await?.all().keys().collect::<Result<Vec<_>>>()?);

    // What is appended from now on.
    let mut news = by_hour.follow_new(|tides| tides.prefix("Den Helder"));
    assert_eq!(news.next().await.transpose()?, Some(Found::CaughtUp));
    db.append_all([r#"{"harbour":"Delfzijl","hour":21}"#, r#"{"harbour":"Den Helder","hour":17}"#]).await?;
    if let Some(Found::Match(found)) = news.next().await.transpose()? {
        println!("new: {:?}", found.key);
    }
    db.close().await
}

// prints:
// ("Delfzijl", 9)
// ("Delfzijl", 15)
// the latest is entry 3
// [Null, Bool(true), Float(2.5), Text("ebb")]
// new: ("Den Helder", 17)
