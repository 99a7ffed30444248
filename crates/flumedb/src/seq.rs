//! [`Seq`], the name of an entry.

use std::{fmt, num::ParseIntError, ops::Bound, ops::RangeBounds, str::FromStr};

/// The name of an entry in one log: opaque and ordered.
///
/// Dense (0, 1, 2 …) in our own log, a byte position in flumelog-offset and its kin. Never counted with: what comes
/// after a `Seq` is the log's business.
///
/// ```
/// use flumedb::Seq;
/// assert!(Seq::new(3) < Seq::new(14));
/// assert_eq!("14".parse::<Seq>().unwrap().get(), 14);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Seq(u64);

impl Seq {
    /// The name with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number inside, for storing and printing.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seq({})", self.0)
    }
}

impl FromStr for Seq {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

/// A half-open range of numbers, the normal form of every kind of bounds. Bounds are filters: any number is legal,
/// whether an entry has it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first number that is in.
    pub from: u64,
    /// The first number after it that is out.
    pub to: u64,
}

impl Span {
    /// Everything.
    pub const ALL: Self = Self { from: 0, to: u64::MAX };

    /// The numbers within `bounds`.
    ///
    /// ```
    /// use flumedb::{Seq, Span};
    /// let span = Span::of(Seq::new(3)..=Seq::new(5));
    /// assert!(span.contains(5) && !span.contains(6));
    /// ```
    pub fn of(bounds: impl RangeBounds<Seq>) -> Self {
        let from = match bounds.start_bound() {
            Bound::Unbounded => 0,
            Bound::Included(seq) => seq.0,
            Bound::Excluded(seq) => seq.0.saturating_add(1),
        };
        let to = match bounds.end_bound() {
            Bound::Unbounded => u64::MAX,
            Bound::Included(seq) => seq.0.saturating_add(1),
            Bound::Excluded(seq) => seq.0,
        };
        Self { from, to }
    }

    /// Whether no number is in.
    pub const fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// Whether `number` is in.
    pub const fn contains(&self, number: u64) -> bool {
        self.from <= number && number < self.to
    }
}
