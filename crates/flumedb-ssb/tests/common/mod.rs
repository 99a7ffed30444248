//! What the tests of this crate share: the vectors and how to read a log from end to end.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::disallowed_methods, reason = "the vectors lie on the real disk")]

pub(crate) mod offset2;

use std::path::PathBuf;

use flumedb::{
    Bytes, Env, Error, ErrorKind, Seq, Span,
    env::OpenMode,
    log::{Log, ReadRequest, SlotKind},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Where the vectors lie: `FLUME_VECTORS`, or beside the repository, or the copy in it.
pub(crate) fn vectors() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("FLUME_VECTORS").map(PathBuf::from);
    let beside = here.join("../../../shared/vectors");
    [named, Some(beside)]
        .into_iter()
        .flatten()
        .find(|dir| dir.join("MANIFEST.json").is_file())
        .unwrap_or_else(|| here.join("fixtures"))
}

/// A file of the vectors, by its whole name.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    std::fs::read(vectors().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn vector_rows(name: &str) -> Vec<Value> {
    String::from_utf8(vector(name)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The entries of the manifest whose names begin like this.
pub(crate) fn entries(prefix: &str) -> Vec<Value> {
    let manifest: Value = serde_json::from_slice(&vector("MANIFEST.json")).unwrap();
    let mut files = manifest["files"].as_array().unwrap().clone();
    files.retain(|file| file["file"].as_str().unwrap().starts_with(prefix));
    files
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    vector(&format!("offset/{name}"))
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

pub(crate) fn rows(name: &str) -> Vec<Value> {
    vector_rows(&format!("offset/{name}"))
}

/// The entries of the manifest about `offset/`, with the folder taken off their names.
pub(crate) fn manifest() -> Vec<Value> {
    let mut files = entries("offset/");
    for file in &mut files {
        file["file"] = file["file"].as_str().unwrap()["offset/".len()..].into();
    }
    files
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A machine in memory with one file, `log.offset`.
pub(crate) fn machine(content: &[u8]) -> Env {
    let env = Env::memory();
    put(&env, "log.offset", content);
    env
}

/// Adds a file to a machine.
pub(crate) fn put(env: &Env, path: &str, content: &[u8]) {
    let file = env.storage.open(path.as_ref(), OpenMode::CreateNew).unwrap();
    file.write_all(0, content).unwrap();
}

/// What a file of that machine holds now.
pub(crate) fn content(env: &Env, path: &str) -> Vec<u8> {
    let file = env.storage.open(path.as_ref(), OpenMode::Read).unwrap();
    file.read(0, file.len().unwrap() as usize).unwrap().to_vec()
}

pub(crate) type Read = Vec<(u64, SlotKind, Bytes)>;

/// Everything in `span`, in chunks of about `max_bytes`.
pub(crate) async fn scan(log: &dyn Log, span: Span, reverse: bool, max_bytes: usize) -> Read {
    let end = log.barrier().await.unwrap().map_or(0, |seq: Seq| seq.get() + 1);
    let mut span = Span { from: span.from, to: span.to.min(end) };
    let mut read = Vec::new();
    while !span.is_empty() {
        let chunk = log.read(ReadRequest { span, reverse, max_bytes }).await.unwrap();
        assert!(!chunk.covered.is_empty(), "a read that accounts for nothing: {chunk:?}");
        read.extend(chunk.slots.iter().map(|slot| (slot.seq.get(), slot.kind, chunk.payload_bytes(slot))));
        if reverse {
            span.to = chunk.covered.from;
        } else {
            span.from = chunk.covered.to;
        }
    }
    read
}

pub(crate) async fn all(log: &dyn Log) -> Read {
    scan(log, Span::ALL, false, ReadRequest::SCAN_BYTES).await
}

/// Everything that can be read, forwards, and the damage that was stepped over on the way.
pub(crate) async fn readable(log: &dyn Log) -> (Read, Vec<Error>) {
    let end = log.barrier().await.unwrap().map_or(0, |seq: Seq| seq.get() + 1);
    let (mut from, mut read, mut damage) = (0, Vec::new(), Vec::new());
    while from < end {
        match log.read(ReadRequest::forwards(Span { from, to: end })).await {
            Ok(chunk) => {
                assert!(!chunk.covered.is_empty(), "a read that accounts for nothing: {chunk:?}");
                read.extend(chunk.slots.iter().map(|slot| (slot.seq.get(), slot.kind, chunk.payload_bytes(slot))));
                from = chunk.covered.to;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                let at = error.seq().expect("damage has a place among the entries").get();
                assert!(at >= from, "{error}: a reader that steps over {at} comes to {from} again");
                from = at + 1;
                damage.push(error);
            }
        }
    }
    (read, damage)
}
