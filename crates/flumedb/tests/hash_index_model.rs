//! Guards against a hash index that misses an entry, gives one that is not the newest with its key, takes a stranger with the
//! same fingerprint for it, loses what it said was on the disk, or takes more room than it may while it grows.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flumedb::{
    Entry, Env, Flume, Seq,
    codec::{Codec, Json},
    env::OpenMode,
    log::{Log, MemoryLog},
    view::{Checkpoint, Entries, Place, Run, View, ViewContext},
    views::{HashIndex, hash_index::HashReader},
};
use flumedb_sim::{
    Choices, soak_or,
    views::{Subject, check, power},
};

/// Entries with up to three keys, few of which many entries have and many one; in version 2 they are other keys. Runs are so
/// small that they are merged all the time.
struct Hashed;

type Item = Vec<u8>;

impl Subject for Hashed {
    type Item = Item;
    type View = HashIndex<Item, u8>;
    type Seen = Vec<Option<Entry<Item>>>;

    fn view(&self, version: u32) -> HashIndex<Item, u8> {
        let keys = move |item: &Item| item.iter().map(|key| key.wrapping_mul(version as u8)).collect::<Vec<_>>();
        HashIndex::new(version, keys).recent(6)
    }

    fn item(&self, chance: &mut Choices) -> Item {
        let most = if chance.pick(2) == 0 { 6 } else { 256 };
        (0..chance.pick(3)).map(|_| chance.pick(most) as u8).collect()
    }

    async fn look(&self, reader: &HashReader<Item, u8>) -> Vec<Option<Entry<Item>>> {
        let mut seen = Vec::new();
        for key in 0..=255_u8 {
            let candidates: Vec<Seq> = reader.candidates(&key).map(Result::unwrap).collect();
            assert!(candidates.windows(2).all(|pair| pair[0] > pair[1]), "{candidates:?}");
            seen.push(reader.get(&key).await.unwrap());
        }
        seen
    }

    fn expect(&self, version: u32, entries: &[Entry<Item>]) -> Vec<Option<Entry<Item>>> {
        let has = |entry: &Entry<Item>, key: u8| entry.value.iter().any(|own| own.wrapping_mul(version as u8) == key);
        let newest = |key| entries.iter().rev().find(|entry| has(entry, key)).cloned();
        (0..=255).map(newest).collect()
    }
}

#[test]
fn whatever_happens_it_finds_the_newest_entry_that_is_left() {
    check(&Hashed, 150);
}

#[test]
fn what_was_synced_is_not_built_anew_after_a_power_cut() {
    power(&Hashed, "what_was_synced_is_not_built_anew_after_a_power_cut");
}

fn checkpoint(since: Option<Seq>) -> Checkpoint {
    let none: Option<Vec<u8>> = None;
    let fields = (vec![7_u8], ("hash-index", 1, ""), "json", since.map(Seq::get), none, 1, Vec::<(u64, u64)>::new());
    Checkpoint::from_bytes(&rmp_serde::to_vec(&fields).unwrap()).unwrap()
}

/// Everything that stands in the way of a key is another entry's, with its fingerprint: what the log says of it decides.
#[tokio::test]
async fn entries_with_the_fingerprint_of_another_key_are_no_answer() -> flumedb::Result<()> {
    let colliding = Arc::new(AtomicBool::new(true));
    let same = colliding.clone();
    // While it is built, every key has the fingerprint of "x"; when it is asked, each entry has its own.
    let index = HashIndex::new(1, move |item: &String| {
        [if same.load(Ordering::SeqCst) { "x".to_owned() } else { item.clone() }]
    });
    let db = Flume::memory(Json::<String>::new())?;
    let view = db.view("hash", index.recent(7)).await?;
    let items: Vec<String> = (0..100).map(|n| if n == 40 { "x".to_owned() } else { format!("other {n}") }).collect();
    db.append_all(&items).await?;
    let reader = view.read().await?;
    colliding.store(false, Ordering::SeqCst);
    assert_eq!(reader.candidates("x").count(), 100);
    assert_eq!(reader.get("x").await?.map(|entry| entry.seq), Some(Seq::new(40)));
    db.delete([Seq::new(40)]).await?;
    assert_eq!(view.read().await?.get("x").await?, None);
    Ok(())
}

/// What the index keeps while it grows from nothing, looked at after each publish.
fn grow(recent: usize, keys: u64, step: u64, sync_every: u64) {
    const BESIDES: u64 = 1 << 20;
    let (storage, dir) = (Env::memory().storage, PathBuf::from("view"));
    storage.create_dir_all(&dir).unwrap();
    let log: Arc<dyn Log> = Arc::new(MemoryLog::new(&Env::memory()).unwrap());
    let entries = Entries::new(log, |bytes| Json::<u64>::new().decode(bytes));
    let place = Some(Place { storage: storage.clone(), dir: dir.clone() });
    let mut view = HashIndex::new(1, |item: &u64| [format!("%key {item}")]).recent(recent);
    view.open(&ViewContext { place, entries }).unwrap();
    let mut reader = None;
    for (turn, from) in (0..keys).step_by(100).enumerate() {
        let run = (from..from + 100).map(|number| Entry { seq: Seq::new(number * step), value: number });
        let run: Vec<_> = run.collect();
        let since = run.last().map(|entry| entry.seq);
        view.apply(&Run::new(run)).unwrap();
        reader = Some(view.publish(&checkpoint(since)).unwrap());
        if turn as u64 % sync_every == sync_every - 1 {
            view.sync().unwrap();
        }
        let files = storage.list(&dir).unwrap();
        let size = |name: &String| storage.open(&dir.join(name), OpenMode::Read).unwrap().len().unwrap();
        let bytes: u64 = files.iter().map(size).sum();
        assert!(bytes <= 16 * (from + 100) + BESIDES, "{bytes} bytes with {} keys in {files:?}", from + 100);
    }
    let reader = reader.unwrap();
    for number in 0..keys {
        let found: Vec<Seq> = reader.candidates(&format!("%key {number}")).map(Result::unwrap).collect();
        assert!(found.contains(&Seq::new(number * step)) && found.len() < 3, "{number}: {found:?}");
    }
    assert!((0..keys).filter(|number| reader.candidates(&format!("no {number}")).next().is_some()).count() < 3);
}

#[test]
fn it_takes_sixteen_bytes_a_key_at_every_moment_and_finds_all() {
    grow(HashIndex::<u64, String>::RECENT, soak_or(1_000_000, 60_000), 1, u64::MAX);
    grow(500, 60_000, 1, u64::MAX);
    // As positions in a file of 100 TB.
    grow(500, 60_000, 1_700_000_000, u64::MAX);
    grow(500, 20_000, 700, 7);
}
