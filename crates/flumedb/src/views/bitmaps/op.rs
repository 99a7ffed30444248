//! [`Op`], what is asked: a tree of operators.

use std::ops::Not;

use super::{
    path::{Number, Path},
    term::Scalar,
};
use crate::Seq;

/// What is asked of the entries: a tree of operators, to be built here or [parsed](Op::from_json) from JSON.
///
/// ```
/// use flumedb::views::bitmaps::Op;
/// let op = Op::equal("value.content.type", "post")
///     .and(Op::includes("value.content.tags", "rust").or(Op::gt("value.sequence", 100)))
///     .and(!Op::absent("value.content.root"));
/// let same = r#"{"op":"and","args":[
///     {"op":"equal","path":"value.content.type","value":"post"},
///     {"op":"or","args":[
///         {"op":"includes","path":"value.content.tags","value":"rust"},
///         {"op":"gt","path":"value.sequence","value":100}]},
///     {"op":"not","args":[{"op":"absent","path":"value.content.root"}]}]}"#;
/// assert_eq!(Op::from_json(same)?, op);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Every entry. In JSON `null`.
    All,
    /// The value at the path is this one, of this type: `1`, `"1"`, `true`, `null`, `""` and nothing are all different. `1` and
    /// `1.0` are one number.
    Equal {
        /// Where.
        path: Path,
        /// What.
        value: Scalar,
        /// Through an index of a few bytes of each text, which is smaller; what it finds is compared.
        part: Option<Part>,
    },
    /// The array at the path has this item; a value that is no array counts as its only item.
    Includes {
        /// Where.
        path: Path,
        /// What.
        value: Scalar,
        /// Where in each item.
        pluck: Option<Path>,
    },
    /// What was declared under this name ([`Bitmaps::predicate`](super::Bitmaps::predicate)) is true of what stands at the path.
    Predicate {
        /// Where.
        path: Path,
        /// Which.
        name: String,
    },
    /// Nothing stands at the path, not even null.
    Absent {
        /// Where.
        path: Path,
    },
    /// The text at the path begins so.
    Prefix {
        /// Where.
        path: Path,
        /// How.
        text: String,
    },
    /// The entry has a number, which is greater, less …
    Compare {
        /// Which number of the entry.
        number: Number,
        /// How.
        comparison: Comparison,
        /// Than what. A number.
        than: Scalar,
    },
    /// The entries with these positions among all records of the log, deleted ones counted and records of deletions not: what
    /// jitdb calls `seq`.
    Seqs(Vec<u64>),
    /// These entries: what jitdb calls offsets.
    Offsets(Vec<Seq>),
    /// All of these.
    And(Vec<Op>),
    /// Any of these.
    Or(Vec<Op>),
    /// Every entry but these.
    Not(Box<Op>),
}

/// Which bytes of a text an index has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many.
    pub bytes: usize,
    /// From where.
    pub offset: usize,
    /// jitdb's `useMap`, which changes nothing here.
    pub map: bool,
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Op {
    /// The value at `path` is `value`.
    pub fn equal(path: impl Into<Path>, value: impl Into<Scalar>) -> Self {
        Self::Equal { path: path.into(), value: value.into(), part: None }
    }

    /// The array at `path` has the item `value`.
    pub fn includes(path: impl Into<Path>, value: impl Into<Scalar>) -> Self {
        Self::Includes { path: path.into(), value: value.into(), pluck: None }
    }

    /// An item of the array at `path` has `value` at `pluck`: `includes_at("mentions", "link", "@a")`.
    pub fn includes_at(path: impl Into<Path>, pluck: impl Into<Path>, value: impl Into<Scalar>) -> Self {
        Self::Includes { path: path.into(), value: value.into(), pluck: Some(pluck.into()) }
    }

    /// The predicate declared as `name` is true of what stands at `path`.
    pub fn predicate(path: impl Into<Path>, name: impl Into<String>) -> Self {
        Self::Predicate { path: path.into(), name: name.into() }
    }

    /// Nothing stands at `path`.
    pub fn absent(path: impl Into<Path>) -> Self {
        Self::Absent { path: path.into() }
    }

    /// The text at `path` begins with `text`.
    pub fn prefix(path: impl Into<Path>, text: impl Into<String>) -> Self {
        Self::Prefix { path: path.into(), text: text.into() }
    }

    /// The entry's number is greater.
    pub fn gt(number: impl Into<Number>, than: impl Into<Scalar>) -> Self {
        Self::compare(number, Comparison::Greater, than)
    }

    /// The entry's number is greater, or the same.
    pub fn gte(number: impl Into<Number>, than: impl Into<Scalar>) -> Self {
        Self::compare(number, Comparison::GreaterOrEqual, than)
    }

    /// The entry's number is less.
    pub fn lt(number: impl Into<Number>, than: impl Into<Scalar>) -> Self {
        Self::compare(number, Comparison::Less, than)
    }

    /// The entry's number is less, or the same.
    pub fn lte(number: impl Into<Number>, than: impl Into<Scalar>) -> Self {
        Self::compare(number, Comparison::LessOrEqual, than)
    }

    fn compare(number: impl Into<Number>, comparison: Comparison, than: impl Into<Scalar>) -> Self {
        Self::Compare { number: number.into(), comparison, than: than.into() }
    }

    /// These entries.
    pub fn offsets(seqs: impl IntoIterator<Item = Seq>) -> Self {
        Self::Offsets(seqs.into_iter().collect())
    }

    /// Whether there are record numbers in it.
    pub(super) fn lists_records(&self) -> bool {
        match self {
            Self::Seqs(_) => true,
            Self::And(ops) | Self::Or(ops) => ops.iter().any(Self::lists_records),
            Self::Not(op) => op.lists_records(),
            _ => false,
        }
    }

    /// This and the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::And(mut args) => {
                args.push(other);
                Self::And(args)
            }
            first => Self::And(vec![first, other]),
        }
    }

    /// This or the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Or(mut args) => {
                args.push(other);
                Self::Or(args)
            }
            first => Self::Or(vec![first, other]),
        }
    }
}

impl Not for Op {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}
