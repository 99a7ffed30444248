//! [`Plan`], which order is walked for a question, and between which of its rows.

use std::ops::Bound;

use serde_json::Value;

use super::{
    Column,
    column::{encode, encode_beginning, kind_of},
    find::{Asked, Test},
};
use crate::Result;

/// How links are found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkPlan {
    /// The columns of the order that is walked; `None`: all rows, as they arrived.
    pub order: Option<Vec<Column>>,
    /// How many of its first columns are given.
    pub fixed: usize,
    /// Whether the next one is within bounds.
    pub bounded: bool,
}

/// Which rows of which order are walked.
pub(super) struct Plan {
    pub(super) order: Option<u8>,
    fixed: usize,
    bounded: bool,
    pub(super) within: (Bound<Vec<u8>>, Bound<Vec<u8>>),
}

impl Plan {
    pub(super) fn new(orders: &[Vec<Column>], asked: &Asked) -> Result<Self> {
        let mut best: Option<Self> = None;
        for (columns, number) in orders.iter().zip(0_u8..) {
            if asked.sorted.as_ref().is_some_and(|sorted| sorted.is_empty() || !columns.starts_with(sorted)) {
                continue;
            }
            let plan = Self::by(number, columns, &asked.conditions);
            if best.as_ref().is_none_or(|best| plan.worth() > best.worth()) {
                best = Some(plan);
            }
        }
        match (&asked.sorted, best) {
            (Some(sorted), None) if !sorted.is_empty() => Err(super::no_such_order(sorted, orders)),
            (None, Some(best)) if best.worth() == (0, false) => Ok(Self::by_arrival()),
            (_, best) => Ok(best.unwrap_or_else(Self::by_arrival)),
        }
    }

    /// The same, for a question that asks for no order, so that there always is one.
    pub(super) fn best(orders: &[Vec<Column>], asked: &Asked) -> Self {
        Self::new(orders, asked).unwrap_or_else(|_| Self::by_arrival())
    }

    fn by_arrival() -> Self {
        Self { order: None, fixed: 0, bounded: false, within: (Bound::Unbounded, Bound::Unbounded) }
    }

    /// The columns that are given decide first.
    fn worth(&self) -> (usize, bool) {
        (self.fixed, self.bounded)
    }

    fn by(order: u8, columns: &[Column], conditions: &[(Column, Test)]) -> Self {
        let (mut start, mut fixed) = (vec![order], 0);
        for column in columns {
            let tests = || conditions.iter().filter(|(of, _)| of == column).map(|(_, test)| test);
            if let Some(Test::Equal(value)) = tests().find(|test| matches!(test, Test::Equal(_))) {
                encode(Some(value), &mut start);
                fixed += 1;
                continue;
            }
            // All of them hold, so it lies where their ranges meet.
            let within = tests().map(|test| narrowed(&start, test)).reduce(|(start, end), (from, to)| {
                let start = if later(&from, &start) { from } else { start };
                (start, if later(&end, &to) { to } else { end })
            });
            if let Some(within) = within {
                return Self { order: Some(order), fixed, bounded: true, within };
            }
            break;
        }
        let end = successor(start.clone());
        Self { order: Some(order), fixed, bounded: false, within: (Bound::Included(start), end) }
    }

    pub(super) fn explain(&self, orders: &[Vec<Column>]) -> LinkPlan {
        let order = self.order.and_then(|order| orders.get(usize::from(order))).cloned();
        LinkPlan { order, fixed: self.fixed, bounded: self.bounded }
    }
}

/// The rows behind `start` whose next column may pass the test. What lies on an edge is tested when it is read.
fn narrowed(start: &[u8], test: &Test) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let with = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = start.to_vec();
        write(&mut bytes);
        bytes
    };
    let value = |value: &Value| with(&|out| encode(Some(value), out));
    match test {
        Test::Equal(wanted) => (Bound::Included(value(wanted)), successor(value(wanted))),
        Test::Begins(beginning) => {
            let bytes = with(&|out| encode_beginning(beginning, out));
            (Bound::Included(bytes.clone()), successor(bytes))
        }
        Test::Within(from, to) => {
            let edge = |bound: &Bound<Value>| match bound {
                Bound::Included(value) | Bound::Excluded(value) => Some(value.clone()),
                Bound::Unbounded => None,
            };
            let (from, to) = (edge(from), edge(to));
            let kinds = from.as_ref().or(to.as_ref()).map(kind_of);
            let (first, end) = kinds.unwrap_or((0, 0xff));
            let start = from.map_or_else(|| with(&|out| out.push(first)), |from| value(&from));
            let end = to.map_or_else(|| Bound::Excluded(with(&|out| out.push(end))), |to| successor(value(&to)));
            (Bound::Included(start), end)
        }
    }
}

/// Whether one edge lies behind another of the same end; where there is none, it lies behind all.
fn later(one: &Bound<Vec<u8>>, two: &Bound<Vec<u8>>) -> bool {
    match (one, two) {
        (Bound::Unbounded, two) => *two != Bound::Unbounded,
        (_, Bound::Unbounded) => false,
        (Bound::Included(one) | Bound::Excluded(one), Bound::Included(two) | Bound::Excluded(two)) => one > two,
    }
}

/// Before the least bytes that are more than all that begin so.
pub(super) fn successor(mut bytes: Vec<u8>) -> Bound<Vec<u8>> {
    while bytes.last() == Some(&0xff) {
        bytes.pop();
    }
    match bytes.last_mut() {
        Some(last) => {
            *last += 1;
            Bound::Excluded(bytes)
        }
        None => Bound::Unbounded,
    }
}
