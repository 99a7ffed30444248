//! [`Cursor`], a place in what a query gives, as text.

use std::{fmt, str::FromStr};

use super::{sorted::Ranked, term::NUMBER_LEN};
use crate::{Error, ErrorKind, Seq};

/// A place behind a row of a query, for the next page: the row's entry, and the number it was sorted by. Entries that come
/// or go meanwhile change nothing about it. As text it goes over the wire.
///
/// ```
/// use flumedb::{Seq, views::bitmaps::Cursor};
/// let cursor: Cursor = "17".parse()?;
/// assert_eq!(cursor, Cursor::after(Seq::new(17)));
/// assert_eq!(cursor.to_string(), "17");
/// assert!("seventeen".parse::<Cursor>().is_err());
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    seq: u64,
    /// In a query that is sorted, the number of the entry, if it has one.
    sorted: Option<Option<[u8; NUMBER_LEN]>>,
}

impl Cursor {
    /// Behind an entry, in the order of the log.
    pub fn after(seq: Seq) -> Self {
        Self { seq: seq.get(), sorted: None }
    }

    pub(super) fn of(row: Ranked) -> Self {
        Self { seq: row.1, sorted: Some(row.0) }
    }

    pub(super) fn ranked(self) -> Result<Ranked, Error> {
        let other = || Error::new(ErrorKind::Invalid, format!("the cursor {self} is of a query that is not sorted"));
        self.sorted.map(|number| (number, self.seq)).ok_or_else(other)
    }

    pub(super) fn seq(self) -> Result<u64, Error> {
        match self.sorted {
            None => Ok(self.seq),
            Some(_) => Err(Error::new(ErrorKind::Invalid, format!("the cursor {self} is of a query that is sorted"))),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sorted {
            None => self.seq.fmt(f),
            Some(None) => write!(f, "{}-none", self.seq),
            Some(Some(number)) => {
                write!(f, "{}-", self.seq)?;
                number.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (seq, number) = match text.split_once('-') {
                None => (text, None),
                Some((seq, number)) => (seq, Some(number)),
            };
            let sorted = match number {
                None => None,
                Some("none") => Some(None),
                Some(hex) if hex.len() == 2 * NUMBER_LEN && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    let mut number = [0; NUMBER_LEN];
                    for (index, byte) in number.iter_mut().enumerate() {
                        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
                    }
                    Some(Some(number))
                }
                Some(_) => return None,
            };
            let digits = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
            Some(Self { seq: seq.parse().ok().filter(|_| digits)?, sorted })
        };
        parse().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("\"{text}\" is no cursor; give back what a page gave"))
        })
    }
}
