//! [`Blocks`], a file of `env::Storage` as the storage of redb, each block under a checksum. redb trusts what it reads of
//! pages that it did not just repair: a flipped bit would give wrong answers, or a panic. Here it gives `Corrupt`.

use std::{fmt, io, path::PathBuf, sync::Arc};

use redb::StorageBackend;

use crate::{Damage, Error, env::File};

/// What redb reads and writes are multiples of this, except for its header, which is shorter.
const BLOCK: u64 = 4096;
/// In front of each block: CRC-64 of the block's number and bytes. In front, so that redb's header shares its first
/// 512 bytes with its checksum, and a disk that writes whole sectors writes both or neither.
const CHECK: u64 = 8;
const STRIDE: u64 = CHECK + BLOCK;

/// A file of blocks with checksums.
pub(super) struct Blocks {
    file: Arc<dyn File>,
    path: PathBuf,
}

impl Blocks {
    pub(super) fn new(file: Arc<dyn File>, path: PathBuf) -> Self {
        Self { file, path }
    }

    /// Shows `visit` the blocks from `first` to before `end`, checked.
    fn check(&self, first: u64, end: u64, mut visit: impl FnMut(u64, &[u8])) -> io::Result<()> {
        let len = usize::try_from((end - first) * STRIDE).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let bytes = self.file.read(first * STRIDE, len)?;
        if bytes.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, block) in (first..).zip(bytes.chunks_exact(STRIDE as usize)) {
            let Some((check, block)) = block.split_first_chunk() else { break };
            if u64::from_le_bytes(*check) != checksum(number, block) {
                return Err(self.damaged(number));
            }
            visit(number, block);
        }
        Ok(())
    }

    fn damaged(&self, number: u64) -> io::Error {
        let damage = Damage::new(&self.path, number * STRIDE, STRIDE, "the checksum of a block is wrong");
        io::Error::new(io::ErrorKind::InvalidData, Error::corrupt(damage))
    }

    /// Bytes of block `number` as they are before a part of it is written; zeros where nothing was written yet.
    fn old(&self, number: u64) -> io::Result<Vec<u8>> {
        let mut old = vec![0; BLOCK as usize];
        let stored = self.file.read(number * STRIDE, STRIDE as usize)?;
        if stored.iter().any(|byte| *byte != 0) {
            self.check(number, number + 1, |_, block| old.copy_from_slice(block))?;
        }
        Ok(old)
    }
}

fn checksum(number: u64, block: &[u8]) -> u64 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    digest.update(&number.to_le_bytes());
    digest.update(block);
    digest.finalize()
}

/// The part of block `number` within `from..to`, as positions in the block.
fn within(number: u64, from: u64, to: u64) -> (usize, usize) {
    let start = number * BLOCK;
    let cut = |position: u64| position.saturating_sub(start).min(BLOCK) as usize;
    (cut(from), cut(to))
}

impl StorageBackend for Blocks {
    fn len(&self) -> io::Result<u64> {
        match self.file.len()? {
            // redb would take it for a new file.
            part @ 1..STRIDE => Err(self.damaged(part / STRIDE)),
            len => Ok(len / STRIDE * BLOCK),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(out.len() as u64);
        let mut filled = 0;
        self.check(offset / BLOCK, end.div_ceil(BLOCK), |number, block| {
            let (from, to) = within(number, offset, end);
            let part = block.get(from..to).unwrap_or_default();
            if let Some(target) = out.get_mut(filled..filled + part.len()) {
                target.copy_from_slice(part);
            }
            filled += part.len();
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len.div_ceil(BLOCK) * STRIDE)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(data.len() as u64);
        let (first, last) = (offset / BLOCK, end.div_ceil(BLOCK));
        let mut framed = Vec::with_capacity(((last - first) * STRIDE) as usize);
        let mut rest = data;
        for number in first..last {
            let (from, to) = within(number, offset, end);
            let (part, after) = rest.split_at_checked(to - from).unwrap_or((rest, &[]));
            rest = after;
            let mut frame = |block: &[u8]| {
                framed.extend_from_slice(&checksum(number, block).to_le_bytes());
                framed.extend_from_slice(block);
            };
            if part.len() as u64 == BLOCK {
                frame(part);
            } else {
                let mut block = self.old(number)?;
                if let Some(target) = block.get_mut(from..to) {
                    target.copy_from_slice(part);
                }
                frame(&block);
            }
        }
        self.file.write_all(first * STRIDE, &framed)
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocks({})", self.path.display())
    }
}
