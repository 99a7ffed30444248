//! The rows of the store: their keys in order, and what stands behind them. One table holds them all; the first byte of a
//! key says which kind of row it is.
//!
//! | tag | key | value |
//! |---|---|---|
//! | 0 | collection | its declaration |
//! | 1 | collection, record's key | [`Current`]: the newest version |
//! | 2 | entry, number of the change | [`Version`]: a version that the log still holds, alive or dead |
//! | 3 | collection, index, index key, record's key | how many bytes are before the record's key |
//! | 4 | collection, index, index key | the key of the one record |
//! | 5 | entry | [`Refusal`]: none of its changes was made |
//! | 6 | entry | since which entry nobody needs it |
//! | 7 | collection, entry that superseded it, version | when (ms) |
//! | 8 | entry with more changes than one | how many of them are alive |

use crate::{
    Bytes,
    collection::{
        envelope::ChangeKind,
        record::{IndexRow, encode_key},
    },
    views::{AsKey, Key},
};

/// Where a version is: the entry, and the number of the change in it.
pub(in crate::collection) type At = (u64, u32);

pub(in crate::collection) const DECLARATION: u8 = 0;
pub(in crate::collection) const RECORD: u8 = 1;
pub(in crate::collection) const VERSION: u8 = 2;
pub(in crate::collection) const INDEX: u8 = 3;
pub(in crate::collection) const UNIQUE: u8 = 4;
pub(in crate::collection) const REFUSED: u8 = 5;
pub(in crate::collection) const GARBAGE: u8 = 6;
pub(in crate::collection) const AGING: u8 = 7;
pub(in crate::collection) const ALIVE: u8 = 8;

/// Appends the bytes of a key of type `K`.
fn write<K>(key: &impl AsKey<K>, out: &mut Vec<u8>) {
    key.encode(out);
}

/// A row's key: the tag, and what comes behind it.
pub(in crate::collection) fn key(tag: u8, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    out.push(tag);
    write(&mut out);
    out
}

pub(in crate::collection) fn declaration(collection: &str) -> Vec<u8> {
    key(DECLARATION, |out| write::<String>(&collection, out))
}

pub(in crate::collection) fn record(collection: &str, record: &[u8]) -> Vec<u8> {
    key(RECORD, |out| {
        write::<String>(&collection, out);
        out.extend_from_slice(record);
    })
}

/// All rows with this tag of an entry; behind it, those of the next one.
pub(in crate::collection) fn entry(tag: u8, seq: u64) -> Vec<u8> {
    key(tag, |out| write::<u64>(&seq, out))
}

pub(in crate::collection) fn version(at: At) -> Vec<u8> {
    key(VERSION, |out| write::<At>(&at, out))
}

/// All versions of a collection that get old, in the order in which they were superseded.
pub(in crate::collection) fn aging_of(collection: &str) -> Vec<u8> {
    key(AGING, |out| write::<String>(&collection, out))
}

pub(in crate::collection) fn aging(collection: &str, superseded: u64, at: At) -> Vec<u8> {
    let mut row = aging_of(collection);
    write::<(u64, At)>(&(superseded, at), &mut row);
    row
}

/// The beginning of the rows of one index, with the key that they are found by.
pub(in crate::collection) fn index(unique: bool, collection: &str, index: &str, bytes: &[u8]) -> Vec<u8> {
    key(if unique { UNIQUE } else { INDEX }, |out| {
        write::<String>(&collection, out);
        write::<String>(&index, out);
        out.extend_from_slice(bytes);
    })
}

/// The least bytes that are more than all that begin with these.
pub(in crate::collection) fn behind(mut prefix: Vec<u8>) -> Vec<u8> {
    while prefix.last() == Some(&0xff) {
        prefix.pop();
    }
    if let Some(last) = prefix.last_mut() {
        *last += 1;
    }
    prefix
}

/// The entry that a row with an entry behind its tag is about, and the rest.
pub(in crate::collection) fn parse_entry(row: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = row.get(1..)?;
    let seq = u64::decode(&mut rest)?;
    Some((seq, rest))
}

/// The newest version of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collection) struct Current {
    pub(in crate::collection) at: At,
    pub(in crate::collection) kind: ChangeKind,
    /// The entry that made it what it is: another one, if it was written anew.
    pub(in crate::collection) origin: u64,
    pub(in crate::collection) generation: u32,
    pub(in crate::collection) rows: Vec<IndexRow>,
}

impl Current {
    pub(in crate::collection) fn is_there(&self) -> bool {
        self.kind != ChangeKind::Delete
    }

