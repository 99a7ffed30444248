//! A whole database on the simulated machine: writers, readers, a subscriber that acknowledges, a view that is stored, and
//! a power cut among them; the order of everything follows from one seed. The failure it guards against: log, view and
//! consumer that are each right alone and disagree after a crash, or in an order that real threads hardly ever take. With
//! `FLUME_SOAK` set, 200,000 seeds instead of 2,000.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet},
    future::poll_fn,
    pin::pin,
    task::Poll,
};

use flumedb::{ErrorKind, Flume, From, Result, Seq, codec::Json, view::Live, views::Reduce};
use flumedb_sim::{Choices, Sim, figure, soak_or};
use futures_util::future::{Either, join_all, select};

const WRITERS: u64 = 3;
const NUMBERS: u64 = 12;

/// A writer and its number.
type Item = (u64, u64);
type Newest = BTreeMap<u64, Vec<u64>>;

/// What the outside world knows of the database, and the chance that is in it.
struct World {
    choices: RefCell<Choices>,
    acknowledged: RefCell<Vec<(Seq, Item)>>,
    /// How far the consumer knows its acknowledgements to be stored.
    acked: Cell<Option<Seq>>,
    /// How often the power went before the program was through.
    cut: Cell<u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let choices = RefCell::new(Choices::seeded(seed));
        Self { choices, acknowledged: RefCell::default(), acked: Cell::new(None), cut: Cell::new(0) }
    }

    fn pick(&self, size: u64) -> u64 {
        self.choices.borrow_mut().pick(size)
    }
}

async fn open(sim: &Sim) -> Result<(Flume<Json<Item>>, Live<impl flumedb::view::View<Item = Item, Reader = Reader>>)> {
    let builder = Flume::builder(Json::new()).env(sim.env.clone());
    // Short segments and frequent syncs, so that the cut comes among as many kinds of calls as there are.
    let builder = builder.set(|settings| {
        settings.log.segment_bytes = 4096;
        settings.views.sync_every = std::time::Duration::from_millis(1);
        settings.views.publish_entries = 4;
    });
    let db = builder.open("data").await?;
    let fold = |newest: &mut Newest, (writer, number): &Item| newest.entry(*writer).or_default().push(*number);
    let live = db.view("newest", Reduce::new(1, Newest::new(), fold)).await?;
    Ok((db, live))
}

type Reader = flumedb::views::reduce::Reduced<Newest>;

