//! [`Envelope`], the codec of a database of collections, and [`Write`], what one entry of its log says.
//!
//! MessagePack: `[form, time_ms, since, unchanged, absent, changes]`. A change is X a row is `[index, unique, key]`. A key is the bytes that keep its order, a value is a
//! record as MessagePack, in binary.

use rmp::encode as write;
use serde::{Deserialize, Serialize};

use super::{message::Message, record::IndexRow};
use crate::{Bytes, Error, ErrorKind, Result, Seq, codec::Codec};

/// The first thing in an entry. Raised when the form changes.
const FORM: u64 = 1;

/// The codec of a database of collections: what its log's entries are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope;

/// Some changes of records, which are all made or none, under conditions that are decided by the order of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// When it was written, milliseconds since 1970, by the writer's clock.
    pub time_ms: u64,
    /// The newest entry that whoever wrote this had seen.
    pub since: Option<Seq>,
    /// Made only if no record in these ranges was changed after `since`.
    pub unchanged: Vec<KeyRange>,
    /// Made only if there are no such records: collection and key.
    pub absent: Vec<(String, Bytes)>,
    /// The changes.
    pub changes: Vec<RecordChange>,
}

/// Some keys of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// The collection.
    pub collection: String,
    /// The first key.
    pub from: Bytes,
    /// Where it ends.
    pub to: KeyEnd,
}

/// Where a range of keys ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyEnd {
    /// There is only the first key.
    Same,
    /// Before this key.
    Before(Bytes),
    /// Nowhere.
    Open,
}

impl KeyRange {
    /// One key.
    pub fn one(collection: impl Into<String>, key: Bytes) -> Self {
        Self { collection: collection.into(), from: key, to: KeyEnd::Same }
    }

    /// Whether a key is in.
    pub fn contains(&self, key: &Bytes) -> bool {
        match &self.to {
            KeyEnd::Same => *key == self.from,
            KeyEnd::Before(to) => *key >= self.from && key < to,
            KeyEnd::Open => *key >= self.from,
        }
    }
}

/// A change of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChange {
    /// What it does.
    pub kind: ChangeKind,
    /// For what was written anew: the entry that made the record what it is.
    pub origin: Option<Seq>,
    /// The collection.
    pub collection: String,
    /// The record's key, in bytes that keep its order.
    pub key: Bytes,
    /// The version of the record's type.
    pub version: u32,
    /// Which declaration of the collection its rows were made under.
    pub generation: u32,
    /// Where the record is found in indexes.
    pub rows: Vec<IndexRow>,
    /// The record; nothing of one that is deleted.
    pub value: Bytes,
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// The record is this now.
    Put,
    /// The record is gone.
    Delete,
    /// The record is what it was, and was written anew.
    Rewrite,
}

impl ChangeKind {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Put => 0,
            Self::Delete => 1,
            Self::Rewrite => 2,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        [Self::Put, Self::Delete, Self::Rewrite].into_iter().find(|kind| kind.number() == number)
    }
}

impl Codec for Envelope {
    type Input = Write;
    type Item = Write;

    fn identity(&self) -> String {
        format!("collections-{FORM}")
    }

    fn encode(&self, input: &Write, out: &mut Vec<u8>) -> Result<()> {
        encode(input, out).map_err(|error| {
            Error::with_source(ErrorKind::Invalid, format!("cannot be written as MessagePack: {error}"), error)
        })
    }

    fn decode(&self, bytes: &Bytes) -> Result<Write> {
        decode(bytes).ok_or_else(|| {
            let message = "this is no entry of a database of collections, or of a newer version; open it with the codec \
                           that it was written with";
            Error::new(ErrorKind::Invalid, message)
        })
    }
}

type Written = Result<(), write::ValueWriteError<std::io::Error>>;

fn write_seq(out: &mut Vec<u8>, seq: Option<Seq>) -> Written {
    match seq {
        Some(seq) => write::write_uint(out, seq.get()).map(drop),
        None => write::write_nil(out).map_err(write::ValueWriteError::InvalidMarkerWrite),
    }
}

fn encode(input: &Write, out: &mut Vec<u8>) -> Written {
    let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    write::write_array_len(out, 6)?;
    write::write_uint(out, FORM)?;
    write::write_uint(out, input.time_ms)?;
    write_seq(out, input.since)?;
    write::write_array_len(out, len(input.unchanged.len()))?;
    for range in &input.unchanged {
        write::write_array_len(out, if range.to == KeyEnd::Same { 2 } else { 3 })?;
        write::write_str(out, &range.collection)?;
        write::write_bin(out, &range.from)?;
        match &range.to {
            KeyEnd::Same => {}
            KeyEnd::Before(to) => write::write_bin(out, to)?,
            KeyEnd::Open => write_seq(out, None)?,
        }
    }
    write::write_array_len(out, len(input.absent.len()))?;
    for (collection, key) in &input.absent {
        write::write_array_len(out, 2)?;
        write::write_str(out, collection)?;
        write::write_bin(out, key)?;
    }
    write::write_array_len(out, len(input.changes.len()))?;
    for change in &input.changes {
        write::write_array_len(out, 8)?;
        write::write_uint(out, u64::from(change.kind.number()))?;
        write_seq(out, change.origin)?;
        write::write_str(out, &change.collection)?;
        write::write_bin(out, &change.key)?;
        write::write_uint(out, u64::from(change.version))?;
        write::write_uint(out, u64::from(change.generation))?;
        write::write_array_len(out, len(change.rows.len()))?;
        for row in &change.rows {
            write::write_array_len(out, 3)?;
            write::write_str(out, &row.index)?;
            write::write_uint(out, u64::from(row.unique))?;
            write::write_bin(out, &row.key)?;
        }
        write::write_bin(out, &change.value)?;
    }
    Ok(())
}

fn decode(bytes: &Bytes) -> Option<Write> {
    let mut message = Message::new(bytes);
    message.array(6)?;
    if message.number()? != FORM {
        return None;
    }
    let time_ms = message.number()?;
    let since = message.number_or_nil()?.map(Seq::new);
    let unchanged = message.list(|message| {
        let parts = message.len()?;
        let (collection, from) = (message.text()?, message.bytes()?);
        let to = match parts {
            2 => KeyEnd::Same,
            3 => message.bytes_or_nil()?.map_or(KeyEnd::Open, KeyEnd::Before),
            _ => return None,
        };
        Some(KeyRange { collection, from, to })
    })?;
    let absent = message.list(|message| {
        message.array(2)?;
        Some((message.text()?, message.bytes()?))
    })?;
    let changes = message.list(|message| {
        message.array(8)?;
        Some(RecordChange {
            kind: ChangeKind::of(message.number()?.try_into().ok()?)?,
            origin: message.number_or_nil()?.map(Seq::new),
            collection: message.text()?,
            key: message.bytes()?,
            version: message.number()?.try_into().ok()?,
            generation: message.number()?.try_into().ok()?,
            rows: message.list(|message| {
                message.array(3)?;
                let index = message.text()?;
                let unique = message.number()? == 1;
                Some(IndexRow { index, unique, key: message.bytes()? })
            })?,
            value: message.bytes()?,
        })
    })?;
    message.is_at_end().then_some(Write { time_ms, since, unchanged, absent, changes })
}