    pub(in crate::collection) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write::<(At, u8, u64, u32)>(&(self.at, self.kind.number(), self.origin, self.generation), &mut out);
        for row in &self.rows {
            // The bytes of a key say where they end, but not to who does not know its type.
            write::<(String, bool, Bytes)>(&(row.index.as_str(), row.unique, &row.key), &mut out);
        }
        out
    }

    pub(in crate::collection) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let (at, kind, origin, generation) = <(At, u8, u64, u32)>::decode(&mut bytes)?;
        let mut rows = Vec::new();
        while !bytes.is_empty() {
            let (index, unique, key) = <(String, bool, Bytes)>::decode(&mut bytes)?;
            rows.push(IndexRow { index, unique, key });
        }
        Some(Self { at, kind: ChangeKind::of(kind)?, origin, generation, rows })
    }
}

/// Whether somebody needs a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collection) enum State {
    /// It is current, or kept as history.
    Alive,
    /// Nobody needs it, nor any older one.
    Dead,
    /// It was written anew; older ones may be alive.
    Rewritten,
}

/// A version of a record that the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collection) struct Version {
    pub(in crate::collection) collection: String,
    pub(in crate::collection) key: Bytes,
    pub(in crate::collection) kind: ChangeKind,
    pub(in crate::collection) state: State,
    /// The one before of the same record, if there was one. The log may not hold it any more.
    pub(in crate::collection) before: Option<At>,
    /// Which entry superseded it, where that decides how long it is kept.
    pub(in crate::collection) superseded: Option<u64>,
}

impl Version {
    pub(in crate::collection) fn encode(&self) -> Vec<u8> {
        let state = match self.state {
            State::Alive => 0_u8,
            State::Dead => 1,
            State::Rewritten => 2,
        };
        let mut out = Vec::new();
        let parts = ((self.kind.number(), state), self.before, self.superseded, self.collection.as_str());
        write::<((u8, u8), Option<At>, Option<u64>, String)>(&parts, &mut out);
        out.extend_from_slice(&self.key);
        out
    }

    pub(in crate::collection) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let ((kind, state), before, superseded, collection) =
            <((u8, u8), Option<At>, Option<u64>, String)>::decode(&mut bytes)?;
        let state = match state {
            0 => State::Alive,
            1 => State::Dead,
            2 => State::Rewritten,
            _ => return None,
        };
        let (key, kind) = (Bytes::copy_from_slice(bytes), ChangeKind::of(kind)?);
        Some(Self { collection, key, kind, state, before, superseded })
    }
}

/// Why an entry's changes were not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::collection) enum Refusal {
    /// A record in a range that should not change was changed.
    Changed { collection: String },
    /// A record that should not be there is.
    Present { collection: String, key: Bytes },
    /// Another record has a row of a unique index.
    Taken { collection: String, index: String, by: Bytes },
}

impl Refusal {
    /// What it is about.
    pub(in crate::collection) fn collection(&self) -> &str {
        match self {
            Self::Changed { collection } | Self::Present { collection, .. } | Self::Taken { collection, .. } => {
                collection
            }
        }
    }

    /// The bytes, with the position that the entry had seen everything before of that it was refused for.
    pub(in crate::collection) fn encode(&self, seen: u64) -> Vec<u8> {
        let nothing = Bytes::new();
        let (kind, collection, index, key) = match self {
            Self::Changed { collection } => (0_u8, collection, "", &nothing),
            Self::Present { collection, key } => (1, collection, "", key),
            Self::Taken { collection, index, by } => (2, collection, index.as_str(), by),
        };
        encode_key::<(u64, (u8, String, String, Bytes))>(&(seen, (kind, collection.as_str(), index, key))).into()
    }

    pub(in crate::collection) fn decode(mut bytes: &[u8]) -> Option<(u64, Self)> {
        let (seen, (kind, collection, index, key)) = <(u64, (u8, String, String, Bytes))>::decode(&mut bytes)?;
        let refusal = match kind {
            0 => Self::Changed { collection },
            1 => Self::Present { collection, key },
            2 => Self::Taken { collection, index, by: key },
            _ => return None,
        };
        Some((seen, refusal))
    }
}

/// Where the version of a version's row is.
pub(in crate::collection) fn parse_version(row: &[u8]) -> Option<At> {
    At::decode(&mut row.get(1..)?)
}

/// The collection that a declaration is about.
pub(in crate::collection) fn parse_declaration(row: &[u8]) -> Option<String> {
    String::decode(&mut row.get(1..)?)
}

/// When a version was superseded, by the row that says so, and which one it is.
pub(in crate::collection) fn parse_aging(row: &[u8]) -> Option<(u64, At)> {
    <(String, (u64, At))>::decode(&mut row.get(1..)?).map(|(_, aging)| aging)
}

/// What stands behind rows that hold a number.
pub(in crate::collection) fn number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// What stands behind a row of an index: how many bytes of it are before the record's key.
pub(in crate::collection) fn len_before(row: &[u8], key: &[u8]) -> Vec<u8> {
    ((row.len() - key.len()) as u64).to_be_bytes().to_vec()
}
