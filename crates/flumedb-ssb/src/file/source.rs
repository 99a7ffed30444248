//! [`Source`], the log's file as a reader sees it, and [`Window`], a walk through it in pieces of a good size.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use flumedb::{
    Damage, Error, Result,
    env::{Env, File, OpenMode},
};

/// The file and its name, for errors.
pub struct Source {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
}

impl Source {
    /// Opens what is at `path`.
    pub(crate) fn open(env: &Env, path: PathBuf, mode: OpenMode) -> Result<Self> {
        let path = if mode == OpenMode::CreateNew { path } else { follow(env, path)? };
        let file = env.storage.open(&path, mode).map_err(|error| Error::io("open", &path, error))?;
        Ok(Self { path, file })
    }

    /// Length of the file.
    pub(crate) fn len(&self) -> Result<u64> {
        self.file.len().map_err(|error| Error::io("read", &self.path, error))
    }

    /// Up to `len` bytes at `offset`: fewer only at the end of the file.
    pub(crate) fn up_to(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.file.read(offset, len).map_err(|error| Error::io("read", &self.path, error))
    }

    /// Exactly `len` bytes at `offset`, of which the caller knows that they were there.
    pub(crate) fn exact(&self, offset: u64, len: usize) -> Result<Bytes> {
        let bytes = self.up_to(offset, len)?;
        if bytes.len() == len { Ok(bytes) } else { Err(self.shortened(offset)) }
    }

    /// Makes bytes and length durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))
    }

    fn shortened(&self, offset: u64) -> Error {
        Error::corrupt(Damage::new(&self.path, offset, 0, "another program cut the file while it was open"))
    }
}

/// Where a path leads that somebody gave: to what a link there stands for.
pub(super) fn follow(env: &Env, path: PathBuf) -> Result<PathBuf> {
    let found = env.storage.points_to(&path).map_err(|error| Error::io("follow the link", &path, error))?;
    Ok(found.unwrap_or(path))
}

/// A forward walk: bytes are read in large pieces and handed out in small ones.
pub(crate) struct Window<'a> {
    pub(super) source: &'a Source,
    /// Length of the file, as far as the walk goes.
    pub(super) len: u64,
    start: u64,
    bytes: Bytes,
    copies: bool,
}

impl<'a> Window<'a> {
    /// What the processor's nearest large cache holds.
    const PIECE: usize = 256 << 10;

    /// Of its first piece a walk may need no more: it may be after one record only.
    const BEGINNING: usize = 8 << 10;

    /// A walk through the first `len` bytes of `source`.
    pub(crate) fn new(source: &'a Source, len: u64) -> Self {
        Self { source, len, start: 0, bytes: Bytes::new(), copies: false }
    }

    /// Walks through copies, so that what is found can be kept whatever becomes of the file.
    pub(super) fn copying(mut self) -> Self {
        self.copies = true;
        self
    }

    /// The bytes from `from` to `to`, if they were read last.
    pub(super) fn held(&self, from: u64, to: u64) -> Option<Bytes> {
        let start = usize::try_from(from.checked_sub(self.start)?).ok()?;
        let end = usize::try_from(to.checked_sub(self.start)?).ok()?;
        (start <= end && end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }

    /// The bytes from `offset` on: `least` or more, fewer only at the end of the file.
    #[inline]
    pub(crate) fn from(&mut self, offset: u64, least: usize) -> Result<&[u8]> {
        let inside = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let skip = match inside {
            Some(skip) if skip.saturating_add(least) <= self.bytes.len() => skip,
            _ => self.go_to(offset, least)?,
        };
        Ok(self.bytes.get(skip..).unwrap_or_default())
    }

    /// Reads the next piece, which begins at `offset`: that is how far into it that is.
    #[cold]
    fn go_to(&mut self, offset: u64, least: usize) -> Result<usize> {
        // Never more than there is, whatever a length that cannot be trusted says.
        let piece = least.max(Self::PIECE).min(self.left(offset));
        let ahead = if self.bytes.is_empty() { Self::BEGINNING } else { Self::PIECE };
        self.bytes = self.source.up_to(offset, piece)?;
        self.start = offset;
        if self.copies {
            self.bytes = Bytes::copy_from_slice(&self.bytes);
        } else {
            warm(self.bytes.get(..ahead).unwrap_or(&self.bytes));
        }
        Ok(0)
    }

    /// How many bytes there are from `offset` on.
    pub(super) fn left(&self, offset: u64) -> usize {
        usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX)
    }
}

/// Brings mapped bytes into the cache in the order in which they lie. Where a record starts is known only from the one
/// before it, so that a walk over cold bytes would wait for the memory at each.
fn warm(bytes: &[u8]) {
    const LINE: usize = 64;
    let sum = bytes.iter().step_by(LINE).fold(0, |sum, byte| sum ^ byte);
    std::hint::black_box(sum);
}
