//! [`Eval`], a query over readers that stand at one position: which entries of a window it has.

use std::{collections::BTreeMap, sync::Arc};

use roaring::RoaringBitmap;

use super::{
    block::whole,
    node::{Check, Node},
    reader::{BitmapReader, Window},
    term,
};
use crate::{Error, ErrorKind, Result, Seq, codec::Document, log::BoxFuture};

/// Bitmaps by the upper half of their numbers.
pub(super) type Bitmaps = BTreeMap<u32, RoaringBitmap>;

pub(super) struct Eval<T> {
    pub(super) node: Arc<Node>,
    pub(super) readers: Vec<BitmapReader<T>>,
    /// What has been deleted counts as well.
    pub(super) ever: bool,
}

impl<T: Document + Send + Sync + 'static> Eval<T> {
    /// The first number that a query has to look at: blocks of what the log dropped at its beginning are there still, and may be most.
    pub(super) fn begin(&self) -> u64 {
        if self.ever { 0 } else { self.readers.first().map_or(0, BitmapReader::begin) }
    }

    /// The number after the last entry that it covers.
    pub(super) fn end(&self) -> u64 {
        self.readers.first().map_or(0, BitmapReader::end)
    }

    pub(super) fn reader(&self, view: usize) -> Result<&BitmapReader<T>> {
        let none =
            || Error::new(ErrorKind::Invalid, "a query that asks a view it has not; this is a fault of this crate");
        self.readers.get(view).ok_or_else(none)
    }

    /// The entries of the window that the query has.
    pub(super) async fn window(&self, window: Window) -> Result<RoaringBitmap> {
        self.eval(&self.node, window, None).await
    }

    /// What `node` has of a window. With `within`, the answer need be right for those only.
    fn eval<'a>(
        &'a self,
        node: &'a Node,
        window: Window,
        within: Option<&'a RoaringBitmap>,
    ) -> BoxFuture<'a, Result<RoaringBitmap>> {
        Box::pin(async move {
            match node {
                Node::Nothing => Ok(RoaringBitmap::new()),
                Node::All(view) => self.with(*view, term::THERE, window),
                Node::Term { view, term, check } => {
                    let found = self.with(*view, term, window)?;
                    self.checked(found, check.as_ref(), window, within).await
                }
                Node::Range { view, from, to, check } => {
                    let found = self.reader(*view)?.within(from, to, window, self.ever)?;
                    self.checked(found, check.as_ref(), window, within).await
                }
                Node::Measured { view, range } => self.reader(*view)?.measured(range, window, self.ever),
                Node::List { view, numbers } => {
                    let (first, last) = (whole(window.high, window.from), whole(window.high, window.to));
                    let from = numbers.partition_point(|number| *number < first);
                    let listed = numbers.iter().skip(from).take_while(|number| **number <= last);
                    let listed: RoaringBitmap = listed.map(|number| *number as u32).collect();
                    if listed.is_empty() { Ok(listed) } else { Ok(listed & self.with(*view, term::THERE, window)?) }
                }
                Node::And(nodes) => {
                    let mut found: Option<RoaringBitmap> = None;
                    for node in nodes {
                        let more = self.eval(node, window, found.as_ref().or(within)).await?;
                        let both = match found {
                            Some(found) => found & more,
                            None => more,
                        };
                        if both.is_empty() {
                            return Ok(both);
                        }
                        found = Some(both);
                    }
                    Ok(found.unwrap_or_default())
                }
                Node::Or(nodes) => {
                    let mut found = RoaringBitmap::new();
                    for node in nodes {
                        found |= self.eval(node, window, within).await?;
                    }
                    Ok(found)
                }
                Node::Not(view, node) => {
                    let all = match within {
                        Some(within) => within.clone(),
                        None => self.with(*view, term::THERE, window)?,
                    };
                    Ok(if all.is_empty() { all } else { &all - self.eval(node, window, Some(&all)).await? })
                }
            }
        })
    }

    fn with(&self, view: usize, term: &[u8], window: Window) -> Result<RoaringBitmap> {
        self.reader(view)?.with(term, window, self.ever)
    }

    /// Looks at the entries, if they are only candidates.
    async fn checked(
        &self,
        mut found: RoaringBitmap,
        check: Option<&Check>,
        window: Window,
        within: Option<&RoaringBitmap>,
    ) -> Result<RoaringBitmap> {
        let Some(check) = check else { return Ok(found) };
        if let Some(within) = within {
            found &= within;
        }
        let Some(reader) = self.readers.first() else { return Ok(found) };
        let mut holding = RoaringBitmap::new();
        for low in &found {
            match reader.entries().get(Seq::new(whole(window.high, low))).await {
                Ok(doc) if check.holds(&doc) => {
                    holding.insert(low);
                }
                Ok(_) => {}
                // Deleted meanwhile.
                Err(error) if error.kind() == ErrorKind::Deleted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(holding)
    }
}

/// Everything a query has, if that is not too much.
pub(super) struct Collected {
    pub(super) bitmaps: Bitmaps,
    bytes: usize,
    most: usize,
}

impl Collected {
    /// Nothing yet, and later at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { bitmaps: Bitmaps::new(), bytes: 0, most }
    }

    pub(super) fn add(&mut self, high: u32, bits: RoaringBitmap) -> Result<()> {
        if bits.is_empty() {
            return Ok(());
        }
        self.bytes += bits.serialized_size();
        if self.bytes > self.most {
            let (bytes, most) = (self.bytes, self.most);
            let message = format!("at least {bytes} bytes of matches to sort are more than {most}; narrow the query");
            return Err(Error::over_limit(message, "memory_bytes"));
        }
        *self.bitmaps.entry(high).or_default() |= bits;
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        self.bitmaps.values().map(RoaringBitmap::len).sum()
    }
}
