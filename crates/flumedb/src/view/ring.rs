//! [`Ring`], the decoded blocks that are in memory, who comes along them, and which of them to keep.

use std::{collections::BTreeMap, sync::Arc, task::Waker, time::Duration};

use super::block::Block;
use crate::Error;

/// Who takes this long over a block is not waited for.
const STUCK: Duration = Duration::from_millis(100);
/// The most that a block asks of the log.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

pub(super) struct Ring<T> {
    /// The numbers below this one are in the log.
    pub(super) head: u64,
    /// Raised when payloads read otherwise than before.
    pub(super) reading: u64,
    /// By their first number.
    pub(super) blocks: BTreeMap<u64, Slot<T>>,
    /// What the blocks that are ready take.
    bytes: usize,
    /// Bytes in the log and in memory of the block that was decoded last.
    pub(super) density: (usize, usize),
    pub(super) followers: BTreeMap<u64, Follower>,
}

pub(super) enum Slot<T> {
    /// Somebody is at it. Where it ends is known once it has been read.
    Making {
        to: Option<u64>,
    },
    Ready(Arc<Block<T>>),
    /// Whoever asks first is told.
    Failed(Error),
}

pub(super) struct Follower {
    pub(super) position: u64,
    pub(super) busy_since: Option<Duration>,
    pub(super) waiting: Option<(For, Waker)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Block,
    Head,
    Room,
}

impl<T> Ring<T> {
    pub(super) fn new() -> Self {
        Self { head: 0, reading: 0, blocks: BTreeMap::new(), bytes: 0, density: (1, 4), followers: BTreeMap::new() }
    }

    pub(super) fn follower(&mut self, id: u64, position: u64) -> &mut Follower {
        self.followers.entry(id).or_insert(Follower { position, busy_since: None, waiting: None })
    }

    /// Takes the wakers of the followers that wait for what `which` says; they are woken outside the lock.
    pub(super) fn wake(&mut self, which: impl Fn(&Follower, For) -> bool) -> Vec<Waker> {
        let waiting =
            self.followers.values_mut().filter(|it| it.waiting.as_ref().is_some_and(|&(why, _)| which(it, why)));
        waiting.filter_map(|follower| follower.waiting.take()).map(|(_, waker)| waker).collect()
    }

    /// The slot that has, or will have, the number `position`.
    pub(super) fn find(&self, position: u64) -> Option<(u64, &Slot<T>)> {
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
    pub(super) fn no_room(&self, position: u64, window: usize, now: Duration) -> Option<Duration> {
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
    pub(super) fn ahead(&self, position: u64) -> usize {
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
    pub(super) fn put(&mut self, from: u64, slot: Slot<T>, memory: usize, now: Duration) -> Vec<Slot<T>> {
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

    pub(super) fn remove(&mut self, start: u64) -> Option<Slot<T>> {
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
    pub(super) fn trim(&mut self, head: u64, now: Duration) -> Vec<Slot<T>> {
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
