//! Guards against real messages that are called forged, and forged ones that pass: all messages of the sample and of the
//! vectors verify, and none does once anything in it was changed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::{path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use flumedb::{
    Flume,
    codec::{Document, JsonDoc, Raw},
};
use flumedb_ssb::{
    Message,
    message::{Canonical, Fault, document, multi::Multi, verify},
    open_any,
};
use serde_json::{Value, json};

/// Every message of a log, whatever its format.
fn messages(path: &Path) -> Vec<JsonDoc> {
    let db = Flume::with_log(open_any(path).unwrap().log, Raw).blocking().unwrap();
    db.scan(..).blocking().map(|entry| document(&entry.unwrap().value).unwrap()).collect()
}

fn sample() -> Vec<JsonDoc> {
    messages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/ssb.offset"))
}

/// All of these have their keys and their signatures; the number of private ones.
fn expect_verified(messages: &[JsonDoc]) -> usize {
    for message in messages {
        assert_eq!(verify(message), Ok(()), "{message}");
    }
    messages.iter().filter(|message| message.text(&["value", "content"]).is_some()).count()
}

#[test]
fn the_sample_verifies() {
    let messages = sample();
    assert_eq!(messages.len(), 1000);
    assert!(expect_verified(&messages) > 50);
}

#[test]
fn it_verifies_as_bipf_and_out_of_a_go_ssb_log_too() {
    for message in sample() {
        let mut bipf = Vec::new();
        flumedb_ssb::bipf::from_json(message.as_bytes(), &mut bipf).unwrap();
        let multi = Multi::from_document(&message).unwrap().encode().unwrap();
        for payload in [message.as_bytes().clone(), bipf.into(), multi.into()] {
            assert_eq!(verify(&document(&payload).unwrap()), Ok(()), "{message}");
        }
    }
}

#[test]
fn every_log_of_scuttlebutt_in_the_vectors_verifies() {
    let vectors = common::vectors();
    let manifest: Value = serde_json::from_slice(&std::fs::read(vectors.join("MANIFEST.json")).unwrap()).unwrap();
    for file in manifest["files"].as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        if !name.starts_with("ssb/") {
            continue;
        }
        if name.ends_with(".log.offset") || name.ends_with(".log.bipf") {
            let messages = messages(&vectors.join(name));
            assert_eq!(messages.len() as u64, file["records"].as_u64().unwrap(), "{name}");
            expect_verified(&messages);
            for (message, row) in messages.iter().zip(rows(&vectors.join("ssb/first240.expected.jsonl"))) {
                assert_eq!(Message::new(message).key().as_deref(), row["key"].as_str());
            }
        } else if name.ends_with(".tar.xz") {
            let dir = tempfile::tempdir().unwrap();
            let unpacked = Command::new("tar").arg("-xJf").arg(vectors.join(name)).arg("-C").arg(dir.path()).status();
            if !unpacked.is_ok_and(|status| status.success()) {
                eprintln!("skipped {name}: tar or xz is not on this machine");
                continue;
            }
            let summary: Value =
                serde_json::from_slice(&std::fs::read(vectors.join("ssb/summary.json")).unwrap()).unwrap();
            for log in ["log.offset", "log.bipf"] {
                let messages = messages(&dir.path().join(log));
                assert_eq!(messages.len() as u64, file["records"].as_u64().unwrap(), "{name}: {log}");
                let private = expect_verified(&messages) as u64;
                assert_eq!(private, summary["types"]["private"].as_u64().unwrap(), "{name}: {log}");
            }
        }
    }
}

/// A message that says this, signed by an author of our own, in whatever spelling `value` has: `{…}` without a signature.
fn signed(value: &str) -> JsonDoc {
    let key = SigningKey::from_bytes(&[7; 32]);
    let author = format!("@{}.ed25519", STANDARD.encode(key.verifying_key().as_bytes()));
    let value = value.replace("AUTHOR", &author);
    let signature = key.sign(Canonical::of(&value).unwrap().as_str().as_bytes()).to_bytes();
    let signature = format!("{}.sig.ed25519", STANDARD.encode(signature));
    let value = format!("{},\"signature\":\"{signature}\"}}", value.trim_end().strip_suffix('}').unwrap());
    let key = Canonical::of(&value).unwrap().key();
    JsonDoc::parse(format!("{{\"key\":\"{key}\",\"value\":{value}}}")).unwrap()
}

