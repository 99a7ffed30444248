//! How a [`One`] is written: behind the last record, in one call a group; deletions in place.

use std::{io, sync::atomic::Ordering};

use flumedb::{Error, ErrorKind, Result, Seq, env::File, log::Batch};

use super::{Layout, One, Verdict};
use crate::file::records::{Staged, not_found};

impl<L: Layout> One<L> {
    pub(super) fn frame(&self, batch: &Batch, staged: &mut Staged) -> Result<Vec<Seq>> {
        let (base, layout) = (self.chain().end(), self.layout());
        staged.undo_on_error(|staged| {
            if staged.whole {
                layout.make_room(base, &mut batch.payloads().map(<[u8]>::len), staged)?;
            }
            let mut seqs = Vec::with_capacity(batch.len());
            for payload in batch.payloads() {
                let size = u32::try_from(payload.len()).map_err(|_| self.too_long(payload.len()))?;
                let start = layout.frame(base, payload, staged)?;
                staged.records.push((start, size));
                seqs.push(Seq::new(start));
            }
            Ok(seqs)
        })
    }

    fn too_long(&self, bytes: usize) -> Error {
        let message =
            format!("an entry of {bytes} bytes; a record of an {} log holds 4294967295", self.layout().name());
        Error::new(ErrorKind::Invalid, message)
    }

    pub(super) fn append(&self, staged: &Staged) -> Result<()> {
        let (end, layout) = (self.chain().end(), self.layout());
        self.refuse_if_written(end, &layout)?;
        let closed = layout.closed_len(end + staged.bytes.len() as u64);
        let file = &*self.source.file;
        let written = write(file, end, staged, L::HEAD).and_then(|()| {
            if closed > end + staged.bytes.len() as u64 && file.len()? < closed { file.set_len(closed) } else { Ok(()) }
        });
        if let Err(error) = written {
            let error = Error::io("append to", &self.source.path, error);
            // What got there of the group is taken back, so that a later one can follow. If even that fails, what the
            // file holds is unknown.
            return Err(match (error.kind(), close(file, end, layout.closed_len(end))) {
                (ErrorKind::StorageFull, Ok(())) => error,
                (ErrorKind::StorageFull, Err(failed)) => Error::io("append to", &self.source.path, failed),
                _ => error,
            });
        }
        Ok(())
    }

    /// Nothing may be written over what another program has added: the libraries that the formats are from take no lock.
    fn refuse_if_written(&self, end: u64, layout: &L) -> Result<()> {
        let len = self.source.len()?;
        let closed = layout.closed_len(end);
        let begun = || {
            let head = self.source.up_to(end, L::HEAD as usize)?;
            Ok(matches!(layout.judge(end, &head, len), Verdict::Record(_) | Verdict::Broken(..)))
        };
        if len == closed && (closed == end || !begun()?) {
            return Ok(());
        }
        let path = self.path().display();
        let message =
            format!("another program writes to {path}, too; nothing was written: end one of them, open again");
        Err(Error::new(ErrorKind::Locked, message))
    }

    pub(super) fn erase(&self, seqs: &[Seq]) -> Result<u64> {
        let mut targets = Vec::new();
        for &seq in seqs {
            let record = self.chain().find(&self.layout(), &self.source, seq.get())?.ok_or_else(|| not_found(seq))?;
            if record.size == 0 {
                let message = format!("entry {seq} has no bytes, and such an entry cannot be deleted in this format");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            if !record.erased {
                targets.push(record);
            }
        }
        targets.sort_unstable_by_key(|record| record.start);
        targets.dedup();
        let mut bytes = 0;
        for record in &targets {
            // Nobody reads meanwhile, so that no reader gets half of a payload.
            self.change(|_| zero(&*self.source.file, record.payload::<L>(), u64::from(record.size)))
                .map_err(|error| Error::io("delete from", &self.source.path, error))?;
            bytes += record.end - record.start;
        }
        if !targets.is_empty() {
            self.source.sync()?;
            self.deleted.fetch_add(targets.len() as u64, Ordering::AcqRel);
            self.deleted_bytes.fetch_add(bytes, Ordering::AcqRel);
            self.layout().count_deleted(self, self.deleted_bytes())?;
        }
        Ok(targets.len() as u64)
    }
}

/// Writes what is staged behind the records, which end at `end`. A batch that is to be whole gets the `head` bytes of its
/// first record last, when all else is on the disk: without them nothing of it is there.
fn write(file: &dyn File, end: u64, staged: &Staged, head: u32) -> io::Result<()> {
    let first = staged.records.first().filter(|_| staged.whole).map(|&(start, _)| (start - end) as usize);
    let Some(((before, rest), first)) = first.and_then(|first| Some((staged.bytes.split_at_checked(first)?, first)))
    else {
        return file.write_all(end, &staged.bytes);
    };
    let Some((head, rest)) = rest.split_at_checked(head as usize) else { return file.write_all(end, &staged.bytes) };
    let start = end + first as u64;
    file.write_all(end, before)?;
    file.write_all(start + head.len() as u64, rest)?;
    file.sync()?;
    file.write_all(start, head)
}

/// Makes a file whose records end at `end` as one that was closed in order: `len` bytes, zeros behind the records. Never
/// shorter than that for a moment, because another process may have it mapped.
pub(super) fn close(file: &dyn File, end: u64, len: u64) -> io::Result<()> {
    let now = file.len()?;
    zero(file, end, now.min(len).saturating_sub(end))?;
    if now == len { Ok(()) } else { file.set_len(len) }
}

/// Writes `left` zeros at `offset`.
pub(crate) fn zero(file: &dyn File, mut offset: u64, mut left: u64) -> std::io::Result<()> {
    const ZEROS: &[u8] = &[0; 1 << 12];
    while left > 0 {
        let piece = left.min(ZEROS.len() as u64);
        file.write_all(offset, ZEROS.get(..piece as usize).unwrap_or(ZEROS))?;
        offset += piece;
        left -= piece;
    }
    Ok(())
}
