//! [`Run`], pairs in order in a file that never changes. [`RunWriter`] makes one.
//!
//! A run covers all fingerprints, or one part of them: those that begin with certain 4 bits. What it covers is divided evenly into
//! `2^n` blocks of about 64 pairs, so that the first bits of a fingerprint say where its block is, and are not stored.
//!
//! Layout: the blocks, each its CRC-32C (u32 little-endian) and its records in order: what is left of the fingerprint and the
//! seq, both big-endian, in as many bytes as this file needs. Then, for each block and for the end, how many records come before
//! it (u32 little-endian). Then, if it covers all fingerprints, a filter: words of 64 bits (little-endian), about one for 8 pairs.
//! Then 40 bytes: how many pairs there are and the greatest seq (u64 little-endian each); a byte each for the first bits, their
//! number (0 or 4), `n` and the bytes of a seq; the number of words of the filter (u32 little-endian); the CRC-32C of what is
//! between blocks and here (u32 little-endian), that of these 28 bytes, and the magic `flumhix` with a version. Fingerprints are
//! evenly spread, so that where one lies in a block is guessed and seldom far off.

mod filter;
mod shape;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

pub(super) use self::writer::RunWriter;
use self::{filter::Filter, shape::Shape};
use super::{Fingerprint, PARTS, Pair, crc32c};
use crate::{
    Damage, Error, Result,
    env::{File, OpenMode, Storage},
};

const MAGIC: &[u8; 8] = b"flumhix\x02";
const FOOTER: usize = 40;
/// Before the records of a block.
const SUM: usize = 4;
/// A record is read as so many bytes; the footer is behind the last one.
const RECORD: usize = 16;

/// Pairs in order.
pub(super) struct Run {
    path: PathBuf,
    /// Names the file.
    pub(super) number: u64,
    /// How many pairs there are.
    pub(super) len: u64,
    pub(super) max_seq: u64,
    shape: Shape,
    /// The file: mapped, where the machine can.
    bytes: Bytes,
    /// How many records come before each block, in the file.
    before: Bytes,
    filter: Filter,
    /// Which blocks have been compared with their checksums.
    seen: Vec<AtomicU64>,
    pub(super) file: Arc<dyn File>,
}

/// The records of a block.
#[derive(Clone, Copy)]
struct Block<'a> {
    /// From the first record to the end of the file.
    bytes: &'a [u8],
    len: usize,
    shape: &'a Shape,
}

