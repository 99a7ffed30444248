//! [`Walk`], the windows of a query in the order of the log, from either end: small ones first, so that the first row
//! comes soon, then larger ones.

use roaring::bitmap::IntoIter;

use super::{
    block::{halves, whole},
    eval::Eval,
    reader::Window,
};
use crate::{Result, codec::Document};

/// So many numbers are in the first window.
const FIRST: u64 = 1 << 16;
/// So many are in the largest: two megabytes for a bitmap of it.
pub(super) const LARGEST: u64 = 1 << 24;
/// In the largest window of a query that looks at entries.
const LARGEST_LOOKING: u64 = 1 << 18;

pub(super) struct Walk {
    from: u64,
    to: u64,
    reverse: bool,
    width: u64,
    largest: u64,
    current: Option<(u32, IntoIter)>,
    /// The window that is being looked at; still to be, if that was broken off.
    pending: Option<Window>,
}

impl Walk {
    /// Through the numbers from `from` to before `to`.
    pub(super) fn new(from: u64, to: u64, reverse: bool, looks: bool) -> Self {
        let largest = if looks { LARGEST_LOOKING } else { LARGEST };
        Self { from, to, reverse, width: FIRST, largest, current: None, pending: None }
    }

    /// In large windows from the start, for what takes in everything anyway.
    pub(super) fn whole(self) -> Self {
        Self { width: self.largest, ..self }
    }

    pub(super) fn next_window(&mut self) -> Option<Window> {
        if self.from >= self.to {
            return None;
        }
        // A window lies between multiples of its width, so its numbers have one upper half.
        let (first, last) = if self.reverse {
            let last = self.to - 1;
            ((last & !(self.width - 1)).max(self.from), last)
        } else {
            (self.from, (self.from | (self.width - 1)).min(self.to - 1))
        };
        if self.reverse {
            self.to = first;
        } else {
            self.from = last + 1;
        }
        self.width = (self.width * 4).min(self.largest);
        let (high, from) = halves(first);
        Some(Window { high, from, to: halves(last).1 })
    }

    /// The next number that the query has.
    pub(super) async fn next<T: Document + Send + Sync + 'static>(&mut self, eval: &Eval<T>) -> Result<Option<u64>> {
        loop {
            if let Some((high, lows)) = &mut self.current {
                let low = if self.reverse { lows.next_back() } else { lows.next() };
                if let Some(low) = low {
                    return Ok(Some(whole(*high, low)));
                }
                self.current = None;
            }
            let Some(window) = self.pending.take().or_else(|| self.next_window()) else { return Ok(None) };
            self.pending = Some(window);
            let found = eval.window(window).await?;
            self.pending = None;
            self.current = (!found.is_empty()).then(|| (window.high, found.into_iter()));
        }
    }
}
