//! [`Run`], pairs in order in a file that never changes, and [`RunWriter`], which makes one.
//!
//! Layout: blocks of 4 KiB; each has up to 292 pairs of 14 bytes (6 of the fingerprint, 8 of the seq, both big-endian), its
//! CRC-32C at byte 4,088 and four zero bytes. Behind them the fingerprint of each block's first pair, 8 bytes big-endian, then
//! 28 bytes: the number of pairs (u64 little-endian), the CRC-32C of the first fingerprints (u32 little-endian), that of the
//! number and that checksum (u32 little-endian), four zero bytes and the magic `flumhix` with a version. All fingerprints are evenly spread, so that where one lies in a
//! block is guessed and seldom far off.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Fingerprint, Pair, crc32c};
use crate::{
    Damage, Error, Result,
    env::{File, OpenMode, Storage},
};
use bytes::Bytes;

const MAGIC: &[u8; 8] = b"flumhix\x01";
const BLOCK: usize = 4096;
const PAIR: usize = Pair::BYTES;
/// Pairs in a block.
const PAIRS: usize = 292;
const FOOTER: usize = 28;

/// Pairs in order.
pub(super) struct Run {
    path: PathBuf,
    /// Names the file.
    pub(super) number: u64,
    /// How many pairs there are.
    pub(super) len: u64,
    /// The first fingerprint of each block.
    fences: Vec<u64>,
    /// The blocks: mapped, where the machine can.
    bytes: Bytes,
    /// Which blocks have been compared with their checksums.
    seen: Vec<AtomicU64>,
    pub(super) file: Arc<dyn File>,
}

impl Run {
    /// Opens the run in the file at `path`.
    pub(super) fn open(storage: &dyn Storage, path: PathBuf, number: u64) -> Result<Self> {
        let file = storage.open(&path, OpenMode::Write).map_err(|error| Error::io("open", &path, error))?;
        let whole = file.len().and_then(|len| file.read(0, usize::try_from(len).unwrap_or(usize::MAX)));
        let bytes = whole.map_err(|error| Error::io("read", &path, error))?;
        let Some((len, fences)) = footer(&bytes) else {
            return Err(damaged(&path, 0, bytes.len(), "it is no run of a hash index, or was cut"));
        };
        let seen = (0..fences.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { path, number, len, fences, bytes, seen, file })
    }

    /// The greatest seq below `to` with this fingerprint.
    pub(super) fn find(&self, fingerprint: Fingerprint, to: u64) -> Result<Option<u64>> {
        let target = fingerprint.get();
        // Pairs with one fingerprint may begin at the end of a block and go on in the next ones.
        let last = self.fences.partition_point(|&fence| fence <= target);
        let mut block = last;
        while let Some(at) = block.checked_sub(1) {
            let pairs = self.block(at)?;
            let next = self.fences.get(at + 1).copied().unwrap_or(1 << Fingerprint::BITS);
            let first = self.fences.get(at).copied().unwrap_or_default();
            if let Some(found) = newest(pairs, first, next, Pair { fingerprint, seq: to }) {
                return Ok(Some(found));
            }
            if first != target {
                return Ok(None);
            }
            block = at;
        }
        Ok(None)
    }

    /// The pairs of a block.
    pub(super) fn block(&self, at: usize) -> Result<&[[u8; PAIR]]> {
        let start = at * BLOCK;
        let count = usize::try_from(self.len).unwrap_or(usize::MAX).saturating_sub(at * PAIRS).min(PAIRS);
        let block = self.bytes.get(start..start + BLOCK).and_then(|block| block.first_chunk::<BLOCK>());
        let block = block.ok_or_else(|| damaged(&self.path, start, BLOCK, "the file was cut"))?;
        let (word, bit) = (self.seen.get(at / 64), 1_u64 << (at % 64));
        if word.is_some_and(|word| word.load(Ordering::Relaxed) & bit == 0) {
            if block.get(PAIRS * PAIR..PAIRS * PAIR + 4) != Some(&crc32c(block.get(..PAIRS * PAIR).unwrap_or_default()))
            {
                return Err(damaged(&self.path, start, BLOCK, "its checksum is wrong"));
            }
            word.map(|word| word.fetch_or(bit, Ordering::Relaxed));
        }
        Ok(block.as_chunks::<PAIR>().0.get(..count).unwrap_or_default())
    }

    pub(super) fn blocks(&self) -> usize {
        self.fences.len()
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }
}