#[test]
fn what_is_signed_verifies_however_strange_it_is() {
    let fields = "\"previous\":null,\"sequence\":1,\"author\":\"AUTHOR\",\"timestamp\":1.5e12,\"hash\":\"sha256\"";
    for content in [
        r#"{"type":"post","text":"\ud83d half of a pair, \ud83d\ude00 a pair, \u2028, ß"}"#,
        r#"{"type":"x","10":1e21,"9":-0,"b":0.1,"b":[1.0,{}],"a":123456789012345680000}"#,
    ] {
        assert_eq!(verify(&signed(&format!("{{{fields},\"content\":{content}}}"))), Ok(()), "{content}");
    }
    // Row S5: too long, no type, the fields in another order, a sequence that has a message before it and names none.
    let text = "x".repeat(20_000);
    let value = format!(r#"{{"content":{{"text":"{text}"}},"sequence":7,"author":"AUTHOR","previous":null}}"#);
    let message = signed(&value);
    assert_eq!(verify(&message), Ok(()));
    let forged = message.as_str().replacen("xxx", "xx", 1);
    assert!(matches!(verify(&JsonDoc::parse(forged).unwrap()), Err(Fault::KeyAndSignature(_))));
}

fn rows(path: &Path) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `verify` says of a message after a change.
fn changed(message: &JsonDoc, change: impl FnOnce(&mut Value)) -> Result<(), Fault> {
    let mut value: Value = message.to().unwrap();
    change(&mut value);
    verify(&JsonDoc::parse(value.to_string()).unwrap())
}

#[test]
fn no_changed_message_verifies() {
    let all = sample();
    for pair in all[..200].windows(2) {
        let [message, other] = pair else { unreachable!() };
        let other: Value = other.to().unwrap();
        let text = message.as_str();

        // Another spelling of the same value is the same message.
        let spelled = text.replacen("{\"previous\"", " { \"previous\" ", 1).replace(":null", ": null ");
        assert_eq!(verify(&JsonDoc::parse(spelled).unwrap()), Ok(()));

        let key = Message::new(message).key().unwrap().into_owned();
        let swap_key = text.replacen(&key, other["key"].as_str().unwrap(), 1);
        assert_eq!(verify(&JsonDoc::parse(swap_key).unwrap()), Err(Fault::Key(key.clone())));

        // A digit of the time: the key and the signature are both of another text.
        let time = format!("\"timestamp\":{}", Message::new(message).timestamp().unwrap());
        assert!(text.contains(&time), "{time} {text}");
        let later = text.replacen(&time, &format!("{time}1"), 1);
        assert!(matches!(verify(&JsonDoc::parse(later).unwrap()), Err(Fault::KeyAndSignature(_))));

        // The key of a text that nobody signed is the right key of it.
        let old = message.text(&["value", "signature"]).unwrap().into_owned();
        let forged = text.replacen(&old, other["value"]["signature"].as_str().unwrap(), 1);
        let value = JsonDoc::parse(forged.clone()).unwrap().part(&["value"]).unwrap();
        let forged = forged.replacen(&key, &Canonical::of_document(&value).unwrap().key(), 1);
        assert_eq!(verify(&JsonDoc::parse(forged).unwrap()), Err(Fault::Signature));
    }
}

/// Row S2.
#[test]
fn of_two_members_with_one_name_the_one_counts_that_was_signed() {
    let all = sample();
    let (message, other) = (&all[0], &all[1]);
    let (author, wrong) =
        (message.text(&["value", "author"]).unwrap(), other.text(&["value", "signature"]).unwrap().into_owned());
    // JavaScript takes the last; so a first one that says something else changes nothing.
    let signature = message.text(&["value", "signature"]).unwrap();
    let twice = message.as_str().replacen(
        &format!("\"signature\":\"{signature}\""),
        &format!("\"signature\":\"{wrong}\",\"signature\":\"{signature}\""),
        1,
    );
    assert_ne!(twice, message.as_str());
    assert_eq!(verify(&JsonDoc::parse(twice.clone()).unwrap()), Ok(()));
    let last_is_wrong =
        twice.replacen(&format!("\"signature\":\"{signature}\""), &format!("\"signature\":\"{wrong}\""), 1);
    assert!(verify(&JsonDoc::parse(last_is_wrong).unwrap()).is_err(), "{author}");
}

#[test]
fn what_is_no_message_is_told_why() {
    let message = &sample()[0];
    let why = |change: fn(&mut Value)| match changed(message, change) {
        Err(Fault::Malformed(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(|m| *m = json!([1])), "it has no key");
    assert_eq!(why(|m| drop(m.as_object_mut().unwrap().remove("key"))), "it has no key");
    assert_eq!(why(|m| drop(m.as_object_mut().unwrap().remove("value"))), "it has no value");
    assert_eq!(why(|m| m["value"] = json!("gone")), "its value is no object");
    assert_eq!(why(|m| m["key"] = json!("%short.sha256")), "its key is none");
    assert_eq!(why(|m| m["value"]["author"] = json!(3)), "it has no author");
    assert_eq!(why(|m| m["value"]["author"] = json!("@a.ed25519")), "its author is none");
    assert_eq!(why(|m| m["value"]["signature"] = json!(null)), "it has no signature");
    assert_eq!(why(|m| m["value"]["signature"] = json!("x.sig.ed25519")), "its signature is none");
    // Row S4: the same bytes, written otherwise.
    let loose = |m: &mut Value| {
        let tight = m["value"]["signature"].as_str().unwrap().to_owned();
        m["value"]["signature"] = json!(tight.replace("==", ""));
    };
    assert_eq!(why(loose), "its signature is none");
    assert_eq!(why(|m| m["value"]["sequence"] = json!(0)), "its sequence is no number from 1 on");
    assert_eq!(why(|m| m["value"]["previous"] = json!("%x")), "what it says of the message before is none");
    for key in ["ssb:message/bendybutt-v1/abc", "%abc=.bbmsg-v1", "%abc=.blake2s"] {
        assert_eq!(changed(message, |m| m["key"] = json!(key)), Err(Fault::Foreign(key.into())));
    }
    let author = "@abc=.ggfeed-v1";
    assert_eq!(changed(message, |m| m["value"]["author"] = json!(author)), Err(Fault::Foreign(author.into())));
}
