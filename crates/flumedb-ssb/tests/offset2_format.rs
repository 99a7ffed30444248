//! Guards against a log of go-ssb that reads as something else than margaret wrote, and against writing one that margaret
//! does not read: by the bytes that its format is documented with.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::{fs::OpenOptions, io::Write, path::Path, time::Duration};

use common::{all, hex, offset2::Dir, scan, unhex};
use flumedb::{
    Env, ErrorKind, Seq, Span,
    env::OpenMode,
    log::{Batch, Log, SlotKind},
};
use flumedb_ssb::{Format, Offset2Log, any};

fn batch(payload: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.push(payload);
    batch
}

fn writer(env: &Env) -> Offset2Log {
    Offset2Log::builder().env(env.clone()).create().open("log").unwrap()
}

fn is(dir: &Dir, wanted: [&str; 3]) {
    assert_eq!(dir.0.each_ref().map(|bytes| hex(bytes)), wanted.map(|text| text.replace(' ', "")));
}

#[tokio::test]
async fn appends_nulls_and_replacements_are_laid_out_as_documented() {
    let env = Env::memory();
    let log = writer(&env);
    is(&Dir::on(&env), ["", "", ""]);
    for payload in [&br#"{"a":1}"#[..], b"xyz", b"hi"] {
        log.append(batch(payload)).await.unwrap();
    }
    let ofst = "0000000000000000 000000000000000f 000000000000001a";
    let jrnl = "0000000000000002";
    let data = "0000000000000007 7b2261223a317d 0000000000000003 78797a 0000000000000002 6869";
    is(&Dir::on(&env), [data, ofst, jrnl]);
    assert_eq!(Dir::on(&env), Dir::of(&[&br#"{"a":1}"#[..], b"xyz", b"hi"]), "as margaret writes it");
    log.delete(&[Seq::new(1)]).await.unwrap();
    let data = "0000000000000007 7b2261223a317d fffffffffffffffd 000000 0000000000000002 6869";
    is(&Dir::on(&env), [data, ofst, jrnl]);
    log.replace(Seq::new(0), b"{}").await.unwrap();
    let data = "0000000000000007 7b7d0000000000 fffffffffffffffd 000000 0000000000000002 6869";
    is(&Dir::on(&env), [data, ofst, jrnl]);
    assert_eq!(Dir::on(&env).margaret(), Ok(3));
    assert_eq!(log.get(Seq::new(0)).await.unwrap(), &b"{}\0\0\0\0\0"[..]);
    assert_eq!(log.get(Seq::new(1)).await.unwrap_err().kind(), ErrorKind::Deleted);
}

/// Rows M7 and M8 of docs/compatibility.md.
#[tokio::test]
async fn what_margaret_has_written_reads_both_ways() {
    let mut dir =
        Dir(["000000000000000261620000000000000003 78797a", "0000000000000000000000000000000a", "0000000000000001"]
            .map(|text| unhex(&text.replace(' ', ""))));
    assert_eq!(dir, Dir::of(&["ab", "xyz"]));
    dir.push(&[0; 4]);
    dir.push(b"");
    dir.0[0].splice(10..21, unhex("fffffffffffffffd000000"));
    assert_eq!(dir.margaret(), Ok(4));
    let env = dir.machine();
    let opened = any::builder().env(env.clone()).open("log").unwrap();
    assert_eq!(opened.format, Format::Offset2);
    assert!(opened.evidence.iter().any(|line| line.contains("agree on 4 of 4 entries")), "{:?}", opened.evidence);
    let log = Offset2Log::builder().env(env.clone()).open("log").unwrap();
    let entries = [
        (0, SlotKind::Entry, "ab".into()),
        (1, SlotKind::Deleted, "".into()),
        (2, SlotKind::Entry, "\0\0\0\0".into()),
        (3, SlotKind::Entry, "".into()),
    ];
    assert_eq!(all(&log).await, entries);
    for from in 0..5 {
        for to in from..6 {
            for max_bytes in [0, 1, 10, 20, 1000] {
                let span = Span { from, to };
                let mut wanted: Vec<_> = entries[(from as usize).min(4)..(to as usize).min(4)].to_vec();
                assert_eq!(scan(&log, span, false, max_bytes).await, wanted);
                wanted.reverse();
                assert_eq!(scan(&log, span, true, max_bytes).await, wanted);
            }
        }
    }
    let stat = log.stat().unwrap();
    assert_eq!((stat.format, stat.entries, stat.deleted), ("offset2", 3, 1));
    assert_eq!(Dir::on(&env), dir, "reading changes nothing");
    assert_eq!(env.storage.list("log".as_ref()).unwrap(), ["data", "jrnl", "ofst"]);
}

/// Rows M5 (one writer) and M6 of docs/compatibility.md.
#[tokio::test]
async fn what_cannot_be_done_is_refused_and_nothing_is_changed() {
    let env = Dir::of(&["ab", "", "xyz"]).machine();
    let log = writer(&env);
    let before = Dir::on(&env);
    let kind = |result: flumedb::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(log.delete(&[Seq::new(0), Seq::new(1)]).await), ErrorKind::Unsupported, "an entry of no bytes");
    assert_eq!(kind(log.delete(&[Seq::new(0), Seq::new(3)]).await), ErrorKind::NotFound);
    assert_eq!(kind(log.replace(Seq::new(2), b"long").await), ErrorKind::Invalid);
    assert_eq!(kind(log.replace(Seq::new(3), b"").await), ErrorKind::NotFound);
    assert_eq!(Dir::on(&env), before);
    log.delete(&[Seq::new(0)]).await.unwrap();
    assert_eq!(kind(log.replace(Seq::new(0), b"x").await), ErrorKind::Deleted);
    log.replace(Seq::new(1), b"").await.unwrap();
    // Deleted twice is deleted.
    log.delete(&[Seq::new(0), Seq::new(0)]).await.unwrap();
    let reader = Offset2Log::builder().env(env.clone()).open("log").unwrap();
    assert_eq!(kind(reader.replace(Seq::new(2), b"x").await), ErrorKind::Unsupported);
    let second = Offset2Log::builder().env(env.clone()).append().open("log");
    assert_eq!(second.err().unwrap().kind(), ErrorKind::Locked);
    log.append(batch(b"more")).await.unwrap();
    assert_eq!(Dir::on(&env).margaret(), Ok(4));
}

#[tokio::test]
async fn a_deletion_that_was_stopped_is_finished_by_the_next() {
    let mut dir = Dir::of(&["secret", "open"]);
    dir.0[0][..8].copy_from_slice(&(-6_i64).to_be_bytes());
    let env = dir.machine();
    let log = writer(&env);
    assert_eq!(log.get(Seq::new(0)).await.unwrap_err().kind(), ErrorKind::Deleted);
    log.delete(&[Seq::new(0)]).await.unwrap();
    assert_eq!(&Dir::on(&env).0[0][8..14], &[0; 6]);
    assert_eq!(log.stat().unwrap().deleted, 1);
}

#[tokio::test]
async fn what_is_no_such_directory_is_left_alone() {
    let env = Env::memory();
    let open = |create: bool, path: &str| {
        let builder = Offset2Log::builder().env(env.clone());
        let log = if create { builder.create().open(path) } else { builder.append().open(path) };
        log.err().map(|error| error.kind())
    };
    assert_eq!(open(false, "none"), Some(ErrorKind::NotFound));
    env.storage.create_dir_all("other".as_ref()).unwrap();
    let file = env.storage.open("other/data".as_ref(), OpenMode::CreateNew).unwrap();
    file.write_all(0, b"somebody's data").unwrap();
    assert_eq!(open(false, "other"), Some(ErrorKind::Unsupported));
    assert_eq!(open(true, "other"), Some(ErrorKind::Unsupported));
    assert_eq!(open(true, "other/data"), Some(ErrorKind::Unsupported));
    assert_eq!(env.storage.list("other".as_ref()).unwrap(), ["data"]);
    env.storage.open("other/ofst".as_ref(), OpenMode::CreateNew).unwrap();
    let jrnl = env.storage.open("other/jrnl".as_ref(), OpenMode::CreateNew).unwrap();
    jrnl.write_all(0, b"a diary").unwrap();
    jrnl.write_all(7, b" of mine").unwrap();
    assert_eq!(open(true, "other"), Some(ErrorKind::Unsupported));
    assert_eq!(env.storage.list("other".as_ref()).unwrap(), ["data", "jrnl", "ofst"]);
    let report = Offset2Log::check(&env, "other", &()).unwrap();
    assert_eq!((report.format.as_ref(), report.is_ok()), (None, false));
    assert_eq!(Offset2Log::repair(&env, "other", &(), true).unwrap_err().kind(), ErrorKind::Corrupt);
    // What an interrupted creation has left is completed.
    env.storage.create_dir_all("new".as_ref()).unwrap();
    env.storage.open("new/data".as_ref(), OpenMode::CreateNew).unwrap();
    assert_eq!(open(false, "new"), Some(ErrorKind::Unsupported));
    assert_eq!(open(true, "new"), None);
}

/// margaret writes an entry with four calls; whatever of them is there, a reader sees whole entries.
#[tokio::test]
async fn a_reader_follows_margaret() {
    let real = tempfile::tempdir().unwrap();
    // Never cut: the reader has the files mapped.
    let write = |name: &str, bytes: &[u8]| {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(real.path().join(name));
        file.unwrap().write_all(bytes).unwrap();
    };
    let mut dir = Dir::default();
    ["data", "ofst", "jrnl"].iter().for_each(|name| write(name, b""));
    let reader = Offset2Log::open(real.path()).unwrap();
    let mut head = reader.head();
    for number in 0..40_u64 {
        let before = dir.clone();
        dir.push(&[b'x'; 90][..number as usize * 2 % 91]);
        let [data, ofst, jrnl] = &dir.0;
        write("jrnl", jrnl);
        write("data", &data[..before.0[0].len() + 8]);
        assert_eq!(reader.barrier().await.unwrap(), number.checked_sub(1).map(Seq::new));
        write("data", data);
        write("ofst", &ofst[..ofst.len() - 3]);
        assert_eq!(reader.barrier().await.unwrap(), number.checked_sub(1).map(Seq::new));
        write("ofst", ofst);
        if number % 2 == 0 {
            // Asked for, it is there at once.
            assert_eq!(reader.barrier().await.unwrap(), Some(Seq::new(number)));
        } else {
            // Not asked for, it comes.
            let arrived = head.wait_for(|head| *head == Some(Seq::new(number)));
            tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("the head moves").unwrap();
        }
    }
    assert_eq!(all(&reader).await.len(), 40);
    // And it follows us.
    let writer = Offset2Log::builder().append().open(real.path()).unwrap();
    assert!(Path::exists(&real.path().join("data.lock")));
    let seqs = writer.append(batch(b"ours")).await.unwrap();
    assert_eq!(reader.barrier().await.unwrap(), Some(seqs[0]));
    assert_eq!(reader.get(seqs[0]).await.unwrap(), "ours");
}

/// A view that is stored holds what it was made from; where some of that is gone, it must be made anew.
#[tokio::test]
async fn the_evidence_for_an_entry_tells_of_deletions_before_it() {
    let env = Dir::of(&["first", "second", "third", "fourth"]).machine();
    let evidence = async |seq| {
        let log = writer(&env);
        let (identity, proof) = (log.identity(), log.proof(Seq::new(seq)).unwrap());
        log.close().await.unwrap();
        (identity, proof.unwrap())
    };
    let delete = async |seq| {
        let log = writer(&env);
        log.delete(&[Seq::new(seq)]).await.unwrap();
        log.close().await.unwrap();
    };
    let (identity, proof) = evidence(2).await;
    delete(3).await;
    assert_eq!(evidence(2).await, (identity.clone(), proof.clone()), "what comes behind does not matter");
    delete(1).await;
    let (same, other) = evidence(2).await;
    assert_eq!(same, identity);
    assert_ne!(other, proof);
}
