//! Guards against an index that answers otherwise than a sorted set of its rows would: after any order of calls, on a
//! disk, in memory, after reopening, after a power cut; and against readers that see what came after them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use flumedb::{
    Entry, Env, Seq,
    codec::{Codec, Json},
    env::{OsStorage, Storage},
    log::{Batch, Log, MemoryLog},
    view::{Checkpoint, Entries, Place, Retraction, Run, View, ViewContext},
    views::{Index, IndexReader, Match},
};
use flumedb_sim::{Choices, Sim};
use futures_util::StreamExt;
use proptest::{collection::vec, prelude::*, sample};

type Key = (String, i8);
type Item = Vec<Key>;

#[derive(Clone, Debug)]
enum Op {
    Apply(Vec<Item>),
    Retract(sample::Index, bool),
    Publish,
    Sync,
    Reopen,
    Crash(u64),
}

fn any_item() -> impl Strategy<Value = Item> {
    vec(("[a-c\0]{0,2}", -2..3_i8), 0..4)
}

fn any_ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => vec(any_item(), 0..6).prop_map(Op::Apply),
        2 => (any::<sample::Index>(), any::<bool>()).prop_map(|(which, with)| Op::Retract(which, with)),
        4 => Just(Op::Publish),
        2 => Just(Op::Sync),
        1 => Just(Op::Reopen),
        1 => any::<u64>().prop_map(Op::Crash),
    ];
    vec(op, 1..30)
}

/// What the index should hold.
#[derive(Clone, Default)]
struct Model {
    items: BTreeMap<Seq, Item>,
    next: u64,
}

impl Model {
    fn rows(&self) -> BTreeSet<(Key, Seq)> {
        self.items.iter().flat_map(|(seq, item)| item.iter().map(|key| (key.clone(), *seq))).collect()
    }
}

/// The `number`th checkpoint; the number travels in a field that is not the view's business.
fn checkpoint(number: u64, next: u64) -> Checkpoint {
    let definition = ("index", 1, "");
    let since = next.checked_sub(1);
    let none: Option<Vec<u8>> = None;
    let fields = (vec![7_u8], definition, "json", since, none, number, Vec::<(u64, u64)>::new());
    Checkpoint::from_bytes(&rmp_serde::to_vec(&fields).unwrap()).unwrap()
}

struct Rig {
    view: Index<Item, Key>,
    log: Arc<MemoryLog>,
    place: Option<Place>,
    now: Model,
    published: Vec<Model>,
    synced: usize,
    readers: Vec<(IndexReader<Item, Key>, Model)>,
}

impl Rig {
    fn new(storage: Option<(Arc<dyn Storage>, PathBuf)>) -> Self {
        let place = storage.map(|(storage, dir)| {
            storage.create_dir_all(&dir).unwrap();
            Place { storage, dir }
        });
        let log = Arc::new(MemoryLog::new(&Env::memory()).unwrap());
        let mut rig = Self {
            view: index(),
            log,
            place,
            now: Model::default(),
            published: vec![Model::default()],
            synced: 0,
            readers: vec![],
        };
        assert_eq!(rig.open(), None);
        rig
    }

    fn open(&mut self) -> Option<Checkpoint> {
        let entries = Entries::new(self.log.clone(), |bytes| Json::<Item>::new().decode(bytes));
        self.view.open(&ViewContext { place: self.place.clone(), entries }).unwrap()
    }

    async fn apply(&mut self, items: Vec<Item>) {
        let mut run = vec![];
        for item in items {
            let mut batch = Batch::new();
            batch.push(&serde_json::to_vec(&item).unwrap());
            // The log is only to fetch from; that it got the same number says that model and log agree.
            let seq = self.log.append(batch).await.unwrap()[0];
            assert_eq!(seq.get(), self.now.next);
            self.now.next += 1;
            self.now.items.insert(seq, item.clone());
            run.push(Entry { seq, value: item });
        }
        self.view.apply(&Run::new(run)).unwrap();
    }

    fn retract(&mut self, which: sample::Index, with_item: bool) {
        let seqs: Vec<Seq> = self.now.items.keys().copied().collect();
        if seqs.is_empty() {
            return;
        }
        let seq = seqs[which.index(seqs.len())];
        let item = self.now.items.remove(&seq).filter(|_| with_item);
        assert_eq!(self.view.retract(seq, item.as_ref()).unwrap(), Retraction::Done);
    }

    async fn publish(&mut self) {
        let reader = self.view.publish(&checkpoint(self.published.len() as u64, self.now.next)).unwrap();
        self.published.push(self.now.clone());
        self.readers.push((reader, self.now.clone()));
        let (reader, model) = self.readers.last().unwrap();
        check(reader, model).await;
    }

    fn sync(&mut self) {
        self.view.sync().unwrap();
        self.synced = self.published.len() - 1;
    }

