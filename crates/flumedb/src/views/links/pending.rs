//! [`Pending`], what has happened to rows since the last publish, and how it is brought into the store.

use std::collections::{BTreeMap, HashSet};

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::{Column, Link, column::encode_columns};
use crate::Seq;

/// The rows of each entry, in the order in which it gives them: (seq, position) to the link.
pub(super) const ROWS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("rows");
/// For each order (a byte), the rows by its columns: order, columns, seq, position.
pub(super) const ORDERS: TableDefinition<&[u8], ()> = TableDefinition::new("orders");

/// How many bytes (seq, position) takes at the end of a row of an order.
const PLACE: usize = 12;

/// What has happened since the last publish.
#[derive(Default)]
pub(super) struct Pending(BTreeMap<Seq, Change>);

#[derive(Default)]
struct Change {
    /// Whether the store may have rows of the entry, which are to go.
    forget: bool,
    /// The rows that it has now.
    links: Vec<Link>,
}

impl Pending {
    /// The entry is new, and has these rows.
    pub(super) fn add(&mut self, seq: Seq, links: impl IntoIterator<Item = Link>) {
        let links = distinct(links);
        if !links.is_empty() {
            self.0.insert(seq, Change { forget: false, links });
        }
    }

    /// Whatever rows it had, it has these now.
    pub(super) fn replace(&mut self, seq: Seq, links: impl IntoIterator<Item = Link>) {
        let change = self.0.entry(seq).or_insert_with(|| Change { forget: true, links: Vec::new() });
        change.links = distinct(links);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Brings it into the tables.
    pub(super) fn write(&self, transaction: &WriteTransaction, orders: &[Vec<Column>]) -> Result<(), redb::Error> {
        let mut rows = transaction.open_table(ROWS)?;
        let mut by_order = transaction.open_table(ORDERS)?;
        let (mut keys, mut bytes) = (Keys::default(), Vec::new());
        for (seq, _) in self.0.iter().filter(|(_, change)| change.forget) {
            let places = (seq.get(), 0)..=(seq.get(), u32::MAX);
            for row in rows.range(places.clone())? {
                let (place, link) = row?;
                let link = decode(link.value()).ok_or_else(|| redb::Error::Corrupted(NO_LINK.to_owned()))?;
                keys.push(&link, orders, place.value());
            }
            rows.retain_in(places, |_, _| false)?;
        }
        keys.sorted(|key| by_order.remove(key).map(drop))?;
        keys.clear();
        for (seq, change) in &self.0 {
            for (link, place) in change.links.iter().zip(0_u32..) {
                let place = (seq.get(), place);
                bytes.clear();
                encode(link, &mut bytes);
                rows.insert(place, bytes.as_slice())?;
                keys.push(link, orders, place);
            }
        }
        keys.sorted(|key| by_order.insert(key, ()).map(drop))?;
        Ok(())
    }
}

/// What is said when a row is no link.
pub(super) const NO_LINK: &str = "a row that is no link";

/// Each link once: saying the same twice says nothing more.
pub(super) fn distinct(links: impl IntoIterator<Item = Link>) -> Vec<Link> {
    let mut links: Vec<Link> = links.into_iter().collect();
    if links.len() > 1 {
        let mut seen = HashSet::new();
        links.retain(|link| {
            let mut bytes = Vec::new();
            encode(link, &mut bytes);
            seen.insert(bytes)
        });
    }
    links
}

fn encode(link: &Link, out: &mut Vec<u8>) {
    let parts = (&link.source, &link.rel, &link.dest, &link.fields);
    // Writing to memory cannot fail, and JSON has a representation.
    let _ = rmp_serde::encode::write(out, &parts);
}

pub(super) fn decode(bytes: &[u8]) -> Option<Link> {
    let (source, rel, dest, fields) = rmp_serde::from_slice(bytes).ok()?;
    Some(Link { source, rel, dest, fields })
}

/// The place of a row of an order, and what is before it.
pub(super) fn split(key: &[u8]) -> Option<(&[u8], (u64, u32))> {
    let (columns, place) = key.split_last_chunk::<PLACE>()?;
    let (seq, position) = place.split_first_chunk::<8>()?;
    Some((columns, (u64::from_be_bytes(*seq), u32::from_be_bytes(position.try_into().ok()?))))
}

/// Rows of orders that are gathered in one piece of memory and then sorted: a B-tree takes them several times as fast in
/// order.
#[derive(Default)]
struct Keys {
    bytes: Vec<u8>,
    places: Vec<(usize, usize)>,
}

impl Keys {
    /// Adds the rows of a link in all orders.
    fn push(&mut self, link: &Link, orders: &[Vec<Column>], (seq, position): (u64, u32)) {
        for (columns, order) in orders.iter().zip(0_u8..) {
            let start = self.bytes.len();
            self.bytes.push(order);
            encode_columns(link, columns, &mut self.bytes);
            self.bytes.extend_from_slice(&seq.to_be_bytes());
            self.bytes.extend_from_slice(&position.to_be_bytes());
            self.places.push((start, self.bytes.len()));
        }
    }

    fn sorted<E>(&mut self, mut visit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let bytes = &self.bytes;
        let key = |place: &(usize, usize)| bytes.get(place.0..place.1).unwrap_or_default();
        self.places.sort_unstable_by(|one, two| key(one).cmp(key(two)));
        self.places.iter().try_for_each(|place| visit(key(place)))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }
}
