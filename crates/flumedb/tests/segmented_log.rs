//! A log on disk must come back as it was: across reopening, across segments, with its deletions and notes, and be seen
//! the same by a reader in another process. JavaScript Flume lost its tail to a crash and its place to a copy.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::{path::Path, time::Duration};

use flumedb::{
    Env, ErrorKind, Result, Seq, Span,
    log::{Batch, Condition, Durability, Log, LogSettings, Note, ReadRequest, SegmentedLog, SlotKind},
};

fn small() -> LogSettings {
    LogSettings { segment_bytes: 4096, ..LogSettings::default() }
}

fn batch(payloads: &[&[u8]]) -> Batch {
    let mut batch = Batch::new();
    payloads.iter().for_each(|payload| batch.push(payload));
    batch
}

fn noted(payloads: &[&[u8]], note: &Note) -> Batch {
    let mut batch = batch(payloads);
    batch.note = Some(note.clone());
    batch
}

fn on_condition(payloads: &[&[u8]], condition: Condition) -> Batch {
    let mut batch = batch(payloads);
    batch.condition = Some(condition);
    batch
}

async fn everything(log: &dyn Log) -> Result<Vec<(u64, SlotKind, Vec<u8>)>> {
    let mut out = Vec::new();
    let mut span = Span::ALL;
    loop {
        let chunk = log.read(ReadRequest { max_bytes: 1000, ..ReadRequest::forwards(span) }).await?;
        if chunk.slots.is_empty() {
            return Ok(out);
        }
        out.extend(chunk.slots.iter().map(|slot| (slot.seq.get(), slot.kind, chunk.payload(slot).to_vec())));
        span.from = chunk.covered.to;
    }
}

#[tokio::test]
async fn comes_back_as_it_was() -> Result<()> {
    for env in [Env::os(), Env::memory()] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let dir = dir.path().join("db/log");
        let mut expected = Vec::new();
        for round in 0..5u64 {
            let log = SegmentedLog::open(&env, &dir, small())?;
            assert_eq!(everything(&log).await?, expected, "round {round}");
            assert!(log.recovery().is_none());
            for n in 0..20u64 {
                let payload = vec![n as u8; (n * 37 % 700) as usize];
                let seqs = log.append(batch(&[&payload, b"x"])).await?;
                assert_eq!(seqs.len(), 2);
                expected.push((seqs[0].get(), SlotKind::Entry, payload));
                expected.push((seqs[1].get(), SlotKind::Entry, b"x".to_vec()));
            }
            log.close().await?;
            assert_eq!(log.append(batch(&[b"late"])).await.unwrap_err().kind(), ErrorKind::Closed);
        }
        let log = SegmentedLog::open(&env, &dir, small())?;
        for (seq, _, payload) in &expected {
            assert_eq!(log.get(Seq::new(*seq)).await?, payload);
        }
        assert_eq!(log.stat()?.entries, 200);
        let mut backwards = Vec::new();
        let mut span = Span::ALL;
        loop {
            let chunk = log.read(ReadRequest { max_bytes: 900, ..ReadRequest::backwards(span) }).await?;
            if chunk.slots.is_empty() {
                break;
            }
            backwards.extend(chunk.slots.iter().map(|slot| (slot.seq.get(), slot.kind, chunk.payload(slot).to_vec())));
            span.to = chunk.covered.from;
        }
        backwards.reverse();
        assert_eq!(backwards, expected);
    }
    Ok(())
}

