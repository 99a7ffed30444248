//! [`Writer`], the task that alone writes to the file: appends in groups with one write and one sync, deletes in place.
//! Framing is [`Framing`](super::Framing)'s; what readers see is moved on only when the bytes are as durable as promised.

use std::sync::{Arc, atomic::Ordering};

use flumedb::{
    Error, ErrorKind, Result, Seq, Span,
    env::{File, Lock, Step, Task},
    log::{Batch, Condition, ReadRequest, SlotKind},
};
use tokio::sync::{mpsc, oneshot};

use super::shared::{Shared, not_found};

/// What a caller asks of the writer.
pub(super) enum Command {
    Append(Batch, oneshot::Sender<Result<Vec<Seq>>>),
    Delete(Vec<Seq>, oneshot::Sender<Result<()>>),
    Sync(oneshot::Sender<Result<()>>),
    Close(oneshot::Sender<Result<()>>),
}

/// The state of writing.
pub(super) struct Writer {
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    /// Held until the end.
    lock: Option<Box<dyn Lock>>,
    staged: Staged,
    /// Bytes were written that no sync has covered.
    dirty: bool,
    /// Why nothing can be written any more.
    failed: Option<Error>,
}

/// Batches that will be written together.
#[derive(Default)]
struct Staged {
    bytes: Vec<u8>,
    sizes: Vec<u32>,
    durable: bool,
    answers: Vec<(oneshot::Sender<Result<Vec<Seq>>>, Vec<Seq>)>,
}

