//! [`Shared`], where a view's actor and its readers meet: what is published, who waits for which position, and what
//! the actor is told to do.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use super::{
    horizons::Horizons,
    progress::{Meter, Phase, Progress},
};
use crate::{Error, ErrorKind, Result, Seq};

pub(super) struct Shared<R> {
    state: Mutex<State<R>>,
    /// Whether there has ever been a reader.
    shown: watch::Sender<bool>,
    /// The newest entry that readers see.
    since: watch::Sender<Option<Seq>>,
    done: watch::Sender<Option<Result<()>>>,
}

/// What a view shows.
#[derive(Clone)]
pub(super) struct Shown<R> {
    pub(super) reader: R,
    /// Everything below this is in it.
    pub(super) position: u64,
    /// Which deletions behind that it knew of.
    pub(super) horizons: Horizons,
}

struct State<R> {
    /// The newest of the present state.
    published: Option<Shown<R>>,
    /// The newest of an earlier state, until the present one has come as far.
    former: Option<Shown<R>>,
    position: u64,
    /// How far the step that is being taken goes.
    claimed: u64,
    since: Option<Seq>,
    skipped: u64,
    /// What is below this it has for good: deletions that it came past need not be told again.
    kept: u64,
    meter: Meter,
    stage: Stage,
    /// Whether reads are answered.
    ready: bool,
    /// Why reads are refused: it is parked, or the database is closed.
    refused: Option<Error>,
    /// What the first attempt met that did not get as far as a first reader; it is tried again all the same.
    failed: Option<Error>,
    /// It is parked because acknowledged entries are gone.
    lost: bool,
    waiters: BTreeMap<(u64, u64), Waiter<R>>,
    /// So many there may be.
    most_waiters: usize,
    next_waiter: u64,
    rebuild: Vec<oneshot::Sender<()>>,
    /// Entries to take in anew, and who wants to know when that has been done.
    reprocess: Vec<(Vec<Seq>, oneshot::Sender<Result<()>>)>,
    closing: bool,
    actor: Option<Waker>,
}

type Waiter<R> = oneshot::Sender<Result<Shown<R>>>;

#[derive(Clone)]
pub(super) enum Stage {
    Opening,
    Building,
    Live,
    Retrying(Error),
    Faulted(Error),
    Closed,
}

/// What the actor is told to do before anything else.
pub(super) enum Order {
    /// Discard everything and begin anew; these want to know when that has been done.
    Rebuild(Vec<oneshot::Sender<()>>),
    Close,
}

/// What came of asking for a reader.
pub(super) enum Asked<R> {
    Now(Result<Shown<R>>),
    /// The answer comes; give the id to `forget` if it is not wanted any more.
    Later {
        id: (u64, u64),
        answer: oneshot::Receiver<Result<Shown<R>>>,
    },
}

