//! Queries: a language in JSON, the index that fits best, and what comes later.

use flumedb::{
    Flume, Result,
    codec::JsonDocs,
    mfr::Pipeline,
    views::{IndexOn, Query, query::Told},
};

fn main() -> Result<()> {
    let db = Flume::memory(JsonDocs)?;
    let indexes = [IndexOn::new("author", [["author"], ["likes"]]), IndexOn::new("tag", [["tag"]])];
    let posts = Query::open(&db, "posts", indexes).blocking()?;
    let entries = [
        r#"{"author":"alice","likes":3,"tag":"tide"}"#,
        r#"{"author":"bob","likes":9,"tag":"wind"}"#,
        r#"{"author":"alice","likes":7,"tag":"wind"}"#,
        r#"{"author":"alice","likes":0,"tag":"tide"}"#,
    ];
    db.append_all(entries).blocking()?;

    // A query sees what was appended before it.
    let liked = Pipeline::parse(r#"[{"$filter": {"author": "alice", "likes": {"$gte": 1}}}, {"$map": "likes"}]"#)?;
    let how = posts.ask(&liked).explain().blocking()?;
    println!("by {}: {} of 4 entries", how.index.unwrap_or_default(), how.rows);
    let sums = Pipeline::parse(r#"[{"$reduce": {"tag": "tag", "likes": {"$sum": "likes"}, "n": {"$count": true}}}]"#)?;
    for row in posts.ask(&liked).reverse().rows().blocking().chain(posts.ask(&sums).rows().blocking()) {
        println!("{}", row?.value);
    }

    // What was there, a mark, and what comes.
    let windy = Pipeline::parse(r#"[{"$filter": {"tag": "wind"}}, {"$map": "author"}]"#)?;
    for told in posts.ask(&windy).limit(3).follow().blocking() {
        match told? {
            Told::Row(row) => println!("{}", row.value),
            _ => drop(db.append(r#"{"author":"carol","likes":1,"tag":"wind"}"#).blocking()?),
        }
    }
    if let Err(error) = Pipeline::parse(r#"[{"$filter": {"likes": "many", "tag": {"$in": "wind"}}}]"#) {
        println!("{error}");
    }
    Ok(())
}

// prints:
// by author: 2 of 4 entries
// 7
// 3
// {"likes":3,"n":2,"tag":"tide"}
// {"likes":16,"n":2,"tag":"wind"}
// "bob"
// "alice"
// "carol"
// at /0/$filter/tag/$in in the query: $in takes an array of values, not "wind"
