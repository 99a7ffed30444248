//! The model test of views: whatever happens to a log and to the machine under it, a view shows what its entries come to,
//! the same as one that is built anew, and as a naive model says.
//!
//! A kind of view takes part as a [`Subject`]; [`check`] lives through many histories of it, each from a seed: appends,
//! deletions, entries that read otherwise later, rebuilds, closings, kills and power cuts, other versions.

mod power;

use std::{
    fmt::Debug,
    future::{Future, IntoFuture},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Bytes, Entry, Error, ErrorKind, Flume, Keys, Result, Seq,
    codec::{Codec, Json},
    view::{Live, View},
};
use serde::{Serialize, de::DeserializeOwned};

pub use power::power;

use crate::{Choices, Sim, soak_or_count};

/// A kind of view that is tested.
pub trait Subject: Sync {
    /// What the log holds.
    type Item: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The view.
    type View: View<Item = Self::Item>;
    /// What a reader tells, all of it.
    type Seen: PartialEq + Debug;

    /// Whether a reader goes on showing what it showed while nothing is deleted or reads otherwise.
    const SNAPSHOTS: bool = true;

    /// The view, of a version that is 1 or 2: the two may differ in what they make of an item.
    fn view(&self, version: u32) -> Self::View;

    /// Any item; from a small set, so that items have things in common.
    fn item(&self, chance: &mut Choices) -> Self::Item;

    /// Asks a reader everything there is to ask.
    fn look(&self, reader: &<Self::View as View>::Reader) -> impl Future<Output = Self::Seen>;

    /// What it should say when these are the entries of the log, worked out in the most naive way there is.
    fn expect(&self, version: u32, entries: &[Entry<Self::Item>]) -> Self::Seen;
}

/// Lives through so many histories (many more where `FLUME_SOAK` says so).
///
/// # Panics
/// If a view shows anything else than it should.
pub fn check<S: Subject>(subject: &S, histories: usize) {
    soak_or_count(histories, |number| History::new(subject, number as u64).live());
}

/// Items some of which nobody can read before there is a key.
#[derive(Clone)]
struct Keyed<T> {
    json: Json<(u8, T)>,
    /// The keys there are, a bit each.
    keys: Arc<AtomicU64>,
}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Codec for Keyed<T> {
    type Input = (u8, T);
    type Item = T;

    fn identity(&self) -> String {
        "keyed".to_owned()
    }

    fn encode(&self, input: &(u8, T), out: &mut Vec<u8>) -> Result<()> {
        self.json.encode(input, out)
    }

    fn decode(&self, bytes: &Bytes) -> Result<T> {
        let (key, item) = self.json.decode(bytes)?;
        if self.keys.load(Ordering::SeqCst) >> key & 1 == 0 {
            return Err(Error::new(ErrorKind::Invalid, format!("there is no key {key}")));
        }
        Ok(item)
    }
}

/// An entry as the model has it.
struct Known<T> {
    seq: Seq,
    key: u8,
    item: T,
    deleted: bool,
}

struct History<'a, S: Subject> {
    subject: &'a S,
    seed: u64,
    chance: Choices,
    sim: Sim,
    keys: Arc<AtomicU64>,
    entries: Vec<Known<S::Item>>,
    version: u32,
    /// The keys whose entries the view may not have taken in anew.
    unsettled: Vec<u8>,
}

struct Open<S: Subject> {
    db: Flume<Keyed<S::Item>>,
    view: Live<S::View>,
    /// A reader, and what it showed.
    held: Option<(<S::View as View>::Reader, S::Seen)>,
}

impl<'a, S: Subject> History<'a, S> {
    const KEYS: u8 = 3;
    const DIR: &'static str = "/db";

    fn new(subject: &'a S, seed: u64) -> Self {
        let keys = Arc::new(AtomicU64::new(1));
        let (chance, sim) = (Choices::seeded(seed), Sim::new(seed));
        Self { subject, seed, chance, sim, keys, entries: Vec::new(), version: 1, unsettled: Vec::new() }
    }