    /// A new program finds the store; what it holds is what some publish since `oldest` left.
    async fn restart(&mut self, oldest: usize) {
        self.readers.clear();
        self.view = index();
        let found = self.open().map_or(0, |found| {
            let number = (oldest..self.published.len())
                .find(|&number| found == checkpoint(number as u64, self.published[number].next));
            number.unwrap_or_else(|| panic!("found {found:?}, which none since {oldest} left"))
        });
        assert!(found >= oldest, "found publish {found}, {oldest} was synced");
        self.now = self.published[found].clone();
        self.published.truncate(found + 1);
        self.synced = found;
        // The log is cut to what the checkpoint covers by beginning a new one: its entries are read anew.
        let log = MemoryLog::new(&Env::memory()).unwrap();
        let mut batch = Batch::new();
        for seq in (0..self.now.next).map(Seq::new) {
            batch.push(&serde_json::to_vec(self.now.items.get(&seq).unwrap_or(&vec![])).unwrap());
        }
        if self.now.next > 0 {
            log.append(batch).await.unwrap();
        }
        self.log = Arc::new(log);
        self.open();
        self.publish().await;
    }
}

fn index() -> Index<Item, Key> {
    Index::new(1, |item: &Item| item.clone()).cache_bytes(1 << 16)
}

fn pairs(found: impl Iterator<Item = flumedb::Result<Match<Key>>>) -> Vec<(Key, Seq)> {
    found.map(|found| found.map(|found| (found.key, found.seq)).unwrap()).collect()
}

async fn check(reader: &IndexReader<Item, Key>, model: &Model) {
    let rows: Vec<(Key, Seq)> = model.rows().into_iter().collect();
    let backwards: Vec<(Key, Seq)> = rows.iter().rev().cloned().collect();
    assert_eq!(pairs(reader.all()), rows);
    assert_eq!(pairs(reader.all().rev()), backwards);
    assert_eq!(pairs(Iterator::rev(reader.all())), backwards);
    assert_eq!(reader.count().unwrap(), rows.len() as u64);
    assert_eq!(reader.since(), model.next.checked_sub(1).map(Seq::new));
    let only = |test: &dyn Fn(&Key) -> bool| rows.iter().filter(|row| test(&row.0)).cloned().collect::<Vec<_>>();
    for text in ["", "a", "b\0", "cc", "zz"] {
        let key = (text, 0_i8);
        let owned = (text.to_owned(), 0);
        assert_eq!(pairs(reader.get(key)), only(&|key| *key == owned));
        assert_eq!(pairs(reader.range(key..)), only(&|key| *key >= owned));
        assert_eq!(pairs(reader.range(..key)), only(&|key| *key < owned));
        assert_eq!(pairs(reader.range(..=key)), only(&|key| *key <= owned));
        assert_eq!(pairs(reader.range(key..("b", 2))), only(&|key| *key >= owned && *key < ("b".to_owned(), 2)));
        assert_eq!(pairs(reader.range(key..=("b", 2)).rev()).len(), pairs(reader.range(key..=("b", 2))).len());
        assert_eq!(pairs(reader.prefix(text)), only(&|key| key.0 == text));
    }
    // From both ends until they meet.
    let (mut front, mut back, mut both) = (vec![], vec![], reader.all());
    while let Some(found) = both.next() {
        front.push(found.unwrap());
        back.extend(both.next_back().map(Result::unwrap));
    }
    front.extend(back.into_iter().rev());
    assert_eq!(front.into_iter().map(|found| (found.key, found.seq)).collect::<Vec<_>>(), rows);
    // Values come from the log.
    let entries: Vec<Entry<Item>> = reader.prefix("a").entries().map(Result::unwrap).collect().await;
    let expected =
        only(&|key| key.0 == "a").into_iter().map(|(_, seq)| Entry { seq, value: model.items[&seq].clone() });
    assert_eq!(entries, expected.collect::<Vec<_>>());
}

async fn run(mut rig: Rig, ops: Vec<Op>, mut sim: Option<Sim>) {
    for op in ops {
        match op {
            Op::Apply(items) => rig.apply(items).await,
            Op::Retract(which, with_item) => rig.retract(which, with_item),
            Op::Publish => rig.publish().await,
            Op::Sync => rig.sync(),
            // A store that is closed keeps all that was published; one in memory ends with its view.
            Op::Reopen if rig.place.is_some() => rig.restart(rig.published.len() - 1).await,
            Op::Crash(seed) => {
                if let Some(running) = &sim {
                    let crashed = running.crash(&mut Choices::seeded(seed));
                    let dir = rig.place.take().unwrap().dir;
                    rig.place = Some(Place { storage: crashed.env.storage.clone(), dir });
                    sim = Some(crashed);
                    rig.restart(rig.synced).await;
                }
            }
            Op::Reopen => {}
        }
        // Whatever happened since, readers show what they showed.
        if rig.readers.len() > 4 {
            rig.readers.remove(1);
        }
        for (reader, model) in &rig.readers {
            assert_eq!(pairs(reader.all()), model.rows().into_iter().collect::<Vec<_>>());
        }
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn on_a_disk_that_loses_what_was_not_synced(ops in any_ops(), seed: u64) {
        let sim = Sim::new(seed);
        sim.disk.create_dir_all("db/views/index".as_ref()).unwrap();
        for dir in ["", "db", "db/views"] {
            sim.disk.sync_dir(dir.as_ref()).unwrap();
        }
        let rig = Rig::new(Some((sim.env.storage.clone(), "db/views/index".into())));
        block_on(run(rig, ops, Some(sim)));
    }

    #[test]
    fn in_memory(ops in any_ops()) {
        block_on(run(Rig::new(None), ops, None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn on_the_real_disk(ops in any_ops()) {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::new(Some((Arc::new(OsStorage::new()), dir.path().join("index"))));
        block_on(run(rig, ops, None));
    }
}