impl Writer {
    /// Past this many staged bytes the group is written.
    const GROUP_BYTES: usize = 4 << 20;

    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::Receiver<Command>, lock: Box<dyn Lock>) -> Self {
        Self { shared, commands, lock: Some(lock), staged: Staged::default(), dirty: false, failed: None }
    }

    fn obey(&mut self, command: Command) -> Step {
        match command {
            Command::Append(batch, answer) => {
                self.stage(&batch, answer);
                if self.staged.bytes.len() >= Self::GROUP_BYTES {
                    self.write_group();
                }
            }
            Command::Delete(seqs, answer) => {
                self.write_group();
                let _ = answer.send(self.delete(&seqs));
            }
            Command::Sync(answer) => {
                self.write_group();
                let _ = answer.send(self.sync());
            }
            Command::Close(answer) => {
                self.write_group();
                let synced = self.sync();
                self.finish();
                let _ = answer.send(synced);
                return Step::Done;
            }
        }
        Step::Again
    }

    /// Frames a batch behind what is staged already. Nobody waits for an answer who has dropped the future.
    fn stage(&mut self, batch: &Batch, answer: oneshot::Sender<Result<Vec<Seq>>>) {
        match self.admit(batch).and_then(|()| self.frame(batch)) {
            Ok(seqs) => {
                self.staged.durable |= !batch.buffered;
                self.staged.answers.push((answer, seqs));
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn admit(&mut self, batch: &Batch) -> Result<()> {
        self.refuse()?;
        if batch.note.is_some() {
            let message = "a flumelog-offset file has no place for a note; import it into a database of flume's own";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if let Some(condition) = &batch.condition {
            // It is tested against what is written, so what is staged goes first.
            self.write_group();
            self.refuse()?;
            self.test(condition)?;
        }
        Ok(())
    }

    /// Frames a whole batch, or leaves everything as it was.
    fn frame(&mut self, batch: &Batch) -> Result<Vec<Seq>> {
        let (framing, end) = {
            let chain = self.shared.chain();
            (chain.framing, chain.end)
        };
        let staged = self.staged.bytes.len();
        let (mut start, mut seqs) = (end + staged as u64, Vec::with_capacity(batch.len()));
        for payload in batch.payloads() {
            match framing.frame(start, payload, &mut self.staged.bytes) {
                Ok(next) => {
                    seqs.push(Seq::new(start));
                    start = next;
                }
                Err(error) => {
                    self.staged.bytes.truncate(staged);
                    return Err(error);
                }
            }
        }
        self.staged.sizes.extend(batch.payloads().map(|payload| payload.len() as u32));
        Ok(seqs)
    }

    fn test(&self, condition: &Condition) -> Result<()> {
        let conflict = |message| Err(Error::new(ErrorKind::Conflict, message));
        match condition {
            Condition::Head(expected) => {
                let head = self.shared.chain().last.map(Seq::new);
                if *expected == head {
                    return Ok(());
                }
                let say = |seq: Option<Seq>| seq.map_or("empty".to_owned(), |seq| seq.to_string());
                conflict(format!("the head is {}, not {}; read again and decide again", say(head), say(*expected)))
            }
            Condition::NoneAfter { after, matches, limit } => {
                let mut from = after.map_or(0, |seq| seq.get().saturating_add(1));
                let mut tested = 0;
                while from < self.shared.chain().end {
                    let chunk = self.shared.read(ReadRequest::forwards(Span { from, to: u64::MAX }))?;
                    for slot in &chunk.slots {
                        tested += 1;
                        if tested > *limit {
                            return conflict(format!("more than {limit} entries to test; give a later `after`"));
                        }
                        let payload = chunk.payload_bytes(slot);
                        if slot.kind == SlotKind::Entry && matches(&payload).map_err(|error| error.at(slot.seq))? {
                            return conflict(format!("entry {} matches; read again and decide again", slot.seq));
                        }
                    }
                    from = chunk.covered.to;
                }
                Ok(())
            }
        }
    }

    /// Writes what is staged and answers for it.
    fn write_group(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        if staged.answers.is_empty() {
            return;
        }
        let written = self.write(&staged);
        if written.is_ok() {
            self.shared.advance(|chain| staged.sizes.iter().for_each(|&size| chain.push(size, false)));
        }
        for (answer, seqs) in staged.answers {
            let _ = answer.send(written.clone().map(|()| seqs));
        }
    }

    fn write(&mut self, staged: &Staged) -> Result<()> {
        self.refuse()?;
        let end = self.shared.chain().end;
        let file = self.shared.source.file.clone();
        if let Err(error) = file.write_all(end, &staged.bytes) {
            let error = Error::io("append to", &self.shared.source.path, error);
            // What got there of the group is taken back, so that a later one can follow. If even that fails, what the
            // file holds is unknown.
            return Err(match (error.kind(), file.set_len(end)) {
                (ErrorKind::StorageFull, Ok(())) => error,
                _ => self.fail(error),
            });
        }
        self.dirty |= !staged.bytes.is_empty();
        if staged.durable { self.sync() } else { Ok(()) }
    }

    fn delete(&mut self, seqs: &[Seq]) -> Result<()> {
        self.refuse()?;
        let mut targets = Vec::new();
        for &seq in seqs {
            let size = self.shared.chain().size(&self.shared.source, seq.get())?.ok_or_else(|| not_found(seq))?;
            if size == 0 {
                let message = format!("entry {seq} has no bytes, and such an entry cannot be deleted in this format");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            if !self.shared.source.is_erased(seq.get() + 4, size)? {
                targets.push((seq, size));
            }
        }
        targets.sort_unstable();
        targets.dedup();
        for &(seq, size) in &targets {
            if let Err(error) = erase(&*self.shared.source.file, seq.get() + 4, size) {
                let error = Error::io("delete from", &self.shared.source.path, error);
                return Err(self.fail(error));
            }
        }
        self.dirty |= !targets.is_empty();
        self.sync()?;
        self.shared.deleted.fetch_add(targets.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.refuse()?;
        if std::mem::take(&mut self.dirty)
            && let Err(error) = self.shared.source.file.sync()
        {
            let error = Error::io("sync", &self.shared.source.path, error);
            return Err(self.fail(error));
        }
        Ok(())
    }

    /// After a failure nobody knows what the file holds, so nothing more is written. Gives the error back.
    fn fail(&mut self, error: Error) -> Error {
        self.failed.get_or_insert_with(|| {
            Error::with_source(ErrorKind::Poisoned, format!("an earlier call failed ({error}); reopen"), error.clone())
        });
        error
    }

    fn refuse(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Frees the lock and whoever still waits.
    fn finish(&mut self) {
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Append(_, answer) => drop(answer.send(Err(closed()))),
                Command::Delete(_, answer) | Command::Sync(answer) => drop(answer.send(Err(closed()))),
                Command::Close(answer) => drop(answer.send(Ok(()))),
            }
        }
        self.lock = None;
    }
}

impl Task for Writer {
    fn step(&mut self) -> Step {
        loop {
            match self.commands.try_recv() {
                Ok(command) => {
                    if self.obey(command) == Step::Done {
                        return Step::Done;
                    }
                }
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.write_group();
                    // Nobody is left to hear of a failure.
                    let _ = self.sync();
                    self.finish();
                    return Step::Done;
                }
            }
        }
        self.write_group();
        Step::Wait
    }
}

fn erase(file: &dyn File, offset: u64, size: u32) -> std::io::Result<()> {
    const ZEROS: &[u8] = &[0; 1 << 12];
    let (mut offset, mut left) = (offset, size as usize);
    while let Some(zeros) = ZEROS.get(..left.min(ZEROS.len())).filter(|zeros| !zeros.is_empty()) {
        file.write_all(offset, zeros)?;
        offset += zeros.len() as u64;
        left -= zeros.len();
    }
    Ok(())
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the log is closed; open it again")
}
