//! [`Fold`], what a [`Reduce`](super::Reduce) does with an entry: a function, a function of what another makes of the
//! entry, and either of them with an inverse.

use std::{marker::PhantomData, sync::Arc};

use crate::Seq;

/// How entries are folded into a state of type `S`. Implemented for `Fn(&mut S, &T)`, and for what
/// [`Reduce::mapped`](super::Reduce::mapped) and `with_inverse` make.
pub trait Fold<T, S>: Send + 'static {
    /// What is folded in: the entry, or what it is mapped to.
    type Item: Send + 'static;
    /// What makes an item of an entry; readers carry it.
    type Map: Clone + Send + Sync + 'static;

    /// See [`Fold::Map`].
    fn map(&self) -> Self::Map;

    /// The item that `entry` is told as to replicas; `None` if it is skipped.
    fn told(map: &Self::Map, entry: T) -> Option<Self::Item>;

    /// Folds an entry in.
    fn fold(&self, state: &mut S, seq: Seq, entry: &T);

    /// Whether an entry can be taken back.
    fn undo(&self, entry: &T) -> Undo;

    /// Takes an entry back for which `undo` says that this is possible.
    fn unfold(&self, state: &mut S, seq: Seq, entry: &T);
}

/// Whether an entry can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// It was skipped: there is nothing to take back.
    Nothing,
    /// There is an inverse.
    Possible,
    /// There is none.
    Impossible,
}

impl<T, S, F> Fold<T, S> for F
where
    T: Send + 'static,
    F: Fn(&mut S, &T) + Send + 'static,
{
    type Item = T;
    type Map = ();

    fn map(&self) {}

    fn told((): &(), entry: T) -> Option<T> {
        Some(entry)
    }

    fn fold(&self, state: &mut S, _: Seq, entry: &T) {
        self(state, entry);
    }

    fn undo(&self, _: &T) -> Undo {
        Undo::Impossible
    }

    fn unfold(&self, _: &mut S, _: Seq, _: &T) {}
}

/// What an entry is mapped to, or nothing.
pub type MapFn<T, M> = Arc<dyn Fn(&T) -> Option<M> + Send + Sync>;

/// A fold of what entries are mapped to.
pub struct Mapped<T, M, F> {
    pub(super) map: MapFn<T, M>,
    pub(super) fold: F,
}

impl<T, S, M, F> Fold<T, S> for Mapped<T, M, F>
where
    T: 'static,
    M: Send + 'static,
    F: Fn(&mut S, &M, Seq) + Send + 'static,
{
    type Item = M;
    type Map = MapFn<T, M>;

    fn map(&self) -> MapFn<T, M> {
        self.map.clone()
    }

    fn told(map: &MapFn<T, M>, entry: T) -> Option<M> {
        map(&entry)
    }

    fn fold(&self, state: &mut S, seq: Seq, entry: &T) {
        if let Some(item) = (self.map)(entry) {
            (self.fold)(state, &item, seq);
        }
    }

    fn undo(&self, entry: &T) -> Undo {
        if (self.map)(entry).is_some() { Undo::Impossible } else { Undo::Nothing }
    }

    fn unfold(&self, _: &mut S, _: Seq, _: &T) {}
}

/// A fold with an inverse.
pub struct Invertible<F, G, M> {
    pub(super) fold: F,
    pub(super) inverse: G,
    pub(super) marker: PhantomData<fn() -> M>,
}

impl<T, S, F, G> Fold<T, S> for Invertible<F, G, T>
where
    T: Send + 'static,
    F: Fn(&mut S, &T) + Send + 'static,
    G: Fn(&mut S, &T) + Send + 'static,
{
    type Item = T;
    type Map = ();

    fn map(&self) {}

    fn told((): &(), entry: T) -> Option<T> {
        Some(entry)
    }

    fn fold(&self, state: &mut S, _: Seq, entry: &T) {
        (self.fold)(state, entry);
    }

    fn undo(&self, _: &T) -> Undo {
        Undo::Possible
    }

    fn unfold(&self, state: &mut S, _: Seq, entry: &T) {
        (self.inverse)(state, entry);
    }
}

impl<T, S, M, F, G> Fold<T, S> for Invertible<Mapped<T, M, F>, G, (T, M)>
where
    T: 'static,
    M: Send + 'static,
    F: Fn(&mut S, &M, Seq) + Send + 'static,
    G: Fn(&mut S, &M, Seq) + Send + 'static,
{
    type Item = M;
    type Map = MapFn<T, M>;

    fn map(&self) -> MapFn<T, M> {
        self.fold.map.clone()
    }

    fn told(map: &MapFn<T, M>, entry: T) -> Option<M> {
        map(&entry)
    }

    fn fold(&self, state: &mut S, seq: Seq, entry: &T) {
        self.fold.fold(state, seq, entry);
    }

    fn undo(&self, entry: &T) -> Undo {
        if (self.fold.map)(entry).is_some() { Undo::Possible } else { Undo::Nothing }
    }

    fn unfold(&self, state: &mut S, seq: Seq, entry: &T) {
        if let Some(item) = (self.fold.map)(entry) {
            (self.inverse)(state, &item, seq);
        }
    }
}