impl<R: Clone> Shared<R> {
    pub(super) fn new(ready: bool, most_waiters: usize) -> Self {
        let state = State {
            published: None,
            former: None,
            position: 0,
            claimed: 0,
            since: None,
            skipped: 0,
            kept: 0,
            meter: Meter::default(),
            stage: Stage::Opening,
            ready,
            refused: None,
            failed: None,
            lost: false,
            waiters: BTreeMap::new(),
            most_waiters,
            next_waiter: 0,
            rebuild: Vec::new(),
            reprocess: Vec::new(),
            closing: false,
            actor: None,
        };
        Self {
            state: Mutex::new(state),
            shown: watch::Sender::new(false),
            since: watch::Sender::new(None),
            done: watch::Sender::new(None),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits for something to be shown.
    fn tell_of_refusal(&self) {
        self.shown.send_modify(|_| ());
        self.since.send_modify(|_| ());
    }

    // For readers.

    /// A reader that covers everything below `target`.
    pub(super) fn ask(&self, target: u64) -> Asked<R> {
        self.state().ask(target)
    }

    pub(super) fn forget(&self, id: (u64, u64)) {
        let waiter = self.state().waiters.remove(&id);
        drop(waiter);
    }

    pub(super) fn stale(&self) -> Option<R> {
        let state = self.state();
        state.former.as_ref().or(state.published.as_ref()).map(|shown| shown.reader.clone())
    }

    pub(super) fn progress(&self, head: u64) -> Progress {
        let state = self.state();
        let phase = match &state.stage {
            Stage::Opening => Phase::Opening,
            Stage::Building => state.meter.building(state.position.min(head), head),
            Stage::Live => Phase::Live,
            Stage::Retrying(error) => Phase::Retrying { error: error.clone() },
            Stage::Faulted(reason) => Phase::Faulted { at: reason.seq(), reason: reason.clone() },
            Stage::Closed => Phase::Closed,
        };
        Progress { phase, since: state.since, skipped: state.skipped }
    }

    pub(super) fn since(&self) -> watch::Receiver<Option<Seq>> {
        let since = self.since.subscribe();
        // It shows at once what it has, now that somebody looks on.
        wake(self.state());
        since
    }

    /// Waits until there is a first reader, or what went wrong with it can be said.
    pub(super) async fn opened(&self) -> Result<()> {
        let mut shown = self.shown.subscribe();
        // The sender is `self`: it cannot be gone.
        let _ = shown.wait_for(|shown| *shown || self.state().unopened().is_some()).await;
        if *shown.borrow() {
            return Ok(());
        }
        self.state().unopened().map_or(Ok(()), Err)
    }

    /// Waits until readers see an entry at or after `position`, and says which they see then.
    pub(super) async fn shows(&self, position: u64) -> Result<Seq> {
        let shown = |since: &Option<Seq>| since.filter(|since| since.get() >= position);
        let mut since = self.since();
        // The sender is `self`: it cannot be gone.
        let _ = since.wait_for(|since| shown(since).is_some() || self.state().refused.is_some()).await;
        let seen = shown(&since.borrow());
        seen.ok_or_else(|| self.state().refused.clone().unwrap_or_else(Error::closed))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state().lost
    }

    /// Asks for a rebuild; the answer comes when the old state is gone.
    pub(super) fn ask_rebuild(&self) -> Result<oneshot::Receiver<()>> {
        let mut state = self.state();
        if state.closing {
            return Err(Error::closed());
        }
        let (begun, answer) = oneshot::channel();
        state.rebuild.push(begun);
        wake(state);
        Ok(answer)
    }

    /// Asks for entries to be taken in anew; the answer comes when readers see it and the store has it on the disk.
    pub(super) fn ask_reprocess(&self, seqs: Vec<Seq>) -> Result<oneshot::Receiver<Result<()>>> {
        let mut state = self.state();
        if let Some(error) = &state.refused {
            return Err(error.clone());
        }
        if state.closing {
            return Err(Error::closed());
        }
        let (done, answer) = oneshot::channel();
        state.reprocess.push((seqs, done));
        wake(state);
        Ok(answer)
    }

    /// Begins to ask several views for readers at one position; no step begins or ends meanwhile.
    pub(super) fn hold(&self) -> Held<'_, R> {
        Held(self.state())
    }

    // For the host.

    /// Below which number it need not be told of deletions any more; one that has stopped is not waited for.
    pub(super) fn passed(&self) -> u64 {
        let state = self.state();
        if matches!(state.stage, Stage::Faulted(_)) { u64::MAX } else { state.kept }
    }

    pub(super) fn set_ready(&self, ready: bool) {
        let mut state = self.state();
        state.ready = ready;
        wake(state);
    }

    /// Refuses reads from now on and tells the actor to finish.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        state.stage = Stage::Closed;
        let waiters = state.refuse(Error::closed());
        wake(state);
        answer_all(waiters, &Err(Error::closed()));
        self.tell_of_refusal();
    }

    pub(super) fn done(&self) -> watch::Receiver<Option<Result<()>>> {
        self.done.subscribe()
    }

    // For the actor.

    /// What comes before anything else, if there is something; remembers whom to wake when there is.
    pub(super) fn order(&self, waker: &Waker) -> Option<Order> {
        let mut state = self.state();
        if state.closing {
            return Some(Order::Close);
        }
        if !state.rebuild.is_empty() {
            return Some(Order::Rebuild(std::mem::take(&mut state.rebuild)));
        }
        let former = match &state.actor {
            Some(actor) if actor.will_wake(waker) => None,
            _ => state.actor.replace(waker.clone()),
        };
        drop(state);
        drop(former);
        None
    }

