//! [`Checkpoint`], what a view's stored state covers, and [`Definition`], what the view is.

use serde::{Deserialize, Serialize};

use crate::{
    Error, ErrorKind, Result, Seq,
    log::{LogIdentity, Proof},
};

/// What a view builds: a version and a declarative definition. Two views with equal definitions over the same log and
/// codec have the same state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Definition {
    /// The kind of view: `reduce`, `index` …
    pub kind: String,
    /// Raised by whoever changes what the view makes of an entry.
    pub version: u32,
    /// Everything else that decides the state, in words or as JSON.
    pub detail: String,
}

impl Definition {
    /// A definition.
    pub fn new(kind: impl Into<String>, version: u32, detail: impl Into<String>) -> Self {
        Self { kind: kind.into(), version, detail: detail.into() }
    }
}

/// What a view's state covers: which log, which definition, up to which entry, and evidence for that entry. Made by the
/// host; a view stores it with its data and gives it back. Its bytes are opaque.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub(crate) log: LogIdentity,
    pub(crate) definition: Definition,
    pub(crate) codec: String,
    pub(crate) since: Option<Seq>,
    pub(crate) proof: Option<Proof>,
    /// Entries that did not decode and were passed over.
    pub(crate) skipped: u64,
    /// See `progress::Horizons`.
    pub(crate) horizons: Vec<(u64, u64)>,
}

impl Checkpoint {
    /// The newest entry that the state covers.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing to memory cannot fail, and every field has a representation.
        rmp_serde::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`to_bytes`](Checkpoint::to_bytes) gave.
    ///
    /// # Errors
    /// `Corrupt` if the bytes are nothing of the kind; the view should pass that on, and is rebuilt.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        rmp_serde::from_slice(bytes).map_err(|error| {
            Error::with_source(ErrorKind::Corrupt, "the view's checkpoint cannot be read; rebuild the view", error)
        })
    }
}
