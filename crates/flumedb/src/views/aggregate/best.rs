//! [`Best`], the first few of a multiset in some order, which knows whether there are others behind them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::raw::Raw;

/// The first few of all values that were added, each with how often. Values are bytes that are in order. As long as enough
/// are left, one can be taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Best {
    /// From the best on.
    rows: Vec<(Raw, u64)>,
    /// Whether there are values that are worse than all of `rows`, and are not kept.
    more: bool,
}

/// Which of the values are the best, and how many of them are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) greatest: bool,
    pub(super) kept: usize,
}

impl Rule {
    fn compare(self, one: &[u8], other: &[u8]) -> Ordering {
        if self.greatest { other.cmp(one) } else { one.cmp(other) }
    }
}

impl Best {
    pub(super) fn add(&mut self, rule: Rule, row: Vec<u8>, count: u64) {
        match self.rows.binary_search_by(|kept| rule.compare(&kept.0.0, &row)) {
            Ok(at) => self.rows.iter_mut().skip(at).take(1).for_each(|kept| kept.1 += count),
            // One of those that are not kept may be better.
            Err(at) if at == self.rows.len() && self.more => {}
            Err(at) => {
                self.rows.insert(at, (Raw(row), count));
                self.cut(rule.kept);
            }
        }
    }

    pub(super) fn merge(&mut self, rule: Rule, part: &Self) {
        // Of what is behind the last row of a side that left some out, not all is known.
        let known = |side: &Self| if side.more { side.rows.last().map(|row| row.0.clone()) } else { None };
        let limits = [known(self), known(part)];
        let mut more = std::mem::take(&mut self.more) || part.more;
        for (row, count) in &part.rows {
            match self.rows.binary_search_by(|kept| rule.compare(&kept.0.0, &row.0)) {
                Ok(at) => self.rows.iter_mut().skip(at).take(1).for_each(|kept| kept.1 += count),
                Err(at) => self.rows.insert(at, (row.clone(), *count)),
            }
        }
        for limit in limits.into_iter().flatten() {
            let known = self.rows.partition_point(|row| rule.compare(&row.0.0, &limit.0).is_le());
            more |= known < self.rows.len();
            self.rows.truncate(known);
        }
        self.more = more;
        self.cut(rule.kept);
    }

    fn cut(&mut self, kept: usize) {
        if self.rows.len() > kept {
            self.rows.truncate(kept);
            self.more = true;
        }
    }

    /// Takes `part` away; `false` if then there may be better ones than are known, among the first `needed`.
    pub(super) fn subtract(&mut self, rule: Rule, part: &Self, needed: usize) -> bool {
        if part.more {
            return false;
        }
        for (row, count) in &part.rows {
            match self.rows.binary_search_by(|kept| rule.compare(&kept.0.0, &row.0)) {
                Ok(at) => {
                    let rest = self.rows.get(at).and_then(|kept| kept.1.checked_sub(*count));
                    match rest {
                        None => return false,
                        Some(0) => drop(self.rows.remove(at)),
                        Some(rest) => self.rows.iter_mut().skip(at).take(1).for_each(|kept| kept.1 = rest),
                    }
                }
                // It is one of those that are not kept.
                Err(at) if at == self.rows.len() && self.more => {}
                Err(_) => return false,
            }
        }
        !self.more || self.rows.len() >= needed
    }

    /// The values, from the best on.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.iter().map(|row| row.0.0.as_slice())
    }
}