    pub(super) fn wants_reprocess(&self) -> bool {
        !self.state().reprocess.is_empty()
    }

    pub(super) fn take_reprocess(&self) -> Vec<(Vec<Seq>, oneshot::Sender<Result<()>>)> {
        std::mem::take(&mut self.state().reprocess)
    }

    /// Whether somebody waits for what the view at `position` can show.
    pub(super) fn is_asked(&self, position: u64) -> bool {
        self.state().is_asked(position)
    }

    /// Whether somebody looks on.
    pub(super) fn is_watched(&self) -> bool {
        self.since.receiver_count() > 0
    }

    /// Where the next step must stop at the latest, given how far it could go: where the next reader waits. That is here if one
    /// has just come that is to be answered first.
    pub(super) fn claim(&self, position: u64, limit: u64) -> u64 {
        let mut state = self.state();
        if state.is_asked(position) {
            return position;
        }
        let mut beyond = state.waiters.range((position.saturating_add(1), 0)..);
        let stop = beyond.next().map_or(limit, |(&(target, _), _)| target.min(limit));
        state.claimed = stop;
        stop
    }

    pub(super) fn moved(&self, position: u64, since: Option<Seq>, skipped: u64, now: Duration) {
        let mut state = self.state();
        (state.position, state.claimed, state.since, state.skipped) = (position, position, since, skipped);
        state.meter.at(now, position);
    }

    /// What is below `position` it has for good.
    pub(super) fn keeps(&self, position: u64) {
        self.state().kept = position;
    }

    pub(super) fn stage(&self, stage: Stage) {
        let mut state = self.state();
        if !state.closing {
            state.stage = stage;
        }
    }

    /// It is tried again after a pause. Who waits for the first reader hears of it: what stands in the way may never pass.
    pub(super) fn retry(&self, error: Error) {
        self.state().failed.get_or_insert_with(|| error.clone());
        self.stage(Stage::Retrying(error));
        self.shown.send_modify(|_| ());
    }

    /// The state begins anew from what is stored, or from nothing; a reader of the one before is for stale reads only.
    pub(super) fn reopened(&self) {
        let mut state = self.state();
        let published = state.published.take();
        if let Some(published) = published
            && state.former.as_ref().is_none_or(|former| former.position <= published.position)
        {
            state.former = Some(published);
        }
        state.refused = state.closing.then(Error::closed);
        state.lost = false;
        state.kept = 0;
        state.meter = Meter::default();
        if !state.closing {
            state.stage = Stage::Opening;
        }
    }

    /// Shows it and answers whom it serves.
    pub(super) fn publish(&self, since: Option<Seq>, shown: Shown<R>) {
        let mut state = self.state();
        let catching_up = state.former.as_ref().is_some_and(|former| former.position > shown.position);
        let former = if catching_up { None } else { state.former.take() };
        let before = state.published.replace(shown.clone());
        let served = state.serve(shown.position);
        drop(state);
        // Outside the lock: whoever looks at the channel may ask something else meanwhile, and old readers may be
        // expensive to drop.
        // Even if it has come no farther, it may show something else than before.
        let anew = former.is_some();
        drop((former, before));
        answer_all(served, &Ok(shown));
        self.shown.send_if_modified(|shown| !std::mem::replace(shown, true));
        if !catching_up {
            self.since.send_if_modified(|seen| std::mem::replace(seen, since) != since || anew);
        }
    }

    /// Answers those who wait for what has been published, once reads are answered.
    pub(super) fn serve(&self) {
        let mut state = self.state();
        let Some(shown) = state.published.clone() else { return };
        let served = state.serve(shown.position);
        drop(state);
        answer_all(served, &Ok(shown));
    }

    /// Stops until it is told otherwise; every read gets this error.
    pub(super) fn park(&self, error: Error, lost: bool) {
        let mut state = self.state();
        if state.closing {
            return;
        }
        state.stage = Stage::Faulted(error.clone());
        state.lost = lost;
        let waiters = state.refuse(error.clone());
        let reprocess = std::mem::take(&mut state.reprocess);
        drop(state);
        for (_, answer) in reprocess {
            // Who has stopped waiting needs no answer.
            let _ = answer.send(Err(error.clone()));
        }
        answer_all(waiters, &Err(error));
        self.tell_of_refusal();
    }

