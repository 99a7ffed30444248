//! The links at a node, read from the orders alone: the rows with their further fields are not touched.

use std::ops::Bound;

use redb::Range;

use super::{Edge, Way};
use crate::{
    Error, Result, Seq,
    views::{
        links::{
            BACK, FORWARD, LinksReader,
            column::{decode_text, encode_text},
            find::successor,
            pending::split,
            rows::damaged,
        },
        store::failed,
    },
};

pub(super) fn edges<T: Send + Sync + 'static>(
    reader: &LinksReader<T>,
    rels: &[String],
    node: &str,
    way: Way,
) -> impl Iterator<Item = Result<Edge>> + use<T> {
    let orders: &[u8] = match way {
        Way::Out => &[FORWARD],
        Way::In => &[BACK],
        Way::Both => &[FORWARD, BACK],
    };
    let mut rels: Vec<Option<String>> = rels.iter().cloned().map(Some).collect();
    rels.sort_unstable();
    rels.dedup();
    if rels.is_empty() {
        rels.push(None);
    }
    let mut starts = Vec::new();
    for &order in orders {
        for rel in &rels {
            let mut start = vec![order];
            encode_text(node, &mut start);
            if let Some(rel) = rel {
                encode_text(rel, &mut start);
            }
            starts.push(start);
        }
    }
    let tables = reader.tables().clone();
    starts.into_iter().flat_map(move |start| {
        let end = successor(start.clone());
        let within = (Bound::Included(start.as_slice()), end.as_ref().map(Vec::as_slice));
        let range = tables.orders.range::<&[u8]>(within).map_err(|error| failed(error, &tables.path));
        Walk { range: Some(range), tables: tables.clone() }
    })
}

struct Walk {
    /// Nothing after an error.
    range: Option<Result<Range<'static, &'static [u8], ()>>>,
    tables: std::sync::Arc<crate::views::links::reader::Tables>,
}

impl Iterator for Walk {
    type Item = Result<Edge>;

    fn next(&mut self) -> Option<Self::Item> {
        let edge = match self.range.as_mut()? {
            Ok(range) => match range.next()? {
                Ok((key, _)) => decode(key.value()).ok_or_else(|| damaged(&self.tables.path)),
                Err(error) => Err(failed(error, &self.tables.path)),
            },
            Err(error) => Err::<Edge, Error>(error.clone()),
        };
        if edge.is_err() {
            self.range = None;
        }
        Some(edge)
    }
}

/// The link of a row of the forward or the back order.
fn decode(key: &[u8]) -> Option<Edge> {
    let (columns, (seq, position)) = split(key)?;
    let (order, mut columns) = columns.split_first()?;
    let (first, rel) = (decode_text(&mut columns)?, decode_text(&mut columns)?);
    let last = decode_text(&mut columns)?;
    let (source, dest) = if *order == FORWARD { (first, last) } else { (last, first) };
    columns.is_empty().then_some(Edge { source, rel, dest, seq: Seq::new(seq), position })
}
