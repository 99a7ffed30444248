//! [`Records`], the one view of a database of collections: which records there are, where, and under which index keys.
//! All that it decides is decided by the order of the log: which of two writers was first, and what the other is told.

mod apply;
mod reader;
mod retract;
pub(super) mod row;
mod rows;
mod table;

use std::collections::HashMap;

pub use reader::RecordsReader;
use table::Table;
pub(super) use table::TableRange;

use self::rows::Rows;
use super::{
    envelope::Write,
    record::{Declaration, History},
    value,
};
use crate::{
    Error, ErrorKind, Result, Seq,
    view::{Checkpoint, Definition, Entries, Retraction, Run, View, ViewContext},
};

/// The view of a database of collections.
#[derive(Default)]
pub struct Records {
    open: Option<Open>,
    /// Raised whenever records may have gone without a change that says so.
    epoch: u64,
}

struct Open {
    rows: Rows,
    entries: Entries<Write>,
    /// What was looked up of how collections keep their history.
    histories: HashMap<String, History>,
}

/// Bytes of the store that are kept in memory.
const CACHE_BYTES: usize = 32 << 20;

/// The most collections whose declarations are kept in memory.
const MAX_HISTORIES: usize = 1024;

fn not_open() -> Error {
    Error::new(ErrorKind::Invalid, "the view is not open; call `open` first")
}

impl View for Records {
    type Item = Write;
    type Reader = RecordsReader;

    fn definition(&self) -> Definition {
        Definition::new("collections", 1, "")
    }

    fn open(&mut self, cx: &ViewContext<Write>) -> Result<Option<Checkpoint>> {
        // Two stores must not have one file open.
        self.open = None;
        let (rows, checkpoint) = Rows::open(cx.place.as_ref(), CACHE_BYTES)?;
        self.open = Some(Open { rows, entries: cx.entries.clone(), histories: HashMap::new() });
        self.epoch += 1;
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<Write>) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(not_open)?;
        run.iter().try_for_each(|entry| open.apply(entry.seq, &entry.value))
    }

    fn retract(&mut self, seq: Seq, _: Option<&Write>) -> Result<Retraction> {
        let open = self.open.as_mut().ok_or_else(not_open)?;
        let retracted = open.retract(seq.get())?;
        self.epoch += u64::from(retracted.was_current);
        Ok(retracted.retraction)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&Write>) -> Result<Retraction> {
        let open = self.open.as_ref().ok_or_else(not_open)?;
        // What later entries do depends on it.
        let unknown = item.is_none() && !open.knows(seq.get())?;
        Ok(if unknown { Retraction::Done } else { Retraction::Rebuild })
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<RecordsReader> {
        let open = self.open.as_mut().ok_or_else(not_open)?;
        let table = open.rows.commit(at)?;
        Ok(RecordsReader::new(table, open.entries.clone(), at.since(), self.epoch))
    }

    fn sync(&mut self) -> Result<()> {
        self.open.as_mut().ok_or_else(not_open)?.rows.sync()
    }
}

impl Open {
    /// Which versions of the records of a collection are kept.
    fn history(&mut self, collection: &str) -> Result<History> {
        if collection == Declaration::COLLECTION {
            return Ok(History::All);
        }
        if let Some(history) = self.histories.get(collection) {
            return Ok(*history);
        }
        let declared = self.rows.get(&row::declaration(collection))?;
        let declared = declared.and_then(|bytes| value::decode::<Declaration>(&bytes).ok());
        let history = declared.map_or(History::Last(1), |declared| declared.history);
        if self.histories.len() >= MAX_HISTORIES {
            self.histories.clear();
        }
        self.histories.insert(collection.to_owned(), history);
        Ok(history)
    }
}

/// A row that this version cannot have written.
fn damaged() -> Error {
    let damage = crate::Damage::new("store", 0, 0, "a row that is none of a collection");
    Error::corrupt(damage)
}
