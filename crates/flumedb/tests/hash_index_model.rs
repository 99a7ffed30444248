//! Guards against a hash index that misses an entry, gives one that is not the newest with its key, or loses what it said
//! was on the disk: after any order of appends, deletions, publishes, reopenings and power cuts, with runs so small that
//! they are merged all the time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{path::PathBuf, sync::Arc};

use flumedb::{
    Entry, Env, Seq,
    codec::{Codec, Json},
    env::Storage,
    log::{Batch, Log, MemoryLog},
    view::{Checkpoint, Entries, Place, Retraction, Run, View, ViewContext},
    views::{HashIndex, HashReader},
};
use flumedb_sim::{Choices, Sim};
use proptest::{collection::vec, prelude::*, sample};

type Item = Vec<u8>;

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<Item>),
    Apply(usize),
    Delete(sample::Index, bool),
    Publish,
    Sync,
    Reopen,
    Crash(u64),
}

fn any_ops() -> impl Strategy<Value = Vec<Op>> {
    // Few keys with many entries each, and many with one.
    let key = prop_oneof![0..6_u8, any::<u8>()];
    let op = prop_oneof![
        4 => vec(vec(key, 0..3), 1..12).prop_map(Op::Append),
        4 => (0..20_usize).prop_map(Op::Apply),
        2 => (any::<sample::Index>(), any::<bool>()).prop_map(|(which, with)| Op::Delete(which, with)),
        4 => Just(Op::Publish),
        2 => Just(Op::Sync),
        1 => Just(Op::Reopen),
        1 => any::<u64>().prop_map(Op::Crash),
    ];
    vec(op, 1..60)
}

fn index() -> HashIndex<Item, u8> {
    HashIndex::new(1, |item: &Item| item.clone()).recent(8)
}

/// The `number`th checkpoint; the number travels in a field that is not the view's business.
fn checkpoint(number: usize, since: Option<Seq>) -> Checkpoint {
    let none: Option<Vec<u8>> = None;
    let fields =
        (vec![7_u8], ("hash-index", 1, ""), "json", since.map(Seq::get), none, number, Vec::<(u64, u64)>::new());
    Checkpoint::from_bytes(&rmp_serde::to_vec(&fields).unwrap()).unwrap()
}

struct Rig {
    sim: Sim,
    view: HashIndex<Item, u8>,
    log: Arc<MemoryLog>,
    /// All entries, and whether they were deleted.
    entries: Vec<(Seq, Item, bool)>,
    applied: usize,
    /// How many entries each publish covered.
    published: Vec<usize>,
    synced: usize,
    readers: Vec<(HashReader<Item, u8>, usize)>,
}

impl Rig {
    fn new() -> Self {
        let mut rig = Self {
            sim: Sim::new(1),
            view: index(),
            log: Arc::new(MemoryLog::new(&Env::memory()).unwrap()),
            entries: vec![],
            applied: 0,
            published: vec![0],
            synced: 0,
            readers: vec![],
        };
        assert_eq!(rig.open(), None);
        rig
    }

    fn open(&mut self) -> Option<Checkpoint> {
        let storage: Arc<dyn Storage> = self.sim.env.storage.clone();
        let dir = PathBuf::from("/view");
        storage.create_dir_all(&dir).unwrap();
        storage.sync_dir("/".as_ref()).unwrap();
        let entries = Entries::new(self.log.clone(), |bytes| Json::<Item>::new().decode(bytes));
        self.view.open(&ViewContext { place: Some(Place { storage, dir }), entries }).unwrap()
    }

    fn since(&self, count: usize) -> Option<Seq> {
        count.checked_sub(1).map(|last| self.entries[last].0)
    }

    async fn append(&mut self, items: Vec<Item>) {
        let mut batch = Batch::new();
        items.iter().for_each(|item| batch.push(&serde_json::to_vec(item).unwrap()));
        let seqs = self.log.append(batch).await.unwrap();
        self.entries.extend(seqs.into_iter().zip(items).map(|(seq, item)| (seq, item, false)));
    }

    fn apply(&mut self, count: usize) {
        let to = (self.applied + count).min(self.entries.len());
        let run = self.entries[self.applied..to].iter().filter(|entry| !entry.2);
        let run: Vec<_> = run.map(|(seq, item, _)| Entry { seq: *seq, value: item.clone() }).collect();
        self.view.apply(&Run::new(run)).unwrap();
        self.applied = to;
    }

    async fn delete(&mut self, which: sample::Index, with_item: bool) {
        if self.entries.is_empty() {
            return;
        }
        let at = which.index(self.entries.len());
        let (seq, item, deleted) = &mut self.entries[at];
        self.log.delete(&[*seq]).await.unwrap();
        *deleted = true;
        if at < self.applied {
            let item = with_item.then_some(&*item);
            assert_eq!(self.view.retract(*seq, item).unwrap(), Retraction::Done);
        }
    }

