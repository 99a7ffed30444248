//! Guards against a replica that goes its own way: that misses an item where the snapshot and the live items meet, folds one
//! in twice, or keeps what was deleted. At every point its state must be one that the view may have had there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    collections::BTreeSet,
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Bytes, Error, ErrorKind, Flume, Result, Seq,
    codec::{Codec, Json},
    view::Live,
    views::{
        Reduce,
        reduce::{Feed, Fold, Replica, Told},
    },
};
use flumedb_sim::{Choices, Sim, soak_or_count};

type State = Vec<(u64, u32)>;

fn push(state: &mut State, item: &u32, seq: Seq) {
    state.push((seq.get(), *item));
}

const PUSH: fn(&mut State, &u32, Seq) = push;

fn take_out(state: &mut State, _: &u32, seq: Seq) {
    state.retain(|(at, _)| *at != seq.get());
}

fn mapped(item: &u32) -> Option<u32> {
    (!item.is_multiple_of(3)).then_some(item * 2)
}

/// Multiples of seven cannot be read until there is a key.
#[derive(Clone, Default)]
struct Locked(Arc<AtomicBool>);

impl Codec for Locked {
    type Input = u32;
    type Item = u32;

    fn identity(&self) -> String {
        "locked".to_owned()
    }

    fn encode(&self, input: &u32, out: &mut Vec<u8>) -> Result<()> {
        Json::<u32>::new().encode(input, out)
    }

    fn decode(&self, bytes: &Bytes) -> Result<u32> {
        let item = Json::<u32>::new().decode(bytes)?;
        if item.is_multiple_of(7) && !self.0.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Invalid, "there is no key"));
        }
        Ok(item)
    }
}

/// What happened to the log.
#[derive(Default)]
struct Model {
    entries: Vec<(u64, u32)>,
    /// What was deleted, and by which tombstone.
    deleted: Vec<(u64, u64)>,
}

impl Model {
    /// Whether a view at `since` may be in this state: what was deleted later may be missing already.
    fn allows(&self, state: &State, since: Option<Seq>, unlocked: bool) {
        let since = since.map_or(0, |since| since.get() + 1);
        let items = self.entries.iter().filter(|(seq, item)| *seq < since && (unlocked || !item.is_multiple_of(7)));
        let all: State = items.filter_map(|(seq, item)| Some((*seq, mapped(item)?))).collect();
        let gone: BTreeSet<u64> =
            self.deleted.iter().filter(|(_, by)| *by < since).map(|(target, _)| *target).collect();
        let going: BTreeSet<u64> = self.deleted.iter().map(|(target, _)| *target).collect();
        let most: State = all.iter().copied().filter(|(seq, _)| !gone.contains(seq)).collect();
        let least: State = all.into_iter().filter(|(seq, _)| !going.contains(seq)).collect();
        assert!(state.iter().all(|row| most.contains(row)), "{state:?} has more than {most:?} at {since}");
        assert!(least.iter().all(|row| state.contains(row)), "{state:?} has less than {least:?} at {since}");
        assert!(state.is_sorted_by(|one, two| one.0 < two.0), "{state:?}");
    }
}

