//! Finding a field of a message without reading the rest: in BIPF, and in JSON by parsing it and by the fastest getters.

use std::{hint::black_box, time::Instant};

use flumedb::{
    Bytes,
    codec::{Document, JsonDoc},
};
use flumedb_ssb::bipf::{self, BipfDoc, BipfPath, Value};
use sonic_rs::JsonValueTrait;

use crate::{Result, measure::Sample, workloads::Context};

pub(crate) const SUBJECTS: &[&str] = &[
    "serde_json-value",
    "sonic_rs-get",
    "sonic_rs-get-unchecked",
    "flumedb-json-doc",
    "flumedb-json-doc-parsed",
    "flumedb-bipf-value",
    "flumedb-bipf-doc",
    "flumedb-bipf-doc-parsed",
];

/// As many messages, again and again: they stay in the processor's cache, so that what is measured is the reading.
const MESSAGES: usize = 500;
const PASSES: usize = 500;
/// The lengths of messages that are about 1 kB with what a log keeps around them.
const LENGTHS: std::ops::Range<usize> = 850..1_000;

const AUTHOR: [&str; 2] = ["value", "author"];
const KIND: [&str; 3] = ["value", "content", "type"];

/// A message in both forms.
struct Message {
    json: Bytes,
    bipf: Bytes,
}

pub(crate) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    let messages = messages(cx)?;
    match subject {
        "serde_json-value" => both(&messages, |message, path| {
            let value: serde_json::Value = serde_json::from_slice(&message.json).unwrap_or_default();
            path.iter().try_fold(&value, |value, name| value.get(name))?.as_str().map(str::len)
        }),
        "sonic_rs-get" => both(&messages, |message, path| {
            Some(sonic_rs::get(&message.json[..], path.iter().copied()).ok()?.as_str()?.len())
        }),
        "sonic_rs-get-unchecked" => both(&messages, |message, path| unchecked(&message.json, path)),
        "flumedb-json-doc" => {
            let docs: Vec<JsonDoc> = parsed(&messages, |message| JsonDoc::parse(message.json.clone()))?;
            both(&docs, |doc, path| doc.text(path).map(|text| text.len()))
        }
        "flumedb-json-doc-parsed" => both(&messages, |message, path| {
            JsonDoc::parse(message.json.clone()).ok()?.text(path).map(|text| text.len())
        }),
        "flumedb-bipf-value" => {
            let (author, kind) = (BipfPath::new(&AUTHOR), BipfPath::new(&KIND));
            both(&messages, |message, path| {
                let path = if path.len() == AUTHOR.len() { &author } else { &kind };
                Some(Value::new(&message.bipf).ok()?.seek(path)?.text()?.len())
            })
        }
        "flumedb-bipf-doc" => {
            let docs: Vec<BipfDoc> = parsed(&messages, |message| BipfDoc::parse(message.bipf.clone()))?;
            both(&docs, |doc, path| doc.text(path).map(|text| text.len()))
        }
        "flumedb-bipf-doc-parsed" => both(&messages, |message, path| {
            BipfDoc::parse(message.bipf.clone()).ok()?.text(path).map(|text| text.len())
        }),
        other => Err(format!("there is no subject `{other}`").into()),
    }
}

#[allow(unsafe_code)]
fn unchecked(json: &[u8], path: &[&str]) -> Option<usize> {
    // SAFETY: the messages are JSON; they were parsed before.
    let found = unsafe { sonic_rs::get_unchecked(json, path.iter().copied()) };
    Some(found.ok()?.as_str()?.len())
}

fn parsed<T>(messages: &[Message], parse: impl Fn(&Message) -> flumedb::Result<T>) -> Result<Vec<T>> {
    Ok(messages.iter().map(parse).collect::<flumedb::Result<_>>()?)
}

/// Times both fields, the fastest pass of each: the others were interrupted by somebody. Answers with the lengths of what was
/// found, so that everybody has to find the same.
fn both<T>(things: &[T], find: impl Fn(&T, &[&str]) -> Option<usize>) -> Result<Sample> {
    let fastest = |path: &[&str]| -> Result<(usize, f64)> {
        let (mut lengths, mut seconds) = (0, f64::INFINITY);
        for _ in 0..PASSES {
            let start = Instant::now();
            lengths = 0;
            for thing in things {
                lengths += find(black_box(thing), path).ok_or("a message without the field")?;
            }
            seconds = seconds.min(start.elapsed().as_secs_f64());
        }
        Ok((lengths, seconds))
    };
    let count = things.len();
    let (author_lengths, author) = fastest(&AUTHOR)?;
    let (kind_lengths, kind) = fastest(&KIND)?;
    if author_lengths != count * AUTHOR_LEN || !(count * 4..count * 8).contains(&kind_lengths) {
        return Err("what was found is not what was written".into());
    }
    let ns = |seconds: f64| seconds * 1e9 / count as f64;
    Ok(Sample::of(count as u64, kind, 0).with("author_ns", ns(author)).with("kind_ns", ns(kind)))
}

/// The length of `@….ed25519`.
const AUTHOR_LEN: usize = 53;

/// The messages as ssb-db keeps them.
fn messages(cx: &Context) -> Result<Vec<Message>> {
    let made = cx.messages()?;
    let fitting = made.iter().filter(|message| LENGTHS.contains(&message.len()));
    let mut messages = Vec::with_capacity(MESSAGES);
    for value in fitting.take(MESSAGES) {
        let value = str::from_utf8(value)?;
        let json = format!(
            r#"{{"key":"%{}=.sha256","value":{value},"timestamp":{}.5}}"#,
            "M".repeat(43),
            1_600_000_000_000_u64 + messages.len() as u64
        );
        let mut encoded = Vec::new();
        bipf::from_json(json.as_bytes(), &mut encoded)?;
        messages.push(Message { json: json.into(), bipf: encoded.into() });
    }
    if messages.is_empty() {
        Err("no message has the length; ask for more with --entries".into())
    } else {
        Ok(messages)
    }
}
