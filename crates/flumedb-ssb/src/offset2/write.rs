//! How an [`Offset2`] is written: entries, then their places, then their number, each on the disk before the next is
//! begun where that was promised. So a crash leaves entries without a place, never a place without its entry.

use std::sync::atomic::Ordering;

use flumedb::{Error, ErrorKind, Result, Seq, log::Batch};

use super::{
    Offset2,
    files::{Files, write_at, zero_at},
    head::Head,
    read::Place,
};
use crate::file::{Source, Staged};

impl Offset2 {
    pub(super) fn frame(&self, batch: &Batch, staged: &mut Staged) -> Result<Vec<Seq>> {
        if std::mem::take(&mut staged.whole) {
            let message = "an offset2 log has no blocks, so no batch can be written as a whole";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let base = self.chain().count();
        staged.undo_on_error(|staged| {
            let mut seqs = Vec::with_capacity(batch.len());
            for payload in batch.payloads() {
                let size = u32::try_from(payload.len()).map_err(|_| {
                    let message = format!("an entry of {} bytes; here one holds 4294967295", payload.len());
                    Error::new(ErrorKind::Invalid, message)
                })?;
                let seq = base + staged.records.len() as u64;
                staged.bytes.extend_from_slice(&Head { size, deleted: false }.bytes());
                staged.bytes.extend_from_slice(payload);
                staged.records.push((seq, size));
                seqs.push(Seq::new(seq));
            }
            Ok(seqs)
        })
    }

    pub(super) fn append(&self, staged: &Staged) -> Result<()> {
        let (count, end) = {
            let chain = self.chain();
            (chain.count(), chain.end())
        };
        let Files { data, ofst, .. } = &self.files;
        let places = count * Head::BYTES as u64;
        // Nothing may be written over what another program has added: margaret takes no lock.
        if (data.len()?, ofst.len()?) != (end, places) {
            let path = data.path.display();
            let message =
                format!("another program writes to {path}, too; nothing was written: end one of them, open again");
            return Err(Error::new(ErrorKind::Locked, message));
        }
        let mut at = end;
        let mut words = Vec::with_capacity(staged.records.len() * Head::BYTES);
        for &(_, size) in &staged.records {
            words.extend_from_slice(&at.to_be_bytes());
            at = Head { size, deleted: false }.end(at);
        }
        let mut written = write_at(data, end, &staged.bytes);
        if staged.durable {
            written = written.and_then(|()| data.sync());
        } else {
            self.unsynced.store(true, Ordering::Release);
        }
        if let Err(error) = written.and_then(|()| write_at(ofst, places, &words)) {
            // What got there of the group is taken back, so that a later one can follow. If even that fails, what the
            // files hold is unknown.
            return Err(match error.kind() {
                ErrorKind::StorageFull => match back(ofst, places).and_then(|()| back(data, end)) {
                    Ok(()) => error,
                    Err(failed) => Error::with_source(ErrorKind::Io, format!("{failed}, after {error}"), error),
                },
                _ => error,
            });
        }
        self.written.store(count + staged.records.len() as u64, Ordering::Release);
        Ok(())
    }

    pub(super) fn erase(&self, seqs: &[Seq]) -> Result<u64> {
        let mut targets = Vec::new();
        for &seq in seqs {
            let place = self.target(seq)?;
            if place.head.size == 0 {
                let message = format!("entry {seq} has no bytes, and such an entry cannot be deleted in this format");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            // A crash may have come between the mark and the zeros.
            if !place.head.deleted || !self.is_zero(&place)? {
                targets.push(place);
            }
        }
        targets.sort_unstable_by_key(|place| place.start);
        targets.dedup_by_key(|place| place.start);
        if targets.is_empty() {
            return Ok(0);
        }
        // First the mark, on the disk: zeros without it are an entry.
        let data = &self.files.data;
        for place in &targets {
            write_at(data, place.start, &Head { deleted: true, ..place.head }.bytes())?;
        }
        data.sync()?;
        for place in &targets {
            // Nobody reads meanwhile, so that no reader gets half of a payload.
            self.change(|_| zero_at(data, place.payload(), u64::from(place.head.size)))?;
        }
        data.sync()?;
        let deleted = targets.iter().filter(|place| !place.head.deleted).count() as u64;
        self.deleted.fetch_add(deleted, Ordering::AcqRel);
        Ok(deleted)
    }

    /// Where an entry is that is to be changed.
    fn target(&self, seq: Seq) -> Result<Place> {
        self.find(&self.chain(), seq.get()).map_err(|error| match error.kind() {
            ErrorKind::Corrupt => {
                let message = format!("entry {seq} is damaged ({error}); mend the log first, with `flume repair`");
                Error::with_source(ErrorKind::Unsupported, message, error)
            }
            _ => error,
        })
    }

    fn is_zero(&self, place: &Place) -> Result<bool> {
        let payload = self.files.data.exact(place.payload(), place.head.size as usize)?;
        Ok(payload.iter().all(|&byte| byte == 0))
    }

    pub(super) fn overwrite(&self, seq: Seq, payload: &[u8]) -> Result<()> {
        let place = self.target(seq)?;
        if place.head.deleted {
            return Err(Error::new(ErrorKind::Deleted, format!("entry {seq} was deleted")));
        }
        let Some(left) = (place.head.size as usize).checked_sub(payload.len()) else {
            let (new, old) = (payload.len(), place.head.size);
            let message =
                format!("entry {seq} has {old} bytes, and nothing longer can take its place; {new} were given");
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let data = &self.files.data;
        self.change(|_| {
            write_at(data, place.payload(), payload)?;
            zero_at(data, place.payload() + payload.len() as u64, left as u64)
        })?;
        data.sync()
    }
}

/// Takes back what was written behind `len`.
fn back(source: &Source, len: u64) -> Result<()> {
    source.file.set_len(len).map_err(|error| Error::io("cut", &source.path, error))
}
