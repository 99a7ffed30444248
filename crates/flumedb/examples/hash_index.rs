//! The newest entry with a key, for keys that are nearly unique: the ids of messages.

use flumedb::{Flume, Result, codec::Json, views::HashIndex};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Letter {
    id: String,
    text: String,
}

fn letter(id: u32, text: &str) -> Letter {
    Letter { id: format!("%letter-{id}"), text: text.to_owned() }
}

#[tokio::main]
async fn main() -> Result<()> {
    for opening in 1..=2 {
        let db = Flume::open("letters", Json::<Letter>::new()).await?;
        let by_id = db.view("by-id", HashIndex::new(1, |letter: &Letter| [letter.id.clone()])).await?;
        if opening == 1 {
            db.append_all((0..1000).map(|id| letter(id, "first"))).await?;
            db.append(&letter(7, "corrected")).await?;
        }

        let reader = by_id.read().await?;
        let found = reader.get("%letter-7").await?;
        println!("{:?}", found.map(|entry| entry.value.text));
        println!("{}", reader.contains("%letter-1000").await?);
        // Without a look at the log, which has the last word: all that may have the key, the newest first.
        println!(
            "{:?}",
            reader.candidates("%letter-7").map(|seq| seq.map(|seq| seq.get())).collect::<Result<Vec<_>>>()?
        );

        if opening == 1 {
            let newest = reader.candidates("%letter-7").next().transpose()?;
            db.delete(newest).await?;
        }
        db.close().await?;
    }
    Ok(())
}

// prints:
// Some("corrected")
// false
// [1000, 7]
// Some("first")
// false
// [1000, 7]