/// Lets the others go on for some turns.
async fn turns(mut count: u64) {
    poll_fn(|cx| {
        if count == 0 {
            return Poll::Ready(());
        }
        count -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One run of the program, until it has done everything, or for ever if the power goes before.
async fn program(sim: &Sim, world: &World) -> Result<()> {
    let (db, live) = open(sim).await?;
    let written = live.read().await?;
    let write = async |writer: u64| -> Result<()> {
        let done = written.get(&writer).map_or(0, |numbers| numbers.len() as u64);
        for number in done..NUMBERS {
            turns(world.pick(4)).await;
            let item = (writer, number);
            let append = db.append(&item);
            let seq = if number % 3 == 0 { append.await? } else { append.buffered().await? };
            if number % 3 == 0 {
                world.acknowledged.borrow_mut().push((seq, item));
            }
            let seen = live.read().await?;
            assert_eq!(seen[&writer].last(), Some(&number), "a writer reads what it wrote");
        }
        Ok(())
    };
    let consume = async || -> Result<()> {
        let mut feed = db.subscribe(From::Stored("consumer"));
        let mut last = db.note("consumer/consumer")?.map(|note| Seq::new(note.position));
        while last < Some(Seq::new(WRITERS * NUMBERS - 1)) {
            let entry = feed.next().await.unwrap()?;
            assert!(world.acked.get() < Some(entry.seq), "what was acknowledged does not come again: {}", entry.seq);
            if entry.seq.get() % 4 == 3 {
                db.ack("consumer", entry.seq).await?;
                world.acked.set(Some(entry.seq));
            }
            last = Some(entry.seq);
        }
        Ok(())
    };
    let writers = join_all((0..WRITERS).map(&write));
    let (outcomes, consumed) = futures_util::future::join(writers, consume()).await;
    consumed?;
    outcomes.into_iter().collect::<Result<()>>()?;
    db.close().await
}

/// What holds after a power cut, whenever it came.
async fn inspect(sim: &Sim, world: &World) -> Result<Vec<(Seq, Item)>> {
    let (db, live) = open(sim).await?;
    let mut entries = Vec::new();
    let mut scan = db.scan(..);
    while let Some(entry) = scan.next().await.transpose()? {
        entries.push((entry.seq, entry.value));
    }
    for acknowledged in world.acknowledged.borrow().iter() {
        assert!(entries.contains(acknowledged), "{acknowledged:?} was acknowledged and is gone");
    }
    let mut folded = Newest::new();
    for &(seq, (writer, number)) in &entries {
        let numbers = folded.entry(writer).or_default();
        assert_eq!(numbers.len() as u64, number, "entry {seq} follows the ones before it");
        numbers.push(number);
    }
    assert_eq!(*live.read().await?, folded, "the view is what the log says");
    let mut feed = db.subscribe(From::Stored("consumer"));
    if let Some(acked) = world.acked.get() {
        let known = db.note("consumer/consumer")?.expect("an acknowledgement that has returned is stored");
        assert!(known.position >= acked.get());
    }
    match select(pin!(feed.next()), pin!(turns(50))).await {
        Either::Left((entry, _)) => assert!(Some(entry.unwrap()?.seq) > world.acked.get()),
        Either::Right(_) => assert_eq!(db.head(), db.note("consumer/consumer")?.map(|note| Seq::new(note.position))),
    }
    db.close().await?;
    Ok(entries)
}

/// A program whose power goes twice, what is there after the third run, and how often it was cut.
fn run(seed: u64) -> (Vec<(Seq, Item)>, u64) {
    let world = World::new(seed);
    let mut sim = Sim::new(seed);
    for _ in 0..2 {
        let turn = world.pick(300);
        let finished = sim.block_on(async {
            match select(pin!(program(&sim, &world)), pin!(turns(turn))).await {
                Either::Left((outcome, _)) => outcome.map(|()| true).unwrap(),
                Either::Right(_) => false,
            }
        });
        world.cut.set(world.cut.get() + u64::from(!finished));
        sim = if finished { sim.kill() } else { sim.crash(&mut world.choices.borrow_mut()) };
        sim.block_on(inspect(&sim, &world)).unwrap();
        sim = sim.kill();
    }
    sim.block_on(program(&sim, &world)).unwrap();
    let entries = sim.block_on(inspect(&sim, &world)).unwrap();
    assert_eq!(entries.len() as u64, WRITERS * NUMBERS);
    (entries, world.cut.get())
}

#[test]
fn log_view_and_consumer_agree_after_a_power_cut() {
    let (mut orders, mut cuts) = (HashSet::new(), 0);
    let seeds = soak_or(200_000, 2_000);
    for seed in 0..seeds {
        let (entries, cut) = run(seed);
        orders.insert(entries);
        cuts += cut;
    }
    figure("log_view_and_consumer_agree_after_a_power_cut", cuts);
    assert!(orders.len() as u64 > seeds / 4 * 3, "chance had its part: {} different orders", orders.len());
    assert!(cuts > seeds / 2, "the power went in the middle {cuts} times");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn a_power_cut_ends_what_waits() {
    let sim = Sim::new(1);
    let (db, live) = sim.block_on(open(&sim)).unwrap();
    sim.block_on(db.append(&(0, 0)).into_future()).unwrap();
    let _dead = sim.crash(&mut Choices::none());
    drop(live);
    let late = sim.block_on(db.append(&(0, 1)).into_future());
    assert!(matches!(late.unwrap_err().kind(), ErrorKind::Closed | ErrorKind::Poisoned | ErrorKind::Io));
}
