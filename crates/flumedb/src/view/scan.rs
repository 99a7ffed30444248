//! [`Scan`], the one read and one decode of the log that all views at the same position share.
//!
//! A ring of decoded blocks, bounded in bytes. A follower takes the block at its position; while it applies it, the
//! blocks after it are read and decoded by other workers. A follower that is ahead waits before new blocks are made,
//! until those behind it in the same blocks have come along, so that they go on sharing; one that stays in a step for
//! long is not waited for and goes on alone until it meets the others again. Knows nothing of views.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use super::{
    Entries,
    block::{Block, LEAST_COST},
    pool::Pool,
};
use crate::{Error, ErrorKind, Result, Seq, Span, log::ReadRequest};

/// Who takes this long over a block is not waited for.
const STUCK: Duration = Duration::from_millis(100);
/// The most that a block asks of the log.
const BLOCK_BYTES: usize = 256 << 10;

pub(crate) struct Scan<T> {
    entries: Entries<T>,
    pool: Arc<Pool>,
    memory: usize,
    /// How many blocks are decoded at a time.
    decoders: usize,
    ring: Mutex<Ring<T>>,
}

struct Ring<T> {
    /// The numbers below this one are in the log.
    head: u64,
    /// By their first number.
    blocks: BTreeMap<u64, Slot<T>>,
    /// What the blocks that are ready take.
    bytes: usize,
    /// Bytes in the log and in memory of the block that was decoded last.
    density: (usize, usize),
    followers: BTreeMap<u64, Follower>,
}

enum Slot<T> {
    /// Somebody is at it. Where it ends is known once it has been read.
    Making {
        to: Option<u64>,
    },
    Ready(Arc<Block<T>>),
    /// Whoever asks first is told.
    Failed(Error),
}

struct Follower {
    position: u64,
    busy_since: Option<Duration>,
    waiting: Option<(For, Waker)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Block,
    Head,
    Room,
}

/// What a follower gets.
pub(crate) enum Take<T> {
    Block(Arc<Block<T>>),
    /// The log could not be read there. Asking again tries again.
    Failed(Error),
    /// Nothing more is in the log; the waker is woken when there is.
    AtHead,
    /// The waker is woken when there is something; one should ask again at this time at the latest.
    Wait(Option<Duration>),
}

