//! Guards against losing what another program writes that knows of no lock: the JavaScript libraries and margaret append to
//! the same files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{all, content, put};
use flumedb::{
    Env, ErrorKind, Seq,
    env::OpenMode,
    log::{Batch, Log},
};
use flumedb_ssb::{AaolLog, AlignedLog, FileLogBuilder, Framing, Offset2Log, OffsetLog, file::Records};

fn batch(payload: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.push(payload);
    batch
}

/// Copies a file over another one, byte by byte of what is new.
fn overwrite(env: &Env, path: &str, content: &[u8]) {
    env.storage.open(path.as_ref(), OpenMode::Write).unwrap().write_all(0, content).unwrap();
}

/// Two programs have a log open. `files`: what it consists of.
async fn nothing_is_lost<R: Records>(builder: impl Fn() -> FileLogBuilder<R>, files: &[&str]) {
    let ours = Env::memory();
    let log = builder().env(ours.clone()).create().open("log").unwrap();
    log.append(batch(b"both know of this")).await.unwrap();
    // The other one, without our lock, begins with the same bytes and appends.
    let theirs = Env::memory();
    let other = builder().env(theirs.clone()).create().open("log").unwrap();
    other.append(batch(b"both know of this")).await.unwrap();
    let theirs_seq = other.append(batch(b"only one has written this")).await.unwrap()[0];
    other.close().await.unwrap();
    for file in files {
        overwrite(&ours, file, &content(&theirs, file));
    }
    let before: Vec<_> = files.iter().map(|file| content(&ours, file)).collect();
    let error = log.append(batch(b"written over it")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    // Not a second time either, whatever the order.
    assert_eq!(log.append(batch(b"again")).await.unwrap_err().kind(), ErrorKind::Poisoned);
    let _ = log.close().await;
    drop(log);
    assert!(files.iter().zip(&before).all(|(file, before)| content(&ours, file) == *before));
    let log = builder().env(ours).append().open("log").unwrap();
    assert_eq!(log.get(theirs_seq).await.unwrap(), "only one has written this");
    assert_eq!(log.append(batch(b"behind it")).await.unwrap().len(), 1);
    assert_eq!(all(&log).await.len(), 3);
}

#[tokio::test]
async fn what_another_program_has_appended_is_not_written_over() {
    nothing_is_lost(|| OffsetLog::builder().framing(Framing::Bits32), &["log"]).await;
    nothing_is_lost(|| OffsetLog::builder().framing(Framing::Bits53), &["log"]).await;
    nothing_is_lost(|| AlignedLog::builder().block_size(64), &["log"]).await;
    nothing_is_lost(|| AaolLog::builder().block_size(64), &["log"]).await;
    // In the block that is there already.
    nothing_is_lost(|| AaolLog::builder().block_size(4096), &["log"]).await;
    nothing_is_lost(Offset2Log::builder, &["log/data", "log/ofst"]).await;
}

/// A reader opens a file that tells nothing yet, and follows.
async fn is_followed<R: Records>(reader: FileLogBuilder<R>, writer: FileLogBuilder<R>, first: usize) {
    let theirs = Env::memory();
    let other = writer.env(theirs.clone()).create().open("log").unwrap();
    for number in 0..first {
        other.append(batch(format!("entry {number}").as_bytes())).await.unwrap();
    }
    let env = Env::memory();
    put(&env, "log", &content(&theirs, "log"));
    let reader = reader.env(env.clone()).open("log").unwrap();
    let mut head = reader.barrier().await.unwrap();
    assert_eq!(all(&reader).await.len(), first);
    for number in first..first + 40 {
        let seq = other.append(batch(format!("entry {number}").as_bytes())).await.unwrap()[0];
        if number % 3 == 0 {
            overwrite(&env, "log", &content(&theirs, "log"));
            let now = reader.barrier().await.unwrap();
            assert!(now >= head, "the head went back from {head:?} to {now:?}");
            assert_eq!(now, Some(seq), "entry {number} is not seen");
            head = now;
        }
    }
    overwrite(&env, "log", &content(&theirs, "log"));
    assert_eq!(reader.barrier().await.unwrap(), *other.head().borrow());
    assert_eq!(all(&reader).await, all(&other).await);
    let report = reader.report().unwrap();
    assert!(report.is_ok(), "{report:#?}");
}

#[tokio::test]
async fn a_reader_that_came_before_the_layout_could_be_told_follows() {
    is_followed(OffsetLog::builder(), OffsetLog::builder().framing(Framing::Bits48), 0).await;
    is_followed(OffsetLog::builder(), OffsetLog::builder().framing(Framing::Bits53), 0).await;
    for (block, first) in [(64, 0), (64, 2), (200, 3), (1024, 0), (1024, 5)] {
        is_followed(AlignedLog::builder(), AlignedLog::builder().block_size(block), first).await;
    }
    for (block, first) in [(64, 0), (64, 2), (200, 0), (128, 1)] {
        is_followed(AaolLog::builder(), AaolLog::builder().block_size(block), first).await;
    }
}

/// The evidence for the last of three entries, before and after the first is deleted by the handle that gives it, and what
/// the next one to open the log gives.
async fn evidence<R: Records>(builder: impl Fn() -> FileLogBuilder<R>, between: usize) {
    let env = Env::memory();
    let log = builder().env(env.clone()).create().open("log").unwrap();
    let mut seqs: Vec<Seq> = Vec::new();
    for number in 0..between + 3 {
        seqs.extend(log.append(batch(format!("entry {number}").as_bytes())).await.unwrap());
    }
    log.close().await.unwrap();
    for deleted in [1, between / 2 + 1, between + 1] {
        let log = builder().env(env.clone()).append().open("log").unwrap();
        let last = seqs[between + 2];
        let before = log.proof(last).unwrap();
        log.delete(&[seqs[deleted]]).await.unwrap();
        // A view that has taken in the entry stores what it gets now.
        let stored = log.proof(last).unwrap();
        log.close().await.unwrap();
        let log = builder().env(env.clone()).append().open("log").unwrap();
        let again = log.proof(last).unwrap();
        assert!(
            again.is_some() && again != stored,
            "entry {deleted} of {between}: a stored view keeps what is deleted"
        );
        assert_ne!(again, before);
        log.close().await.unwrap();
        let log = builder().env(env.clone()).open("log").unwrap();
        assert_eq!(log.proof(last).unwrap(), again, "a view that was built anew stays");
    }
}

#[tokio::test]
async fn a_view_that_took_in_what_was_deleted_since_cannot_be_stored_as_right() {
    for between in [2, 1200] {
        evidence(OffsetLog::builder, between).await;
        evidence(|| AlignedLog::builder().block_size(256), between).await;
        evidence(|| AaolLog::builder().block_size(256), between).await;
        evidence(Offset2Log::builder, between).await;
    }
}

/// The failure: the only bytes that are left of a log are removed as the state of a compaction that is done.
#[tokio::test]
async fn the_state_of_a_compaction_is_kept_if_its_log_is_gone() {
    let env = Env::memory();
    let log = AaolLog::builder().env(env.clone()).block_size(64).create().open("log").unwrap();
    log.append(batch(b"all that is left")).await.unwrap();
    log.close().await.unwrap();
    let mut state = Vec::new();
    [1, 0, u32::MAX, 0, 0].iter().for_each(|number| state.extend(number.to_le_bytes()));
    state.extend(content(&env, "log"));
    let env = Env::memory();
    put(&env, "log", b"");
    put(&env, "log.compaction", &state);
    let log = AaolLog::builder().env(env.clone()).append().open("log").unwrap();
    assert_eq!(log.barrier().await.unwrap(), None);
    assert_eq!(content(&env, "log.compaction.damaged"), state);
    assert!(env.storage.kind("log.compaction".as_ref()).unwrap().is_none());
}

/// The failure: each look at a log finds its damage once more, because the only record behind it ends in a zero.
#[tokio::test]
async fn damage_before_one_last_record_is_told_once() {
    let env = Env::memory();
    let log = AaolLog::builder().env(env.clone()).block_size(16).create().open("log").unwrap();
    let mut seqs = Vec::new();
    for payload in [b"0123456789", b"abcdefghij", b"ABCDEFGHI\0"] {
        seqs.extend(log.append(batch(payload)).await.unwrap());
    }
    log.close().await.unwrap();
    env.storage.open("log".as_ref(), OpenMode::Write).unwrap().write_all(16, &[0xff; 2]).unwrap();
    let report = AaolLog::check(&env, "log", &Some(16)).unwrap();
    assert_eq!((report.damage.len(), report.entries, report.head), (1, 2, Some(seqs[2])), "{report:#?}");
}

/// The failure: what is left of a batch that was stopped before its first length, in the first block, looks as if that block
/// ended there, and the log goes on in blocks of another size.
#[tokio::test]
async fn a_batch_that_was_stopped_does_not_tell_a_block_size() {
    let env = Env::memory();
    let log = AaolLog::builder().env(env.clone()).create().open("log").unwrap();
    log.append(batch(&[7; 5000])).await.unwrap();
    log.close().await.unwrap();
    let whole = content(&env, "log");
    for payload in [[9; 300], [1; 300]] {
        let mut bytes = whole.clone();
        bytes[5004..5304].copy_from_slice(&payload);
        let env = Env::memory();
        put(&env, "log", &bytes);
        let guess = AaolLog::builder().env(env.clone()).append().open("log");
        assert_eq!(guess.err().map(|error| error.kind()), Some(ErrorKind::Invalid));
        assert_eq!(content(&env, "log"), bytes);
        let log = AaolLog::builder().env(env.clone()).block_size(65_536).append().open("log").unwrap();
        assert_eq!(log.append(batch(b"behind it")).await.unwrap(), [Seq::new(5002)]);
    }
}