    fn live(mut self) {
        for _ in 0..4 {
            let mut open = self.open();
            for _ in 0..self.chance.pick(12) {
                self.step(&mut open);
            }
            self.end(open);
        }
        let open = self.open();
        self.compare(&open);
        let anew = open.db.view("anew", self.subject.view(self.version));
        let anew = self.sim.block_on(anew.into_future()).unwrap_or_else(|error| panic!("{self}: {error}"));
        let reader = self.read(&anew);
        let seen = self.sim.block_on(self.subject.look(&reader));
        assert_eq!(seen, self.expected(), "{self}: a view that is built anew");
        self.sim.block_on(open.db.close().into_future()).unwrap_or_else(|error| panic!("{self}: {error}"));
    }

    fn open(&mut self) -> Open<S> {
        let codec = Keyed { json: Json::new(), keys: self.keys.clone() };
        // At once, or so late that more has been taken in meanwhile than what is shown, and shown than what is synced.
        let mut pause = |quick| if self.chance.pick(2) == 0 { quick } else { Duration::from_millis(300) };
        let (publish_every, sync_every) = (pause(Duration::from_millis(1)), pause(Duration::ZERO));
        let small = Flume::builder(codec).env(self.sim.env.clone()).set(|settings| {
            settings.log.segment_bytes = 4096;
            settings.views.memory = 8 << 10;
            settings.views.publish_every = publish_every;
            settings.views.sync_every = sync_every;
        });
        // A third of them lie encrypted on the disk, so that every kind of store lives through everything there.
        let small = match self.seed % 3 {
            2 => small.keys(Keys::new(1, [7; 32]).unwrap_or_else(|error| panic!("{self}: {error}"))),
            _ => small,
        };
        let opened = self.sim.block_on(small.open(Self::DIR).into_future());
        let db = opened.unwrap_or_else(|error| panic!("{self}: {error}"));
        let view = self.sim.block_on(db.view("view", self.subject.view(self.version)).into_future());
        let view = view.unwrap_or_else(|error| panic!("{self}: {error}"));
        let open = Open { db, view, held: None };
        if self.chance.pick(2) == 0 {
            self.settle(&open);
        }
        open
    }

    fn step(&mut self, open: &mut Open<S>) {
        match self.chance.pick(17) {
            0..=5 => self.append(open),
            6..=7 => self.delete(open),
            8..=10 => self.compare_and_hold(open),
            11..=12 => self.sim.advance(Duration::from_millis(self.chance.pick(2_000))),
            13 => {
                open.held = None;
                self.sim.block_on(open.view.rebuild()).unwrap_or_else(|error| panic!("{self}: {error}"));
            }
            14 => {
                let key = 1 + self.chance.pick(u64::from(Self::KEYS)) as u8;
                open.held = None;
                self.keys.fetch_or(1 << key, Ordering::SeqCst);
                self.reprocess(open, key);
            }
            15 => {
                // Whatever a reader shows, it goes on showing.
                self.sim.block_on(open.db.compact().into_future()).unwrap_or_else(|error| panic!("{self}: {error}"));
            }
            _ => {
                // Something is going on when the next thing happens.
                for _ in 0..self.chance.pick(20) {
                    self.sim.threads.step();
                }
            }
        }
    }

    fn append(&mut self, open: &Open<S>) {
        let mut items = Vec::new();
        for _ in 0..=self.chance.pick(20) {
            let key = if self.chance.pick(5) == 0 { 1 + self.chance.pick(u64::from(Self::KEYS)) as u8 } else { 0 };
            items.push((key, self.subject.item(&mut self.chance)));
        }
        let seqs = self.sim.block_on(open.db.append_all(&items).into_future());
        let seqs = seqs.unwrap_or_else(|error| panic!("{self}: {error}"));
        let known = seqs.into_iter().zip(items).map(|(seq, (key, item))| Known { seq, key, item, deleted: false });
        self.entries.extend(known);
    }