    async fn publish(&mut self) {
        let at = checkpoint(self.published.len(), self.since(self.applied));
        let reader = self.view.publish(&at).unwrap();
        self.published.push(self.applied);
        self.readers.push((reader, self.applied));
        self.check().await;
    }

    /// Every reader, the old ones too, finds the newest that is left of what it covers.
    async fn check(&self) {
        for (reader, covered) in self.readers.iter().rev().take(3) {
            assert_eq!(reader.since(), self.since(*covered));
            for key in (0..10).chain([100, 200, 255]) {
                let of_key = self.entries[..*covered].iter().rev().filter(|(_, item, _)| item.contains(&key));
                let newest = of_key.clone().find(|entry| !entry.2);
                let found = reader.get(&key).await.unwrap();
                assert_eq!(
                    found.map(|entry| (entry.seq, entry.value)),
                    newest.map(|(seq, item, _)| (*seq, item.clone())),
                    "key {key}"
                );
                let candidates: Vec<Seq> = reader.candidates(&key).map(Result::unwrap).collect();
                assert!(candidates.windows(2).all(|pair| pair[0] > pair[1]), "{candidates:?}");
                assert!(of_key.filter(|entry| !entry.2).all(|(seq, ..)| candidates.contains(seq)));
            }
        }
    }

    /// Another program finds the store; what it holds is what some publish since `oldest` left.
    async fn restart(&mut self, oldest: usize) {
        self.readers.clear();
        self.view = index();
        let found = self.open().map_or(0, |found| {
            let same = |&number: &usize| found == checkpoint(number, self.since(self.published[number]));
            (1..self.published.len()).find(same).expect("a checkpoint that was never given")
        });
        assert!(found >= oldest, "found publish {found}, {oldest} was on the disk");
        self.applied = self.published[found];
        self.published.truncate(found + 1);
        self.synced = found;
        self.publish().await;
    }

    async fn run(&mut self, op: Op) {
        match op {
            Op::Append(items) => self.append(items).await,
            Op::Apply(count) => self.apply(count),
            Op::Delete(which, with_item) => self.delete(which, with_item).await,
            Op::Publish => self.publish().await,
            Op::Sync => {
                self.view.sync().unwrap();
                self.synced = self.published.len() - 1;
            }
            Op::Reopen => {
                self.view = index();
                self.restart(self.published.len() - 1).await;
            }
            Op::Crash(seed) => {
                self.view = index();
                self.readers.clear();
                self.sim = self.sim.crash(&mut Choices::seeded(seed));
                self.restart(self.synced).await;
            }
        }
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn it_finds_the_newest_entry_that_is_left(ops in any_ops()) {
        run(async {
            let mut rig = Rig::new();
            for op in ops {
                rig.run(op).await;
            }
            rig.apply(usize::MAX / 2);
            rig.publish().await;
        });
    }
}

#[test]
fn a_hundred_thousand_keys_take_sixteen_bytes_each_and_all_are_found() {
    run(async {
        let (storage, dir) = (Env::memory().storage, PathBuf::from("view"));
        storage.create_dir_all(&dir).unwrap();
        let log = Arc::new(MemoryLog::new(&Env::memory()).unwrap());
        let entries = Entries::new(log.clone(), |bytes| Json::<u64>::new().decode(bytes));
        let place = Some(Place { storage: storage.clone(), dir: dir.clone() });
        let mut view = HashIndex::new(1, |item: &u64| [format!("%key {item}")]).recent(1000);
        view.open(&ViewContext { place, entries }).unwrap();
        let mut reader = None;
        for thousand in 0..100_u64 {
            let numbers = thousand * 1000..(thousand + 1) * 1000;
            let mut batch = Batch::new();
            numbers.clone().for_each(|number| batch.push(number.to_string().as_bytes()));
            let seqs = log.append(batch).await.unwrap();
            let run: Vec<_> = seqs.into_iter().zip(numbers).map(|(seq, value)| Entry { seq, value }).collect();
            let since = run.last().map(|entry| entry.seq);
            view.apply(&Run::new(run)).unwrap();
            reader = Some(view.publish(&checkpoint(1, since)).unwrap());
        }
        view.sync().unwrap();
        let files = storage.list(&dir).unwrap();
        let size = |name: &String| storage.open(&dir.join(name), flumedb::env::OpenMode::Read).unwrap().len().unwrap();
        let bytes: u64 = files.iter().map(size).sum();
        assert!(bytes <= 1_600_000, "{bytes} bytes in {files:?}");
        let reader = reader.unwrap();
        for number in 0..100_000_u64 {
            let found: Vec<Seq> = reader.candidates(&format!("%key {number}")).map(Result::unwrap).collect();
            assert!(found.contains(&Seq::new(number)), "{number}: {found:?}");
            assert!(found.len() < 3);
        }
        assert_eq!(reader.get("%key 99999").await.unwrap().map(|entry| entry.value), Some(99_999));
        assert_eq!(reader.get("%key 100000").await.unwrap(), None);
    });
}
