//! Full-text search: words, beginnings of words, phrases, fields; the newest first or the most relevant, with snippets.

use flumedb::{
    Flume,
    codec::JsonDoc,
    codec::{Document, JsonDocs},
};
use flumedb_search::{Marks, Search, Texts, Words};

#[tokio::main]
async fn main() -> flumedb::Result<()> {
    let db = Flume::open("data", JsonDocs).await?;
    let texts = |note: &JsonDoc, texts: &mut Texts| {
        for field in ["title", "body"] {
            if let Some(text) = note.text(&[field]) {
                texts.add(field, text);
            }
        }
    };
    let search = Search::with_fields(1, ["title", "body"], texts).words(Words::new().fold_diacritics(true));
    let search = db.view("search", search).await?;

    db.append_all([
        r#"{"title":"Tides","body":"High tide at noon, low tide at six."}"#,
        r#"{"title":"Shopping","body":"Crème fraîche & high boots"}"#,
        r#"{"title":"High water","body":"The tide was never so high."}"#,
    ])
    .await?;

    let reader = search.read().await?;
    for query in ["high tid*", "\"high tide\"", "title:high", "creme -tide", "tide"] {
        let found = reader.search(query)?.hits()?;
        println!("{query}: {:?}", found.seqs().map(|seq| seq.get()).collect::<Vec<_>>());
    }

    let marks = Marks::new("<b>", "</b>").html();
    for found in reader.search_typing("fra")?.by_relevance().limit(1).entries().await? {
        println!("{}", found.snippet(&marks));
    }

    if let Err(error) = reader.search("tide \"high") {
        println!("{error}");
    }
    db.close().await
}

// prints:
// high tid*: [2, 0]
// "high tide": [0]
// title:high: [2]
// creme -tide: [1]
// tide: [2, 0]
// Crème <b>fraîche</b> &amp; high boots
// query, byte 5: the quote that opens here is not closed; close it or leave it out
