//! Guards against a reader that misses what another handle or process appends, two writers in one file, and a log that
//! takes what it cannot hold.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::{io::Write, sync::Arc, time::Duration};

use common::{all, content, machine};
use flumedb::{
    Env, ErrorKind, Seq,
    log::{Batch, Condition, Log, Note},
};
use flumedb_ssb::{Framing, OffsetLog};

fn batch(payload: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.push(payload);
    batch
}

fn writer(env: &Env) -> OffsetLog {
    OffsetLog::builder().env(env.clone()).create().open("log.offset").unwrap()
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_appends_while_it_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.offset");
    let writer = OffsetLog::builder().create().open(&path).unwrap();
    let reader = OffsetLog::open(&path).unwrap();
    let mut head = reader.head();
    assert_eq!(*head.borrow_and_update(), None);
    for number in 1..=50_u64 {
        let seqs = writer.append(batch(&number.to_be_bytes().repeat(100)[1..])).await.unwrap();
        if number % 2 == 0 {
            // Asked for, it is there at once.
            assert_eq!(reader.barrier().await.unwrap(), seqs.last().copied());
        } else {
            // Not asked for, it comes.
            let arrived = head.wait_for(|head| *head == seqs.last().copied());
            tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("the head moves").unwrap();
        }
    }
    assert_eq!(all(&reader).await, all(&writer).await);
    // Half a record is no record, until its other half is there.
    let half = writer.append(batch(b"whole")).await.unwrap();
    writer.close().await.unwrap();
    let bytes = std::fs::read(&path).unwrap();
    drop(reader);
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let reader = OffsetLog::open(&path).unwrap();
    assert!(reader.barrier().await.unwrap() < Some(half[0]));
    // Added, not written anew: a reader has the file mapped, and it must not get shorter even for a moment.
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&bytes[bytes.len() - 7..]).unwrap();
    assert_eq!(reader.barrier().await.unwrap(), Some(half[0]));
    assert_eq!(reader.get(half[0]).await.unwrap(), "whole");
}

#[tokio::test]
async fn one_writer_at_a_time() {
    let env = Env::memory();
    let first = writer(&env);
    let second = OffsetLog::builder().env(env.clone()).append().open("log.offset");
    assert_eq!(second.err().unwrap().kind(), ErrorKind::Locked);
    let reader = OffsetLog::builder().env(env.clone()).open("log.offset").unwrap();
    assert_eq!(reader.append(batch(b"x")).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(reader.delete(&[Seq::new(0)]).await.unwrap_err().kind(), ErrorKind::Unsupported);
    first.close().await.unwrap();
    assert_eq!(first.append(batch(b"x")).await.unwrap_err().kind(), ErrorKind::Closed);
    first.close().await.unwrap();
    drop(writer(&env));
    drop(writer(&env));
}

#[tokio::test]
async fn what_the_format_cannot_hold_is_refused_whole() {
    let env = Env::memory();
    let log = writer(&env);
    let mut mixed = batch(b"good");
    mixed.push(&[0; 5]);
    assert_eq!(log.append(mixed).await.unwrap_err().kind(), ErrorKind::Invalid);
    let mut noted = batch(b"good");
    noted.note = Some(Note { name: "import/x".into(), position: 1, proof: Vec::new() });
    assert_eq!(log.append(noted).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(log.barrier().await.unwrap(), None);
    let seqs = log.append(batch(b"")).await.unwrap();
    assert_eq!(log.delete(&seqs).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(content(&env, "log.offset").len(), 12);
    assert_eq!(log.append(Batch::new()).await.unwrap(), []);
}

#[tokio::test]
async fn conditions_are_tested_by_the_writer() {
    let env = Env::memory();
    let log = writer(&env);
    let when = |payload: &[u8], condition| {
        let mut batch = batch(payload);
        batch.condition = Some(condition);
        log.append(batch)
    };
    let first = when(b"one", Condition::Head(None)).await.unwrap();
    assert_eq!(when(b"two", Condition::Head(None)).await.unwrap_err().kind(), ErrorKind::Conflict);
    when(b"two", Condition::Head(Some(first[0]))).await.unwrap();
    let none = |text: &'static [u8], after, limit| Condition::NoneAfter {
        after,
        matches: Box::new(move |payload| Ok(&payload[..] == text)),
        limit,
    };
    assert_eq!(when(b"one", none(b"one", None, 10)).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(when(b"three", none(b"three", None, 1)).await.unwrap_err().kind(), ErrorKind::Conflict);
    when(b"one", none(b"one", Some(first[0]), 10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_lose_nothing_and_share_syncs() {
    let env = Env::memory();
    let log = Arc::new(writer(&env));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u8 {
        let log = log.clone();
        tasks.spawn(async move {
            let mut mine = Vec::new();
            for number in 1..=50_u8 {
                let mut batch = batch(&[task, number]);
                batch.buffered = number % 3 == 0;
                let seq = log.append(batch).await.unwrap()[0];
                assert_eq!(log.get(seq).await.unwrap()[..], [task, number], "what was appended is there at once");
                mine.push((seq.get(), [task, number]));
            }
            mine
        });
    }
    let mut told = tasks.join_all().await.concat();
    told.sort_unstable();
    let read: Vec<_> = all(&*log).await.into_iter().map(|(seq, _, payload)| (seq, [payload[0], payload[1]])).collect();
    assert_eq!(read, told);
}

#[tokio::test]
async fn writing_needs_a_framing_that_is_certain() {
    // One whole record without a position, or the torn first record of a file with positions.
    let bytes = b"\0\0\0\x02hi\0\0\0\x02";
    let env = machine(bytes);
    let guess = OffsetLog::builder().env(env.clone()).append().open("log.offset");
    assert_eq!(guess.err().unwrap().kind(), ErrorKind::Invalid);
    assert_eq!(content(&env, "log.offset"), bytes);
    let named = OffsetLog::builder().env(env.clone()).framing(Framing::Basic).append().open("log.offset").unwrap();
    assert_eq!(named.append(batch(b"flume")).await.unwrap(), [Seq::new(10)]);
    named.close().await.unwrap();
    // Another framing's name does not turn a whole log into a torn tail.
    let wrong = OffsetLog::builder().env(env.clone()).framing(Framing::Bits48).append().open("log.offset");
    assert_eq!(wrong.err().unwrap().kind(), ErrorKind::Invalid);
    let found = OffsetLog::builder().env(env).append().open("log.offset").unwrap();
    assert_eq!(found.framing(), Some(Framing::Basic));
}

#[tokio::test]
async fn a_payload_that_imitates_framing_cannot_steer_the_cut() {
    // The tear falls into a payload whose author put the right end position at every place it could fall: the original
    // stops its search there and takes the payload for records.
    let env = Env::memory();
    let log = writer(&env);
    let first = log.append(batch(b"first")).await.unwrap();
    let start = 17_u32 + 4;
    let payload: Vec<u8> = (0..40).flat_map(|word: u32| (start + word * 4 + 4).to_be_bytes()).collect();
    log.append(batch(&payload)).await.unwrap();
    log.close().await.unwrap();
    let whole = content(&env, "log.offset");
    for cut in 17..whole.len() {
        let env = machine(&whole[..cut]);
        let log = OffsetLog::builder().env(env.clone()).append().open("log.offset").unwrap();
        assert_eq!(log.barrier().await.unwrap(), Some(first[0]));
        assert_eq!(content(&env, "log.offset").len(), 17);
    }
}