impl<T: Send + Sync + 'static> Scan<T> {
    pub(crate) fn new(entries: Entries<T>, pool: Arc<Pool>, memory: usize, decoders: usize) -> Arc<Self> {
        let ring = Ring { head: 0, blocks: BTreeMap::new(), bytes: 0, density: (1, 4), followers: BTreeMap::new() };
        Arc::new(Self { entries, pool, memory, decoders, ring: Mutex::new(ring) })
    }

    /// There are entries up to `head`.
    pub(crate) fn saw_head(&self, head: Option<Seq>) {
        let head = super::after(head);
        let mut ring = self.ring();
        if head > ring.head {
            ring.head = head;
            let woken = ring.wake(|follower, why| why == For::Head && follower.position < head);
            drop(ring);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// The position after the newest entry.
    pub(crate) fn head(&self) -> u64 {
        self.ring().head
    }

    /// The block at `position` for the follower `id`, of no older horizon than `horizon`.
    pub(crate) fn take(self: &Arc<Self>, id: u64, position: u64, horizon: u64, cx: &Context<'_>) -> Take<T> {
        self.arrive(id, position);
        loop {
            let now = self.pool.now();
            let mut ring = self.ring();
            let head = ring.head;
            match ring.find(position) {
                Some((start, Slot::Ready(block))) if block.horizon >= horizon => {
                    let block = block.clone();
                    debug_assert!(start <= position);
                    ring.follower(id, position).busy_since = Some(now);
                    drop(ring);
                    self.look_ahead(block.to);
                    return Take::Block(block);
                }
                Some((start, Slot::Ready(_))) => {
                    // Made before what this follower must see.
                    ring.remove(start);
                    continue;
                }
                Some((start, Slot::Failed(error))) => {
                    let error = error.clone();
                    ring.remove(start);
                    return Take::Failed(error);
                }
                Some((_, Slot::Making { .. })) => {
                    ring.follower(id, position).waiting = Some((For::Block, cx.waker().clone()));
                    return Take::Wait(None);
                }
                None if position >= head => {
                    ring.follower(id, position).waiting = Some((For::Head, cx.waker().clone()));
                    let unused = ring.trim(position, now);
                    drop(ring);
                    drop(unused);
                    return Take::AtHead;
                }
                None => {}
            }
            if let Some(until) = ring.no_room(position, self.memory / 2, now) {
                ring.follower(id, position).waiting = Some((For::Room, cx.waker().clone()));
                return Take::Wait(Some(until));
            }
            ring.blocks.insert(position, Slot::Making { to: None });
            drop(ring);
            // Ready at once with a local log; if not, the slot says so at the next turn.
            self.pool.spawn_here(self.clone().make(position));
        }
    }

    /// The follower is at `position` and not busy.
    pub(crate) fn arrive(&self, id: u64, position: u64) {
        let mut ring = self.ring();
        let follower = ring.follower(id, position);
        follower.busy_since = None;
        follower.waiting = None;
        if std::mem::replace(&mut follower.position, position) != position {
            let woken = ring.wake(|_, why| why == For::Room);
            drop(ring);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// The follower begins something that may take long.
    pub(crate) fn busy(&self, id: u64) {
        let now = self.pool.now();
        if let Some(follower) = self.ring().followers.get_mut(&id) {
            follower.busy_since = Some(now);
        }
    }

    /// The follower is not to be waited for until it takes again.
    pub(crate) fn leave(&self, id: u64) {
        let mut ring = self.ring();
        let gone = ring.followers.remove(&id);
        let woken = ring.wake(|_, why| why == For::Room);
        drop(ring);
        drop(gone);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Begins another block behind those that follow on `position`, if it is worth it.
    fn look_ahead(self: &Arc<Self>, mut position: u64) {
        let now = self.pool.now();
        let mut ring = self.ring();
        let making = ring.blocks.values().filter(|slot| matches!(slot, Slot::Making { .. })).count();
        if making >= self.decoders {
            return;
        }
        while let Some((_, slot)) = ring.find(position) {
            match slot {
                Slot::Ready(block) => position = block.to,
                Slot::Making { to: Some(to) } => position = *to,
                Slot::Making { to: None } | Slot::Failed(_) => return,
            }
        }
        if position < ring.head
            && ring.ahead(position) < self.decoders * 2 * BLOCK_BYTES.min(self.memory / 8)
            && ring.no_room(position, self.memory / 2, now).is_none()
        {
            ring.blocks.insert(position, Slot::Making { to: None });
            drop(ring);
            // The pool runs: a follower is asking.
            let _ = self.pool.spawn(self.clone().make(position));
        }
    }

    /// Makes the block for the slot at `from`.
    async fn make(self: Arc<Self>, from: u64) {
        let mut ticket = Ticket { scan: &self, from, made: None };
        ticket.made = Some(self.read(from).await);
    }

    async fn read(self: &Arc<Self>, from: u64) -> Result<Block<T>> {
        let (to, (bytes, cost)) = {
            let ring = self.ring();
            let next = ring.blocks.range(from.saturating_add(1)..).next().map_or(u64::MAX, |(&start, _)| start);
            (next.min(ring.head), ring.density)
        };
        // Small entries take much more room decoded than in the log.
        let max_bytes = (BLOCK_BYTES.min(self.memory / 8) as u128 * bytes as u128 / cost as u128).max(1) as usize;
        let request = ReadRequest { max_bytes, ..ReadRequest::forwards(Span { from, to }) };
        let chunk = self.entries.log().read(request).await?;
        if chunk.covered.to <= from {
            let message = format!("the log gave nothing at {from}, though its head is beyond; try again");
            return Err(Error::new(ErrorKind::Io, message));
        }
        if let Some(Slot::Making { to }) = self.ring().blocks.get_mut(&from) {
            *to = Some(chunk.covered.to);
        }
        // Others may read on while this one is decoded.
        self.look_ahead(chunk.covered.to);
        let block = Block::decode(from, &chunk, &self.entries);
        if block.cost > LEAST_COST {
            self.ring().density = (chunk.bytes.len().max(1), block.cost);
        }
        Ok(block)
    }

    fn ring(&self) -> MutexGuard<'_, Ring<T>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees that a slot that is being made becomes something, whatever happens to its maker.
struct Ticket<'a, T: Send + Sync + 'static> {
    scan: &'a Arc<Scan<T>>,
    from: u64,
    made: Option<Result<Block<T>>>,
}

impl<T: Send + Sync + 'static> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        let slot = match self.made.take() {
            Some(Ok(block)) => Slot::Ready(Arc::new(block)),
            Some(Err(error)) => Slot::Failed(error),
            None => Slot::Failed(Error::closed()),
        };
        let mut ring = self.scan.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let evicted = ring.put(self.from, slot, self.scan.memory, self.scan.pool.now());
        let woken = ring.wake(|_, why| why != For::Head);
        drop(ring);
        drop(evicted);
        woken.into_iter().for_each(Waker::wake);
        self.scan.look_ahead(self.from);
    }
}

impl<T> Ring<T> {
    fn follower(&mut self, id: u64, position: u64) -> &mut Follower {
        self.followers.entry(id).or_insert(Follower { position, busy_since: None, waiting: None })
    }

    /// Takes the wakers of the followers that wait for what `which` says; they are woken outside the lock.
    fn wake(&mut self, which: impl Fn(&Follower, For) -> bool) -> Vec<Waker> {
        let waiting =
            self.followers.values_mut().filter(|it| it.waiting.as_ref().is_some_and(|&(why, _)| which(it, why)));
        waiting.filter_map(|follower| follower.waiting.take()).map(|(_, waker)| waker).collect()
    }

    /// The slot that has, or will have, the number `position`.
    fn find(&self, position: u64) -> Option<(u64, &Slot<T>)> {
        let (&start, slot) = self.blocks.range(..=position).next_back()?;
        let within = match slot {
            Slot::Ready(block) => position < block.to,
            Slot::Making { to } => to.map_or(position == start, |to| position < to),
            Slot::Failed(_) => position == start,
        };
        within.then_some((start, slot))
    }

    /// Whether a new block at `position` would run away from somebody behind it in the same blocks; if so, when at the
    /// latest that somebody will not be waited for any more.
    fn no_room(&self, position: u64, window: usize, now: Duration) -> Option<Duration> {
        let behind = || self.followers.values().filter(|it| it.position < position && !it.is_stuck(now));
        let rear = behind().map(|follower| follower.position).min()?;
        let (mut start, mut bytes, mut limit) = (position, 0, None);
        while start > rear
            && let Some((from, cost)) = self.ending_at(start)
        {
            bytes += cost;
            if bytes >= window {
                limit = limit.or(Some(start));
            }
            start = from;
        }
        let far = behind().filter(|it| it.position >= start && limit.is_some_and(|limit| it.position < limit));
        // One that is not busy is about to be: look again soon.
        far.map(|follower| follower.busy_since.unwrap_or(now) + STUCK).max()
    }

    /// What lies between `position` and whoever comes to it first.
    fn ahead(&self, position: u64) -> usize {
        let first = self.followers.values().map(|follower| follower.position).filter(|&it| it < position).max();
        let Some(first) = first else { return usize::MAX };
        let (mut start, mut bytes) = (position, 0);
        while start > first
            && let Some((from, cost)) = self.ending_at(start)
        {
            bytes += cost;
            start = from;
        }
        bytes
    }

    /// Where the block that ends there begins, and what it takes.
    fn ending_at(&self, end: u64) -> Option<(u64, usize)> {
        match self.blocks.range(..end).next_back() {
            Some((&from, Slot::Ready(block))) if block.to == end => Some((from, block.cost)),
            Some((&from, Slot::Making { to: Some(to) })) if *to == end => Some((from, BLOCK_BYTES)),
            _ => None,
        }
    }

    /// Puts what was made into the slot at `from`; gives back what had to go for it.
    fn put(&mut self, from: u64, slot: Slot<T>, memory: usize, now: Duration) -> Vec<Slot<T>> {
        let mut gone = Vec::new();
        if let Slot::Ready(block) = &slot {
            self.bytes += block.cost;
        }
        gone.extend(self.blocks.insert(from, slot));
        while self.bytes > memory
            && let Some(victim) = self.victim(from, now)
        {
            gone.extend(self.remove(victim));
        }
        gone
    }

    fn remove(&mut self, start: u64) -> Option<Slot<T>> {
        let slot = self.blocks.remove(&start)?;
        if let Slot::Ready(block) = &slot {
            self.bytes -= block.cost;
        }
        Some(slot)
    }

    /// The block to drop first: one that nobody is going to come past, else the one farthest ahead of whoever will.
    fn victim(&self, keep: u64, now: Duration) -> Option<u64> {
        let followers: Vec<u64> = self
            .followers
            .values()
            .filter(|follower| !follower.is_stuck(now))
            .map(|follower| follower.position)
            .collect();
        let distance = |block: &Block<T>| {
            let behind = followers.iter().filter(|&&position| position < block.to);
            behind.map(|&position| block.from.saturating_sub(position)).min().unwrap_or(u64::MAX)
        };
        let ready = self.blocks.iter().filter_map(|(&start, slot)| match slot {
            Slot::Ready(block) if start != keep => Some((distance(block), start)),
            _ => None,
        });
        // Of several equally far ones the first.
        ready.max_by_key(|&(distance, start)| (distance, std::cmp::Reverse(start))).map(|(_, start)| start)
    }

    /// Somebody is at the head: drops the blocks before it that the last in them has passed, and everything if everyone
    /// is there.
    fn trim(&mut self, head: u64, now: Duration) -> Vec<Slot<T>> {
        let at_head = |follower: &Follower| matches!(follower.waiting, Some((For::Head, _)));
        let chain: Vec<u64> = if self.followers.values().all(at_head) {
            let made = self.blocks.iter().filter(|(_, slot)| !matches!(slot, Slot::Making { .. }));
            made.map(|(&start, _)| start).collect()
        } else {
            let mut chain = Vec::new();
            let mut start = head;
            while let Some((from, _)) = self.ending_at(start) {
                chain.push((from, start));
                start = from;
            }
            let within = self.followers.values().filter(|it| it.position >= start && !it.is_stuck(now));
            let rear = within.map(|follower| follower.position).min().unwrap_or(head);
            chain.into_iter().filter(|&(_, to)| to <= rear).map(|(from, _)| from).collect()
        };
        chain.into_iter().filter_map(|start| self.remove(start)).collect()
    }
}

impl Follower {
    fn is_stuck(&self, now: Duration) -> bool {
        self.busy_since.is_some_and(|since| now >= since + STUCK)
    }
}
