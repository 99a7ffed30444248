//! [`Merge`], the rows of all tables and logs in one order, of each key the newest only. A table is opened when its first key
//! is due.

use std::{cmp::Reverse, collections::BinaryHeap, path::PathBuf};

use bytes::Bytes;
use flumedb::{Env, Result};

use super::{
    Place,
    manifest::TableFile,
    row::{Row, split_key},
    table::Table,
};

/// Where rows come from.
pub(super) enum Run {
    /// A table that has not been opened, in a directory with a file of this name.
    Closed(TableFile, PathBuf),
    Table(Box<Table>),
    Rows(std::vec::IntoIter<Row>),
}

/// Rows in order.
pub(super) struct Merge {
    env: Env,
    runs: Vec<Run>,
    /// What comes next of each run: key, change, which run. A closed table stands here with its first key, and no row.
    next: BinaryHeap<Reverse<(Bytes, Reverse<u64>, usize)>>,
    rows: Vec<Option<Row>>,
    /// The key that was given last; older changes of it do not count.
    given: Option<Bytes>,
}

impl Merge {
    pub(super) fn new(env: Env, runs: Vec<Run>) -> Self {
        let mut merge = Self { env, rows: vec![None; runs.len()], runs, next: BinaryHeap::new(), given: None };
        for at in 0..merge.runs.len() {
            if let Some(Run::Closed(table, _)) = merge.runs.get(at) {
                // A key that is none comes first, and shows when the table is read.
                let due = split_key(&table.smallest).map_or(Bytes::new(), |(key, ..)| table.smallest.slice_ref(key));
                merge.next.push(Reverse((due, Reverse(u64::MAX), at)));
            } else {
                // Rows in memory have no damage.
                let _fine = merge.advance(at);
            }
        }
        merge
    }

    /// The next key and its value. After an error it goes on with what can be read.
    pub(super) fn next_pair(&mut self) -> Option<Result<(Bytes, Bytes)>> {
        while let Some(Reverse((due, change, at))) = self.next.pop() {
            let row = self.rows.get_mut(at).and_then(Option::take);
            if let Err(error) = self.advance(at) {
                // What was due is due still.
                self.put(at, due, change, row);
                return Some(Err(error));
            }
            let Some(Row { key, value, .. }) = row else { continue };
            if self.given.as_ref() == Some(&key) {
                continue;
            }
            self.given = Some(key.clone());
            if let Some(value) = value {
                return Some(Ok((key, value)));
            }
        }
        None
    }

    /// Looks what comes next of a run.
    fn advance(&mut self, at: usize) -> Result<()> {
        let Some(run) = self.runs.get_mut(at) else { return Ok(()) };
        if let Run::Closed(table, path) = run {
            let opened = Table::open(&self.env, Place { path: std::mem::take(path) }, &table.smallest);
            // A table that cannot be opened has no rows.
            *run = Run::Rows(Vec::new().into_iter());
            *run = Run::Table(Box::new(opened?));
        }
        let row = match run {
            Run::Table(table) => table.next_row().transpose()?,
            Run::Rows(rows) => rows.next(),
            Run::Closed(..) => None,
        };
        if let Some(row) = row {
            self.put(at, row.key.clone(), Reverse(row.change), Some(row));
        }
        Ok(())
    }

    fn put(&mut self, at: usize, due: Bytes, change: Reverse<u64>, row: Option<Row>) {
        if let Some(place) = self.rows.get_mut(at) {
            *place = row;
            self.next.push(Reverse((due, change, at)));
        }
    }
}
