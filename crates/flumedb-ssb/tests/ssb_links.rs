//! Guards against links that a message does not make, or that are missed; against a block that counts as a follow: over the
//! sample log, held against a plain walk through its JSON, and over messages that say odd things.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use flumedb::{
    Flume,
    codec::{Codec, Document, JsonDocs},
    views::{Links, links::LinkRow},
};
use flumedb_ssb::{Docs, OffsetLog, views};
use serde_json::{Value, json};

/// (source, rel, dest, seq) of every link, for messages like those of the sample.
fn plain() -> Vec<(String, String, String, u64)> {
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/ssb.offset")).unwrap();
    let (mut links, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let message: Value = serde_json::from_slice(&bytes[at + 4..at + 4 + len]).unwrap();
        let (author, key, content) = (&message["value"]["author"], &message["key"], &message["value"]["content"]);
        let mut of = |source: &Value, rel: &str, dest: &Value| {
            if let (Some(source), Some(dest)) = (source.as_str(), dest.as_str())
                && !dest.is_empty()
            {
                links.push((source.to_owned(), rel.to_owned(), dest.to_owned(), at as u64));
            }
        };
        for name in ["root", "fork", "branch"] {
            of(key, name, &content[name]);
        }
        for branch in content["branch"].as_array().into_iter().flatten() {
            of(key, "branch", branch);
        }
        for mention in content["mentions"].as_array().into_iter().flatten() {
            of(author, "mention", if mention.is_string() { mention } else { &mention["link"] });
        }
        match content["type"].as_str() {
            Some("contact") => {
                let yes = |name: &str| content[name] == true;
                let rel = match (yes("blocking") || yes("flagged"), yes("following")) {
                    (true, _) => "block",
                    (_, true) => "follow",
                    _ => "unfollow",
                };
                of(author, rel, &content["contact"]);
            }
            Some("vote") => of(author, "vote", &content["vote"]["link"]),
            Some("about") => of(author, "about", &content["about"]),
            _ => {}
        }
        at += len + 12;
    }
    links
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_the_sample_are_those_of_a_plain_walk() {
    let log = OffsetLog::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/ssb.offset")).unwrap();
    let db = Flume::with_log(Arc::new(log), JsonDocs).await.unwrap();
    let reader = db.view("links", views::links()).await.unwrap().read().await.unwrap();
    let rows: Vec<LinkRow> = reader.find().into_iter().map(Result::unwrap).collect();
    let mut found: Vec<_> = rows
        .iter()
        .map(|row| (row.link.source.clone(), row.link.rel.clone(), row.link.dest.clone(), row.seq.get()))
        .collect();
    let mut expected = plain();
    found.sort();
    expected.sort();
    expected.dedup();
    let mut kinds = BTreeMap::new();
    for (_, rel, ..) in &expected {
        *kinds.entry(rel.clone()).or_insert(0) += 1;
    }
    assert!(kinds.len() >= 5 && expected.len() > 500, "{kinds:?}");
    assert!(found == expected, "{} links instead of {}: {kinds:?}", found.len(), expected.len());
    for row in &rows {
        assert!(row.link.fields["ts"].is_number() && row.link.fields["type"].is_string(), "{row:?}");
    }
    let (rel, count) = kinds.iter().next().unwrap();
    assert_eq!(reader.find().rel(rel).into_iter().count(), *count);
    let plan = reader.find().rel(rel).range("ts", 0..).explain().unwrap();
    assert_eq!((plan.fixed, plan.bounded), (1, true));
}

fn message(author: &str, content: Value) -> String {
    json!({"key": "%m.sha256", "value": {"author": author, "timestamp": 7, "content": content}}).to_string()
}

async fn rows<C: Codec<Input = str>>(codec: C, messages: &[String]) -> Vec<(String, String, String)>
where
    C::Item: Document + Send + Sync + 'static,
{
    let db = Flume::memory(codec).unwrap();
    db.append_all(messages.iter().map(String::as_str)).await.unwrap();
    let links: Links<C::Item> = views::links();
    let reader = db.view("links", links).await.unwrap().read().await.unwrap();
    reader
        .find()
        .into_iter()
        .map(|row| row.map(|row| (row.link.source, row.link.rel, row.link.dest)).unwrap())
        .collect()
}

#[tokio::test]
async fn messages_that_say_odd_things() {
    let contact = |more: Value| {
        let mut content = json!({"type": "contact", "contact": "@b"});
        content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message("@a", content)
    };
    let messages = [
        contact(json!({"following": true})),
        contact(json!({"following": true, "blocking": true})),
        contact(json!({"following": false, "flagged": {"reason": "spam"}})),
        contact(json!({"following": "true"})),
        contact(json!({"blocking": 0})),
        message("@a", json!("box")),
        message("@a", json!({"type": "contact", "contact": {"link": "@b"}, "following": true})),
        message(
            "@a",
            json!({"type": "post", "root": null, "branch": ["%1", 2, "%3"], "mentions": ["#tea", {"link": "@b"}, {}, 7]}),
        ),
        message("@a", json!({"type": "post", "root": "%r", "branch": "%1", "fork": "%f", "mentions": {"0": "@x"}})),
        message("@a", json!({"type": "vote", "vote": {"link": "%v", "value": -1}})),
        message("@a", json!({"type": "vote", "vote": "%v"})),
        message("@a", json!({"type": "about", "about": "@a", "name": "a"})),
        r#"{"value":{"author":"@a","content":{"type":"about","about":"@a"}}}"#.to_owned(),
        "7".to_owned(),
    ];
    let expected = [
        ("@a", "follow", "@b"),
        ("@a", "block", "@b"),
        ("@a", "block", "@b"),
        ("@a", "unfollow", "@b"),
        ("@a", "unfollow", "@b"),
        ("%m.sha256", "branch", "%1"),
        ("%m.sha256", "branch", "%3"),
        ("@a", "mention", "#tea"),
        ("@a", "mention", "@b"),
        ("%m.sha256", "root", "%r"),
        ("%m.sha256", "fork", "%f"),
        ("%m.sha256", "branch", "%1"),
        ("@a", "vote", "%v"),
        ("@a", "about", "@a"),
    ]
    .map(|(source, rel, dest)| (source.to_owned(), rel.to_owned(), dest.to_owned()));
    assert_eq!(rows(JsonDocs, &messages).await, expected);
    assert_eq!(rows(Docs::bipf(), &messages).await, expected, "whatever document it is kept in");
}