/// The greatest seq of the pairs that are less than `below` and have its fingerprint, in a block whose fingerprints are
/// from `first` up to `next`.
fn newest(pairs: &[[u8; PAIR]], first: u64, next: u64, below: Pair) -> Option<u64> {
    let target = below.to_bytes();
    let less = |at: usize| pairs.get(at).is_some_and(|pair| *pair < target);
    // Evenly spread fingerprints lie where they would in a drawing to scale, give or take a few.
    let span = u128::from(next.saturating_sub(first).max(1));
    let offset = u128::from(below.fingerprint.get().saturating_sub(first));
    let guess = usize::try_from(offset * pairs.len() as u128 / span).unwrap_or(usize::MAX).min(pairs.len());
    let (mut low, mut high, mut step) = (guess, guess, 8);
    while low > 0 && !less(low - 1) {
        high = low;
        low = low.saturating_sub(step);
        step *= 2;
    }
    step = 8;
    while high < pairs.len() && less(high) {
        low = high;
        high = (high + step).min(pairs.len());
        step *= 2;
    }
    let at = low + pairs.get(low..high).unwrap_or_default().partition_point(|pair| *pair < target);
    let pair = Pair::from_bytes(*pairs.get(at.checked_sub(1)?)?);
    (pair.fingerprint == below.fingerprint).then_some(pair.seq)
}

/// The number of pairs and the first fingerprints, if they are as they were written.
fn footer(bytes: &[u8]) -> Option<(u64, Vec<u64>)> {
    let (rest, footer) = bytes.split_last_chunk::<FOOTER>()?;
    let (numbers, magic) = footer.split_last_chunk::<8>()?;
    let (len, sums) = numbers.split_first_chunk::<8>()?;
    let (fences_sum, sums) = sums.split_first_chunk::<4>()?;
    let own_sum = sums.first_chunk::<4>()?;
    if magic != MAGIC || *own_sum != crc32c(numbers.get(..12)?) {
        return None;
    }
    let len = u64::from_le_bytes(*len);
    let blocks = usize::try_from(len).ok()?.div_ceil(PAIRS);
    let fences = rest.get(blocks.checked_mul(BLOCK)?..)?;
    if fences.len() != blocks.checked_mul(8)? || *fences_sum != crc32c(fences) {
        return None;
    }
    Some((len, fences.as_chunks::<8>().0.iter().map(|fence| u64::from_be_bytes(*fence)).collect()))
}

/// Writes a run, pair by pair, in a file that nobody knows of until it is finished.
pub(super) struct RunWriter {
    path: PathBuf,
    number: u64,
    file: Arc<dyn File>,
    written: u64,
    buffer: Vec<u8>,
    in_block: usize,
    fences: Vec<u8>,
    last: Option<Pair>,
    len: u64,
}

impl RunWriter {
    /// So many bytes are written at once.
    const BUFFER: usize = 64 * BLOCK;

    pub(super) fn create(storage: &dyn Storage, path: PathBuf, number: u64) -> Result<Self> {
        let file = storage.open(&path, OpenMode::CreateNew).map_err(|error| Error::io("create", &path, error))?;
        let (buffer, fences) = (Vec::with_capacity(Self::BUFFER), Vec::new());
        Ok(Self { path, number, file, written: 0, buffer, in_block: 0, fences, last: None, len: 0 })
    }

    /// Adds the next pair; one that is there already is passed over.
    pub(super) fn push(&mut self, pair: Pair) -> Result<()> {
        if self.last.replace(pair) == Some(pair) {
            return Ok(());
        }
        if self.in_block == 0 {
            self.fences.extend_from_slice(&pair.fingerprint.get().to_be_bytes());
        }
        self.buffer.extend_from_slice(&pair.to_bytes());
        self.len += 1;
        self.in_block += 1;
        if self.in_block == PAIRS { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<()> {
        self.buffer.resize(self.buffer.len() + (PAIRS - self.in_block) * PAIR, 0);
        let start = self.buffer.len() - PAIRS * PAIR;
        let sum = crc32c(self.buffer.get(start..).unwrap_or_default());
        self.buffer.extend_from_slice(&sum);
        self.buffer.extend_from_slice(&[0; 4]);
        self.in_block = 0;
        if self.buffer.len() >= Self::BUFFER { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        self.file.write_all(self.written, &self.buffer).map_err(|error| Error::io("write", &self.path, error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the file and opens what is in it. It need not be on the disk yet.
    pub(super) fn finish(mut self, storage: &dyn Storage) -> Result<Run> {
        if self.in_block > 0 {
            self.end_block()?;
        }
        let mut numbers = self.len.to_le_bytes().to_vec();
        numbers.extend_from_slice(&crc32c(&self.fences));
        self.buffer.extend_from_slice(&self.fences);
        self.buffer.extend_from_slice(&numbers);
        self.buffer.extend_from_slice(&crc32c(&numbers));
        self.buffer.extend_from_slice(&[0; 4]);
        self.buffer.extend_from_slice(MAGIC);
        self.write()?;
        Run::open(storage, self.path, self.number)
    }
}

fn damaged(path: &PathBuf, offset: usize, bytes: usize, reason: &str) -> Error {
    Error::corrupt(Damage::new(path, offset as u64, bytes as u64, reason))
}
