//! [`RunWriter`], which makes a run.

use std::{path::PathBuf, sync::Arc};

use super::{FOOTER, MAGIC, Run, SUM, crc32c, filter::FilterWriter, shape::Shape};
use crate::{
    Error, ErrorKind, Result,
    env::{File, OpenMode, Storage},
    views::hash_index::Pair,
};

/// Writes a run, pair by pair, in a file that nobody knows of until it is finished.
pub(crate) struct RunWriter {
    path: PathBuf,
    number: u64,
    file: Arc<dyn File>,
    shape: Shape,
    written: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the block begins that is being filled.
    block_start: usize,
    block: usize,
    before: Vec<u8>,
    filter: FilterWriter,
    last: Option<Pair>,
    len: u64,
    max_seq: u64,
}

impl RunWriter {
    /// So many bytes are written at once.
    const BUFFER: usize = 256 << 10;

    /// Begins a run of at most about `len` pairs of `part`, or of all parts, with seqs up to `max_seq`.
    pub(in crate::views::hash_index) fn create(
        storage: &dyn Storage,
        (path, number): (PathBuf, u64),
        part: Option<usize>,
        len: usize,
        max_seq: u64,
    ) -> Result<Self> {
        if u32::try_from(len).is_err() {
            return Err(Error::new(ErrorKind::Unsupported, "a hash index holds no more than 2^32 keys in a run"));
        }
        let file = storage.open(&path, OpenMode::CreateNew).map_err(|error| Error::io("create", &path, error))?;
        let shape = Shape::new(part, len, max_seq);
        let mut writer = Self {
            path,
            number,
            file,
            shape,
            written: 0,
            buffer: Vec::with_capacity(Self::BUFFER.min(len * 16) + (4 << 10)),
            block_start: 0,
            block: 0,
            before: Vec::new(),
            // A base is looked into last, when the key is likely to be there.
            filter: FilterWriter::new(if part.is_none() { len } else { 0 }),
            last: None,
            len: 0,
            max_seq,
        };
        writer.begin_block();
        Ok(writer)
    }

    fn begin_block(&mut self) {
        self.before.extend_from_slice(&(self.len as u32).to_le_bytes());
        self.block_start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; SUM]);
    }

    /// Puts the checksum before the records of the block.
    fn end_block(&mut self) -> Result<()> {
        let block = self.buffer.get_mut(self.block_start..).and_then(|block| block.split_first_chunk_mut::<SUM>());
        if let Some((sum, records)) = block {
            *sum = crc32c(records);
        }
        if self.buffer.len() >= Self::BUFFER { self.write() } else { Ok(()) }
    }

    /// Adds the next pair; one that is there already is passed over.
    pub(in crate::views::hash_index) fn push(&mut self, pair: Pair) -> Result<()> {
        if self.last.replace(pair) == Some(pair) {
            return Ok(());
        }
        let block = self.shape.block_of(pair.fingerprint);
        while self.block < block {
            self.end_block()?;
            self.block += 1;
            self.begin_block();
        }
        let record_bytes = self.shape.record_bytes;
        let record = self.shape.record(pair.fingerprint, pair.seq) << (128 - 8 * record_bytes);
        self.buffer.extend_from_slice(record.to_be_bytes().get(..record_bytes).unwrap_or_default());
        self.filter.add(pair.fingerprint);
        self.len += 1;
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        self.file.write_all(self.written, &self.buffer).map_err(|error| Error::io("write", &self.path, error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the file and opens what is in it. It need not be on the disk yet.
    pub(in crate::views::hash_index) fn finish(mut self, storage: &dyn Storage) -> Result<Run> {
        self.end_block()?;
        while self.block + 1 < self.shape.blocks() {
            self.block += 1;
            self.begin_block();
            self.end_block()?;
        }
        self.before.extend_from_slice(&(self.len as u32).to_le_bytes());
        let mut tail = std::mem::take(&mut self.before);
        self.filter.words().iter().for_each(|word| tail.extend_from_slice(&word.to_le_bytes()));
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend_from_slice(&self.len.to_le_bytes());
        footer.extend_from_slice(&self.max_seq.to_le_bytes());
        footer.extend_from_slice(&self.shape.to_bytes());
        footer.extend_from_slice(&(self.filter.words().len() as u32).to_le_bytes());
        footer.extend_from_slice(&crc32c(&tail));
        let sum = crc32c(&footer);
        footer.extend_from_slice(&sum);
        footer.extend_from_slice(MAGIC);
        self.buffer.extend_from_slice(&tail);
        self.buffer.extend_from_slice(&footer);
        self.write()?;
        Run::open(storage, self.path, self.number)
    }
}
