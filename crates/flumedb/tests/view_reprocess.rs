//! Guards against entries that come to read otherwise (a key has come) and stay in a view as they were: because they had been
//! decoded before and were taken in after, or because the power went before it was done.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    future::IntoFuture,
    path::Path,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use flumedb::{Bytes, Error, ErrorKind, Flume, Result, Seq, codec::Codec, env::Storage, view::Live, views::Reduce};
use flumedb_sim::{Choices, Sim};

/// Numbers; the odd ones cannot be read without the key.
#[derive(Clone)]
struct Numbers {
    key: Arc<AtomicBool>,
}

impl Codec for Numbers {
    type Input = u64;
    type Item = u64;

    fn identity(&self) -> String {
        "numbers".to_owned()
    }

    fn encode(&self, input: &u64, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&input.to_le_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<u64> {
        let number = u64::from_le_bytes(bytes[..].try_into().unwrap());
        let readable = number.is_multiple_of(2) || self.key.load(Ordering::SeqCst);
        readable.then_some(number).ok_or_else(|| Error::new(ErrorKind::Invalid, "there is no key"))
    }
}

type All = Reduce<u64, Vec<u64>, fn(&mut Vec<u64>, &u64)>;

struct Open {
    db: Flume<Numbers>,
    all: Live<All>,
}

fn open(sim: &Sim, key: &Arc<AtomicBool>) -> Open {
    let builder = Flume::builder(Numbers { key: key.clone() }).env(sim.env.clone()).set(|settings| {
        settings.views.memory = 256 << 10;
        settings.views.publish_every = Duration::from_millis(1);
        settings.views.sync_every = Duration::ZERO;
    });
    let db = sim.block_on(builder.open("/db").into_future()).unwrap();
    let all: All = Reduce::new(1, Vec::new(), |all, number| all.push(*number));
    let all = sim.block_on(db.view("all", all).into_future()).unwrap();
    Open { db, all }
}

fn read(sim: &Sim, open: &Open) -> Vec<u64> {
    sim.block_on(open.all.read().into_future()).unwrap().to_vec()
}

const COUNT: u64 = 20_000;

#[test]
fn what_was_decoded_before_is_not_taken_in_after() {
    for steps in 0..80 {
        let (sim, key) = (Sim::new(steps), Arc::new(AtomicBool::new(false)));
        let Open { db, all } = open(&sim, &key);
        sim.block_on(db.append_all(0..COUNT).into_future()).unwrap();
        for _ in 0..steps {
            sim.threads.step();
        }
        key.store(true, Ordering::SeqCst);
        sim.block_on(db.reprocess((0..COUNT).map(Seq::new)).into_future()).unwrap();
        let open = Open { db, all };
        assert_eq!(read(&sim, &open), (0..COUNT).collect::<Vec<_>>(), "after {steps} steps");
    }
}

/// Whether something that was asked for is written down in the directory of views.
fn is_written(sim: &Sim) -> bool {
    let names = sim.disk.list(Path::new("/db/views")).unwrap();
    names.iter().any(|name| name.ends_with(".anew"))
}

#[test]
fn what_was_begun_is_done_after_a_power_cut() {
    let (mut written, mut done) = (0, 0);
    for seed in 0..400 {
        let mut chance = Choices::seeded(seed);
        let (sim, key) = (Sim::new(seed), Arc::new(AtomicBool::new(false)));
        let first = open(&sim, &key);
        sim.block_on(first.db.append_all(0..40).into_future()).unwrap();
        assert_eq!(read(&sim, &first).len(), 20);
        sim.advance(Duration::from_secs(1));
        key.store(true, Ordering::SeqCst);
        {
            let mut asked = pin!(first.db.reprocess((0..40).map(Seq::new)).into_future());
            let _ = sim.block_on(std::future::poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx))));
            for _ in 0..chance.pick(25) {
                sim.threads.step();
            }
        }
        let next = sim.crash(&mut chance);
        drop(first);
        let begun = is_written(&next);
        let second = open(&next, &key);
        let numbers = read(&next, &second);
        if begun {
            // Without anybody asking again.
            next.settle();
            assert_eq!(read(&next, &second), (0..40).collect::<Vec<_>>(), "seed {seed}");
            assert!(!is_written(&next), "seed {seed}: it is struck out");
            written += 1;
        } else if numbers.len() == 40 {
            done += 1;
        } else {
            assert_eq!(numbers.len(), 20, "seed {seed}");
        }
        next.block_on(second.db.reprocess((0..40).map(Seq::new)).into_future()).unwrap();
        assert_eq!(read(&next, &second), (0..40).collect::<Vec<_>>(), "seed {seed}");
    }
    assert!(written > 20 && done > 20, "{written} were begun, {done} done");
}

#[test]
fn a_view_that_has_stopped_says_so_to_who_asks() {
    let (sim, key) = (Sim::new(1), Arc::new(AtomicBool::new(false)));
    let Open { db, all } = open(&sim, &key);
    sim.block_on(db.append(&7).into_future()).unwrap();
    let strict = Reduce::new(1, 0, |count: &mut u64, _: &u64| *count += 1);
    let strict = sim.block_on(db.view("strict", strict).strict().into_future()).unwrap();
    sim.settle();
    let refused = sim.block_on(strict.reprocess([Seq::new(0)])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Faulted, "{refused}");
    sim.block_on(all.reprocess([Seq::new(0), Seq::new(99)])).unwrap();
    sim.block_on(db.close().into_future()).unwrap();
    assert_eq!(sim.block_on(all.reprocess([Seq::new(0)])).unwrap_err().kind(), ErrorKind::Closed);
}
