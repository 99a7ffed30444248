//! [`Blob`], the bytes of one file of a segment: in memory, or on the disk with a checksum for each block. tantivy trusts
//! what it reads, and a flipped bit would give wrong answers, or a panic. Here it gives `Corrupt`.

use std::{
    fmt, io,
    ops::Range,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use flumedb::{Damage, Error, env::File};
use tantivy::{
    HasLen,
    directory::{FileHandle, OwnedBytes},
};

/// What is checked at once.
pub(super) const BLOCK: usize = 4096;

/// The checksum of a block.
pub(super) fn checksum(block: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(block)
}

/// The bytes of a file.
#[derive(Clone)]
pub(super) enum Blob {
    /// Not on the disk.
    Memory(OwnedBytes),
    /// On the disk.
    Stored(Arc<Stored>),
}

/// A file on the disk, and what its blocks must be.
pub(super) struct Stored {
    pub(super) file: Arc<dyn File>,
    pub(super) path: PathBuf,
    pub(super) len: usize,
    pub(super) checks: Vec<u32>,
    /// Set for files that are small and asked for all the time.
    pub(super) keep: bool,
    pub(super) kept: OnceLock<OwnedBytes>,
}

impl Stored {
    fn read(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if self.keep {
            if let Some(kept) = self.kept.get() {
                return within(kept, range);
            }
            let all = self.read_checked(0..self.len)?;
            return within(self.kept.get_or_init(|| all), range);
        }
        self.read_checked(range)
    }

    fn read_checked(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.len {
            return Err(self.damaged(self.len, "it ends before what is looked for"));
        }
        let first = range.start / BLOCK;
        let end = range.end.div_ceil(BLOCK).saturating_mul(BLOCK).min(self.len);
        let bytes = self.file.read((first * BLOCK) as u64, end.saturating_sub(first * BLOCK))?;
        if bytes.len() < end.saturating_sub(first * BLOCK) {
            return Err(self.damaged(first * BLOCK + bytes.len(), "it ends too soon"));
        }
        for (number, block) in (first..).zip(bytes.chunks(BLOCK)) {
            if self.checks.get(number) != Some(&checksum(block)) {
                return Err(self.damaged(number * BLOCK, "the checksum of a block is wrong"));
            }
        }
        let skip = range.start - first * BLOCK;
        let wanted = bytes.get(skip..skip + range.len()).unwrap_or_default();
        Ok(OwnedBytes::new(wanted.to_vec()))
    }

    fn damaged(&self, offset: usize, reason: &str) -> io::Error {
        let damage = Damage::new(&self.path, offset as u64, BLOCK as u64, reason);
        io::Error::new(io::ErrorKind::InvalidData, Error::corrupt(damage))
    }
}

fn within(bytes: &OwnedBytes, range: Range<usize>) -> io::Result<OwnedBytes> {
    if range.start > range.end || range.end > bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.slice(range))
}

impl FileHandle for Blob {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        match self {
            Self::Memory(bytes) => within(bytes, range),
            Self::Stored(stored) => stored.read(range),
        }
    }
}

impl HasLen for Blob {
    fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Stored(stored) => stored.len,
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Stored(stored) => write!(f, "{}", stored.path.display()),
        }
    }
}
