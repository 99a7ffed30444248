//! Guards against a reader that misses what another program appends or shows half of it, and a log that takes what its
//! blocks cannot hold.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{all, content, put, vector};
use flumedb::{
    Env, ErrorKind, Seq,
    env::{File, Lock, OpenMode, PathKind, Storage, Watch},
    log::{Batch, Log},
};
use flumedb_ssb::AaolLog;

const LOG: &str = "log.bipf";

fn batch<T: AsRef<[u8]>>(payloads: &[T]) -> Batch {
    let mut batch = Batch::new();
    payloads.iter().for_each(|payload| batch.push(payload.as_ref()));
    batch
}

fn writer(env: &Env, block: u32) -> AaolLog {
    AaolLog::builder().env(env.clone()).block_size(block).create().open(LOG).unwrap()
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_appends_while_it_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(LOG);
    let writer = AaolLog::builder().block_size(512).create().open(&path).unwrap();
    writer.append(batch(&["first"])).await.unwrap();
    let reader = AaolLog::open(&path).unwrap();
    let mut head = reader.head();
    assert_eq!(*head.borrow_and_update(), Some(Seq::new(0)));
    for number in 1..=60_u8 {
        // Of all lengths, over the ends of blocks; some end in zeros, as what is half written does.
        let mut payload = vec![number; usize::from(number) * 8];
        if number % 4 == 0 {
            payload.extend([0; 5]);
        }
        let seqs = if number % 3 == 0 {
            writer.append_whole(batch(&[payload])).await.unwrap()
        } else {
            writer.append(batch(&[payload])).await.unwrap()
        };
        if number % 5 == 0 {
            writer.delete(&seqs).await.unwrap();
        }
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
}

/// The original writes the last block anew each time, with what has come to it.
#[tokio::test]
async fn a_block_that_is_rewritten_in_place_is_followed() {
    let original = vector("aaol/base-64k.log");
    let starts: Vec<u64> = {
        let env = Env::memory();
        put(&env, LOG, &original);
        all(&AaolLog::builder().env(env).open(LOG).unwrap()).await.into_iter().map(|(seq, ..)| seq).collect()
    };
    let env = Env::memory();
    put(&env, LOG, &{
        let mut first = original[..65_536].to_vec();
        first[starts[1] as usize..].fill(0);
        first
    });
    let file = env.storage.open(LOG.as_ref(), OpenMode::Write).unwrap();
    let reader = AaolLog::builder().env(env.clone()).open(LOG).unwrap();
    for pair in starts.windows(2).skip(1).chain([&[starts[181], original.len() as u64][..]]) {
        let mut block = original[pair[0] as usize / 65_536 * 65_536..][..65_536].to_vec();
        let end = pair[0] as usize % 65_536
            + 2
            + usize::from(u16::from_le_bytes(block[pair[0] as usize % 65_536..][..2].try_into().unwrap()));
        block[end..].fill(0);
        file.write_all(pair[0] / 65_536 * 65_536, &block).unwrap();
        assert_eq!(reader.barrier().await.unwrap(), Some(Seq::new(pair[0])));
    }
    let seen: Vec<u64> = all(&reader).await.into_iter().map(|(seq, ..)| seq).collect();
    assert_eq!(seen, starts);
    assert_eq!(content(&env, LOG), original);
}

/// A machine on which something happens while somebody waits for a file to change.
struct Meanwhile {
    inner: Arc<dyn Storage>,
    act: Arc<Mutex<Box<dyn FnMut() + Send>>>,
}

struct Wait(Arc<Mutex<Box<dyn FnMut() + Send>>>);

impl Watch for Wait {
    fn wait(&mut self, _: Duration) {
        (self.0.lock().unwrap())();
    }
}

impl Storage for Meanwhile {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.inner.open(path, mode)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }
    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        self.inner.kind(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.inner.lock(path)
    }
    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.inner.is_locked(path)
    }
    fn watch(&self, _: &Path) -> io::Result<Box<dyn Watch>> {
        Ok(Box::new(Wait(self.act.clone())))
    }
}

#[tokio::test]
async fn half_a_record_is_no_record() {
    let whole = {
        let env = Env::memory();
        let log = writer(&env, 64);
        log.append(batch(&["one", "two and more\0\0"])).await.unwrap();
        log.close().await.unwrap();
        content(&env, LOG)
    };
    // The writer has copied so many bytes when a reader looks, and goes on while it waits for its second look.
    for copied in 5..=23 {
        let memory = Env::memory();
        put(&memory, LOG, &[&whole[..copied], &vec![0; 64 - copied]].concat());
        let file = memory.storage.open(LOG.as_ref(), OpenMode::Write).unwrap();
        let rest = whole.clone();
        let mut done = copied;
        let act: Box<dyn FnMut() + Send> = Box::new(move || {
            let step = 3.min(rest.len() - done);
            file.write_all(done as u64, &rest[done..done + step]).unwrap();
            done += step;
        });
        let act = Arc::new(Mutex::new(act));
        let storage = Meanwhile { inner: memory.storage.clone(), act: act.clone() };
        let env = Env { storage: Arc::new(storage), ..memory };
        let reader = AaolLog::builder().env(env).block_size(64).open(LOG).unwrap();
        for look in 0.. {
            let read = all(&reader).await;
            for (seq, _, payload) in &read {
                let expected: &[u8] = if *seq == 0 { b"one" } else { b"two and more\0\0" };
                assert_eq!(payload, expected, "{copied} bytes, look {look}");
            }
            if read.len() == 2 {
                break;
            }
            assert!(look < 30, "the record never shows");
            (act.lock().unwrap())();
        }
    }
}

