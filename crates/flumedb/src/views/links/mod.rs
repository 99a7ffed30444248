//! [`Links`], a view of who points to whom: rows (source, rel, dest, and more), any number for an entry, found from either
//! end, by kind, and in any order that is declared; and the graph that they make.

mod column;
mod find;
mod follow;
mod graph;
mod link;
mod pending;
mod query;
mod reader;
mod rows;

use std::sync::Arc;

pub use column::Column;
pub use find::{Find, LinkPlan};
pub use follow::{FollowLinks, FoundLink};
pub use graph::{Distance, Edge, Graph, Reached, Stance, Way};
pub use link::{Link, LinkRow};
pub use query::LinkQuery;
pub use reader::LinksReader;
pub use rows::LinkRows;

use self::pending::Pending;
use super::store::Store;
use crate::{
    Error, ErrorKind, Result, Seq,
    view::{Checkpoint, Definition, Entries, Retraction, Run, View, ViewContext},
};

/// A view of the links that entries say.
///
/// Rows are kept with all their fields, and in two orders: forward (`source, rel, dest`) and back (`dest, rel, source`).
/// [`order`](Links::order) declares others. Equal links of one entry are one row. A deleted entry's rows are found by the
/// entry, whether its bytes are still there or not: that costs the rows, not a walk through the store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::Utf8, views::{Link, Links}};
/// let db = Flume::memory(Utf8)?;
/// // "alice likes tea"
/// let links = db.view("links", Links::new(1, |line: &String| match line.split(' ').collect::<Vec<_>>()[..] {
///     [source, rel, dest] => Some(Link::new(source, rel, dest).with("length", line.len())),
///     _ => None,
/// }).order(["rel", "length"])).await?;
/// db.append_all(["alice likes tea", "bob likes tea", "tea needs water", "alice knows bob"]).await?;
///
/// let reader = links.read().await?;
/// let likers = reader.to("tea").rel("likes").into_iter().map(|row| Ok(row?.link.source));
/// assert_eq!(likers.collect::<flumedb::Result<Vec<_>>>()?, ["alice", "bob"]);
/// assert_eq!(reader.find().rel("likes").range("length", ..15).into_iter().count(), 1);
/// assert_eq!(reader.graph().within("alice", 2)?.last().unwrap().node, "water");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct Links<T> {
    version: u32,
    cache_bytes: usize,
    orders: Vec<Vec<Column>>,
    links: LinksOf<T>,
    open: Option<Open<T>>,
}

/// Shows the links of an item.
type LinksOf<T> = Arc<dyn Fn(&T) -> Vec<Link> + Send + Sync>;

struct Open<T> {
    store: Store,
    orders: Arc<[Vec<Column>]>,
    entries: Entries<T>,
    pending: Pending,
}

/// Which orders there always are.
const FORWARD: u8 = 0;
const BACK: u8 = 1;

impl<T: Send + Sync + 'static> Links<T> {
    /// Bytes of the store that are kept in memory, unless [`cache_bytes`](Links::cache_bytes) says otherwise.
    pub const CACHE_BYTES: usize = 16 << 20;

    /// A view of the links that `links` gives for an item: an `Option`, an array, a `Vec` or anything else to iterate over.
    /// Raise `version` when `links` changes, and the view is built anew.
    pub fn new<I: IntoIterator<Item = Link>>(version: u32, links: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
        let of = |names: [&str; 3]| names.map(Column::from).to_vec();
        Self {
            version,
            cache_bytes: Self::CACHE_BYTES,
            orders: vec![of(["source", "rel", "dest"]), of(["dest", "rel", "source"])],
            links: Arc::new(move |item| links(item).into_iter().collect()),
            open: None,
        }
    }

    /// Keeps the rows in the order of these columns as well, so that they are found by the first of them, by the first and the
    /// second, and so on; the last that is asked may be a range. Each order takes room. Another set of orders is another
    /// view, built anew.
    #[must_use]
    pub fn order<C: Into<Column>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.orders.push(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how many bytes of the store are kept in memory.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }
}

fn not_open() -> Error {
    Error::new(ErrorKind::Invalid, "the links are not open; call `open` first")
}

/// A list of columns, in words.
fn words(columns: &[Column]) -> String {
    columns.iter().map(Column::to_string).collect::<Vec<_>>().join(", ")
}

fn no_such_order(sorted: &[Column], orders: &[Vec<Column>]) -> Error {
    let declared: Vec<String> = orders.iter().map(|columns| format!("({})", words(columns))).collect();
    let message = format!(
        "links are kept in no order that begins with ({}); there are {}; declare it with `Links::order`, or sort the rows",
        words(sorted),
        declared.join(", ")
    );
    Error::new(ErrorKind::Invalid, message)
}

impl<T: Send + Sync + 'static> View for Links<T> {
    type Item = T;
    type Reader = LinksReader<T>;

    fn definition(&self) -> Definition {
        let orders: Vec<Vec<&[String]>> =
            self.orders.iter().map(|columns| columns.iter().map(|column| column.0.as_slice()).collect()).collect();
        let detail = serde_json::to_string(&orders).unwrap_or_default();
        Definition::new("links", self.version, detail)
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        // Two stores must not have one file open.
        self.open = None;
        if self.orders.len() > usize::from(u8::MAX) || self.orders.iter().any(Vec::is_empty) {
            let message =
                "an order of links needs a column, and there may be 255 orders; mend the calls of `Links::order`";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let store = Store::open(cx.place.as_ref(), self.cache_bytes)?;
        let checkpoint = store.checkpoint()?;
        let orders = self.orders.clone().into();
        self.open = Some(Open { store, orders, entries: cx.entries.clone(), pending: Pending::default() });
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(not_open)?;
        for entry in run.iter() {
            open.pending.add(entry.seq, (self.links)(&entry.value));
        }
        Ok(())
    }

    fn retract(&mut self, seq: Seq, _item: Option<&T>) -> Result<Retraction> {
        self.open.as_mut().ok_or_else(not_open)?.pending.replace(seq, Vec::new());
        Ok(Retraction::Done)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        let open = self.open.as_mut().ok_or_else(not_open)?;
        open.pending.replace(seq, item.map_or_else(Vec::new, |item| (self.links)(item)));
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<LinksReader<T>> {
        let Open { store, orders, entries, pending } = self.open.as_mut().ok_or_else(not_open)?;
        store.commit(at, |transaction| pending.write(transaction, orders))?;
        pending.clear();
        LinksReader::new(store, orders.clone(), entries.clone(), self.links.clone(), at.since())
    }

    fn sync(&mut self) -> Result<()> {
        self.open.as_mut().ok_or_else(not_open)?.store.sync()
    }
}
