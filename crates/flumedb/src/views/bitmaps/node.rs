//! [`Node`], the tree of operators as it is evaluated: which view answers each part.

use std::{ops::RangeInclusive, sync::Arc};

use super::{
    kind::{self, Kind, Test},
    op::{Comparison, Op, Part},
    path::{Number, Path},
    place::{Place, wrong},
    term::{self, NUMBER_LEN, Scalar},
};
use crate::{
    Result,
    codec::{Document, Field},
};

/// A part of a query; views by their place in the plan.
pub(super) enum Node {
    /// No entry.
    Nothing,
    /// Every entry of the view.
    All(usize),
    /// The entries with a term; what is only a candidate is checked.
    Term {
        view: usize,
        term: Vec<u8>,
        check: Option<Check>,
    },
    /// The entries with terms from one to before another.
    Range {
        view: usize,
        from: Vec<u8>,
        to: Vec<u8>,
        check: Option<Check>,
    },
    /// The entries whose numbers are in a range.
    Measured {
        view: usize,
        range: RangeInclusive<[u8; NUMBER_LEN]>,
    },
    /// These, as far as they are entries of the view.
    List {
        view: usize,
        numbers: Arc<[u64]>,
    },
    /// In the order in which they are best evaluated.
    And(Vec<Node>),
    Or(Vec<Node>),
    /// Those of the view that are not in the other.
    Not(usize, Box<Node>),
}

/// How an entry is looked at, where the bitmaps have candidates only.
pub(super) enum Check {
    Equal(Path, Scalar),
    Item { path: Path, pluck: Option<Path>, value: Scalar },
    Begins(Path, String),
}

impl Check {
    pub(super) fn holds(&self, doc: &dyn Document) -> bool {
        match self {
            Self::Equal(path, value) => doc.field(&path.names()) == value.field(),
            Self::Item { path, pluck, value } => {
                let (path, wanted) = (path.names(), value.field());
                let pluck = pluck.as_ref().map(Path::names).unwrap_or_default();
                match doc.field(&path) {
                    Some(Field::Array) => {
                        let mut holds = false;
                        doc.items(&path, &mut |item| holds |= item.field(&pluck) == wanted);
                        holds
                    }
                    scalar => scalar == wanted,
                }
            }
            Self::Begins(path, text) => doc.text(&path.names()).is_some_and(|it| it.starts_with(text.as_str())),
        }
    }
}

/// What was declared.
pub(super) trait Declared: Sync {
    fn predicate(&self, name: &str) -> Option<(u32, Test)>;
    fn number(&self, name: &str) -> Option<Number>;
}

/// Finds out which views a tree needs.
pub(super) struct Planner<'a> {
    pub(super) kinds: Vec<Kind>,
    pub(super) declared: &'a dyn Declared,
    /// The entries at record numbers, sorted.
    pub(super) records: &'a (dyn Fn(&[u64]) -> Arc<[u64]> + Sync),
}

