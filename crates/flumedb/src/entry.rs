//! [`Entry`], an item with its name, and [`Event`], what a subscription can say of the log.

use crate::Seq;

/// An item of the log together with its [`Seq`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// Its name in the log.
    pub seq: Seq,
    /// What was appended, as the codec reads it.
    pub value: T,
}

/// What `subscribe(..).events()` yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<T> {
    /// An entry.
    Entry(Entry<T>),
    /// The entry of this name was deleted.
    Deleted(Seq),
    /// Everything that was in the log when the subscription was made has been delivered; what follows is new. Once.
    CaughtUp,
}