    fn delete(&mut self, open: &mut Open<S>) {
        open.held = None;
        let mut targets = Vec::new();
        for _ in 0..=self.chance.pick(3) {
            if !self.entries.is_empty() {
                let at = self.chance.pick(self.entries.len() as u64) as usize;
                self.entries[at].deleted = true;
                targets.push(self.entries[at].seq);
            }
        }
        let deleted = self.sim.block_on(open.db.delete(targets).into_future());
        deleted.unwrap_or_else(|error| panic!("{self}: {error}"));
    }

    /// There is a key now; has what it opens taken in, to the end or until the machine stops.
    fn reprocess(&mut self, open: &Open<S>, key: u8) {
        let seqs: Vec<Seq> = self.entries.iter().filter(|entry| entry.key == key).map(|entry| entry.seq).collect();
        let reprocess = open.view.reprocess(seqs);
        if self.chance.pick(4) > 0 {
            self.sim.block_on(reprocess).unwrap_or_else(|error| panic!("{self}: {error}"));
        } else {
            self.unsettled.push(key);
            let mut reprocess = Box::pin(reprocess);
            let begun =
                self.sim.block_on(std::future::poll_fn(|cx| std::task::Poll::Ready(reprocess.as_mut().poll(cx))));
            if let std::task::Poll::Ready(Err(error)) = begun {
                panic!("{self}: {error}");
            }
            for _ in 0..self.chance.pick(30) {
                self.sim.threads.step();
            }
        }
    }

    fn compare_and_hold(&mut self, open: &mut Open<S>) {
        if S::SNAPSHOTS
            && let Some((reader, before)) = &open.held
        {
            let now = self.sim.block_on(self.subject.look(reader));
            assert_eq!(&now, before, "{self}: a reader that was held");
        }
        open.held = self.compare(open);
    }

    /// Asks once more for what nobody was told had been done.
    fn settle(&mut self, open: &Open<S>) {
        let keys = std::mem::take(&mut self.unsettled);
        let seqs = self.entries.iter().filter(|entry| keys.contains(&entry.key)).map(|entry| entry.seq);
        let again = self.sim.block_on(open.view.reprocess(seqs));
        again.unwrap_or_else(|error| panic!("{self}: {error}"));
    }

    /// Holds what a fresh reader shows against the model.
    fn compare(&mut self, open: &Open<S>) -> Option<(<S::View as View>::Reader, S::Seen)> {
        self.settle(open);
        let reader = self.read(&open.view);
        let seen = self.sim.block_on(self.subject.look(&reader));
        assert_eq!(seen, self.expected(), "{self}");
        Some((reader, seen))
    }

    fn read(&self, view: &Live<S::View>) -> <S::View as View>::Reader {
        self.sim.block_on(view.read().into_future()).unwrap_or_else(|error| panic!("{self}: {error}"))
    }

    fn expected(&self) -> S::Seen {
        let keys = self.keys.load(Ordering::SeqCst);
        let readable = self.entries.iter().filter(|entry| !entry.deleted && keys >> entry.key & 1 == 1);
        let entries: Vec<_> = readable.map(|entry| Entry { seq: entry.seq, value: entry.item.clone() }).collect();
        self.subject.expect(self.version, &entries)
    }

    /// The program ends, in one way or another; the next one may be of another version.
    fn end(&mut self, open: Open<S>) {
        let next = match self.chance.pick(4) {
            0 => {
                self.sim.block_on(open.db.close().into_future()).unwrap_or_else(|error| panic!("{self}: {error}"));
                self.sim.kill()
            }
            1 => self.sim.kill(),
            _ => self.sim.crash(&mut self.chance),
        };
        drop(open);
        self.sim = next;
        if self.chance.pick(6) == 0 {
            self.version = 3 - self.version;
            // The store of that version was not asked when keys came.
            self.unsettled.extend(1..=Self::KEYS);
        }
    }
}

impl<S: Subject> std::fmt::Display for History<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "history {} with {} entries, version {}", self.seed, self.entries.len(), self.version)
    }
}
