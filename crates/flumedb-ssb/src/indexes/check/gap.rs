//! [`Gap`], how the records that an index names differ from those that it should name.

use std::{cmp::Ordering, iter::Peekable};

use super::records::Tally;

/// Where two ascending lists of records differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Gap {
    pub(super) missing: Tally,
    pub(super) extra: Tally,
}

impl Gap {
    /// Compares. `judged`: whether a record counts at all.
    pub(super) fn between(
        expected: impl Iterator<Item = u32>,
        named: impl Iterator<Item = u32>,
        judged: impl Fn(u32) -> bool,
    ) -> Self {
        let mut gap = Self::default();
        let (mut expected, mut named) = (expected.peekable(), named.peekable());
        loop {
            let order = match (expected.peek(), named.peek()) {
                (Some(one), Some(two)) => one.cmp(two),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return gap,
            };
            let missing = if order.is_le() { expected.next() } else { None };
            let extra = if order.is_ge() { named.next() } else { None };
            match (missing, extra) {
                (Some(record), None) if judged(record) => gap.missing.add(record),
                (None, Some(record)) if judged(record) => gap.extra.add(record),
                _ => {}
            }
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }

    pub(super) fn size(&self) -> u64 {
        self.missing.count + self.extra.count
    }

    /// The first record in which they differ.
    pub(super) fn first(&self) -> Option<u32> {
        self.missing.first.iter().chain(&self.extra.first).min().copied()
    }

    /// The last record in which they differ.
    pub(super) fn last(&self) -> Option<u32> {
        let last = |tally: &Tally| (!tally.is_empty()).then_some(tally.last);
        last(&self.missing).max(last(&self.extra))
    }
}

/// Two ascending lists as one; what is in both comes once.
pub(super) fn merge<'a>(one: &'a [u32], two: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    struct Merge<I: Iterator>(Peekable<I>, Peekable<I>);
    impl<I: Iterator<Item = u32>> Iterator for Merge<I> {
        type Item = u32;

        fn next(&mut self) -> Option<u32> {
            match (self.0.peek(), self.1.peek()) {
                (Some(one), Some(two)) => {
                    let order = one.cmp(two);
                    let first = if order.is_le() { self.0.next() } else { None };
                    let second = if order.is_ge() { self.1.next() } else { None };
                    first.or(second)
                }
                (Some(_), None) => self.0.next(),
                (None, _) => self.1.next(),
            }
        }
    }
    Merge(one.iter().copied().peekable(), two.iter().copied().peekable())
}
