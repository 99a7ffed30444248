//! [`Replica`], the state of a [`Reduce`](super::Reduce) elsewhere.

use super::Told;
use crate::{Error, ErrorKind, Result, Seq};

/// A copy of the state of a [`Reduce`](super::Reduce) that follows what its [feed](crate::view::Live::feed) tells, wherever
/// that has travelled to. It needs no log and no database, only the fold.
///
/// ```
/// use flumedb::{Seq, views::reduce::{Replica, Told}};
/// let mut sum = Replica::new(|sum: &mut u64, n: &u64, _| *sum += n);
/// sum.take(Told::Snapshot { since: Some(Seq::new(6)), state: 40 })?;
/// sum.take(Told::Item { seq: Seq::new(7), item: 2 })?;
/// assert_eq!((sum.state(), sum.since()), (Some(&42), Some(Seq::new(7))));
/// # Ok::<(), flumedb::Error>(())
/// ```
pub struct Replica<S, F> {
    fold: F,
    held: Option<(S, Option<Seq>)>,
}

impl<S, F> Replica<S, F> {
    /// A replica that knows nothing yet. `fold` must be what the view was made with.
    pub fn new<M>(fold: F) -> Self
    where
        F: Fn(&mut S, &M, Seq),
    {
        Self { fold, held: None }
    }

    /// Takes in what was told next.
    ///
    /// # Errors
    /// `Invalid` if there was no snapshot before it, or if it comes twice or out of order: something was lost on the way.
    /// The replica stays as it was; make a new feed, which begins with a snapshot.
    pub fn take<M>(&mut self, told: Told<S, M>) -> Result<()>
    where
        F: Fn(&mut S, &M, Seq),
    {
        let (seq, item) = match told {
            Told::Snapshot { since, state } => {
                self.held = Some((state, since));
                return Ok(());
            }
            Told::Item { seq, item } => (seq, Some(item)),
            Told::Skipped { since } => (since, None),
        };
        let Some((state, since)) = &mut self.held else {
            return Err(Error::new(ErrorKind::Invalid, "a replica begins with a snapshot; begin with a new feed"));
        };
        if since.is_some_and(|since| seq <= since) {
            let message = "this was told before: the feed's order was lost on the way; begin with a new feed";
            return Err(Error::new(ErrorKind::Invalid, message).at(seq));
        }
        if let Some(item) = item {
            (self.fold)(state, &item, seq);
        }
        *since = Some(seq);
        Ok(())
    }

    /// The state; `None` before the first snapshot.
    pub fn state(&self) -> Option<&S> {
        self.held.as_ref().map(|(state, _)| state)
    }

    /// The newest entry that is in it.
    pub fn since(&self) -> Option<Seq> {
        self.held.as_ref().and_then(|(_, since)| *since)
    }
}
