//! [`Table`], a file of sorted rows in compressed blocks, read from its start to its end. A block that is damaged is told of
//! and passed over.

use std::sync::Arc;

use bytes::Bytes;
use flumedb::{Env, Error, ErrorKind, Result, env::File};

use super::{
    Place,
    block::Block,
    cursor::{self, Cursor},
    row::{Row, split_key},
};

const FOOTER: u64 = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// How a block is compressed, and its checksum.
const TRAILER: usize = 5;
/// No three bytes of Snappy stand for more than 64.
const SNAPPY_RATIO: usize = 32;

/// An open table.
pub(super) struct Table {
    file: Arc<dyn File>,
    place: Place,
    /// Where the blocks are, one behind the other.
    index: Block,
    /// Where the next one begins at the earliest.
    free: u64,
    block: Option<(Block, Handle)>,
    /// Where it begins, as the manifest has it.
    smallest: Bytes,
    /// The row that was given last.
    last: Option<Row>,
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

impl Table {
    pub(super) fn open(env: &Env, place: Place, smallest: &Bytes) -> Result<Self> {
        let file = place.open(env).map_err(|error| match error.kind() {
            ErrorKind::NotFound => place.corrupt(0, 0, "the manifest lists it, and it is not there"),
            _ => error,
        })?;
        let io = |error| Error::io("read", &place.path, error);
        let len = file.len().map_err(io)?;
        let start = len.saturating_sub(FOOTER);
        let footer = file.read(start, 48).map_err(io)?;
        let handle = || {
            let mut magic = Cursor(footer.get(40..)?);
            let mut handles = Cursor(footer.get(..40)?);
            let _properties = Handle::read(&mut handles)?;
            Handle::read(&mut handles).filter(|_| magic.u64() == Some(MAGIC))
        };
        let handle = handle().ok_or_else(|| place.corrupt(0, clamp(len), "it does not end as a table does"))?;
        let index = block(&*file, &place, handle)?;
        let smallest = split_key(smallest).map_or(Bytes::new(), |(key, ..)| smallest.slice_ref(key));
        Ok(Self { file, place, index, free: 0, block: None, smallest, last: None })
    }

    /// The next row. After an error it goes on with what can be read.
    pub(super) fn next_row(&mut self) -> Option<Result<Row>> {
        loop {
            let (block, handle) = match &mut self.block {
                Some((block, handle)) if !block.is_done() => (block, *handle),
                _ => match self.next_block()? {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                },
            };
            let row = block.step().and_then(|(key, value)| {
                let (key, change, set) = split_key(key)?;
                Some(Row { key: Bytes::copy_from_slice(key), change, value: set.then_some(value) })
            });
            let in_order =
                |row: &Row| self.last.as_ref().map_or(self.smallest <= row.key, |last| last.order() < row.order());
            if let Some(row) = row.filter(in_order) {
                self.last = Some(row.clone());
                return Some(Ok(row));
            }
            self.block = None;
            let reason = "rows that are none, or not in order";
            return Some(Err(self.place.corrupt(handle.offset, handle.len, reason)));
        }
    }

    fn next_block(&mut self) -> Option<Result<()>> {
        self.block = None;
        if self.index.is_done() {
            return None;
        }
        let handle = self.index.step().and_then(|(_, handle)| Handle::read(&mut Cursor(&handle)));
        let end = |handle: Handle| handle.offset.checked_add(u64::try_from(handle.len).ok()?);
        let Some((handle, end)) =
            handle.filter(|handle| handle.offset >= self.free).and_then(|it| Some((it, end(it)?)))
        else {
            // What is behind it cannot be found.
            self.index = Block::new(Bytes::from_static(&[0; 4]))?;
            return Some(Err(self.place.corrupt(0, 0, "a list of blocks that is none")));
        };
        self.free = end;
        let block = block(&*self.file, &self.place, handle);
        Some(block.map(|block| self.block = Some((block, handle))))
    }
}

/// Reads one block.
fn block(file: &dyn File, place: &Place, Handle { offset, len }: Handle) -> Result<Block> {
    let io = |error| Error::io("read", &place.path, error);
    let corrupt = |reason| place.corrupt(offset, len, reason);
    let whole = u64::try_from(len).ok().and_then(|len| offset.checked_add(len)?.checked_add(5));
    if whole.is_none_or(|end| file.len().is_ok_and(|len| end > len)) {
        return Err(corrupt("a block that lies outside of the file"));
    }
    let bytes = file.read(offset, len + TRAILER).map_err(io)?;
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
            let message = format!("{} is compressed in a way that is not known here ({other})", place.path.display());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    };
    Block::new(content).ok_or_else(|| corrupt("a block that is none"))
}

fn clamp(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
