//! Guards against a query that misses a message or finds a wrong one: every kind of question over the sample log, held
//! against its JSON; on a database, on the bare log, and beside a running writer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Ran, Running, files, flume, flume_with, sample, temp};

/// The lines of `flume cat` over the sample, each with what it says.
fn messages(dir: &Path, path: &str) -> Vec<(String, Value)> {
    let lines = flume(dir, &["cat", path]).fine();
    lines.into_iter().map(|line| (line.clone(), serde_json::from_str(&line).unwrap())).collect()
}

struct Question {
    args: Vec<String>,
    matches: Box<dyn Fn(&Value) -> bool>,
}

fn question(args: &[&str], matches: impl Fn(&Value) -> bool + 'static) -> Question {
    Question { args: args.iter().map(|arg| (*arg).to_owned()).collect(), matches: Box::new(matches) }
}

/// Questions about the message `of`.
fn questions(of: &Value) -> Vec<Question> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (key, author) = (text(&of["key"]), text(&of["value"]["author"]));
    let time = of["value"]["timestamp"].as_f64().unwrap();
    let since = format!("{time}");
    let (k, a) = (key.clone(), author.clone());
    let at = |message: &Value| message["value"]["timestamp"].as_f64().unwrap();
    vec![
        question(&["--key", &key], move |m| m["key"] == *k),
        question(&["--author", &author], move |m| m["value"]["author"] == *a),
        question(&["--type", "post"], |m| m["value"]["content"]["type"] == "post"),
        question(&["--since", &since], move |m| at(m) >= time),
        question(&["--until", &since], move |m| at(m) < time),
        question(&["--since", "2015-08-06", "--until", "2015-08-07T00:00:00Z"], move |m| {
            (1_438_819_200_000.0..1_438_905_600_000.0).contains(&at(m))
        }),
        question(&["--author", &author, "--type", "vote", "--since", &since], {
            let author = author.clone();
            move |m| m["value"]["author"] == *author && m["value"]["content"]["type"] == "vote" && at(m) >= time
        }),
        question(&["--key", &key, "--type", "nothing"], |_| false),
        question(&[], |_| true),
    ]
}

fn ask(dir: &Path, path: &str, question: &Question, more: &[&str]) -> Ran {
    let mut args = vec!["query", path];
    args.extend(question.args.iter().map(String::as_str));
    args.extend(more);
    flume(dir, &args)
}

#[test]
fn a_place_where_no_views_can_be_kept_is_said_at_once() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    std::fs::write(dir.path().join("file"), "no directory").unwrap();
    for path in ["db", &sample()] {
        let ran = flume(dir.path(), &["query", path, "--type", "post", "--count", "--views", "file"]);
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!(ran.err.lines().last().unwrap().contains("file"), "{ran:?}");
    }
}

#[test]
fn every_question_is_answered_as_a_plain_walk_answers_it() {
    let dir = temp();
    let sample = sample();
    flume(dir.path(), &["import", &sample, "db"]).fine();
    for path in ["db", &sample] {
        let messages = messages(dir.path(), path);
        assert_eq!(messages.len(), 1000);
        for question in questions(&messages[500].1["value"]) {
            let mut expected: Vec<&String> =
                messages.iter().filter(|(_, line)| (question.matches)(&line["value"])).map(|(line, _)| line).collect();
            let what = (path, &question.args);
            let lines = ask(dir.path(), path, &question, &[]).fine();
            assert!(lines.iter().eq(expected.iter().copied()), "{what:?}");
            assert_eq!(ask(dir.path(), path, &question, &["--count"]).fine(), [expected.len().to_string()], "{what:?}");
            expected.reverse();
            let lines = ask(dir.path(), path, &question, &["--reverse", "--limit", "10"]).fine();
            assert!(lines.iter().eq(expected.iter().copied().take(10)), "{what:?} reverse");
            assert_eq!(ask(dir.path(), path, &question, &["--limit", "0"]).fine(), [""; 0]);
        }
    }
}

#[test]
fn no_hits_are_no_lines_and_no_failure() {
    let dir = temp();
    flume_with(dir.path(), &["append", "db"], "1\n{\"a\":2}\n").fine();
    for args in [&["--type", "post"][..], &["--key", "%x"], &["--author", "@x"], &["--since", "2015-08-05"]] {
        let mut all = vec!["query", "db"];
        all.extend(args);
        assert_eq!(flume(dir.path(), &all).fine(), [""; 0]);
    }
    // Lines that are no messages, and bytes that are no JSON, are in no answer and in nobody's way.
    let raw = support::vector("raw-32.log");
    assert_eq!(flume(dir.path(), &["query", raw.to_str().unwrap(), "--type", "post"]).fine(), [""; 0]);
}

#[test]
fn what_was_appended_or_deleted_is_in_the_next_answer() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    let message = r#"{"key":"%new","value":{"author":"@new","sequence":1,"timestamp":1,"content":{"type":"post"}}}"#;
    let seq = flume_with(dir.path(), &["append", "db"], message).fine().remove(0);
    let expected = format!("{{\"seq\":{seq},\"value\":{message}}}");
    for by in [["--key", "%new"], ["--author", "@new"], ["--until", "2"]] {
        assert_eq!(flume(dir.path(), &["query", "db", by[0], by[1]]).fine(), [&*expected]);
    }
    assert_eq!(flume(dir.path(), &["query", "db", "--type", "post", "--count"]).fine(), ["248"]);
    flume(dir.path(), &["delete", "db", &seq]).fine();
    assert_eq!(flume(dir.path(), &["query", "db", "--key", "%new"]).fine(), [""; 0]);
    assert_eq!(flume(dir.path(), &["query", "db", "--type", "post", "--count"]).fine(), ["247"]);
}

#[test]
fn a_query_works_beside_a_running_writer_and_says_so() {
    let dir = temp();
    flume(dir.path(), &["import", &sample(), "db"]).fine();
    let mut writer = Running::start(dir.path(), &["append", "db"]);
    writer.send(r#"{"key":"%new","value":{"author":"@new","sequence":1,"timestamp":1,"content":{"type":"post"}}}"#);
    writer.send("\n");
    writer.line();
    let before = files(&dir.path().join("db/views"));
    let ran = flume(dir.path(), &["query", "db", "--type", "post", "--count"]);
    assert_eq!((ran.code, &ran.lines[..]), (0, &["248".to_owned()][..]));
    assert!(ran.err.contains("in memory") && ran.err.lines().count() == 1, "{ran:?}");
    for _ in 0..2 {
        let ran = flume(dir.path(), &["query", "db", "--author", "@new", "--count", "--views", "mine"]);
        assert_eq!((ran.code, &ran.lines[..]), (0, &["1".to_owned()][..]));
        assert!(ran.err.contains("mine") && ran.err.lines().count() == 1, "{ran:?}");
    }
    assert!(dir.path().join("mine").is_dir());
    assert_eq!(files(&dir.path().join("db/views")), before, "another's views are not touched");
}
