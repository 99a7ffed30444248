//! [`Scan`], the one read and one decode of the log that all views at the same position share.
//!
//! A ring of decoded blocks, bounded in bytes. A follower takes the block at its position; while it applies it, the
//! blocks after it are read and decoded by other workers. A follower that is ahead waits before new blocks are made,
//! until those behind it in the same blocks have come along, so that they go on sharing; one that stays in a step for
//! long is not waited for and goes on alone until it meets the others again. Knows nothing of views.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use super::{
    Entries,
    block::{Block, LEAST_COST},
    pool::Pool,
    ring::{BLOCK_BYTES, For, Ring, Slot},
};
use crate::{Error, ErrorKind, Result, Seq, Span, log::ReadRequest};

/// So long a follower that is about to come is waited for.
const OPENING: Duration = Duration::from_secs(1);

pub(crate) struct Scan<T> {
    entries: Entries<T>,
    pool: Arc<Pool>,
    memory: usize,
    /// How many blocks are decoded at a time.
    decoders: usize,
    ring: Mutex<Ring<T>>,
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
        let ring = Ring::new();
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
                Some((start, Slot::Ready(block))) if block.horizon >= horizon && block.reading == ring.reading => {
                    let block = block.clone();
                    debug_assert!(start <= position);
                    ring.follower(id, position).busy_since = Some(now);
                    drop(ring);
                    self.look_ahead(block.to);
                    return Take::Block(block);
                }
                Some((start, Slot::Ready(_))) => {
                    // Made before what this follower must see, or before payloads came to read otherwise.
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

    /// A follower is about to come, nobody knows from where: until it does, or has taken too long, it counts as one at the
    /// beginning, so that followers that are added together begin together.
    pub(crate) fn expect(&self, id: u64) {
        let until = self.pool.now() + OPENING;
        self.ring().follower(id, 0).busy_since = Some(until);
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

    /// Whether there is more for the follower, and all others have come farther.
    pub(crate) fn is_last(&self, id: u64) -> bool {
        let ring = self.ring();
        let Some(position) = ring.followers.get(&id).map(|follower| follower.position) else { return false };
        position < ring.head && ring.followers.iter().all(|(&other, it)| other == id || it.position > position)
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

    /// Payloads read otherwise from now on: what was decoded before is of no use any more.
    pub(crate) fn renew(&self) {
        self.ring().reading += 1;
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
        let (to, (bytes, cost), reading) = {
            let ring = self.ring();
            let next = ring.blocks.range(from.saturating_add(1)..).next().map_or(u64::MAX, |(&start, _)| start);
            (next.min(ring.head), ring.density, ring.reading)
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
        let block = Block::decode(from, reading, &chunk, &self.entries);
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
