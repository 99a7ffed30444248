//! Guards against a reader that misses what another handle or process appends over the end of a block, two writers in one
//! file, and a log that takes what it cannot hold or is written to on a guess.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::{io::Write, time::Duration};

use common::{all, content, machine};
use flumedb::{
    Env, ErrorKind, Seq,
    log::{Batch, Log},
};
use flumedb_ssb::{Aligned, AlignedLog, Format, any};

fn batch(payload: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.push(payload);
    batch
}

fn writer(env: &Env, block: u32) -> AlignedLog {
    AlignedLog::builder().env(env.clone()).block_size(block).create().open("log.offset").unwrap()
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_appends_over_the_end_of_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.offset");
    let writer = AlignedLog::builder().block_size(128).create().open(&path).unwrap();
    let reader = AlignedLog::builder().block_size(128).open(&path).unwrap();
    let mut head = reader.head();
    assert_eq!(*head.borrow_and_update(), None);
    for number in 1..=60_u64 {
        let seqs = writer.append(batch(&number.to_be_bytes().repeat(1 + number as usize % 14)[7..])).await.unwrap();
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
    writer.close().await.unwrap();
    drop(reader);

    // However a block and what follows it arrive, what is whole is seen, and nothing else.
    let bytes = std::fs::read(&path).unwrap();
    let read = all(&AlignedLog::open(&path).unwrap()).await;
    let from = bytes.len() - 300;
    std::fs::write(&path, &bytes[..from]).unwrap();
    let reader = AlignedLog::builder().block_size(128).open(&path).unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    for len in from..=bytes.len() {
        // Added, not written anew: a reader has the file mapped, and it must not get shorter even for a moment.
        file.write_all(&bytes[len.max(from + 1) - 1..len]).unwrap();
        let whole = read.iter().take_while(|(seq, _, payload)| *seq as usize + payload.len() + 4 <= len);
        assert_eq!(reader.barrier().await.unwrap().map(Seq::get), whole.last().map(|(seq, ..)| *seq), "{len}");
    }
    assert_eq!(all(&reader).await, read);
}

#[tokio::test]
async fn one_writer_at_a_time() {
    let env = Env::memory();
    let first = writer(&env, 64);
    let second = AlignedLog::builder().env(env.clone()).block_size(64).append().open("log.offset");
    assert_eq!(second.err().unwrap().kind(), ErrorKind::Locked);
    let reader = AlignedLog::builder().env(env.clone()).open("log.offset").unwrap();
    assert_eq!(reader.append(batch(b"x")).await.unwrap_err().kind(), ErrorKind::Unsupported);
    first.close().await.unwrap();
    drop(writer(&env, 64));
}

#[tokio::test]
async fn what_the_format_cannot_hold_is_refused_whole() {
    let env = Env::memory();
    let log = writer(&env, 64);
    for bad in [&[7; 55][..], &[0; 5], b""] {
        let mut mixed = batch(b"good");
        mixed.push(bad);
        let error = log.append(mixed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(log.barrier().await.unwrap(), None);
    assert_eq!(log.append(batch(&[7; 54])).await.unwrap(), [Seq::new(0)]);
    for size in [0, 10, 65537] {
        let error = AlignedLog::builder().env(env.clone()).block_size(size).open("log.offset").err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{size}");
    }
}

#[tokio::test]
async fn writing_needs_a_block_size_that_is_certain() {
    // A file that has not filled its first block is of any size that is large enough.
    let bytes = b"\x02\0hi\x02\0\x05\0flume\x05\0";
    let env = machine(bytes);
    let guess = AlignedLog::builder().env(env.clone()).append().open("log.offset").err().unwrap();
    assert_eq!(guess.kind(), ErrorKind::Invalid);
    assert!(guess.to_string().contains("aligned:1024"), "{guess}");
    assert_eq!(content(&env, "log.offset"), bytes);
    // Reading asks for none.
    let reader = AlignedLog::builder().env(env.clone()).open("log.offset").unwrap();
    assert_eq!((reader.block_size(), all(&reader).await.len()), (Some(Aligned::DEFAULT), 2));
    // A size that is too small for what is there is refused.
    let small = AlignedLog::builder().env(env.clone()).block_size(20).open("log.offset").err().unwrap();
    assert_eq!(small.kind(), ErrorKind::Invalid);
    let named = AlignedLog::builder().env(env.clone()).block_size(32).append().open("log.offset").unwrap();
    assert_eq!(named.append(batch(b"0123456789")).await.unwrap(), [Seq::new(32)]);
    named.close().await.unwrap();
    // Now it tells, and another size does not turn what is there into a torn tail.
    for wrong in [33, 64, 65536] {
        let wrong = AlignedLog::builder().env(env.clone()).block_size(wrong).append().open("log.offset");
        assert_eq!(wrong.err().unwrap().kind(), ErrorKind::Invalid);
    }
    let found = AlignedLog::builder().env(env).append().open("log.offset").unwrap();
    assert_eq!(found.block_size(), Some(32));
}

#[tokio::test]
async fn a_payload_that_imitates_the_end_of_a_block_does_not_steer_the_reader() {
    // Its author knows where it will stand, and what a block of 60 bytes and a record behind it would look like there.
    let mut payload = vec![0; 60 - 2 - 11 - 4];
    payload.extend(11_u32.to_le_bytes());
    payload.extend(*b"\x05\0fake!\x05\0");
    let mark = payload.len() as u16;
    assert_eq!(mark, 56);
    payload.resize(59, b'.');
    for (block, more) in [(1000, 40), (65536, 0), (4096, 400)] {
        let env = Env::memory();
        let log = writer(&env, block);
        log.append(batch(b"first..")).await.unwrap();
        let seqs = log.append(batch(&payload)).await.unwrap();
        assert_eq!(seqs, [Seq::new(11)]);
        for number in 0..more {
            log.append(batch(format!("entry {number}").as_bytes())).await.unwrap();
        }
        log.close().await.unwrap();
        let reader = AlignedLog::builder().env(env.clone()).open("log.offset").unwrap();
        assert_eq!(reader.get(Seq::new(11)).await.unwrap(), payload);
        assert_eq!(all(&reader).await.len(), 2 + more);
    }
}

#[tokio::test]
async fn the_door_tells_the_block_size_and_why() {
    let env = Env::memory();
    let log = writer(&env, 700);
    for number in 0..200 {
        log.append(batch(format!("{{\"number\":{number}}}").as_bytes())).await.unwrap();
    }
    log.close().await.unwrap();
    let opened = any::builder().env(env.clone()).open("log.offset").unwrap();
    assert_eq!(opened.format, Format::Aligned(Some(700)));
    assert!(opened.evidence[0].contains("aligned:700"), "{:?}", opened.evidence);
    assert!(opened.evidence[0].contains("200 records"), "{:?}", opened.evidence);
    let named = any::builder().env(env).format("aligned:701".parse().unwrap()).open("log.offset");
    assert_eq!(named.err().unwrap().kind(), ErrorKind::Invalid);
}
