//! [`Explain`], how a query is answered.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// How a query is answered: what [`Ask::explain`](super::Ask::explain) says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explain {
    /// The index that is used; without one, every entry of the log is looked at.
    pub index: Option<String>,
    /// The parts of the index that are looked at.
    pub ranges: Vec<Bounds>,
    /// From the end back.
    pub reverse: bool,
    /// How many entries are looked at.
    pub rows: u64,
    /// The tests of the filter that are left: every entry is held against the whole filter, but the others it passes.
    pub filtered: Vec<Value>,
    /// How well each index fits that does.
    pub scores: BTreeMap<String, u32>,
}

/// A part of an index.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bounds {
    /// The values at its first paths at the beginning.
    pub from: Vec<Value>,
    /// The same at the end, which is in it, with everything that begins so.
    pub to: Vec<Value>,
}
