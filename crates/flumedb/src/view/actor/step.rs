//! Taking in what the log has next.

use std::{convert::Infallible, future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use super::{Actor, Turn};
use crate::{
    Error, Result, Seq,
    env::planted::{Bug, planted},
    telemetry::events,
    view::{
        Retraction, StoredState, View,
        block::{Block, Piece, decode},
        pool::yield_now,
        scan::Take,
        shared::{Order, Stage, faulted},
    },
};

/// What to do next.
enum Next<T> {
    Obey(Order),
    /// Somebody waits for what the view can show.
    Serve,
    Publish,
    Sync,
    Reprocess,
    TakeIn(Arc<Block<T>>),
    LogFailed(Error),
}

impl<V: View> Actor<V> {
    /// Follows the log until something else is to be done.
    pub(super) async fn follow(&mut self) -> Result<Infallible, Turn> {
        loop {
            match self.next().await {
                Next::Obey(order) => return Err(self.obey(order)),
                Next::Serve if !self.is_dirty() => self.shared.serve(),
                Next::Serve | Next::Publish => self.publish().await?,
                Next::Sync => self.sync()?,
                Next::Reprocess => self.reprocess().await?,
                Next::TakeIn(block) => {
                    self.take_in(&block).await?;
                    self.block = Some(block).filter(|block| self.cursor.position < block.to);
                    self.give_way().await;
                }
                Next::LogFailed(error) => self.log_failed(error).await?,
            }
        }
    }

    /// Lets others run. Whom the others wait for, or will, goes on for a while, or it would stay as far behind them as it was
    /// when it had published.
    async fn give_way(&mut self) {
        const TURNS: u32 = 16;
        self.turns += 1;
        if self.turns >= TURNS || !self.core.scan.is_last(self.id) {
            self.turns = 0;
            yield_now().await;
        }
    }

    async fn next(&mut self) -> Next<V::Item> {
        let mut timer = None;
        poll_fn(|cx| {
            if let Some(order) = self.shared.order(cx.waker()) {
                return Poll::Ready(Next::Obey(order));
            }
            loop {
                let (next, wake_at) = self.look(cx);
                if let Some(next) = next {
                    return Poll::Ready(next);
                }
                let Some(wake_at) = wake_at else { return Poll::Pending };
                let timer = timer.insert(self.core.pool.sleep_until(wake_at));
                if Pin::new(timer).poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// What to do next, or when at the latest to look again.
    fn look(&mut self, cx: &std::task::Context<'_>) -> (Option<Next<V::Item>>, Option<Duration>) {
        let position = self.cursor.position;
        if self.shared.is_asked(position) {
            return (Some(Next::Serve), None);
        }
        if self.shared.wants_reprocess() || !self.anew.is_empty() {
            return (Some(Next::Reprocess), None);
        }
        /// A view that is being built, and tells what that takes, is published so much less often.
        const SELDOM: u32 = 16;
        let (now, settings) = (self.core.pool.now(), &self.core.settings);
        let seldom = if self.pending_bytes.is_some() && !self.live { SELDOM } else { 1 };
        let pause = self.publish_pause.max(Duration::saturating_mul(settings.publish_every, seldom));
        let publish_at = self.is_dirty().then(|| self.published_at.saturating_add(pause));
        let sync_at = self.unsynced.then_some(self.sync_at);
        let full = self.pending >= settings.publish_entries.saturating_mul(seldom.into())
            || self.pending_bytes.is_some_and(|bytes| bytes >= self.most_pending_bytes());
        if publish_at.is_some_and(|at| now >= at || full) {
            return (Some(Next::Publish), None);
        }
        if sync_at.is_some_and(|at| now >= at) {
            return (Some(Next::Sync), None);
        }
        if let Some(block) = self.block.take() {
            return (Some(Next::TakeIn(block)), None);
        }
        let again_at = match self.core.scan.take(self.id, position, self.least_horizon, cx) {
            Take::Block(block) => return (Some(Next::TakeIn(block)), None),
            Take::Failed(error) => return (Some(Next::LogFailed(error)), None),
            Take::Wait(until) => until,
            Take::AtHead => {
                if !std::mem::replace(&mut self.live, true) {
                    self.attempts = 0;
                    self.sync_at = self.sync_at.min(now + self.sync_pause());
                    self.shared.stage(Stage::Live);
                    let took = now.saturating_sub(self.begun);
                    events::caught_up(&self.core.log, &self.name, self.cursor.since, took);
                    self.tell(StoredState::Live);
                    // It may be time for other things now.
                    return (None, Some(now));
                }
                if publish_at.is_some() && self.shared.is_watched() {
                    return (Some(Next::Publish), None);
                }
                None
            }
        };
        (None, [again_at, publish_at, sync_at].into_iter().flatten().min())
    }

    /// Shortly before it has caught up a view waits with publishing until it has: two publishes would cost nearly twice as
    /// much as one.
    fn most_pending_bytes(&self) -> usize {
        /// So much more, in parts.
        const REST: u8 = 4;
        let most = self.core.settings.pending_bytes;
        let left = self.core.scan.head().saturating_sub(self.cursor.position);
        let last = !self.live && left <= self.pending / u64::from(REST);
        if last { most.saturating_add(most / usize::from(REST)) } else { most }
    }

    /// Takes in a piece of the block: up to where a reader waits, a tombstone, or where it failed before.
    async fn take_in(&mut self, block: &Block<V::Item>) -> Result<(), Turn> {
        let position = self.cursor.position;
        self.core.scan.busy(self.id);
        let limit = match &self.suspect {
            Some(suspect) if position < suspect.range.start => suspect.range.start.min(block.to),
            Some(suspect) if position < suspect.range.end => {
                if position == suspect.range.start && self.is_dirty() {
                    // If it fails for good, this is what is kept.
                    self.publish().await?;
                    self.core.scan.busy(self.id);
                }
                block.after_one(position)
            }
            Some(_) | None => block.to,
        };
        let stop = self.shared.claim(position, limit);
        if stop <= position {
            return Ok(());
        }
        let mut piece = block.piece(position, stop);
        if self.strict
            && let Some(&(seq, error)) = piece.undecodable.first()
        {
            piece = block.piece(position, seq.get());
            if piece.to <= position {
                if self.is_dirty() {
                    self.publish().await?;
                }
                return Err(Turn::Park { error: faulted(&self.name, Some(seq), error), lost: false });
            }
        }
        let at = Some(&piece.run).filter(|run| run.len() == 1).and_then(|run| run.first()).map(|entry| entry.seq);
        if !piece.run.is_empty() {
            let applied = self.call(|view| {
                view.apply(&piece.run)?;
                Ok(view.pending_bytes())
            });
            match applied {
                Ok(bytes) => self.pending_bytes = bytes,
                Err(error) => return Err(self.failed(error, position..piece.to, at)),
            }
        }
        self.cursor.horizons.read(position, block.horizon, piece.has_deleted);
        for gone in &piece.forgotten {
            // It applied something that was deleted while it was away, and nobody can say what.
            if self.cursor.horizons.applied_any(gone.least.get(), gone.at.get(), gone.at) {
                self.least_horizon = gone.at.get().saturating_add(1);
                return Err(Turn::Rebuild);
            }
        }
        if let Some((tombstone, targets)) = piece.tombstone {
            self.retract(tombstone, targets)?;
        }
        self.advance(&piece);
        Ok(())
    }

    /// Takes back what a tombstone deletes, as far as the view ever took it in.
    fn retract(&mut self, tombstone: Seq, targets: &[Seq]) -> Result<(), Turn> {
        let number = tombstone.get();
        let targets = if planted(Bug::RetractForgotten) { &[] } else { targets };
        for &target in targets {
            if !self.cursor.horizons.applied(target, tombstone) {
                continue;
            }
            let item = match self.core.entries.log().deleted_payload(target) {
                Some(payload) => match decode(&self.core.entries, target, &payload) {
                    Ok(item) => Some(item),
                    // It was passed over when it came.
                    Err(_) => continue,
                },
                None => None,
            };
            match self.call(|view| view.retract(target, item.as_ref())) {
                Ok(Retraction::Done) => {}
                Ok(Retraction::Rebuild) => {
                    self.least_horizon = number.saturating_add(1);
                    return Err(Turn::Rebuild);
                }
                Err(error) => return Err(self.failed(error, number..number.saturating_add(1), Some(target))),
            }
        }
        Ok(())
    }

    fn advance(&mut self, piece: &Piece<'_, V::Item>) {
        let cursor = &mut self.cursor;
        cursor.position = piece.to;
        cursor.since = piece.last.or(cursor.since);
        cursor.skipped += piece.undecodable.len() as u64;
        cursor.horizons.passed(piece.to);
        self.pending += (piece.run.len() + 1) as u64;
        if self.suspect.as_ref().is_some_and(|suspect| piece.to >= suspect.range.end) {
            self.suspect = None;
        }
        self.report();
        self.meters.took_in(piece.run.len() as u64);
        self.meters.stands(piece.to, self.core.scan.head());
        if !self.stored {
            // There is nothing that it could go back to.
            self.shared.keeps(piece.to);
        }
        self.core.scan.arrive(self.id, piece.to);
    }

    pub(super) fn report(&self) {
        let cursor = &self.cursor;
        self.shared.moved(cursor.position, cursor.since, cursor.skipped, self.core.pool.now());
    }
}