    /// The actor has ended.
    pub(super) fn finish(&self, result: Result<()>) {
        let mut state = self.state();
        state.closing = true;
        state.stage = Stage::Closed;
        let waiters = state.refuse(Error::closed());
        let readers = (state.published.take(), state.former.take(), std::mem::take(&mut state.rebuild));
        let reprocess = std::mem::take(&mut state.reprocess);
        drop(state);
        drop((readers, reprocess));
        answer_all(waiters, &Err(Error::closed()));
        self.done.send_if_modified(|done| {
            done.is_none() && {
                *done = Some(result);
                true
            }
        });
        self.tell_of_refusal();
    }
}

/// A view that is held still for a moment.
pub(super) struct Held<'a, R>(MutexGuard<'a, State<R>>);

impl<R: Clone> Held<'_, R> {
    /// The least position that it has not come past.
    pub(super) fn claimed(&self) -> u64 {
        self.0.claimed.max(self.0.position)
    }

    pub(super) fn ask(&mut self, target: u64) -> Asked<R> {
        self.0.ask(target)
    }
}

impl<R: Clone> State<R> {
    fn is_asked(&self, position: u64) -> bool {
        self.ready && self.waiters.keys().next().is_some_and(|&(target, _)| target <= position)
    }

    fn ask(&mut self, target: u64) -> Asked<R> {
        if let Some(error) = &self.refused {
            return Asked::Now(Err(error.clone()));
        }
        if self.ready
            && let Some(shown) = self.published.as_ref().filter(|shown| shown.position >= target)
        {
            return Asked::Now(Ok(shown.clone()));
        }
        if self.waiters.len() >= self.most_waiters {
            let message =
                format!("{} reads wait for the view already; let some of them return first", self.most_waiters);
            return Asked::Now(Err(Error::over_limit(message, "waiting_reads")));
        }
        self.next_waiter += 1;
        let id = (target, self.next_waiter);
        let (answer, receiver) = oneshot::channel();
        self.waiters.insert(id, answer);
        if target <= self.position
            && let Some(actor) = &self.actor
        {
            actor.wake_by_ref();
        }
        Asked::Later { id, answer: receiver }
    }

    fn serve(&mut self, position: u64) -> Vec<Waiter<R>> {
        if !self.ready {
            return Vec::new();
        }
        let rest = self.waiters.split_off(&(position.saturating_add(1), 0));
        std::mem::replace(&mut self.waiters, rest).into_values().collect()
    }

    /// Why there is no first reader, unless it is still being made.
    fn unopened(&self) -> Option<Error> {
        self.refused.as_ref().or(self.failed.as_ref()).cloned()
    }

    fn refuse(&mut self, error: Error) -> Vec<Waiter<R>> {
        self.refused = Some(error);
        std::mem::take(&mut self.waiters).into_values().collect()
    }
}

/// Unlocks, then wakes the actor.
fn wake<R>(mut state: MutexGuard<'_, State<R>>) {
    let actor = state.actor.take();
    drop(state);
    if let Some(actor) = actor {
        actor.wake();
    }
}

fn answer_all<R: Clone>(waiters: Vec<Waiter<R>>, answer: &Result<Shown<R>>) {
    for waiter in waiters {
        // Who has stopped waiting needs no answer.
        let _ = waiter.send(answer.clone());
    }
}

/// The error that a parked view gives its readers.
pub(super) fn faulted(view: &str, at: Option<Seq>, cause: &Error) -> Error {
    let kind = match cause.kind() {
        kind @ (ErrorKind::Corrupt | ErrorKind::Poisoned | ErrorKind::Closed) => kind,
        _ => ErrorKind::Faulted,
    };
    let message = format!("view \"{view}\" has stopped: {cause}; mend the cause, then rebuild the view");
    let error = Error::with_source(kind, message, cause.clone());
    match at {
        Some(at) => error.at(at),
        None => error,
    }
}