#[tokio::test]
async fn deletions_and_notes_are_carried_from_segment_to_segment() -> Result<()> {
    let env = Env::memory();
    let dir = Path::new("log");
    let log = SegmentedLog::open(&env, dir, small())?;
    for n in 0..10u8 {
        log.append(batch(&[&[n; 100]])).await?;
    }
    log.delete(&[Seq::new(3), Seq::new(4), Seq::new(3)]).await?;
    log.delete(&[Seq::new(4)]).await?;
    assert_eq!(log.delete(&[Seq::new(5), Seq::new(99)]).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(log.delete(&[Seq::new(10)]).await.unwrap_err().kind(), ErrorKind::NotFound, "a tombstone is no entry");
    let note = Note { name: "import/a".into(), position: 7, proof: b"p".to_vec() };
    log.append(noted(&[b"noted"], &note)).await?;
    for _ in 0..100 {
        log.append(batch(&[&[0; 200]])).await?;
    }
    log.close().await?;
    drop(log);

    let log = SegmentedLog::open(&env, dir, small())?;
    assert_eq!(log.note("import/a")?, Some(note));
    assert_eq!(log.get(Seq::new(3)).await.unwrap_err().kind(), ErrorKind::Deleted);
    assert_eq!(log.get(Seq::new(4)).await.unwrap_err().kind(), ErrorKind::Deleted);
    assert_eq!(log.get(Seq::new(5)).await?, vec![5u8; 100]);
    assert_eq!(log.deleted_payload(Seq::new(3)).as_deref(), Some(&[3u8; 100][..]));
    assert_eq!(log.stat()?.deleted, 2);
    assert_eq!(log.stat()?.entries, 109);
    let kinds: Vec<SlotKind> = everything(&log).await?.iter().map(|row| row.1).collect();
    assert_eq!(kinds[3], SlotKind::Deleted);
    assert_eq!(kinds[10], SlotKind::Tombstone);
    Ok(())
}

#[tokio::test]
async fn conditions_are_tested_by_the_writer() -> Result<()> {
    let log = SegmentedLog::open(&Env::memory(), Path::new("log"), small())?;
    let on_head = |head| on_condition(&[b"a"], Condition::Head(head));
    log.append(on_head(None)).await?;
    assert_eq!(log.append(on_head(None)).await.unwrap_err().kind(), ErrorKind::Conflict);
    log.append(on_head(Some(Seq::new(0)))).await?;
    let unless_b = |after| {
        let matches = Box::new(|payload: &flumedb::Bytes| Ok(payload.starts_with(b"b")));
        on_condition(&[b"b"], Condition::NoneAfter { after, matches, limit: 3 })
    };
    let (first, second) = tokio::join!(log.append(unless_b(None)), log.append(unless_b(None)));
    assert_eq!(first?, [Seq::new(2)]);
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Conflict);
    log.append(unless_b(Some(Seq::new(2)))).await?;
    assert_eq!(log.append(unless_b(None)).await.unwrap_err().kind(), ErrorKind::Conflict, "past the limit");
    let panics = Condition::NoneAfter { after: None, matches: Box::new(|_| panic!("of the caller")), limit: 10 };
    assert_eq!(log.append(on_condition(&[b"x"], panics)).await.unwrap_err().kind(), ErrorKind::Invalid);
    log.append(batch(&[b"the writer goes on"])).await?;
    Ok(())
}

#[tokio::test]
async fn one_writer_and_any_number_of_readers() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let env = Env::os();
    let log = SegmentedLog::open(&env, dir.path(), small())?;
    assert_eq!(SegmentedLog::open(&env, dir.path(), small()).err().map(|error| error.kind()), Some(ErrorKind::Locked));
    // A second environment stands for another process: nothing is shared but the files.
    let reader = SegmentedLog::read_only(&Env::os(), dir.path())?;
    let mut head = reader.head();
    assert_eq!(reader.append(batch(&[b"no"])).await.unwrap_err().kind(), ErrorKind::Unsupported);
    for n in 0..300u64 {
        let mut entry = batch(&[&[n as u8; 100]]);
        entry.buffered = n % 2 == 0;
        log.append(entry).await?;
        if n == 100 {
            log.delete(&[Seq::new(7)]).await?;
        }
        assert_eq!(reader.barrier().await?, *log.head().borrow(), "after entry {n}");
    }
    let newest = log.append(batch(&[b"last"])).await?[0];
    let seen = tokio::time::timeout(Duration::from_secs(10), head.wait_for(|head| *head == Some(newest))).await;
    assert!(seen.is_ok_and(|seen| seen.is_ok()), "the reader follows without being asked");
    assert_eq!(everything(&reader).await?, everything(&log).await?);
    assert_eq!(reader.get(Seq::new(7)).await.unwrap_err().kind(), ErrorKind::Deleted);
    drop(log);
    SegmentedLog::open(&env, dir.path(), small())?;
    Ok(())
}

#[tokio::test]
async fn entries_of_any_size_and_weaker_durability() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let env = Env::os();
    for durability in [
        Durability::System,
        Durability::Interval { period: Duration::from_millis(5), bytes: 1 << 20 },
        Durability::EveryCommit,
    ] {
        let dir = dir.path().join(format!("{durability:?}").replace(' ', ""));
        let settings = LogSettings { durability, segment_bytes: 1 << 20, ..LogSettings::default() };
        let log = SegmentedLog::open(&env, &dir, settings.clone())?;
        let big: Vec<u8> = (0..64u32 << 20).map(|n| (n % 251) as u8).collect();
        log.append(batch(&[b"", &big, b""])).await?;
        let appends = (0..2000u32).map(|n| log.append(batch(&[&n.to_le_bytes()])));
        let mut seqs = Vec::new();
        for appended in futures_util::future::join_all(appends).await {
            seqs.extend(appended?);
        }
        assert_eq!(seqs.len(), 2000);
        log.sync(None).await?;
        drop(log);
        let log = SegmentedLog::open(&env, &dir, settings)?;
        assert_eq!(log.get(Seq::new(1)).await?, big);
        assert_eq!(log.get(Seq::new(2)).await?, "");
        for (n, seq) in seqs.into_iter().enumerate() {
            assert_eq!(log.get(seq).await?, (n as u32).to_le_bytes().as_slice(), "each caller got its own seq");
        }
        assert!(log.recovery().is_none());
    }
    Ok(())
}
