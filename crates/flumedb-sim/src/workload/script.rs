//! [`Script`], a log that is worked on step by step, beside a model of it.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use flumedb::{
    Error, ErrorKind, Result, Seq,
    log::{Batch, Condition, Log, LogSettings, Note, SegmentedLog},
};

use super::model::{Model, NOTE};
use crate::{Call, Image, Sim};

/// Where the logs of workloads are.
pub const DIR: &str = "db/log";

/// A step of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Appends a few bytes.
    Small,
    /// Appends more than fits a small segment.
    Large,
    /// Appends three entries together, one of them empty.
    Batch,
    /// Appends more than a sector, and does not wait for the disk.
    Buffered,
    /// Waits for the disk.
    Sync,
    /// Deletes the newest entry.
    Delete,
    /// Appends an entry together with a note.
    Note,
    /// Appends half of what fits a small segment.
    Half,
    /// Closes the log and opens it again.
    Reopen,
    /// Lets time pass, so that the log settles.
    Tick,
    /// Appends if the head is what it was, after trying with another head.
    IfHead,
    /// Kills the process and opens the log again.
    Kill,
}

impl Op {
    /// Every step.
    pub const ALL: [Self; 12] = [
        Self::Small,
        Self::Large,
        Self::Batch,
        Self::Buffered,
        Self::Sync,
        Self::Delete,
        Self::Note,
        Self::Half,
        Self::Reopen,
        Self::Tick,
        Self::IfHead,
        Self::Kill,
    ];
}

/// Sees every call to the disk: the disk before it, and what the log must and may hold at that moment.
pub type Observer = Arc<Mutex<dyn FnMut(Call, &Image, &Model) + Send>>;

/// A log that is worked on step by step.
pub struct Script {
    /// The machine it runs on.
    pub sim: Sim,
    settings: LogSettings,
    log: Option<SegmentedLog>,
    model: Arc<Mutex<Model>>,
    observer: Option<Observer>,
    appended: u64,
}

impl Script {
    /// A log to be opened on `sim`, holding what `model` says.
    pub fn new(sim: Sim, settings: LogSettings, model: Model) -> Self {
        let model = Arc::new(Mutex::new(model));
        Self { sim, settings, log: None, model, observer: None, appended: 0 }
    }

