//! Guards against a mapping of Scuttlebutt's messages that depends on what they are kept in, and against messages that are
//! not as they should be.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use flumedb::{Flume, codec::JsonDocs};
use flumedb_search::ssb::posts;

#[tokio::test]
async fn messages_are_found_by_what_people_wrote() {
    let db = Flume::memory(JsonDocs).unwrap();
    let search = db.view("search", posts(1)).await.unwrap();
    for content in [
        r#"{"type":"post","text":"Flut um [acht](x)","channel":"gezeiten","mentions":[{"link":"@a","name":"Ännchen"},7,{}]}"#,
        r#"{"type":"about","about":"@a","name":"Ännchen","description":"sails at high tide"}"#,
        r#"{"type":"blog","title":"On tides","summary":"and moons","text":null}"#,
        r#""c2VjcmV0.box""#,
        r#"{"type":"post","text":17,"mentions":"none"}"#,
        "null",
    ] {
        let message = format!(r#"{{"key":"%x","value":{{"author":"@a","content":{content}}}}}"#);
        db.append(&*message).await.unwrap();
    }
    let reader = search.read().await.unwrap();
    assert_eq!(reader.count(), 3);
    for (query, found) in [
        ("flut", vec![0]),
        ("channel:gezeiten acht", vec![0]),
        ("name:ännchen", vec![1, 0]),
        ("tid*", vec![2, 1]),
        ("title:moons", vec![2]),
        ("c2VjcmV0", vec![]),
    ] {
        let hits = reader.search(query).unwrap().hits().unwrap();
        assert_eq!(hits.seqs().map(|seq| seq.get()).collect::<Vec<_>>(), found, "{query}");
    }
}
