//! [`steps`], what a child does whose calls to the system are made to fail, or are looked at: one thing after the other.

use std::{path::Path, process};

use flumedb::{
    Error, ErrorKind, Flume, Seq,
    codec::{JsonDoc, JsonDocs},
    views::HashIndex,
};

use super::{Item, child::say};

/// What it is to do it with.
#[derive(Clone, Copy)]
pub struct Steps {
    /// A view that keeps its store in files that replace each other.
    pub views: bool,
    /// No append waits for the disk.
    pub buffered: bool,
}

/// The smallest segments there are, so that many begin and end.
pub fn open_small(dir: &Path) -> flumedb::Result<Flume<JsonDocs>> {
    Flume::builder(JsonDocs)
        .set(|settings| {
            settings.log.segment_bytes = 4096;
            settings.log.compaction.automatic = false;
        })
        .open(dir)
        .blocking()
}

pub fn by_id() -> HashIndex<JsonDoc, String> {
    HashIndex::new(1, |doc: &JsonDoc| [Item::of(doc).id()]).recent(8)
}

/// Does a fixed list of things, and says what came of each: `appended …` and `deleted …` as [`work`](super::work) does,
/// `failed STEP KIND`, and at the end `end`. A panic, or an answer that is no promise of ours, ends it otherwise.
pub fn steps(dir: &Path, how: Steps) -> ! {
    match all(dir, how) {
        Ok(()) => {}
        Err(error) => failed("open", &error),
    }
    say("end");
    process::exit(0);
}

fn failed(step: &str, error: &Error) {
    say(&format!("failed {step} {:?}", error.kind()));
}

fn all(dir: &Path, how: Steps) -> flumedb::Result<()> {
    let db = open_small(dir)?;
    let by_id = if how.views { Some(db.view("by-id", by_id()).blocking()?) } else { None };
    let mut kept: Vec<(Seq, Item)> = Vec::new();
    let mut poisoned = false;
    for batch in 0..24 {
        let of = 1 + batch % 3;
        let item = |at| Item { life: 0, task: 0, batch, at, of };
        // A full disk is tried again: it may have room by then.
        for attempt in 0..3 {
            let append = db.append_all((0..of).map(|at| item(at).text()));
            match if how.buffered { append.buffered() } else { append }.blocking() {
                Ok(seqs) => {
                    assert!(!poisoned, "an append is acknowledged after a failure that leaves the disk unknown");
                    say(&format!("appended {} 0 0 {batch} {of}", seqs[0]));
                    kept.extend(seqs.into_iter().zip((0..of).map(item)));
                    break;
                }
                Err(error) => {
                    failed("append", &error);
                    assert!(!poisoned || error.kind() == ErrorKind::Poisoned, "poisoned, it says {error}");
                    assert!(attempt == 0 || error.kind() != ErrorKind::Io, "neither full nor poisoned: {error}");
                    poisoned |= error.kind() == ErrorKind::Poisoned;
                }
            }
        }
        if batch % 4 == 3 && !kept.is_empty() {
            let (seq, item) = kept.remove(kept.len() / 2);
            say(&format!("deleting {seq}"));
            match db.delete([seq]).blocking() {
                Ok(()) => say(&format!("deleted {seq}")),
                Err(error) => {
                    failed("delete", &error);
                    poisoned |= error.kind() == ErrorKind::Poisoned;
                    kept.push((seq, item));
                }
            }
        }
        if batch % 8 == 7
            && let Err(error) = db.compact().blocking()
        {
            failed("compact", &error);
            poisoned |= error.kind() == ErrorKind::Poisoned;
        }
        if let Some(by_id) = &by_id
            && batch % 3 == 2
            && !poisoned
        {
            // It may have to wait for the disk, or have stopped; what it shows is right.
            match by_id.read().timeout(std::time::Duration::from_secs(2)).blocking() {
                Ok(reader) => {
                    for (seq, item) in &kept {
                        let found = reader.candidates(&item.id()).collect::<flumedb::Result<Vec<Seq>>>()?;
                        assert!(found.contains(seq), "the view does not know {seq}");
                    }
                }
                Err(error) => failed("read", &error),
            }
        }
        // What was acknowledged can be read, whatever has failed.
        for (seq, item) in &kept {
            assert_eq!(Item::of(&db.get(*seq).blocking()?), *item);
        }
    }
    if let Err(error) = db.close().blocking() {
        failed("close", &error);
    }
    Ok(())
}