    /// Shows `observer` every call from now on.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
        self.install();
    }

    fn install(&self) {
        if let Some(observer) = self.observer.clone() {
            let model = self.model.clone();
            self.sim.disk.set_hook(Some(Box::new(move |call, image| {
                let model = model.lock().unwrap_or_else(PoisonError::into_inner);
                observer.lock().unwrap_or_else(PoisonError::into_inner)(call, image, &model);
            })));
        }
    }

    /// What the log must and may hold.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log, if it is open.
    pub fn log(&self) -> Option<&SegmentedLog> {
        self.log.as_ref()
    }

    /// Opens the log and compares it with the model.
    ///
    /// # Errors
    /// As opening says.
    ///
    /// # Panics
    /// If the log does not hold what it must.
    pub fn open(&mut self) -> Result<()> {
        let log = SegmentedLog::open(&self.sim.env, Path::new(DIR), self.settings.clone())?;
        self.sim.disk.unseen(|| self.model().verify(&log))?;
        self.log = Some(log);
        Ok(())
    }

    /// Ends the process and the machine, then goes on with `sim`.
    pub fn restart(&mut self, restart: impl FnOnce(&Sim) -> Sim) {
        self.sim = restart(&self.sim);
        self.install();
        self.log = None;
    }

    /// Takes a step. A failed one leaves in the model what may have happened.
    ///
    /// # Errors
    /// As the log says.
    ///
    /// # Panics
    /// If the log does something that it must not.
    pub fn step(&mut self, op: Op) -> Result<()> {
        match op {
            Op::Small => self.append(vec![self.payload(20)], None, true),
            Op::Large => self.append(vec![self.payload(6000)], None, true),
            Op::Half => self.append(vec![self.payload(2000)], None, true),
            Op::Batch => self.append(vec![self.payload(30), Bytes::new(), self.payload(700)], None, true),
            Op::Buffered => self.append(vec![self.payload(600)], None, false),
            Op::Note => {
                let note = Note { name: NOTE.to_owned(), position: self.appended, proof: vec![7; 10] };
                self.append(vec![self.payload(25)], Some(note), true)
            }
            Op::IfHead => self.append_if_head(),
            Op::Delete => self.delete(),
            Op::Sync => {
                self.sim.block_on(self.opened()?.sync(None))?;
                self.model().acknowledge();
                Ok(())
            }
            Op::Tick => {
                self.sim.advance(Duration::from_millis(100));
                Ok(())
            }
            Op::Reopen => {
                let closed = self.sim.block_on(self.opened()?.close());
                self.log = None;
                closed?;
                self.model().acknowledge();
                self.open()?;
                let recovery = self.opened()?.recovery();
                assert_eq!(recovery, None, "a log that was closed had to be recovered");
                Ok(())
            }
            Op::Kill => {
                self.restart(Sim::kill);
                self.open()
            }
        }
    }

    fn opened(&self) -> Result<&SegmentedLog> {
        self.log.as_ref().ok_or_else(|| Error::new(ErrorKind::Closed, "the log is not open"))
    }

    /// Bytes that no other entry has.
    fn payload(&self, len: usize) -> Bytes {
        let mut bytes = format!("entry {} of {len} ", self.appended).into_bytes();
        let mut noise = fastrand::Rng::with_seed(self.appended);
        bytes.resize_with(len, || noise.u8(..));
        bytes.into()
    }

    fn append(&mut self, entries: Vec<Bytes>, note: Option<Note>, durable: bool) -> Result<()> {
        self.append_on(entries, note, durable, None)
    }

    fn append_on(
        &mut self,
        entries: Vec<Bytes>,
        note: Option<Note>,
        durable: bool,
        condition: Option<Condition>,
    ) -> Result<()> {
        let mut batch = Batch::new();
        entries.iter().for_each(|entry| batch.push(entry));
        batch.note.clone_from(&note);
        batch.buffered = !durable;
        batch.condition = condition;
        let first = self.model().next();
        let names: Vec<Seq> = (first..first + entries.len() as u64).map(Seq::new).collect();
        self.appended += 1;
        self.model().ask_append(entries, note);
        let answer = self.sim.block_on(self.opened()?.append(batch));
        if let Ok(answer) = &answer {
            assert_eq!(answer, &names, "entries got wrong names");
        }
        self.told(answer.map(|_| durable))
    }

    fn append_if_head(&mut self) -> Result<()> {
        let head = self.model().next().checked_sub(1).map(Seq::new);
        let refused = self.append_on(vec![self.payload(60)], None, true, Some(Condition::Head(Some(Seq::new(1000)))));
        match refused {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            other => return other.inspect(|()| panic!("appended on a head that is none")),
        }
        self.append_on(vec![self.payload(60)], None, true, Some(Condition::Head(head)))
    }

    fn delete(&mut self) -> Result<()> {
        let Some(seq) = self.model().newest_entry() else {
            let refused = self.sim.block_on(self.opened()?.delete(&[Seq::new(1000)]));
            return match refused {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                other => other.inspect(|()| panic!("deleted what is not there")),
            };
        };
        self.model().ask_delete(vec![seq]);
        let answer = self.sim.block_on(self.opened()?.delete(&[seq]));
        self.told(answer.map(|()| true))
    }

    /// Notes in the model what the log answered to the unit that was asked for last.
    fn told(&self, answer: Result<bool>) -> Result<()> {
        match answer {
            Ok(durable) => {
                if durable {
                    self.model().acknowledge();
                }
                Ok(())
            }
            Err(error) => {
                // Only then is it unknown.
                if error.kind() != ErrorKind::Poisoned {
                    self.model().refuse();
                }
                Err(error)
            }
        }
    }
}
