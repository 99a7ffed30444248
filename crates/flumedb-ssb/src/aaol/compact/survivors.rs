//! [`Survivors`], the records of a log that are not deleted, read block by block. A block that is being read is held in
//! memory, because its place in the file may be filled anew meanwhile.

use flumedb::{Damage, Error, Result};

use crate::{
    aaol::Aaol,
    file::{Layout, Source, Verdict, is_erased},
};

pub(super) struct Survivors<'a> {
    layout: Aaol,
    source: &'a Source,
    /// Length of the file.
    len: u64,
    /// The next record, or what comes before it.
    at: u64,
    /// Where the block begins that is in memory.
    start: u64,
    block: Vec<u8>,
}

/// A record.
pub(super) struct Record {
    pub(super) start: u64,
    /// All of it, the length too.
    pub(super) bytes: Vec<u8>,
}

impl Record {
    pub(super) fn payload(&self) -> &[u8] {
        self.bytes.get(2..).unwrap_or_default()
    }
}

impl<'a> Survivors<'a> {
    /// The records from `at` on. `block`: what holds it, if that is not the file any more.
    pub(super) fn new(layout: Aaol, source: &'a Source, len: u64, at: u64, block: Option<Vec<u8>>) -> Result<Self> {
        let start = layout.block_start(at);
        let block = match block {
            Some(block) => block,
            None if at < len => read(layout, source, start)?,
            None => Vec::new(),
        };
        Ok(Self { layout, source, len, at, start, block })
    }

    /// The block that holds the next record.
    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// The next record that is not deleted, without going on to it.
    pub(super) fn peek(&mut self) -> Result<Option<Record>> {
        while let Some(record) = self.record()? {
            if !is_erased(record.payload()) {
                return Ok(Some(record));
            }
            self.pass(&record);
        }
        Ok(None)
    }

    /// Goes on behind a record.
    pub(super) fn pass(&mut self, record: &Record) {
        self.at = record.start + record.bytes.len() as u64;
    }

    /// The next record, deleted or not.
    pub(super) fn record(&mut self) -> Result<Option<Record>> {
        while self.at < self.len {
            let rest = self.block.get((self.at - self.start) as usize..).unwrap_or_default();
            match self.layout.judge(self.at, rest, self.len) {
                Verdict::Record(size) => {
                    let bytes = rest.get(..2 + size as usize).unwrap_or_default().to_vec();
                    return Ok(Some(Record { start: self.at, bytes }));
                }
                Verdict::Skip(to) => {
                    (self.at, self.start) = (to, to);
                    if to < self.len {
                        self.block = read(self.layout, self.source, to)?;
                    }
                }
                Verdict::Broken(reason, _) => {
                    let bytes = self.layout.block_end(self.at) - self.at;
                    return Err(Error::corrupt(Damage::new(&self.source.path, self.at, bytes, reason)));
                }
                Verdict::More(_) | Verdict::End => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// A copy of the block that begins at `start`.
pub(super) fn read(layout: Aaol, source: &Source, start: u64) -> Result<Vec<u8>> {
    Ok(source.exact(start, layout.block_size() as usize)?.to_vec())
}
