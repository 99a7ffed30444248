//! [`Reduced`], a state as it was after an entry.

use std::{fmt, ops::Deref, sync::Arc};

use crate::Seq;

/// The state as it was after an entry. Cheap to clone; while it is held it is in memory.
///
/// `M` is what makes an item of an entry for replicas, where the view was made with a map.
pub struct Reduced<S, M = ()> {
    pub(super) since: Option<Seq>,
    pub(super) state: Arc<S>,
    /// Between two readers with the same number nothing but new entries was folded in.
    pub(super) epoch: u64,
    pub(super) map: M,
}

impl<S, M> Reduced<S, M> {
    /// The newest entry that is in it.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }
}

impl<S, M: Clone> Clone for Reduced<S, M> {
    fn clone(&self) -> Self {
        Self { since: self.since, state: self.state.clone(), epoch: self.epoch, map: self.map.clone() }
    }
}

impl<S, M> Deref for Reduced<S, M> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

impl<S: fmt::Debug, M> fmt::Debug for Reduced<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reduced").field("since", &self.since).field("state", &self.state).finish_non_exhaustive()
    }
}