fn follow<F: Fold<u32, State, Item = u32>>(seed: u64, view: Reduce<u32, State, F>, may_lock: bool) {
    let mut chance = Choices::seeded(seed);
    let sim = Sim::new(seed);
    let codec = Locked::default();
    codec.0.store(!may_lock, Ordering::SeqCst);
    let builder = Flume::builder(codec.clone()).env(sim.env.clone()).set(|settings| {
        settings.log.segment_bytes = 4096;
        settings.views.memory = 8 << 10;
        settings.views.publish_every = Duration::from_millis(1);
    });
    let db = sim.block_on(builder.open("/db").into_future()).unwrap();
    let view = sim.block_on(db.view("view", view).into_future()).unwrap();
    let (mut model, mut feed, mut replica) = (Model::default(), view.feed(), Replica::new(PUSH));
    let mut unlocked = !may_lock;
    for _ in 0..chance.pick(60) {
        match chance.pick(18) {
            0..=4 => {
                let items: Vec<u32> = (0..=chance.pick(12)).map(|_| chance.pick(100) as u32).collect();
                let seqs = sim.block_on(db.append_all(&items).into_future()).unwrap();
                model.entries.extend(seqs.iter().map(|seq| seq.get()).zip(items));
            }
            5..=6 if !model.entries.is_empty() => {
                let target = model.entries[chance.pick(model.entries.len() as u64) as usize].0;
                let head = sim.block_on(db.log().barrier()).unwrap().unwrap().get();
                sim.block_on(db.delete([Seq::new(target)]).into_future()).unwrap();
                if !model.deleted.iter().any(|(before, _)| *before == target) {
                    model.deleted.push((target, head + 1));
                }
            }
            7 => sim.block_on(view.rebuild()).unwrap(),
            8 if may_lock => {
                unlocked = true;
                codec.0.store(true, Ordering::SeqCst);
                let seqs: Vec<Seq> = model.entries.iter().map(|(seq, _)| Seq::new(*seq)).collect();
                sim.block_on(view.reprocess(seqs)).unwrap();
            }
            9 => (0..chance.pick(30)).for_each(|_| {
                sim.threads.step();
            }),
            10 => (feed, replica) = (view.feed(), Replica::new(PUSH)),
            _ => {
                for _ in 0..chance.pick(6) {
                    if replica.since() == head(&sim, &view) && replica.state().is_some() {
                        break;
                    }
                    step(&sim, &mut feed, &mut replica);
                    // What the key opens may be there or not until the view was asked.
                    if !may_lock {
                        model.allows(replica.state().unwrap(), replica.since(), unlocked);
                    }
                }
            }
        }
    }
    if chance.pick(2) == 0 {
        // It comes to what there is without another entry, whatever came last.
        let reader = sim.block_on(view.read().into_future()).unwrap();
        while (replica.since(), replica.state()) != (reader.since(), Some(&*reader)) {
            step(&sim, &mut feed, &mut replica);
        }
    }
    // One more entry, which is told whatever came before it, and with it all that has changed.
    let seq = sim.block_on(db.append(&1).into_future()).unwrap();
    model.entries.push((seq.get(), 1));
    while replica.since() != Some(seq) {
        step(&sim, &mut feed, &mut replica);
    }
    let reader = sim.block_on(view.read().into_future()).unwrap();
    assert_eq!((replica.since(), replica.state()), (reader.since(), Some(&*reader)), "seed {seed}");
    model.allows(&reader, reader.since(), unlocked);
    sim.block_on(db.close().into_future()).unwrap();
    let ended = sim.block_on(feed.next());
    assert!(matches!(ended, Some(Err(error)) if error.kind() == ErrorKind::Closed));
    assert!(sim.block_on(feed.next()).is_none());
}

fn head<F: Fold<u32, State, Item = u32>>(sim: &Sim, view: &Live<Reduce<u32, State, F>>) -> Option<Seq> {
    sim.block_on(view.read().into_future()).unwrap().since()
}

fn step(sim: &Sim, feed: &mut Feed<State, u32>, replica: &mut Replica<State, fn(&mut State, &u32, Seq)>) {
    let told = sim.block_on(feed.next()).unwrap().unwrap();
    // Through the bytes that would travel.
    let bytes = rmp_serde::to_vec(&told).unwrap();
    let told: Told<State, u32> = rmp_serde::from_slice(&bytes).unwrap();
    let before = replica.since();
    let snapshot = matches!(told, Told::Snapshot { .. });
    replica.take(told).unwrap();
    assert!(snapshot || replica.since() > before);
}

#[test]
fn it_is_as_the_original_whatever_is_deleted_or_built_anew() {
    soak_or_count(1_000, |seed| {
        let seed = seed as u64;
        follow(seed, Reduce::mapped(1, State::new(), mapped, PUSH), seed.is_multiple_of(2));
        let inverted = Reduce::mapped(1, State::new(), mapped, PUSH).with_mapped_inverse(take_out);
        follow(seed, inverted, seed.is_multiple_of(2));
    });
}

#[test]
fn what_got_lost_on_the_way_is_noticed() {
    let mut sum = Replica::new(|sum: &mut u64, n: &u64, _| *sum += n);
    let item = |seq| Told::Item { seq: Seq::new(seq), item: 1 };
    assert_eq!(sum.take(item(0)).unwrap_err().kind(), ErrorKind::Invalid, "no snapshot before it");
    sum.take(Told::Snapshot { since: Some(Seq::new(3)), state: 5 }).unwrap();
    assert_eq!(sum.take(item(3)).unwrap_err().kind(), ErrorKind::Invalid, "it is in the snapshot");
    sum.take(item(7)).unwrap();
    sum.take(Told::Skipped { since: Seq::new(9) }).unwrap();
    assert_eq!(sum.take(item(8)).unwrap_err().seq(), Some(Seq::new(8)));
    assert_eq!((sum.state(), sum.since()), (Some(&6), Some(Seq::new(9))));
}