/// Row L4: the original takes an entry of no bytes, and shows nothing of what comes behind it.
#[tokio::test]
async fn what_an_entry_of_no_bytes_hides_is_reported() {
    let mut bytes = b"\x03\0one\0\0\x03\0two".to_vec();
    bytes.resize(64, 0);
    let hidden = bytes.clone();
    // In the last block it is a torn tail, and elsewhere damage.
    for (blocks, head) in [(&[][..], 0), (&b"\x05\0three"[..], 64)] {
        bytes.truncate(64);
        bytes.extend_from_slice(blocks);
        bytes.resize(if blocks.is_empty() { 64 } else { 128 }, 0);
        let env = Env::memory();
        put(&env, LOG, &bytes);
        let reader = AaolLog::builder().env(env.clone()).block_size(64).open(LOG).unwrap();
        assert_eq!(reader.barrier().await.unwrap(), Some(Seq::new(head)));
        let report = AaolLog::check(&env, LOG, &Some(64)).unwrap();
        assert_eq!((report.torn_tail.is_some(), report.damage.len()), (head == 0, usize::from(head > 0)));
        AaolLog::repair(&env, LOG, &Some(64), true).unwrap();
        let kept = content(&env, if head == 0 { "log.bipf.torn" } else { "log.bipf.damaged" });
        assert_eq!(kept, hidden[5..]);
        let log = AaolLog::builder().env(env.clone()).block_size(64).append().open(LOG).unwrap();
        assert_eq!(log.barrier().await.unwrap(), Some(Seq::new(head)));
        assert!(log.report().unwrap().is_ok());
    }
}

/// Row L4.
#[tokio::test]
async fn what_the_format_cannot_hold_is_refused_whole() {
    let env = Env::memory();
    let log = writer(&env, 64);
    for bad in [&[0; 5][..], &[], &[1; 61]] {
        assert_eq!(log.append(batch(&[b"good", bad])).await.unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
        assert_eq!(log.append_whole(batch(&[b"good", bad])).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let thirty = [[1; 28]; 3];
    assert_eq!(log.append_whole(batch(&thirty)).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(log.barrier().await.unwrap(), None);
    assert_eq!(log.append(batch(&thirty)).await.unwrap(), [0, 30, 64].map(Seq::new));
    assert_eq!(log.append_whole(batch(&[b"a", b"b"])).await.unwrap(), [94, 97].map(Seq::new));
    assert_eq!(log.append_whole(batch(&thirty[..2])).await.unwrap(), [128, 158].map(Seq::new));
    assert_eq!(log.append_whole(Batch::new()).await.unwrap(), []);
    log.close().await.unwrap();
    assert_eq!(content(&env, LOG).len(), 192);
    for (size, kind) in [(4, ErrorKind::Invalid), (u32::MAX, ErrorKind::Invalid), (65_536, ErrorKind::Invalid)] {
        let opened = AaolLog::builder().env(env.clone()).block_size(size).append().open(LOG);
        assert_eq!(opened.err().unwrap().kind(), kind, "{size}");
    }
}

/// Row L11. A disk writes sectors of 512 bytes whole, so the length that makes a batch be there must lie in one of them.
#[tokio::test]
async fn a_whole_batch_begins_where_no_power_cut_can_halve_its_first_length() {
    for (size, start) in [(255, 511), (256, 2048), (1000, 2048)] {
        let log = writer(&Env::memory(), 2048);
        log.append(batch(&[[1; 509]])).await.unwrap();
        assert_eq!(log.append_whole(batch(&[vec![2; size]])).await.unwrap(), [Seq::new(start)]);
    }
}

/// Row L10.
#[tokio::test]
async fn writing_needs_a_block_size_that_is_certain() {
    // One block of 1024 bytes of which the end is missing may be one of 65536.
    let mut bytes = b"\x0f\0{\"type\":\"post\"}".to_vec();
    bytes.resize(900, 0);
    let env = Env::memory();
    put(&env, LOG, &bytes);
    let reader = AaolLog::builder().env(env.clone()).open(LOG).unwrap();
    assert_eq!(all(&reader).await.len(), 1);
    let refused = AaolLog::builder().env(env.clone()).append().open(LOG).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("aaol:65536"), "{refused}");
    assert_eq!(content(&env, LOG), bytes);
    let log = AaolLog::builder().env(env.clone()).block_size(1024).append().open(LOG).unwrap();
    let recovery = log.recovery().unwrap();
    assert_eq!((recovery.dropped_bytes, recovery.kept_in), (0, None), "zeros are no loss");
    assert_eq!(log.append(batch(&["more"])).await.unwrap(), [Seq::new(17)]);
    log.close().await.unwrap();
    assert_eq!(content(&env, LOG).len(), 1024);
    // One block may still be the beginning of a larger one, unless it is of the size that everybody uses.
    let refused = AaolLog::builder().env(env.clone()).append().open(LOG).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let log = AaolLog::builder().env(env.clone()).block_size(1024).append().open(LOG).unwrap();
    log.append(batch(&[[b'x'; 1000]])).await.unwrap();
    log.close().await.unwrap();
    let found = AaolLog::builder().env(env).append().open(LOG).unwrap();
    assert_eq!(found.block_size(), Some(1024));
}
