//! [`Cursor`], where a page of hits ended.

use std::{fmt, str::FromStr};

use flumedb::{Error, ErrorKind, Seq};

use super::{Order, find::Rank};

/// Where a page of hits ended. Also as text, to be sent to whoever asks for the next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) order: Order,
    pub(super) rank: Rank,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.order {
            Order::Newest => write!(f, "n{}", Seq::new(self.rank.seq)),
            Order::Relevance => write!(f, "r{}-{:x}", self.rank.seq, self.rank.score),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            if let Some(seq) = text.strip_prefix('n') {
                return Some(Self { order: Order::Newest, rank: Rank { score: 0, seq: seq.parse().ok()? } });
            }
            let (seq, score) = text.strip_prefix('r')?.split_once('-')?;
            let rank = Rank { score: u32::from_str_radix(score, 16).ok()?, seq: seq.parse().ok()? };
            Some(Self { order: Order::Relevance, rank })
        };
        read().ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                format!("{text:?} is not where a page of hits ended; ask for the first page"),
            )
        })
    }
}