impl Block<'_> {
    /// The record `at`, as a number; its place among others is that of its pair.
    fn record(&self, at: usize) -> Option<u128> {
        let record = self.bytes.get(at * self.shape.record_bytes..)?.first_chunk::<RECORD>()?;
        Some(u128::from_be_bytes(*record) >> (128 - 8 * self.shape.record_bytes))
    }

    /// How many records are less than `target`, of which `guess` is a good one.
    fn less_than(&self, target: u128, guess: usize) -> usize {
        let less = |at: usize| self.record(at).is_some_and(|record| record < target);
        let (mut low, mut high, mut step) = (guess, guess, 1);
        while low > 0 && !less(low - 1) {
            high = low - 1;
            low = low.saturating_sub(step);
            step *= 2;
        }
        if low == guess {
            step = 1;
            while high < self.len && less(high) {
                low = high + 1;
                high = (high + step).min(self.len);
                step *= 2;
            }
        }
        while low < high {
            let middle = low.midpoint(high);
            if less(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

impl Run {
    /// Opens the run in the file at `path`.
    pub(super) fn open(storage: &dyn Storage, path: PathBuf, number: u64) -> Result<Self> {
        let file = storage.open(&path, OpenMode::Write).map_err(|error| Error::io("open", &path, error))?;
        let whole = file.len().and_then(|len| file.read(0, usize::try_from(len).unwrap_or(usize::MAX)));
        let bytes = whole.map_err(|error| Error::io("read", &path, error))?;
        let Some(Footer { len, max_seq, shape, before, filter }) = footer(&bytes) else {
            return Err(damaged(&path, 0, bytes.len(), "it is no run of a hash index, or was cut"));
        };
        let seen = (0..shape.blocks().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { path, number, len, max_seq, shape, bytes, before, filter, seen, file })
    }

    /// The greatest seq below `to` with this fingerprint, which the run covers.
    pub(super) fn find(&self, fingerprint: Fingerprint, to: u64) -> Result<Option<u64>> {
        if !self.filter.may_have(fingerprint) {
            return Ok(None);
        }
        let shape = &self.shape;
        let block = self.block(shape.block_of(fingerprint))?;
        let (rest, target) = (shape.rest(fingerprint), shape.record(fingerprint, to.min(shape.seq_end())));
        // Evenly spread fingerprints lie where they would in a drawing to scale, give or take a few.
        let guess = ((u128::from(rest) * block.len as u128) >> shape.rest_bits) as usize;
        let Some(last) = block.less_than(target, guess.min(block.len)).checked_sub(1) else { return Ok(None) };
        let found = block.record(last).map(|record| shape.split(record));
        Ok(found.filter(|(other, _)| *other == rest).map(|(_, seq)| seq))
    }

    /// The records of block `at`, which are as they were written.
    fn block(&self, at: usize) -> Result<Block<'_>> {
        let (start, end) = (self.before(at), self.before(at + 1));
        let (Some(len), offset) = (end.checked_sub(start), at * SUM + start * self.shape.record_bytes) else {
            return Err(damaged(&self.path, 0, self.bytes.len(), "its blocks are out of order"));
        };
        let bytes = self.bytes.get(offset..).and_then(|bytes| bytes.split_first_chunk::<SUM>());
        let cut = || damaged(&self.path, offset, SUM, "the file was cut");
        let (sum, bytes) = bytes.ok_or_else(cut)?;
        let (word, bit) = (self.seen.get(at / 64), 1_u64 << (at % 64));
        if word.is_some_and(|word| word.load(Ordering::Relaxed) & bit == 0) {
            let records = bytes.get(..len * self.shape.record_bytes).ok_or_else(cut)?;
            if *sum != crc32c(records) {
                return Err(damaged(&self.path, offset, SUM + records.len(), "the checksum of a block is wrong"));
            }
            word.map(|word| word.fetch_or(bit, Ordering::Relaxed));
        }
        Ok(Block { bytes, len, shape: &self.shape })
    }

    /// How many records come before block `at`.
    fn before(&self, at: usize) -> usize {
        let number = self.before.get(at * 4..).and_then(|numbers| numbers.first_chunk::<4>());
        number.map_or(0, |number| u32::from_le_bytes(*number) as usize)
    }

    /// How many of its pairs belong to `part`.
    pub(super) fn len_of(&self, part: usize) -> usize {
        let blocks = self.shape.blocks_of(part);
        self.before(blocks.end).saturating_sub(self.before(blocks.start))
    }

    /// Bytes of the file.
    pub(super) fn file_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether it covers all fingerprints.
    pub(super) fn is_whole(&self) -> bool {
        self.shape.prefix_bits == 0
    }

    /// Whether it covers `part`.
    pub(super) fn covers(&self, part: usize) -> bool {
        self.is_whole() || self.shape.prefix as usize == part
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }
}

/// Goes through the pairs of a run, or of one part of it, in order.
pub(super) struct Cursor {
    run: Arc<Run>,
    blocks: std::ops::Range<usize>,
    block: usize,
    /// The next record of `block`, and how many it has.
    at: usize,
    len: usize,
    pub(super) next: Option<Pair>,
}

impl Cursor {
    pub(super) fn new(run: Arc<Run>, part: Option<usize>) -> Result<Self> {
        let blocks = part.map_or(0..run.shape.blocks(), |part| run.shape.blocks_of(part));
        let mut cursor = Self { run, blocks, block: 0, at: 0, len: 0, next: None };
        cursor.advance()?;
        Ok(cursor)
    }

    /// Goes to the next pair.
    pub(super) fn advance(&mut self) -> Result<()> {
        while self.at == self.len {
            let Some(block) = self.blocks.next() else {
                self.next = None;
                return Ok(());
            };
            (self.block, self.at, self.len) = (block, 0, self.run.block(block)?.len);
        }
        let offset = (self.block + 1) * SUM + self.run.before(self.block) * self.run.shape.record_bytes;
        let bytes = self.run.bytes.get(offset..).unwrap_or_default();
        let block = Block { bytes, len: self.len, shape: &self.run.shape };
        self.next = block.record(self.at).map(|record| self.run.shape.pair(self.block, record));
        self.at += 1;
        Ok(())
    }
}

/// What stands behind the blocks of a run.
struct Footer {
    len: u64,
    max_seq: u64,
    shape: Shape,
    before: Bytes,
    filter: Filter,
}

/// The footer of a run, if it is as it was written.
fn footer(bytes: &Bytes) -> Option<Footer> {
    let (rest, footer) = bytes.split_last_chunk::<FOOTER>()?;
    let (numbers, behind) = footer.split_first_chunk::<28>()?;
    if *behind.first_chunk::<4>()? != crc32c(numbers) || behind.last_chunk::<8>()? != MAGIC {
        return None;
    }
    let (len, numbers) = numbers.split_first_chunk::<8>()?;
    let (max_seq, numbers) = numbers.split_first_chunk::<8>()?;
    let (&[prefix, prefix_bits, block_bits, seq_bytes], numbers) = numbers.split_first_chunk::<4>()?;
    let (words, sum) = numbers.split_first_chunk::<4>()?;
    let shape = Shape::read(prefix, prefix_bits, block_bits, seq_bytes)?;
    let len = u64::from_le_bytes(*len);
    let filter_start = rest.len().checked_sub((u32::from_le_bytes(*words) as usize).checked_mul(8)?)?;
    let start = filter_start.checked_sub((shape.blocks() + 1).checked_mul(4)?)?;
    let records = usize::try_from(len).ok()?.checked_mul(shape.record_bytes)?;
    let fits = start == records.checked_add(shape.blocks() * SUM)?;
    if !fits || sum != crc32c(rest.get(start..)?) {
        return None;
    }
    let (before, filter) = (bytes.slice(start..filter_start), Filter::new(bytes.slice(filter_start..rest.len())));
    Some(Footer { len, max_seq: u64::from_le_bytes(*max_seq), shape, before, filter })
}

fn damaged(path: &Path, offset: usize, bytes: usize, reason: &str) -> Error {
    Error::corrupt(Damage::new(path, offset as u64, bytes as u64, reason))
}
