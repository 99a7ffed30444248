//! [`Views`], one of each kind that is kept on the disk, and what each must show.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flumedb::{
    Flume, Result, Seq,
    codec::{Document, JsonDoc, JsonDocs},
    view::Live,
    views::{
        Bitmaps, Groups, HashIndex, Index, Op,
        aggregate::{Count, Max, Sum},
    },
};
use futures_util::FutureExt;

use super::Item;

type Aggregates = (Count, Sum<JsonDoc, i64>, Max<JsonDoc, i64>);

pub struct Views {
    by_key: Live<Index<JsonDoc, i64>>,
    by_id: Live<HashIndex<JsonDoc, String>>,
    sums: Live<Groups<JsonDoc, String, Aggregates>>,
    kinds: Bitmaps<JsonDocs>,
    /// How often the index was shown an entry.
    shown: Arc<AtomicU64>,
}

fn number(doc: &JsonDoc) -> [i64; 1] {
    [doc.integer(&["key"]).unwrap_or(-1)]
}

fn text(doc: &JsonDoc, field: &str) -> [String; 1] {
    [doc.text(&[field]).unwrap_or_default().into_owned()]
}

fn of_kind(kind: &str) -> Op {
    Op::equal("kind", kind)
}

impl Views {
    pub fn add(db: &Flume<JsonDocs>) -> Result<Self> {
        let shown = Arc::<AtomicU64>::default();
        let counter = shown.clone();
        let by_key = Index::new(1, move |doc: &JsonDoc| {
            counter.fetch_add(1, Ordering::Relaxed);
            number(doc)
        });
        let by_id = HashIndex::new(1, |doc: &JsonDoc| text(doc, "id")).recent(64);
        let sums = Groups::new(1, |doc: &JsonDoc| text(doc, "kind"), (Count, Sum::new(number), Max::new(number)));
        // Bitmaps keep what deleted entries had: all of it would be in memory only after hours.
        let kinds = Bitmaps::new(db).cache_bytes(64 << 10);
        kinds.prepare(&of_kind("tide")).blocking()?;
        Ok(Self {
            by_key: db.view("by-key", by_key.cache_bytes(1 << 20)).blocking()?,
            by_id: db.view("by-id", by_id).blocking()?,
            sums: db.view("sums", sums.with_undo().cache_bytes(1 << 20)).blocking()?,
            kinds,
            shown,
        })
    }

    pub fn shown(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Whether each shows something, without waiting for it.
    pub fn stale(&self) -> bool {
        self.by_key.read_stale().is_some() && self.by_id.read_stale().is_some() && self.sums.read_stale().is_some()
    }

    /// Reads two of them at one position, and holds one against the other.
    pub async fn compare(&self, db: &Flume<JsonDocs>) -> Result<()> {
        let (by_key, sums) = db.read_all((&self.by_key, &self.sums)).await?;
        assert_eq!(by_key.since(), sums.since());
        assert_eq!(by_key.count()?, sums.all().total()?.0, "views at one position have other entries");
        self.kinds.query(of_kind("boat")).count().await.map(drop)
    }

    /// Holds each against what is in the log.
    ///
    /// # Panics
    /// If one shows anything else.
    pub fn check(&self, live: &BTreeMap<u64, Item>) {
        let mut expected: Vec<(i64, u64)> = live.iter().map(|(&seq, item)| (item.key() as i64, seq)).collect();
        expected.sort_unstable();
        let rows = self.by_key.read().blocking().unwrap().all();
        let rows = rows.map(|row| row.map(|row| (row.key, row.seq.get())));
        assert_eq!(rows.collect::<Result<Vec<_>>>().unwrap(), expected, "the index is no function of the log");

        let mut groups = BTreeMap::<String, (u64, i128, Option<i64>)>::new();
        for item in live.values() {
            let (count, sum, max) = groups.entry(item.kind().to_owned()).or_default();
            let key = item.key() as i64;
            (*count, *sum, *max) = (*count + 1, *sum + i128::from(key), (*max).max(Some(key)));
        }
        let seen = self.sums.read().blocking().unwrap().all();
        let seen: Result<BTreeMap<_, _>> = seen.map(|group| group.map(|group| (group.key, group.value))).collect();
        assert_eq!(seen.unwrap(), groups, "the groups are no function of the log");

        let by_id = self.by_id.read().blocking().unwrap();
        for (seq, item) in live {
            let found = by_id.candidates(&item.id()).collect::<Result<Vec<Seq>>>().unwrap();
            assert!(found.contains(&Seq::new(*seq)), "the hash index does not know {item:?} at {seq}");
        }
        if let Some((seq, item)) = live.iter().next_back() {
            let found = by_id.get(&item.id()).now_or_never().unwrap().unwrap();
            assert_eq!(found.map(|entry| entry.seq), Some(Seq::new(*seq)));
        }

        let kind = |kind| live.iter().filter(move |(_, item)| item.kind() == kind).map(|(&seq, _)| Seq::new(seq));
        for name in ["tide", "boat"] {
            let found = self.kinds.query(of_kind(name)).seqs().blocking().unwrap();
            assert!(found.into_iter().eq(kind(name)), "the bitmap of {name} is no function of the log");
        }
    }
}