impl Planner<'_> {
    pub(super) fn view(&mut self, kind: Kind) -> usize {
        let name = kind.name();
        match self.kinds.iter().position(|kind| kind.name() == name) {
            Some(index) => index,
            None => {
                self.kinds.push(kind);
                self.kinds.len() - 1
            }
        }
    }

    /// The view of the number that stands at `place`.
    pub(super) fn number(&mut self, number: &Number, place: &Place<'_>) -> Result<usize> {
        let found = match number {
            Number::Named(name) => self.declared.number(name).ok_or_else(|| {
                wrong(place, format_args!("no number was declared as \"{name}\"; declare it, or give its path"))
            })?,
            number => number.clone(),
        };
        // The number at one path and the least of the numbers at one path are the same.
        Ok(self.view(Kind::Numbers(found)))
    }

    /// How the operator that stands at `place` is evaluated.
    pub(super) fn node(&mut self, op: &Op, place: &Place<'_>) -> Result<Node> {
        Ok(match op {
            Op::All => Node::All(self.view(Kind::Entries)),
            Op::Equal { path, value, part } => self.equal(path, value, *part),
            Op::Includes { path, value, pluck } => {
                let kind = Kind::Items { path: path.clone(), pluck: pluck.clone() };
                let check = || Check::Item { path: path.clone(), pluck: pluck.clone(), value: value.clone() };
                self.term(kind, value, check)
            }
            Op::Predicate { path, name } => {
                let (version, test) = self.declared.predicate(name).ok_or_else(|| {
                    let message = format_args!("no predicate was declared as \"{name}\"; declare it first");
                    wrong(&Place::Member(place, "fn"), message)
                })?;
                let view = self.view(Kind::Predicate { path: path.clone(), name: name.clone(), version, test });
                Node::Term { view, term: term::THERE.to_vec(), check: None }
            }
            Op::Absent { path } => {
                Node::Term { view: self.view(Kind::Values(path.clone())), term: term::ABSENT.to_vec(), check: None }
            }
            Op::Prefix { path, text } => {
                let (from, to, loose) = term::beginning_with(text);
                let check = loose.then(|| Check::Begins(path.clone(), text.clone()));
                Node::Range { view: self.view(Kind::Values(path.clone())), from, to, check }
            }
            Op::Compare { number, comparison, than } => {
                let view = self.number(number, &Place::Member(place, "index"))?;
                let than = than.field().and_then(|field| term::number(&field)).ok_or_else(|| {
                    let message = format_args!("numbers are compared with a number, not with {than:?}");
                    wrong(&Place::Member(place, "value"), message)
                })?;
                range(*comparison, than).map_or(Node::Nothing, |range| Node::Measured { view, range })
            }
            Op::Seqs(records) => self.list((self.records)(records)),
            Op::Offsets(seqs) => {
                let mut numbers: Vec<u64> = seqs.iter().map(|seq| seq.get()).collect();
                numbers.sort_unstable();
                self.list(numbers.into())
            }
            Op::And(ops) if ops.is_empty() => Node::All(self.view(Kind::Entries)),
            Op::And(ops) => {
                let mut nodes = self.nodes(ops, place)?;
                nodes.sort_by_key(Node::cost);
                Node::And(nodes)
            }
            Op::Or(ops) => Node::Or(self.nodes(ops, place)?),
            Op::Not(op) => {
                let node = self.node(op, &Place::Item(place, "args", 0))?;
                Node::Not(self.view(Kind::Entries), Box::new(node))
            }
        })
    }

    fn nodes(&mut self, ops: &[Op], place: &Place<'_>) -> Result<Vec<Node>> {
        let ops = ops.iter().enumerate();
        ops.map(|(index, op)| self.node(op, &Place::Item(place, "args", index))).collect()
    }

    fn list(&mut self, numbers: Arc<[u64]>) -> Node {
        Node::List { view: self.view(Kind::Entries), numbers }
    }

    fn equal(&mut self, path: &Path, value: &Scalar, part: Option<Part>) -> Node {
        let check = || Check::Equal(path.clone(), value.clone());
        if let (Some(Part { bytes, offset, .. }), Scalar::Text(text)) = (part, value) {
            let mut term = Vec::new();
            kind::part(text, bytes, offset, &mut term);
            let view = self.view(Kind::Part { path: path.clone(), bytes, offset });
            return Node::Term { view, term, check: Some(check()) };
        }
        self.term(Kind::Values(path.clone()), value, check)
    }

    fn term(&mut self, kind: Kind, value: &Scalar, check: impl FnOnce() -> Check) -> Node {
        let Some(field) = value.field() else { return Node::Nothing };
        let mut term = Vec::new();
        term::write(&field, &mut term);
        let check = term::is_digest(&field).then(check);
        Node::Term { view: self.view(kind), term, check }
    }
}

impl Node {
    /// The lesser ones first.
    fn cost(&self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Term { check: None, .. } | Self::List { .. } | Self::All(_) => 1,
            Self::Measured { .. } => 3,
            Self::Range { check: None, .. } => 4,
            Self::Term { check: Some(_), .. } | Self::Range { check: Some(_), .. } => 9,
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().map(Self::cost).max().unwrap_or(0).max(2),
            Self::Not(_, node) => node.cost().max(2),
        }
    }

    /// Whether entries are looked at for it.
    pub(super) fn checks(&self) -> bool {
        match self {
            Self::Term { check, .. } | Self::Range { check, .. } => check.is_some(),
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().any(Self::checks),
            Self::Not(_, node) => node.checks(),
            _ => false,
        }
    }
}

fn range(comparison: Comparison, than: [u8; NUMBER_LEN]) -> Option<RangeInclusive<[u8; NUMBER_LEN]>> {
    // What is no number is behind all of them, and never greater.
    let (least, most) = ([0; NUMBER_LEN], term::number(&Field::Float(f64::INFINITY))?);
    let number = u128::from_be_bytes({
        let mut wide = [0; 16];
        for (to, from) in wide.iter_mut().rev().zip(than.iter().rev()) {
            *to = *from;
        }
        wide
    });
    let narrow = |number: u128| -> Option<[u8; NUMBER_LEN]> { number.to_be_bytes().last_chunk().copied() };
    Some(match comparison {
        Comparison::Greater => narrow(number.checked_add(1)?)?..=most,
        Comparison::GreaterOrEqual => than..=most,
        Comparison::Less => least..=narrow(number.checked_sub(1)?)?,
        Comparison::LessOrEqual => least..=than,
    })
}
