//! Guards against a fold that keeps what was deleted, or takes it back otherwise than a rebuild would: through any history
//! of the log and the machine, with a map that skips, with an inverse, and without.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use flumedb::{
    Entry, Env, Flume, Seq,
    codec::Json,
    view::View,
    views::{
        Reduce,
        reduce::{Invertible, MapFn, Mapped, Reduced},
    },
};
use flumedb_sim::{
    Choices,
    views::{Subject, check},
};

type Counts = BTreeMap<u8, (u32, i64)>;

fn put(counts: &mut Counts, item: &u8) {
    let (count, sum) = counts.entry(item % 4).or_default();
    (*count, *sum) = (*count + 1, *sum + i64::from(*item));
}

fn put_twice(counts: &mut Counts, item: &u8) {
    put(counts, item);
    put(counts, &(item % 4));
}

fn take(counts: &mut Counts, item: &u8) {
    // An entry that cannot be read, and then can, may be deleted before the view is asked to take it in anew: then this is
    // not there, and the view is built anew a little later.
    let Some((count, sum)) = counts.get_mut(&(item % 4)) else { return };
    (*count, *sum) = (*count - 1, *sum - i64::from(*item));
    if *count == 0 {
        counts.remove(&(item % 4));
    }
}

fn take_twice(counts: &mut Counts, item: &u8) {
    take(counts, &(item % 4));
    take(counts, item);
}

type On = fn(&mut Counts, &u8);

/// A count and a sum by kind, and the way back.
struct Inverted;

impl Subject for Inverted {
    type Item = u8;
    type View = Reduce<u8, Counts, Invertible<On, On, u8>>;
    type Seen = Counts;

    fn view(&self, version: u32) -> Self::View {
        let (fold, inverse): (On, On) = if version == 1 { (put, take) } else { (put_twice, take_twice) };
        Reduce::new(version, Counts::new(), fold).with_inverse(inverse)
    }

    fn item(&self, chance: &mut Choices) -> u8 {
        chance.pick(16) as u8
    }

    async fn look(&self, reader: &Reduced<Counts>) -> Counts {
        reader.deref().clone()
    }

    fn expect(&self, version: u32, entries: &[Entry<u8>]) -> Counts {
        let mut counts = Counts::new();
        entries.iter().for_each(|entry| if version == 1 { put } else { put_twice }(&mut counts, &entry.value));
        counts
    }
}

type Told = Vec<(u64, u32)>;
type InOrder = fn(&mut Told, &u32, Seq);

/// What is mapped, in order, with the entries' names: every third item is skipped.
struct Skipping;

fn mapped(version: u32, item: u8) -> Option<u32> {
    (!item.is_multiple_of(3)).then_some(u32::from(item) * version)
}

impl Subject for Skipping {
    type Item = u8;
    type View = Reduce<u8, Told, Mapped<u8, u32, InOrder>>;
    type Seen = Told;

    fn view(&self, version: u32) -> Self::View {
        let fold: InOrder = |told, item, seq| told.push((seq.get(), *item));
        Reduce::mapped(version, Told::new(), move |item| mapped(version, *item), fold)
    }

    fn item(&self, chance: &mut Choices) -> u8 {
        chance.pick(9) as u8
    }

    async fn look(&self, reader: &Reduced<Told, MapFn<u8, u32>>) -> Told {
        reader.to_vec()
    }

    fn expect(&self, version: u32, entries: &[Entry<u8>]) -> Told {
        let told = |entry: &Entry<u8>| Some((entry.seq.get(), mapped(version, entry.value)?));
        entries.iter().filter_map(told).collect()
    }
}

#[test]
fn with_an_inverse_it_is_what_its_entries_come_to() {
    check(&Inverted, 300);
}

#[test]
fn with_a_map_that_skips_it_is_what_its_entries_come_to() {
    check(&Skipping, 200);
}

/// Guards against a deletion that costs more than it has to: each fold is counted.
#[tokio::test]
async fn a_deletion_costs_one_call_of_the_inverse_and_what_was_skipped_costs_none() {
    // A log that has the bytes of what was deleted for a while.
    let db = Flume::builder(Json::<u64>::new()).env(Env::memory()).open("db").await.unwrap();
    let folds = Arc::<AtomicUsize>::default();
    let count = |folds: &Arc<AtomicUsize>| {
        let folds = folds.clone();
        move || folds.fetch_add(1, Ordering::SeqCst)
    };
    let (fold, unfold) = (count(&folds), count(&folds));
    let even = Reduce::mapped(
        1,
        0,
        |n: &u64| n.is_multiple_of(2).then_some(*n),
        move |sum: &mut u64, n: &u64, _| {
            fold();
            *sum += n;
        },
    );
    let even = even.with_mapped_inverse(move |sum: &mut u64, n: &u64, _| {
        unfold();
        *sum -= n;
    });
    assert_eq!(even.definition().kind, "reduce");
    let even = db.view("even", even).await.unwrap();
    let seqs = db.append_all(0..1_000).await.unwrap();
    assert_eq!(*even.read().await.unwrap(), 249_500);
    // The state that is behind takes in the same once more.
    db.append(&1).await.unwrap();
    even.read().await.unwrap();
    let before = folds.load(Ordering::SeqCst);
    db.delete([seqs[998], seqs[997]]).await.unwrap();
    assert_eq!(*even.read().await.unwrap(), 249_500 - 998);
    assert_eq!(folds.load(Ordering::SeqCst) - before, 1);

    // Without an inverse it is built anew, unless the entry was skipped.
    let fold = count(&folds);
    let add = move |sum: &mut u64, n: &u64, _| {
        fold();
        *sum += n;
    };
    let plain = Reduce::mapped(1, 0, |n: &u64| n.is_multiple_of(2).then_some(*n), add);
    let plain = db.view("plain", plain).await.unwrap();
    assert_eq!(*plain.read().await.unwrap(), 249_500 - 998);
    let before = folds.load(Ordering::SeqCst);
    db.delete([seqs[1]]).await.unwrap();
    assert_eq!(*plain.read().await.unwrap(), 249_500 - 998);
    assert_eq!(folds.load(Ordering::SeqCst) - before, 0);
    db.delete([seqs[2]]).await.unwrap();
    assert_eq!(*plain.read().await.unwrap(), 249_500 - 1_000);
    assert!(folds.load(Ordering::SeqCst) - before > 400, "that was a rebuild");
}
