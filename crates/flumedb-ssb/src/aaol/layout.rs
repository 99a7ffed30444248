//! [`Aaol`], how async-append-only-log files lie: records of a length and a payload in blocks that end in zeros.

use std::fmt;

use flumedb::{Damage, Env, Error, ErrorKind, Result};

use super::{compact, detect, stats};
use crate::file::{Detected, Finish, Layout, One, Source, Staged, Verdict, is_erased};

/// Blocks of one size. A record is its length as little-endian u16 and its payload; it lies in one block, behind whose last
/// record at least two zero bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Aaol {
    block: u32,
}

const PAST: &str = "the record reaches past its block";
const BEHIND: &str = "there are bytes behind the end of the block";
const EMPTY: &str = "a block of zeros";

/// Bytes of the length, and of the zeros that end a block.
const HEAD: u64 = 2;

/// A disk writes so many bytes whole or not at all.
const SECTOR: u64 = 512;

impl Aaol {
    /// The smallest block: a record of one byte and the end.
    pub const LEAST: u32 = 5;

    /// The largest block. The original sets no limit, but a block is read into memory.
    pub const MOST: u32 = 1 << 20;

    /// Blocks of `block` bytes.
    ///
    /// # Errors
    /// `Invalid` if no record fits, or it is unreasonably large.
    ///
    /// ```
    /// use flumedb_ssb::Aaol;
    /// assert_eq!(Aaol::new(8192)?.block_size(), 8192);
    /// assert!(Aaol::new(3).is_err());
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn new(block: u32) -> Result<Self> {
        if (Self::LEAST..=Self::MOST).contains(&block) {
            return Ok(Self { block });
        }
        let message = format!("a block of {block} bytes; give one of {} to {}", Self::LEAST, Self::MOST);
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// The size of its blocks.
    pub const fn block_size(self) -> u32 {
        self.block
    }

    /// The longest payload: what a block has room for, and a length can say.
    pub(super) fn longest(self) -> u64 {
        (u64::from(self.block) - 2 * HEAD).min(u64::from(u16::MAX))
    }

    /// Where the block that holds byte `at` begins.
    pub(super) fn block_start(self, at: u64) -> u64 {
        at - at % u64::from(self.block)
    }

    /// Where the block that holds byte `at` ends.
    pub(super) fn block_end(self, at: u64) -> u64 {
        self.block_start(at).saturating_add(u64::from(self.block))
    }

    /// Whether `bytes` bytes of records fit at `at`, into the rest of that block.
    pub(super) fn fits(self, at: u64, bytes: u64) -> bool {
        at.saturating_add(bytes).saturating_add(HEAD) <= self.block_end(at)
    }

    /// Goes on in the next block.
    fn pad(self, base: u64, staged: &mut Staged) {
        let at = base + staged.bytes.len() as u64;
        let rest = self.block_end(at) - at;
        staged.bytes.resize(staged.bytes.len() + rest as usize, 0);
    }
}

impl Layout for Aaol {
    type Options = Option<u32>;

    const HEAD: u32 = HEAD as u32;

    const PROVEN: bool = false;

    fn name(&self) -> &'static str {
        "aaol"
    }

    fn trailer(&self) -> u32 {
        0
    }

    fn detect(source: &Source, len: u64, named: &Option<u32>) -> Result<Detected<Self>> {
        detect::detect(source, len, named.map(Self::new).transpose()?)
    }

    fn may_be(&self, source: &Source, len: u64) -> Result<bool> {
        detect::may_be(*self, source, len)
    }

    fn unfinished(env: &Env, source: &Source) -> Result<Option<Damage>> {
        compact::unfinished(env, source)
    }

    fn finish(env: &Env, source: &Source, skip_damage: bool) -> Result<Finish> {
        compact::finish(env, source, skip_damage)
    }

    fn lineage(env: &Env, source: &Source) -> Result<Vec<u8>> {
        compact::lineage(env, source)
    }

