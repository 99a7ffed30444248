//! Subscriptions begun at any time and anywhere, polled at any time, while entries come and go: each is compared with what
//! the log was at each step. The failure it guards against: an entry lost, repeated or out of order at a seam between
//! history and live that nobody thought of. With `FLUME_SOAK` set, 500 times as many histories.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests panic to fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use flumedb::{
    Env, Event, Events, Flume, From, Seq,
    codec::{Codec, Utf8},
};
use flumedb_sim::soak_or;
use proptest::{collection::vec, prelude::*, sample::Index};

#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Delete(Vec<Index>),
    Subscribe(Begin),
    Ack(Index),
    Poll(Index, usize),
}

#[derive(Clone, Debug)]
enum Begin {
    Start,
    Head,
    After(u64),
    Stored,
}

fn act() -> impl Strategy<Value = Act> {
    let start =
        prop_oneof![Just(Begin::Start), Just(Begin::Head), (0..60u64).prop_map(Begin::After), Just(Begin::Stored)];
    prop_oneof![
        4 => (1..6usize).prop_map(Act::Append),
        2 => vec(any::<Index>(), 1..4).prop_map(Act::Delete),
        2 => start.prop_map(Act::Subscribe),
        1 => any::<Index>().prop_map(Act::Ack),
        6 => (any::<Index>(), 1..8usize).prop_map(|(which, times)| Act::Poll(which, times)),
    ]
}

/// What the log is, and was.
#[derive(Default)]
struct Model {
    entries: BTreeMap<Seq, String>,
    deleted: BTreeSet<Seq>,
    /// Where each deletion is recorded, and of what.
    tombstones: BTreeMap<Seq, Vec<Seq>>,
    acked: Option<Seq>,
}

/// A subscription and what it has told.
struct Follower<C> {
    events: Events<C>,
    /// The first number that it is about.
    start: u64,
    /// The first number that was not there when it began.
    end: u64,
    /// The number of what was told last.
    last: Option<Seq>,
    told: BTreeSet<Seq>,
    deletions: Vec<Seq>,
    caught_up: bool,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<C: Codec<Item = String>> Follower<C> {
    /// The next event, if there is one.
    fn next(&mut self) -> Option<Event<String>> {
        loop {
            let woken = Arc::<Woken>::default();
            let waker = Waker::from(woken.clone());
            let mut next = pin!(self.events.next());
            match next.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(event) => return Some(event.unwrap().unwrap()),
                // It only left a turn to others.
                Poll::Pending if woken.0.load(Ordering::SeqCst) => {}
                Poll::Pending => return None,
            }
        }
    }

    fn poll(&mut self, model: &Model) -> bool {
        let Some(event) = self.next() else { return false };
        match event {
            Event::Entry(entry) => {
                assert!(entry.seq.get() >= self.start, "{} is before the start", entry.seq);
                assert!(self.last < Some(entry.seq), "{} after {:?}", entry.seq, self.last);
                assert_eq!(self.caught_up, entry.seq.get() >= self.end, "history ends where it ended: {}", entry.seq);
                assert_eq!(model.entries.get(&entry.seq), Some(&entry.value));
                self.last = Some(entry.seq);
                self.told.insert(entry.seq);
            }
            Event::Deleted(seq) => self.deletions.push(seq),
            Event::CaughtUp => assert!(!std::mem::replace(&mut self.caught_up, true), "history ends once"),
            other => panic!("what is {other:?}?"),
        }
        true
    }

    fn finish(mut self, model: &Model) {
        while self.poll(model) {}
        assert!(self.caught_up);
        for seq in model.entries.keys().filter(|seq| seq.get() >= self.start && !model.deleted.contains(seq)) {
            assert!(self.told.contains(seq), "{seq} was never told");
        }
        let recorded = model.tombstones.iter().filter(|(at, _)| at.get() >= self.start);
        let expected: Vec<Seq> = recorded.flat_map(|(_, targets)| targets.iter().copied()).collect();
        assert_eq!(self.deletions, expected, "deletions are told where they are recorded");
    }
}

fn run(db: &Flume<Utf8>, acts: &[Act]) {
    let (mut model, mut followers) = (Model::default(), Vec::new());
    for act in acts {
        let end = db.head().map_or(0, |head| head.get() + 1);
        let entries: Vec<Seq> = model.entries.keys().copied().collect();
        let pick = |index: &Index| entries[index.index(entries.len())];
        match act {
            Act::Append(count) => {
                let texts: Vec<String> = (0..*count).map(|number| format!("{end} and {number}")).collect();
                model.entries.extend(db.append_all(texts.clone()).blocking().unwrap().into_iter().zip(texts));
            }
            Act::Delete(picks) if !entries.is_empty() => {
                let targets: BTreeSet<Seq> =
                    picks.iter().map(pick).filter(|seq| !model.deleted.contains(seq)).collect();
                db.delete(targets.iter().copied()).blocking().unwrap();
                if !targets.is_empty() {
                    model.deleted.extend(&targets);
                    model.tombstones.insert(db.head().unwrap(), targets.into_iter().collect());
                }
            }
            Act::Ack(index) if !entries.is_empty() => {
                db.ack("follower", pick(index)).blocking().unwrap();
                model.acked = Some(pick(index));
            }
            Act::Subscribe(start) => {
                let (from, start) = match start {
                    Begin::Start => (From::Start, 0),
                    Begin::Head => (From::Head, end),
                    Begin::After(number) => (From::After(Seq::new(*number)), number + 1),
                    Begin::Stored => (From::Stored("follower"), model.acked.map_or(0, |seq| seq.get() + 1)),
                };
                let (told, deletions) = (BTreeSet::new(), Vec::new());
                let events = db.subscribe(from).events();
                followers.push(Follower { events, start, end, last: None, told, deletions, caught_up: false });
            }
            Act::Poll(which, times) if !followers.is_empty() => {
                let which = which.index(followers.len());
                let _ = (0..*times).all(|_| followers[which].poll(&model));
            }
            Act::Delete(_) | Act::Ack(_) | Act::Poll(..) => {}
        }
    }
    followers.into_iter().for_each(|follower| follower.finish(&model));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: soak_or(100_000, 200), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_memory(acts in vec(act(), 1..60)) {
        run(&Flume::memory(Utf8).unwrap(), &acts);
    }

    #[test]
    fn on_disk(acts in vec(act(), 1..60)) {
        let builder = Flume::builder(Utf8).env(Env::memory()).set(|settings| settings.log.segment_bytes = 4096);
        run(&builder.open("data").blocking().unwrap(), &acts);
    }
}
