//! Holding a target against its source: entry by entry before going on with it, by count and digest once it is whole.

use std::fmt;

use flumedb::{Bytes, Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

use super::{codec::Recode, entries::Entries};

/// Sees that `written` holds what `entries` begins with. Answers how many entries that are; `entries` goes on behind them.
///
/// # Errors
/// `Corrupt` if it holds anything else.
pub(super) async fn compare(
    entries: &mut Entries,
    written: &mut Entries,
    recode: &Recode,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    let mut same = 0;
    while let Some((at, found)) = written.next().await? {
        let wanted = match entries.next().await? {
            Some((seq, payload)) => Some(recode.apply(&payload).map_err(|error| error.at(seq))?),
            None => None,
        };
        if wanted != Some(found) {
            let message = "it is not what the source has in its place, so that it is not gone on with";
            return Err(Error::new(ErrorKind::Corrupt, message).at(at));
        }
        same += 1;
        tell(written.done(), written.total());
    }
    Ok(same)
}

/// How many entries a log has, and a digest over them.
#[derive(PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) entries: u64,
    digest: [u8; 32],
}

impl Sum {
    pub(super) fn hex(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries, SHA-256 {}", self.entries, self.hex())
    }
}

/// Counts and digests what `value` makes of each entry: its length and its bytes.
pub(super) async fn digest(
    entries: &mut Entries,
    tell: &mut dyn FnMut(u64, u64),
    value: impl Fn(&Bytes) -> Result<Bytes>,
) -> Result<Sum> {
    let (mut count, mut digest) = (0, Sha256::new());
    while let Some((seq, payload)) = entries.next().await? {
        let value = value(&payload).map_err(|error| error.at(seq))?;
        digest.update((value.len() as u64).to_le_bytes());
        digest.update(&value);
        count += 1;
        tell(entries.done(), entries.total());
    }
    Ok(Sum { entries: count, digest: digest.finalize().into() })
}