    #[inline]
    fn judge(&self, at: u64, bytes: &[u8], len: u64) -> Verdict {
        let stop = self.block_end(at);
        let size = match bytes.first_chunk::<2>() {
            Some(size) if stop - at >= HEAD => u16::from_le_bytes(*size),
            _ => 0,
        };
        if size > 0 {
            let (size, bytes) = (u32::from(size), HEAD + u64::from(size));
            return match (self.fits(at, bytes), at + bytes <= len) {
                (true, true) => Verdict::Record(size),
                (true, false) => Verdict::more(at, bytes, len),
                (false, _) => Verdict::Broken(PAST, Some(stop)),
            };
        }
        let rest = stop.min(len) - at;
        match bytes.get(..rest as usize) {
            None => Verdict::More(rest as usize),
            Some(rest) if !is_zero(rest) => Verdict::Broken(BEHIND, Some(stop)),
            Some(_) if stop > len => Verdict::End,
            Some(_) if at == self.block_start(at) => Verdict::Broken(EMPTY, Some(stop)),
            Some(_) => Verdict::Skip(stop),
        }
    }

    fn is_closed(&self, end: u64, source: &Source, len: u64) -> Result<bool> {
        Ok(len == self.closed_len(end) && self.sound_to(end, source, len)? == len)
    }

    fn sound_to(&self, end: u64, source: &Source, len: u64) -> Result<u64> {
        let to = self.closed_len(end).min(len);
        Ok(if is_zero(&source.exact(end, to.saturating_sub(end) as usize)?) { to } else { end })
    }

    fn closed_len(&self, end: u64) -> u64 {
        end.next_multiple_of(u64::from(self.block))
    }

    fn frame(&self, base: u64, payload: &[u8], staged: &mut Staged) -> Result<u64> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let bytes = HEAD + payload.len() as u64;
        let size = match u16::try_from(payload.len()) {
            Ok(0) => {
                return refuse(format!("an entry of no bytes ends a block in an {self} log; append something else"));
            }
            Ok(size) if payload.len() as u64 <= self.longest() => size,
            _ => {
                let (len, longest) = (payload.len(), self.longest());
                return refuse(format!("an entry of {len} bytes; a record of an {self} log holds {longest}"));
            }
        };
        if is_erased(payload) {
            return refuse(format!("a payload of zeros means `deleted` in an {self} log; append something else"));
        }
        if !self.fits(base + staged.bytes.len() as u64, bytes) {
            self.pad(base, staged);
        }
        let start = base + staged.bytes.len() as u64;
        staged.bytes.extend_from_slice(&size.to_le_bytes());
        staged.bytes.extend_from_slice(payload);
        Ok(start)
    }

    fn make_room(&self, base: u64, payloads: &mut dyn Iterator<Item = usize>, staged: &mut Staged) -> Result<()> {
        let mut payloads = payloads.peekable();
        let first = payloads.peek().copied().unwrap_or_default();
        let bytes = payloads.fold(0_u64, |bytes, payload| bytes.saturating_add(HEAD).saturating_add(payload as u64));
        if !self.fits(0, bytes) {
            let message = format!("a batch of {bytes} bytes of records; a block of an {self} log has no room for it");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let at = base + staged.bytes.len() as u64;
        // The first length is what makes the batch be there, so a power cut must not halve it.
        let halved = first > usize::from(u8::MAX) && at % SECTOR == SECTOR - 1;
        if !self.fits(at, bytes) || halved {
            self.pad(base, staged);
        }
        Ok(())
    }

    fn filler(&self, start: u64, bytes: u64) -> Result<Vec<u8>> {
        let mut filler = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        // Zeros end a block; one that has nothing else would be damage again, so it gets a deleted record.
        let size = (self.longest() as u16).to_le_bytes();
        let mut block = self.closed_len(start) - start;
        while block < bytes {
            if let Some(head) = filler.get_mut(block as usize..).and_then(|rest| rest.first_chunk_mut::<2>()) {
                *head = size;
            }
            block += u64::from(self.block);
        }
        Ok(filler)
    }

    fn count_deleted(&self, log: &One<Self>, bytes: u64) -> Result<()> {
        // The entries are deleted by now. A count that cannot be written is written with the next deletion.
        let _ = stats::write(&log.env, log.path(), bytes);
        Ok(())
    }
}

/// As `--format` takes it: `aaol:65536`.
impl fmt::Display for Aaol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "aaol:{}", self.block)
    }
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}
