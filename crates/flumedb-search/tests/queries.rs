//! Guards against queries that fail without a word about where, that never end, or that find nothing because they are
//! written in capitals; against any text that breaks the parser.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use flumedb::{ErrorKind, Flume, codec::Utf8};
use flumedb_search::{Query, Search, SearchReader, Words};
use proptest::prelude::*;

/// Lines of `title: body`.
async fn reader(lines: &[&str]) -> SearchReader<String> {
    let db = Flume::memory(Utf8).unwrap();
    let search = Search::with_fields(1, ["title", "body"], |line: &String, texts| {
        let (title, body) = line.split_once(": ").unwrap_or(("", line));
        texts.add("title", title);
        texts.add("body", body);
    });
    let search = db.view("search", search).await.unwrap();
    db.append_all(lines.iter().copied()).await.unwrap();
    search.read().await.unwrap()
}

fn found(reader: &SearchReader<String>, query: &str) -> Vec<u64> {
    reader.search(query).unwrap().hits().unwrap().seqs().map(|seq| seq.get()).collect()
}

/// What the original was seen to do with these two texts, and what it should have done.
#[tokio::test]
async fn the_originals_faults_are_mended() {
    let reader = reader(&["Hello World hello", "world peace"]).await;
    assert_eq!(found(&reader, "world"), [1, 0], "the newest first");
    assert_eq!(found(&reader, "hello world"), [0], "all of the words");
    assert_eq!(found(&reader, "wor* pea*"), [1], "beginnings of words");
    assert_eq!(found(&reader, "World"), [1, 0], "capitals found nothing");
    assert_eq!(found(&reader, ""), [0; 0], "never ended");
    assert_eq!(found(&reader, "of a - …"), [0; 0]);
    let many = (0..40).map(|_| "world").collect::<Vec<_>>().join(" ");
    assert_eq!(found(&reader, &many), [1, 0], "more than 31 words overflowed");
}

#[tokio::test]
async fn each_kind_of_condition_does_what_it_says() {
    let lines =
        ["Tide: the high tide of Été", "Moon: tides of the moon", "note: buy tidy things", "東京湾: 干潮 at noon"];
    let reader = reader(&lines).await;
    for (query, seqs) in [
        ("tid*", vec![2, 1, 0]),
        ("\"high tide\"", vec![0]),
        ("\"tide high\"", vec![]),
        ("\"high tid*\"", vec![0]),
        ("\"of th\"*", vec![1]),
        ("tid* -moon -\"high tide\"", vec![2]),
        ("title:tide", vec![0]),
        ("body:tides title:moon", vec![1]),
        ("-title:moon tid*", vec![2, 0]),
        ("note: buy", vec![2]),
        ("nobody:buy", vec![]),
        ("ÉTÉ", vec![0]),
        ("京湾", vec![3]),
        ("京東", vec![]),
        ("title:東京* NOON", vec![3]),
        ("t*", vec![2, 1, 0]),
    ] {
        assert_eq!(found(&reader, query), seqs, "{query}");
    }
    let typing = |query: &str| {
        let hits = reader.search_typing(query).unwrap().hits().unwrap();
        hits.seqs().map(|seq| seq.get()).collect::<Vec<_>>()
    };
    assert_eq!(typing("ti"), [2, 1, 0]);
    assert_eq!(typing("tide "), [0], "a word that is done");
    assert_eq!(typing("\"high t"), [0]);
    assert_eq!(typing("\"hi"), [0]);
    assert_eq!(reader.search_all_of("-moon \"title:tides* of").unwrap().count().unwrap(), 0, "title is a word here");
    assert_eq!(reader.search_all_of("-moon \"tides* of").unwrap().count().unwrap(), 1);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let long = "a".repeat(Query::MAX_BYTES + 1);
    let many = ["é"; Query::MAX_WORDS + 1].join(" ");
    // What is at the limit is a query.
    for query in ["a".repeat(Query::MAX_BYTES), ["é"; Query::MAX_WORDS].join(" ")] {
        Query::parse(&query, Words::new(), &[]).unwrap();
        Query::all_of(&query, Words::new()).unwrap();
    }
    for (query, said) in [
        ("tide \"high", "query, byte 5: the quote"),
        ("tide fo*o", "query, byte 7: a `*`"),
        ("tide *", "query, byte 5: a `*`"),
        ("é **", "query, byte 3: a `*`"),
        ("-tide -\"low tide\"", "query, byte 0: it only says"),
        (&*long, "query, byte 4096: a query has"),
        (&*many, "query, byte 194: a query has"),
    ] {
        let error = Query::parse(query, Words::new(), &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with(said), "{error}");
    }
    assert!(Query::all_of(&many, Words::new()).is_err() && Query::all_of(&long, Words::new()).is_err());
    let cursor = "x".parse::<flumedb_search::Cursor>().unwrap_err();
    assert_eq!(cursor.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_field_that_was_not_declared_stops_the_view_with_its_name() {
    let db = Flume::memory(Utf8).unwrap();
    let search = Search::with_fields(1, ["text"], |line: &String, texts| texts.add("txt", &**line));
    let search = db.view("search", search).await.unwrap();
    db.append("tide").await.unwrap();
    let Err(error) = search.read().await else { panic!("it was read") };
    assert!(error.kind() == ErrorKind::Faulted && error.to_string().contains("no field \"txt\""), "{error}");
    for (name, fields) in [("none", vec![]), ("colon", vec!["a:b"]), ("twice", vec!["a", "a"]), ("empty", vec![""])] {
        let search = Search::with_fields(1, fields, |_: &String, _| {});
        let added = async { db.view(name, search).await?.read().await.map(drop) };
        assert!(added.await.is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn no_query_breaks_it(query in r#"([-"*: a-cé東]|title|body|\PC){0,30}"#) {
        let reader = pollster::block_on(reader(&["a b c: é 東 abc", "title: body", "b: a*b"]));
        for ask in [reader.search(&query), reader.search_typing(&query), reader.search_all_of(&query)] {
            match ask {
                Ok(ask) => {
                    let count = ask.count().unwrap();
                    prop_assert_eq!(ask.by_relevance().hits().unwrap().hits.len() as u64, count);
                }
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Invalid),
            }
        }
    }
}
