//! Guards against tables of Scuttlebutt that lack a message, a link or a word: counts and rows are held against a naive
//! pass over the sample log's JSON; deletions and private messages among them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use flumedb::{
    Flume, Seq,
    codec::{JsonDoc, JsonDocs},
    view::Live,
};
use flumedb_sql::{FromRow, Sql, SqlReader, scuttlebutt};
use flumedb_ssb::{Docs, open_any};
use serde_json::{Value, json};

fn sample() -> Flume<Docs> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/ssb.offset");
    Flume::with_log(open_any(path).unwrap().log, Docs::json()).blocking().unwrap()
}

fn messages() -> Vec<(i64, Value)> {
    let entries = sample().scan(..).blocking().map(|entry| entry.unwrap()).collect::<Vec<_>>();
    entries
        .into_iter()
        .map(|entry| (entry.seq.get() as i64, serde_json::from_str(&entry.value.json()).unwrap()))
        .collect()
}

fn all<T: FromRow>(reader: &SqlReader, sql: &str) -> Vec<T> {
    reader.query(sql).all().unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Every text that is a reference, with where it stands.
fn references(value: &Value, rel: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => {
            let is_id = text.starts_with(['@', '%', '&']) && (text.ends_with(".ed25519") || text.ends_with(".sha256"));
            let is_channel = text.len() > 1 && text.starts_with('#') && !text.contains(char::is_whitespace);
            if is_id || is_channel {
                found.push((rel.to_owned(), text.clone()));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, rel, found)),
        Value::Object(members) => {
            for (name, member) in members {
                let rel = if rel.is_empty() { name.clone() } else { format!("{rel}.{name}") };
                references(member, &rel, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_tables_of_the_sample_are_what_a_plain_pass_finds() {
    let db = sample();
    let view = db.view("sql", scuttlebutt::view().unwrap()).blocking().unwrap();
    let reader = view.read().blocking().unwrap();
    let messages = messages();
    assert_eq!(messages.len(), 1000);

    type Message = (i64, Option<String>, String, Option<i64>, Option<f64>, Option<f64>, Option<String>, bool);
    let found: Vec<Message> = all(
        &reader,
        "SELECT seq, key, author, sequence, timestamp, received, type, private FROM messages ORDER BY seq",
    );
    let expected = messages.iter().map(|(seq, m)| {
        let v = &m["value"];
        let private = v["content"].is_string();
        (
            *seq,
            text(&m["key"]),
            text(&v["author"]).unwrap(),
            v["sequence"].as_i64(),
            v["timestamp"].as_f64(),
            m["timestamp"].as_f64(),
            text(&v["content"]["type"]),
            private,
        )
    });
    assert_eq!(found, expected.collect::<Vec<Message>>());
    assert!(found.iter().any(|message| message.7), "there are private messages in the sample");

    let contents: Vec<(i64, Option<String>)> = all(&reader, "SELECT seq, content FROM messages ORDER BY seq");
    for ((seq, m), (found_seq, content)) in messages.iter().zip(contents) {
        assert_eq!(*seq, found_seq);
        let content = content.map(|content| serde_json::from_str::<Value>(&content).unwrap());
        assert_eq!(content, Some(m["value"]["content"].clone()).filter(Value::is_object));
    }

    let of_type = |kind: &'static str| messages.iter().filter(move |(_, m)| m["value"]["content"]["type"] == kind);
    let mut links = BTreeSet::new();
    let mut mentions = Vec::new();
    let mut blobs = BTreeSet::new();
    for (seq, m) in messages.iter().filter(|(_, m)| m["value"]["content"].is_object()) {
        let content = &m["value"]["content"];
        let mut found = Vec::new();
        references(content, "", &mut found);
        blobs.extend(found.iter().filter(|(_, dest)| dest.starts_with('&')).map(|(_, dest)| (*seq, dest.clone())));
        links.extend(found.into_iter().map(|(rel, dest)| (*seq, rel, dest)));
        for mention in content["mentions"].as_array().into_iter().flatten() {
            mentions.extend(text(&mention["link"]).map(|link| (*seq, link, text(&mention["name"]))));
        }
    }
    assert!(
        links.len() > 500 && mentions.len() > 100 && !blobs.is_empty(),
        "{} {} {}",
        links.len(),
        mentions.len(),
        blobs.len()
    );
    assert_eq!(
        all::<(i64, String, String)>(&reader, "SELECT seq, rel, dest FROM links").into_iter().collect::<BTreeSet<_>>(),
        links
    );
    let mut found: Vec<(i64, String, Option<String>)> = all(&reader, "SELECT seq, link, name FROM mentions");
    found.sort();
    mentions.sort();
    assert_eq!(found, mentions);
    assert_eq!(
        all::<(i64, String)>(&reader, "SELECT seq, blob FROM blobs").into_iter().collect::<BTreeSet<_>>(),
        blobs
    );

    let votes = of_type("vote").map(|(seq, m)| {
        let vote = &m["value"]["content"]["vote"];
        (*seq, text(&m["value"]["author"]).unwrap(), text(&vote["link"]).unwrap(), vote["value"].as_i64().unwrap())
    });
    assert_eq!(
        all::<(i64, String, String, i64)>(&reader, "SELECT seq, author, link, value FROM votes ORDER BY seq"),
        votes.collect::<Vec<_>>()
    );
    let contacts = of_type("contact").map(|(seq, m)| {
        let content = &m["value"]["content"];
        let state =
            if content["blocking"] == json!(true) { -1 } else { i64::from(content["following"] == json!(true)) };
        (*seq, text(&content["contact"]).unwrap(), state)
    });
    let contacts: Vec<(i64, String, i64)> = contacts.collect();
    assert_eq!(all::<(i64, String, i64)>(&reader, "SELECT seq, contact, state FROM contacts ORDER BY seq"), contacts);
    let abouts: Vec<(i64, Option<String>)> = of_type("about")
        .filter(|(_, m)| m["value"]["content"]["about"].is_string())
        .map(|(seq, m)| (*seq, text(&m["value"]["content"]["name"])))
        .collect();
    assert_eq!(all::<(i64, Option<String>)>(&reader, "SELECT seq, name FROM abouts ORDER BY seq"), abouts);

    // What is a question to other tables.
    let mut authors = BTreeMap::<String, (i64, i64)>::new();
    for (_, m) in &messages {
        let author = authors.entry(text(&m["value"]["author"]).unwrap()).or_default();
        *author = (author.0 + 1, author.1.max(m["value"]["sequence"].as_i64().unwrap()));
    }
    let found: Vec<(String, i64, i64)> = all(&reader, "SELECT author, messages, sequence FROM authors ORDER BY author");
    assert_eq!(found, authors.into_iter().map(|(author, (count, last))| (author, count, last)).collect::<Vec<_>>());
    let posts: Vec<(i64, String)> =
        of_type("post").filter_map(|(seq, m)| Some((*seq, text(&m["value"]["content"]["text"])?))).collect();
    assert_eq!(all::<(i64, String)>(&reader, "SELECT seq, text FROM posts ORDER BY seq"), posts);
    let word = "commodo";
    let with_word: Vec<i64> = posts
        .iter()
        .filter(|(_, text)| text.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|part| part == word))
        .map(|(seq, _)| *seq)
        .collect();
    assert!(with_word.len() > 10);
    let found = reader.query("SELECT rowid FROM search WHERE search MATCH ?1 ORDER BY rowid").bind(word);
    assert_eq!(found.all::<i64>().unwrap(), with_word);
    let mut newest = BTreeMap::new();
    for (seq, m) in of_type("contact") {
        let state = contacts.iter().find(|contact| contact.0 == *seq).unwrap().2;
        newest.insert((text(&m["value"]["author"]), text(&m["value"]["content"]["contact"])), state);
    }
    assert_eq!(
        all::<i64>(&reader, "SELECT count(*) FROM follows WHERE state = 1"),
        [newest.values().filter(|state| **state == 1).count() as i64]
    );
    reader.check().unwrap();
}

#[test]
fn a_deleted_message_is_in_no_table_any_more() {
    let db = Flume::memory(JsonDocs).unwrap();
    let view = db.view("sql", scuttlebutt::view().unwrap()).blocking().unwrap();
    let all_messages = messages();
    let texts: Vec<String> = all_messages.iter().map(|(_, m)| m.to_string()).collect();
    let seqs = db.append_all(texts.iter().map(String::as_str)).blocking().unwrap();
    view.read().blocking().unwrap();
    let (deleted, kept): (Vec<Seq>, Vec<Seq>) = seqs.iter().partition(|seq| seq.get() % 3 == 0);
    db.delete(deleted.iter().copied()).blocking().unwrap();
    let anew = db.view("anew", scuttlebutt::view().unwrap()).blocking().unwrap();
    let (left, anew) = (dump(&view), dump(&anew));
    assert_eq!(left.iter().map(Vec::len).sum::<usize>(), anew.iter().map(Vec::len).sum::<usize>());
    assert_eq!(left, anew, "what is left is what one that never knew them has");
    assert_eq!(left[0].len(), kept.len());
}

/// All rows of all tables, and what is found.
fn dump(view: &Live<Sql<JsonDoc>>) -> Vec<Vec<String>> {
    let reader = view.read().blocking().unwrap();
    reader.check().unwrap();
    reader.query("SELECT * FROM search WHERE search MATCH 'commodo'").each(|_| Ok(())).unwrap();
    let tables =
        ["messages", "links", "mentions", "blobs", "votes", "abouts", "contacts", "authors", "follows", "branches"];
    let mut all = Vec::new();
    for table in tables {
        let mut rows = Vec::new();
        let each = reader.query(&format!("SELECT * FROM {table}")).each(|row| {
            rows.push(format!("{:?}", (0..row.columns().len()).map(|at| row.value(at)).collect::<Vec<_>>()));
            Ok(())
        });
        each.unwrap();
        rows.sort();
        all.push(rows);
    }
    all.push(reader.query("SELECT text FROM search WHERE search MATCH 'commodo' ORDER BY rank, rowid").all().unwrap());
    all
}

#[test]
fn odd_messages_do_no_harm() {
    let db = Flume::memory(JsonDocs).unwrap();
    let view = db.view("sql", scuttlebutt::view().unwrap()).blocking().unwrap();
    let deep = format!("{}\"@a.ed25519\"{}", "{\"a\":".repeat(100), "}".repeat(100));
    for content in [
        "null",
        "3",
        "[]",
        "\"private.box\"",
        "{}",
        r#"{"type":7,"text":8,"mentions":{"link":"@a.ed25519"}}"#,
        r#"{"type":"post"}"#,
        r#"{"type":"post","text":"\u0000 a b","mentions":["@a.ed25519",null,7,{"link":3}]}"#,
        r#"{"type":"vote","vote":"yes"}"#,
        r#"{"type":"vote","vote":{"link":"%a.sha256","value":1e999}}"#,
        r#"{"type":"about","about":"@a.ed25519","image":{"link":"&a.sha256","size":5,"type":"image/png"}}"#,
        r#"{"type":"contact","contact":"@a.ed25519","following":true,"blocking":true}"#,
        r#"{"type":"post","type":"vote","text":"twice"}"#,
        &deep,
    ] {
        let message = format!(r#"{{"key":"%same.sha256","value":{{"author":"@a.ed25519","content":{content}}}}}"#);
        db.append(&*message).blocking().unwrap_or_else(|error| panic!("{content}: {error}"));
    }
    for other in ["1", "[]", r#"{"value":{}}"#, r#"{"value":{"author":3}}"#] {
        db.append(other).blocking().unwrap();
    }
    let reader = view.read().blocking().unwrap();
    assert_eq!(all::<i64>(&reader, "SELECT count(*) FROM messages"), [14]);
    assert_eq!(all::<i64>(&reader, "SELECT count(*) FROM messages WHERE private AND content IS NULL"), [1]);
    assert_eq!(all::<String>(&reader, "SELECT link FROM mentions"), ["@a.ed25519"]);
    assert_eq!(all::<i64>(&reader, "SELECT state FROM contacts"), [-1]);
    let blobs: Vec<(String, String, i64)> = all(&reader, "SELECT blob, type, size FROM blobs");
    assert_eq!(blobs, [("&a.sha256".to_owned(), "image/png".to_owned(), 5)]);
    assert_eq!(all::<i64>(&reader, "SELECT count(*) FROM search WHERE search MATCH 'twice'"), [1]);
    reader.check().unwrap();
}
