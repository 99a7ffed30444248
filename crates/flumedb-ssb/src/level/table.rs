//! Tables: files of sorted rows in compressed blocks. [`pieces`] lists the blocks of one with the keys that they reach over,
//! and a [`Piece`] is read by itself, so that damage to it is no damage to the others.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use flumedb::{Env, Error, ErrorKind, Result, env::File};

use super::{
    Place,
    block::Block,
    cursor::{self, Cursor},
    manifest::TableFile,
    row::{self, Row},
};

const FOOTER: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// How a block is compressed, and its checksum.
const TRAILER: usize = 5;
/// No three bytes of Snappy stand for more than 64.
const SNAPPY_RATIO: usize = 32;

/// A block of a table, or what cannot be read of one.
pub(super) struct Piece {
    /// The first key that can be in it, and the last.
    pub(super) from: u64,
    pub(super) upto: u64,
    content: Result<(Arc<Table>, Handle)>,
}

/// An open table.
struct Table {
    file: Arc<dyn File>,
    place: Place,
    len: u64,
}

/// Where a block is.
#[derive(Clone, Copy)]
struct Handle {
    offset: u64,
    len: usize,
}

impl Handle {
    fn read(bytes: &mut Cursor<'_>) -> Option<Self> {
        Some(Self { offset: bytes.varint()?, len: bytes.len()? })
    }
}

impl Piece {
    /// What reading it costs, in bytes.
    pub(super) fn cost(&self) -> usize {
        const TURN: usize = 256;
        self.content.as_ref().map_or(0, |(_, handle)| handle.len).saturating_add(TURN)
    }

    /// Its rows, in order.
    pub(super) fn rows(&self) -> Result<Vec<Row>> {
        let (table, handle) = self.content.as_ref().map_err(Clone::clone)?;
        let mut block = table.block(*handle)?;
        let mut rows: Vec<Row> = Vec::new();
        while !block.is_done() {
            let row = block.step().and_then(|(key, value)| {
                let (key, change, set) = row::split(key)?;
                Some(Row { key: row::key(key)?, change, value: set.then_some(value) })
            });
            let follows = |row: &Row| rows.last().is_none_or(|last| last.order() < row.order());
            match row.filter(|row| (self.from..=self.upto).contains(&row.key) && follows(row)) {
                Some(row) => rows.push(row),
                None => return Err(table.corrupt(*handle, "rows that are none, or not in order")),
            }
        }
        Ok(rows)
    }
}

/// Adds the pieces of a table, in order.
///
/// # Errors
/// `Io`, `Unsupported`. Damage makes pieces that cannot be read.
pub(super) fn pieces(env: &Env, path: PathBuf, table: &TableFile, pieces: &mut Vec<Piece>) -> Result<()> {
    let mut from = table.smallest;
    let lost = |from, error: Error| match error.kind() {
        ErrorKind::Corrupt => Ok(Piece { from, upto: table.largest.max(from), content: Err(error) }),
        _ => Err(error),
    };
    let (table_at, mut index) = match Table::open(env, Place { path }) {
        Ok(opened) => opened,
        Err(error) => {
            pieces.push(lost(from, error)?);
            return Ok(());
        }
    };
    // Where the next block begins at the earliest.
    let mut free = 0;
    while !index.is_done() {
        let entry = index.step().and_then(|(key, handle)| {
            let upto = last_before(row::split(key)?.0)?.min(table.largest);
            let handle = Handle::read(&mut Cursor(&handle)).filter(|handle| handle.offset >= free)?;
            let end = handle.offset.checked_add(u64::try_from(handle.len).ok()?)?;
            (upto >= from).then_some((upto, handle, end))
        });
        let Some((upto, handle, end)) = entry else {
            // What is behind it cannot be found.
            let error = table_at.place.corrupt(free, 0, "a list of blocks that is none");
            pieces.push(lost(from, error)?);
            return Ok(());
        };
        pieces.push(Piece { from, upto, content: Ok((table_at.clone(), handle)) });
        free = end;
        from = upto.saturating_add(1);
    }
    Ok(())
}

/// The last key that is not behind a bound, which may be shorter than a key, or longer.
fn last_before(bound: &[u8]) -> Option<u64> {
    let mut padded = [0; 8];
    let len = bound.len().min(8);
    padded.get_mut(..len)?.copy_from_slice(bound.get(..len)?);
    // A key that begins with a shorter bound is behind it.
    u64::from_be_bytes(padded).checked_sub(u64::from(len < 8))
}

impl Table {
    /// Opens it; with the list of its blocks.
    fn open(env: &Env, place: Place) -> Result<(Arc<Self>, Block)> {
        let file = place.open(env).map_err(|error| match error.kind() {
            ErrorKind::NotFound => place.corrupt(0, 0, "the manifest lists it, and it is not there"),
            _ => error,
        })?;
        let io = |error| Error::io("read", &place.path, error);
        let len = file.len().map_err(io)?;
        let footer = file.read(len.saturating_sub(FOOTER as u64), FOOTER).map_err(io)?;
        let handle = || {
            let mut magic = Cursor(footer.get(40..)?);
            let mut handles = Cursor(footer.get(..40)?);
            let _properties = Handle::read(&mut handles)?;
            Handle::read(&mut handles).filter(|_| magic.u64() == Some(MAGIC))
        };
        let whole = usize::try_from(len).unwrap_or(usize::MAX);
        let handle = handle().ok_or_else(|| place.corrupt(0, whole, "it does not end as a table does"))?;
        let table = Self { file, place, len };
        let index = table.block(handle)?;
        Ok((Arc::new(table), index))
    }

    fn block(&self, handle: Handle) -> Result<Block> {
        let Handle { offset, len } = handle;
        let corrupt = |reason| self.corrupt(handle, reason);
        let end = u64::try_from(len).ok().and_then(|len| offset.checked_add(len)?.checked_add(TRAILER as u64));
        if end.is_none_or(|end| end > self.len) {
            return Err(corrupt("a block that lies outside of the file"));
        }
        let bytes = self.file.read(offset, len + TRAILER);
        let bytes = bytes.map_err(|error| Error::io("read", &self.place.path, error))?;
        let mut trailer = Cursor(bytes.get(len..).unwrap_or_default());
        let (Some(kind), Some(sum)) = (trailer.byte(), trailer.u32()) else {
            return Err(corrupt("a block that the file ends in"));
        };
        if !bytes.get(..=len).is_some_and(|summed| cursor::checksum(summed, sum)) {
            return Err(corrupt("a block whose checksum does not fit"));
        }
        let stored = bytes.slice(..len);
        let content = match kind {
            0 => stored,
            1 => {
                let room = snap::raw::decompress_len(&stored).ok().filter(|&room| room / SNAPPY_RATIO <= len);
                let content = room.and_then(|_| snap::raw::Decoder::new().decompress_vec(&stored).ok());
                content.map(Bytes::from).ok_or_else(|| corrupt("a block that is not compressed as it says"))?
            }
            other => {
                let path = self.place.path.display();
                let message = format!("{path} is compressed in a way that is not known here ({other})");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        Block::new(content).ok_or_else(|| corrupt("a block that is none"))
    }

    fn corrupt(&self, Handle { offset, len }: Handle, reason: &str) -> Error {
        self.place.corrupt(offset, len, reason)
    }
}
