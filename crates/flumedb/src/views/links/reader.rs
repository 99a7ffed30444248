//! [`LinksReader`], links as they stood at one moment.

use std::{path::PathBuf, sync::Arc};

use redb::{ReadOnlyTable, ReadableTableMetadata};

use super::{
    Column, Find, Graph, Link, LinksOf,
    pending::{ORDERS, ROWS, decode},
    rows::damaged,
};
use crate::{
    Result, Seq,
    view::Entries,
    views::store::{Store, failed},
};

/// A consistent snapshot of [`Links`](super::Links): whatever is appended or deleted meanwhile, it gives the same answers.
/// When the view is opened again after a failure, rebuilt or closed, the snapshot ends with its store: read again. Cheap
/// to clone. While one is alive, the space of what it shows is not used again, so do not keep it for long.
pub struct LinksReader<T> {
    tables: Arc<Tables>,
    orders: Arc<[Vec<Column>]>,
    entries: Entries<T>,
    links: LinksOf<T>,
    since: Option<Seq>,
}

impl<T> Clone for LinksReader<T> {
    fn clone(&self) -> Self {
        Self {
            tables: self.tables.clone(),
            orders: self.orders.clone(),
            entries: self.entries.clone(),
            links: self.links.clone(),
            since: self.since,
        }
    }
}

/// The tables as they stood.
pub(super) struct Tables {
    pub(super) rows: ReadOnlyTable<(u64, u32), &'static [u8]>,
    pub(super) orders: ReadOnlyTable<&'static [u8], ()>,
    pub(super) path: PathBuf,
}

impl Tables {
    pub(super) fn link(&self, place: (u64, u32)) -> Result<Link> {
        let row = self.rows.get(place).map_err(|error| failed(error, &self.path))?;
        row.and_then(|row| decode(row.value())).ok_or_else(|| damaged(&self.path))
    }
}

impl<T: Send + Sync + 'static> LinksReader<T> {
    pub(super) fn new(
        store: &Store,
        orders: Arc<[Vec<Column>]>,
        entries: Entries<T>,
        links: LinksOf<T>,
        since: Option<Seq>,
    ) -> Result<Self> {
        let transaction = store.read()?;
        let rows = transaction.open_table(ROWS).map_err(|error| store.failed(error))?;
        let by_order = transaction.open_table(ORDERS).map_err(|error| store.failed(error))?;
        let tables = Arc::new(Tables { rows, orders: by_order, path: store.path().to_owned() });
        Ok(Self { tables, orders, entries, links, since })
    }

    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }

    /// How many links there are.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, as the store says.
    pub fn count(&self) -> Result<u64> {
        self.tables.rows.len().map_err(|error| failed(error, &self.tables.path))
    }

    /// All links, as they arrived, unless more is asked.
    pub fn find(&self) -> Find<T> {
        Find::new(self.clone())
    }

    /// Links that start at `source`, by kind and end.
    pub fn from(&self, source: impl Into<String>) -> Find<T> {
        self.find().from(source)
    }

    /// Links that lead to `dest`, by kind and start.
    pub fn to(&self, dest: impl Into<String>) -> Find<T> {
        self.find().to(dest)
    }

    /// The links as a graph: who is next to whom, and how far.
    pub fn graph(&self) -> Graph<T> {
        Graph::new(self.clone())
    }

    /// The columns of each order.
    pub fn orders(&self) -> &[Vec<Column>] {
        &self.orders
    }

    pub(super) fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    pub(super) fn entries(&self) -> &Entries<T> {
        &self.entries
    }

    /// The links that an item says.
    pub(super) fn links_of(&self) -> &LinksOf<T> {
        &self.links
    }
}
