//! [`Source`], the log's file as a reader sees it, and [`Window`], a walk through it in pieces of a good size.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use flumedb::{
    Damage, Error, Result,
    env::{Env, File, OpenMode},
};

/// The file and its name, for errors.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
}

impl Source {
    /// Opens what is at `path`.
    pub(super) fn open(env: &Env, path: PathBuf, mode: OpenMode) -> Result<Self> {
        let file = env.storage.open(&path, mode).map_err(|error| Error::io("open", &path, error))?;
        Ok(Self { path, file })
    }

    /// Length of the file.
    pub(super) fn len(&self) -> Result<u64> {
        self.file.len().map_err(|error| Error::io("read", &self.path, error))
    }

    /// Up to `len` bytes at `offset`: fewer only at the end of the file.
    pub(super) fn up_to(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.file.read(offset, len).map_err(|error| Error::io("read", &self.path, error))
    }

    /// Exactly `len` bytes at `offset`, of which the caller knows that they were there.
    pub(super) fn exact(&self, offset: u64, len: usize) -> Result<Bytes> {
        let bytes = self.up_to(offset, len)?;
        if bytes.len() == len { Ok(bytes) } else { Err(self.shortened(offset)) }
    }

    /// The u32 at `offset`, of which the caller knows that it was there.
    pub(super) fn number(&self, offset: u64) -> Result<u32> {
        match self.exact(offset, 4)?.first_chunk() {
            Some(bytes) => Ok(u32::from_be_bytes(*bytes)),
            None => Err(self.shortened(offset)),
        }
    }

    /// Whether the `len` bytes at `offset` are zeros, at least one.
    pub(super) fn is_erased(&self, offset: u64, len: u32) -> Result<bool> {
        const PIECE: u32 = 1 << 16;
        let mut done = 0;
        while done < len {
            let piece = PIECE.min(len - done);
            if !super::framing::is_erased(&self.exact(offset + u64::from(done), piece as usize)?) {
                return Ok(false);
            }
            done += piece;
        }
        Ok(len > 0)
    }

    fn shortened(&self, offset: u64) -> Error {
        Error::corrupt(Damage::new(&self.path, offset, 0, "another program cut the file while it was open"))
    }
}

/// A forward walk: bytes are read in large pieces and handed out in small ones.
pub(super) struct Window<'a> {
    source: &'a Source,
    start: u64,
    bytes: Bytes,
}

impl<'a> Window<'a> {
    const PIECE: usize = 1 << 20;

    /// A walk through `source`.
    pub(super) fn new(source: &'a Source) -> Self {
        Self { source, start: 0, bytes: Bytes::new() }
    }

    /// Up to `len` bytes at `offset`: fewer only at the end of the file.
    pub(super) fn at(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let inside = |window: &Self| usize::try_from(offset.checked_sub(window.start)?).ok();
        let skip = match inside(self) {
            Some(skip) if skip.saturating_add(len) <= self.bytes.len() => skip,
            _ => {
                self.bytes = self.source.up_to(offset, len.max(Self::PIECE))?;
                self.start = offset;
                0
            }
        };
        let rest = self.bytes.get(skip..).unwrap_or_default();
        Ok(rest.get(..len).unwrap_or(rest))
    }
}
