//! [`Reduce`], a fold over all entries.

mod feed;
mod fold;
mod reader;
mod replica;

use std::{marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

pub use feed::{Feed, Told};
pub use fold::{Fold, Invertible, MapFn, Mapped, Undo};
pub use reader::Reduced;
pub use replica::Replica;

use super::snapshot;
use crate::{
    Result, Seq,
    view::{Checkpoint, Definition, Place, Retraction, Run, View, ViewContext},
};

/// A view that folds every entry into one state: a sum, a count by kind, the newest of each.
///
/// The state is in memory, two times: readers see one, the other takes in what comes; then they change places, and the one
/// that is behind takes in the same entries again. So showing a few new entries costs twice those entries. Only if a reader
/// still holds the older state, or too much came between two looks, is the state copied. On the disk it is one file that is
/// written whole, as often as the host syncs (at most once a second, and a twentieth of the time). For more than some
/// megabytes, or a state by key, use [`Groups`](super::Groups), which writes what changed.
///
/// Folding must be deterministic. Raise `version` when `fold` or `initial` changes, and the view is built anew. A deleted
/// entry is taken back by the [inverse](Reduce::with_inverse), if there is one, and the state is copied once; otherwise the
/// view is built anew. It is built anew for an entry that reads otherwise, too.
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
    /// How often the state has changed otherwise than by new entries.
    epoch: u64,
}

/// Runs to be folded in once more; `None` if they would hold too much memory, or are not all that has changed.
type Kept<T> = Option<Vec<Run<T>>>;

/// The most memory that runs are kept in.
const KEPT_BYTES: usize = 16 << 20;

impl<T, S: Clone, F> Reduce<T, S, F> {
    /// The view whose state is `initial` before the first entry, and after each what `fold` makes of it.
    pub fn new(version: u32, initial: S, fold: F) -> Self
    where
        F: Fn(&mut S, &T) + Send + 'static,
    {
        Self::with_fold(version, initial, fold)
    }

    fn with_fold(version: u32, initial: S, fold: F) -> Self {
        Self {
            version,
            shown: Arc::new(initial.clone()),
            initial,
            fold,
            place: None,
            next: None,
            taken: Some(Vec::new()),
            former: None,
            published: None,
            epoch: 0,
        }
    }

    /// The same with an inverse: after `fold` and then `inverse` of the same entry the state is as it was before, whatever
    /// was folded in between. Then a deletion costs that call and one copy of the state, instead of a rebuild.
    ///
    /// ```
    /// use flumedb::views::Reduce;
    /// let sum = Reduce::new(1, 0i64, |sum: &mut i64, n: &i64| *sum += n).with_inverse(|sum, n| *sum -= n);
    /// # let _ = sum;
    /// ```
    pub fn with_inverse<G>(self, inverse: G) -> Reduce<T, S, Invertible<F, G, T>>
    where
        F: Fn(&mut S, &T) + Send + 'static,
        G: Fn(&mut S, &T) + Send + 'static,
    {
        self.inverted(inverse)
    }

    fn inverted<G, M>(self, inverse: G) -> Reduce<T, S, Invertible<F, G, M>> {
        let fold = Invertible { fold: self.fold, inverse, marker: PhantomData };
        Reduce::with_fold(self.version, self.initial, fold)
    }
}

impl<T, S: Clone, M, F: Fn(&mut S, &M, Seq) + Send + 'static> Reduce<T, S, Mapped<T, M, F>> {
    /// The view that folds in what `map` makes of each entry, with the entry's `Seq`. Where `map` gives nothing, the entry
    /// is skipped. A [feed](crate::view::Live::feed) tells what was mapped, so what `map` leaves out does not travel.
    ///
    /// ```
    /// use flumedb::{Seq, views::Reduce};
    /// struct Post { likes: Option<u64> }
    /// let best = Reduce::mapped(1, (0, None), |post: &Post| post.likes, |best: &mut (u64, Option<Seq>), likes, seq| {
    ///     if *likes > best.0 {
    ///         *best = (*likes, Some(seq));
    ///     }
    /// });
    /// # let _ = best;
    /// ```
    pub fn mapped(version: u32, initial: S, map: impl Fn(&T) -> Option<M> + Send + Sync + 'static, fold: F) -> Self {
        Self::with_fold(version, initial, Mapped { map: Arc::new(map), fold })
    }

    /// As [`with_inverse`](Reduce::with_inverse), for items that are mapped.
    pub fn with_mapped_inverse<G>(self, inverse: G) -> Reduce<T, S, Invertible<Mapped<T, M, F>, G, (T, M)>>
    where
        G: Fn(&mut S, &M, Seq) + Send + 'static,
    {
        self.inverted(inverse)
    }
}

impl<T, S: Clone, F: Fold<T, S>> Reduce<T, S, F> {
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

    fn take_next(&mut self) -> S {
        self.next.take().unwrap_or_else(|| self.make_next())
    }
}

fn fold_in<T, S>(fold: &impl Fold<T, S>, state: &mut S, run: &Run<T>) {
    run.iter().for_each(|entry| fold.fold(state, entry.seq, &entry.value));
}

impl<T, S, F> View for Reduce<T, S, F>
where
    T: Send + Sync + 'static,
    S: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Fold<T, S>,
{
    type Item = T;
    type Reader = Reduced<S, F::Map>;

    fn definition(&self) -> Definition {
        Definition::new("reduce", self.version, "")
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        (self.next, self.taken, self.former, self.published) = (None, Some(Vec::new()), None, None);
        self.epoch += 1;
        self.place = cx.place.clone();
        let stored = self.place.as_ref().map(snapshot::load).transpose()?.flatten();
        let (checkpoint, state) = stored.map_or((None, None), |(checkpoint, state)| (Some(checkpoint), Some(state)));
        self.shown = Arc::new(state.unwrap_or_else(|| self.initial.clone()));
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        let mut next = self.take_next();
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

    fn retract(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let Some(item) = item else { return Ok(Retraction::Rebuild) };
        match self.fold.undo(item) {
            Undo::Nothing => {}
            Undo::Impossible => return Ok(Retraction::Rebuild),
            Undo::Possible => {
                let mut next = self.take_next();
                self.fold.unfold(&mut next, seq, item);
                self.next = Some(next);
                // The state behind cannot do the same: the entry is gone.
                self.taken = None;
                self.epoch += 1;
            }
        }
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<Self::Reader> {
        if let Some(next) = self.next.take() {
            let former = std::mem::replace(&mut self.shown, Arc::new(next));
            self.former = Some((former, self.taken.replace(Vec::new())));
        }
        self.published = Some(at.clone());
        let (since, state) = (at.since(), self.shown.clone());
        Ok(Reduced { since, state, epoch: self.epoch, map: self.fold.map() })
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
