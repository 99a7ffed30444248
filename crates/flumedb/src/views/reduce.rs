//! [`Reduce`], a fold over all entries.

use std::{fmt, ops::Deref, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::snapshot;
use crate::{
    Result, Seq,
    view::{Checkpoint, Definition, Place, Run, View, ViewContext},
};

/// A view that folds every entry into one state: a sum, a count by kind, the newest of each.
///
/// The state may be large. There are two of it: readers see one, the other takes in what comes; then they change
/// places, and the one that is behind takes in the same entries again. So showing a few new entries costs twice those
/// entries. Only if a reader still holds the older state, or too much came between two looks, is the state copied.
///
/// Folding must be deterministic. Raise `version` when `fold` or `initial` changes, and the view is built anew. A deleted
/// entry cannot be folded back: the view is built anew then too.
///
/// ```
/// use flumedb::{views::Reduce, view::View};
/// let words = Reduce::new(1, 0u64, |sum, text: &String| *sum += text.split(' ').count() as u64);
/// assert_eq!(words.definition().version, 1);
/// ```
pub struct Reduce<T, S, F> {
    version: u32,
    initial: S,
    fold: F,
    place: Option<Place>,
    /// What readers see.
    shown: Arc<S>,
    /// What comes next; made when there is something to take in.
    next: Option<S>,
    /// What `next` has and `shown` has not.
    taken: Kept<T>,
    /// What readers saw before, and what `shown` has and it has not.
    former: Option<(Arc<S>, Kept<T>)>,
    published: Option<Checkpoint>,
}

/// Runs to be folded in once more; `None` if they would hold too much memory.
type Kept<T> = Option<Vec<Run<T>>>;

/// The most memory that runs are kept in.
const KEPT_BYTES: usize = 16 << 20;

impl<T, S, F> Reduce<T, S, F>
where
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fn(&mut S, &T) + Send + 'static,
{
    /// The view whose state is `initial` before the first entry, and after each what `fold` makes of it.
    pub fn new(version: u32, initial: S, fold: F) -> Self {
        let shown = Arc::new(initial.clone());
        Self {
            version,
            initial,
            fold,
            place: None,
            shown,
            next: None,
            taken: Some(Vec::new()),
            former: None,
            published: None,
        }
    }

    /// A state that is as `shown`, to write to.
    fn make_next(&mut self) -> S {
        if let Some((state, Some(missing))) = self.former.take()
            && let Ok(mut state) = Arc::try_unwrap(state)
        {
            missing.iter().for_each(|run| fold_in(&self.fold, &mut state, run));
            return state;
        }
        S::clone(&self.shown)
    }
}

fn fold_in<T, S>(fold: &impl Fn(&mut S, &T), state: &mut S, run: &Run<T>) {
    run.iter().for_each(|entry| fold(state, &entry.value));
}

impl<T, S, F> View for Reduce<T, S, F>
where
    T: Send + Sync + 'static,
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fn(&mut S, &T) + Send + 'static,
{
    type Item = T;
    type Reader = Reduced<S>;

    fn definition(&self) -> Definition {
        Definition::new("reduce", self.version, "")
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        (self.next, self.taken, self.former, self.published) = (None, Some(Vec::new()), None, None);
        self.place = cx.place.clone();
        let stored = self.place.as_ref().map(snapshot::load).transpose()?.flatten();
        let (checkpoint, state) = stored.map_or((None, None), |(checkpoint, state)| (Some(checkpoint), Some(state)));
        self.shown = Arc::new(state.unwrap_or_else(|| self.initial.clone()));
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        let mut next = self.next.take().unwrap_or_else(|| self.make_next());
        fold_in(&self.fold, &mut next, run);
        self.next = Some(next);
        if let Some(taken) = &mut self.taken {
            taken.push(run.clone());
            if kept_bytes(taken) > KEPT_BYTES {
                self.taken = None;
            }
        }
        Ok(())
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<Reduced<S>> {
        if let Some(next) = self.next.take() {
            let former = std::mem::replace(&mut self.shown, Arc::new(next));
            self.former = Some((former, self.taken.replace(Vec::new())));
        }
        self.published = Some(at.clone());
        Ok(Reduced { since: at.since(), state: self.shown.clone() })
    }

    fn sync(&mut self) -> Result<()> {
        match (&self.place, &self.published) {
            (Some(place), Some(at)) => snapshot::save(place, at, &*self.shown),
            _ => Ok(()),
        }
    }
}

/// Cuts of one piece of memory hold it once.
fn kept_bytes<T>(runs: &[Run<T>]) -> usize {
    let mut former: Option<&Run<T>> = None;
    let fresh = runs.iter().filter(|run| !former.replace(run).is_some_and(|former| former.shares_memory(run)));
    fresh.map(Run::memory).sum()
}

/// The state as it was after an entry. Cheap to clone; while it is held it is in memory.
pub struct Reduced<S> {
    since: Option<Seq>,
    state: Arc<S>,
}

impl<S> Reduced<S> {
    /// The newest entry that is in it.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }
}

impl<S> Clone for Reduced<S> {
    fn clone(&self) -> Self {
        Self { since: self.since, state: self.state.clone() }
    }
}

impl<S> Deref for Reduced<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

impl<S: fmt::Debug> fmt::Debug for Reduced<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reduced").field("since", &self.since).field("state", &self.state).finish()
    }
}
