//! [`Writer`], the task that alone changes a log's files: appends in groups with one write and one sync, deletes in place.
//! Framing is the [`Records`]' business; readers are told when the bytes are as durable as promised.

use std::sync::Arc;

use flumedb::{
    Error, ErrorKind, Result, Seq, Span,
    env::{
        Lock, Step, Task,
        planted::{Bug, planted},
    },
    log::{Batch, Condition, ReadRequest, SlotKind},
};
use tokio::sync::{mpsc, oneshot};

use super::{Records, Shared, Staged};

/// What a caller asks of the writer.
pub(super) enum Command<R> {
    /// A batch, and whether it must lie in one block.
    Append(Batch, bool, oneshot::Sender<Result<Vec<Seq>>>),
    Delete(Vec<Seq>, oneshot::Sender<Result<()>>),
    Sync(oneshot::Sender<Result<()>>),
    /// Something that this kind of log can do and others cannot.
    Call(Call<R>, oneshot::Sender<Result<()>>),
    Close(oneshot::Sender<Result<()>>),
}

pub(super) type Call<R> = Box<dyn FnOnce(&R) -> Result<()> + Send>;

/// The state of writing.
pub(super) struct Writer<R> {
    shared: Arc<Shared<R>>,
    commands: mpsc::Receiver<Command<R>>,
    /// Held until the end.
    lock: Option<Box<dyn Lock>>,
    group: Group,
    /// Bytes were written that no sync has covered.
    dirty: bool,
    /// Why nothing can be written any more.
    failed: Option<Error>,
}

/// Batches that will be written together.
#[derive(Default)]
struct Group {
    staged: Staged,
    answers: Vec<(oneshot::Sender<Result<Vec<Seq>>>, Vec<Seq>)>,
}

impl<R: Records> Writer<R> {
    /// Past this many staged bytes the group is written.
    const GROUP_BYTES: usize = 4 << 20;

    pub(super) fn new(shared: Arc<Shared<R>>, commands: mpsc::Receiver<Command<R>>, lock: Box<dyn Lock>) -> Self {
        Self { shared, commands, lock: Some(lock), group: Group::default(), dirty: false, failed: None }
    }

    fn obey(&mut self, command: Command<R>) -> Step {
        match command {
            Command::Append(batch, whole, answer) => {
                if whole {
                    // It becomes visible with its first record, so nothing else may be written with it.
                    self.write_group();
                }
                self.stage(&batch, whole, answer);
                if whole || self.group.staged.bytes.len() >= Self::GROUP_BYTES {
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
            Command::Call(call, answer) => {
                self.write_group();
                let _ = answer.send(self.call(call));
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
    fn stage(&mut self, batch: &Batch, whole: bool, answer: oneshot::Sender<Result<Vec<Seq>>>) {
        let staged = self.admit(batch).and_then(|()| {
            self.group.staged.whole = whole;
            self.shared.records.stage(batch, &mut self.group.staged)
        });
        match staged {
            Ok(seqs) => {
                self.group.staged.durable |= !batch.buffered;
                self.group.answers.push((answer, seqs));
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn admit(&mut self, batch: &Batch) -> Result<()> {
        self.refuse()?;
        if batch.note.is_some() {
            let message = "this format has no place for a note; import it into a database of flume's own";
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

    fn test(&self, condition: &Condition) -> Result<()> {
        let conflict = |message| Err(Error::new(ErrorKind::Conflict, message));
        match condition {
            Condition::Head(expected) => {
                let head = self.shared.records.head();
                if *expected == head {
                    return Ok(());
                }
                let say = |seq: Option<Seq>| seq.map_or("empty".to_owned(), |seq| seq.to_string());
                conflict(format!("the head is {}, not {}; read again and decide again", say(head), say(*expected)))
            }
            Condition::NoneAfter { after, matches, limit } => {
                let mut from = after.map_or(0, |seq| seq.get().saturating_add(1));
                let mut tested = 0;
                let to = self.shared.records.head().map_or(0, |head| head.get().saturating_add(1));
                while from < to {
                    let chunk = self.shared.records.read(ReadRequest::forwards(Span { from, to }))?;
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
        let Group { staged, answers } = std::mem::take(&mut self.group);
        if answers.is_empty() {
            return;
        }
        let written = self.write(&staged);
        for (answer, seqs) in answers {
            let _ = answer.send(written.clone().map(|()| seqs));
        }
    }

    fn write(&mut self, staged: &Staged) -> Result<()> {
        self.refuse()?;
        if !staged.records.is_empty() {
            // A full disk takes nothing, and there may be room later.
            let full = |error: &Error| error.kind() == ErrorKind::StorageFull;
            self.shared.records.write(staged).map_err(|error| if full(&error) { error } else { self.fail(error) })?;
            self.dirty = true;
        }
        if staged.durable {
            self.sync()?;
        }
        self.shared.records.show(staged);
        self.shared.tell();
        Ok(())
    }

    fn delete(&mut self, seqs: &[Seq]) -> Result<()> {
        self.refuse()?;
        let deleted = self.shared.records.delete(seqs);
        deleted.map(drop).map_err(|error| self.refused_or_failed(error))
    }

    fn call(&mut self, call: Call<R>) -> Result<()> {
        self.refuse()?;
        call(&self.shared.records).map_err(|error| self.refused_or_failed(error))?;
        self.shared.tell();
        Ok(())
    }

    /// What was refused was not begun; what failed may be half done.
    fn refused_or_failed(&mut self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::Deleted | ErrorKind::Invalid | ErrorKind::Unsupported => error,
            _ => self.fail(error),
        }
    }

    fn sync(&mut self) -> Result<()> {
        self.refuse()?;
        if std::mem::take(&mut self.dirty) && !planted(Bug::FileSkipSync) {
            self.shared.records.sync().map_err(|error| self.fail(error))?;
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
                Command::Append(_, _, answer) => drop(answer.send(Err(closed()))),
                Command::Delete(_, answer) | Command::Sync(answer) | Command::Call(_, answer) => {
                    drop(answer.send(Err(closed())))
                }
                Command::Close(answer) => drop(answer.send(Ok(()))),
            }
        }
        self.lock = None;
    }
}

impl<R: Records> Task for Writer<R> {
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

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the log is closed; open it again")
}
