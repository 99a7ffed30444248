//! [`Group`] in memory and as a row of the store.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ErrorKind, Result};

/// What is kept of a group.
#[derive(Clone)]
pub(super) struct GroupState<S> {
    /// How many entries are in it; without any there is no such group.
    pub(super) entries: u64,
    pub(super) state: S,
    /// Whether `state` must be made anew from the parts, because something was taken away that it could not do without.
    pub(super) stale: bool,
    /// How many entries are listed as its members, with those that are gone: only where what entries bring is kept.
    pub(super) listed: u64,
}

/// So many members that are gone may be listed, besides as many as there are.
const SLACK: u64 = 32;

impl<S: Default> Default for GroupState<S> {
    fn default() -> Self {
        Self { entries: 0, state: S::default(), stale: false, listed: 0 }
    }
}

impl<S> GroupState<S> {
    /// Whether its members have to be looked through: because `state` must be made anew, or since most of them are gone, which
    /// would take ever more room.
    pub(super) fn is_loose(&self) -> bool {
        let most = if self.entries == 0 { 0 } else { self.entries.saturating_mul(2).saturating_add(SLACK) };
        self.stale || self.listed > most
    }
}

impl<S: Default> GroupState<S> {
    /// Without any entry.
    pub(super) fn empty(&mut self) {
        *self = Self { listed: self.listed, ..Self::default() };
    }
}

impl<S: Serialize + DeserializeOwned> GroupState<S> {
    /// As a row; an empty one if there is no such group.
    pub(super) fn to_row(&self) -> Result<Vec<u8>> {
        if self.entries == 0 {
            return Ok(Vec::new());
        }
        to_bytes(&(self.entries, self.listed, &self.state))
    }

    pub(super) fn from_row(row: &[u8]) -> Option<Self> {
        let (entries, listed, state) = rmp_serde::from_slice(row).ok()?;
        Some(Self { entries, state, stale: false, listed })
    }
}

/// As it stands in the store.
pub(super) fn to_bytes(state: &impl Serialize) -> Result<Vec<u8>> {
    rmp_serde::to_vec(state).map_err(|error| {
        let message =
            format!("the state of an aggregate cannot be written as MessagePack: {error}; mend its Serialize");
        Error::with_source(ErrorKind::Invalid, message, error)
    })
}
