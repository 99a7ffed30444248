//! Taking entries in anew that read otherwise than they did. What is asked for is written beside the store first and struck
//! out when the store has it on the disk, so that a crash in between only means to do it again.

use std::{collections::BTreeSet, path::PathBuf};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Actor, Turn};
use crate::{
    Error, ErrorKind, Result, Seq,
    env::{self, OpenMode},
    view::{Retraction, View, block::decode, pool::yield_now},
};

/// Entries that are to be taken in anew, and who wants to know when that has been done.
#[derive(Default)]
pub(super) struct Anew {
    seqs: BTreeSet<Seq>,
    answers: Vec<oneshot::Sender<Result<()>>>,
}

impl Anew {
    pub(super) fn is_empty(&self) -> bool {
        self.seqs.is_empty() && self.answers.is_empty()
    }

    /// There is nothing to do any more.
    pub(super) fn settle(&mut self, outcome: &Result<()>) {
        self.seqs.clear();
        for answer in self.answers.drain(..) {
            // Who has stopped waiting needs no answer.
            let _ = answer.send(outcome.clone());
        }
    }
}

impl<V: View> Actor<V> {
    /// Takes in anew what was asked for, as far as the view has come; what it comes to later it reads as it is now anyway.
    pub(super) async fn reprocess(&mut self) -> Result<(), Turn> {
        /// So many entries are shown at once.
        const PORTION: usize = 16 << 10;
        // It may have been decoded before whatever changed did.
        self.block = None;
        self.core.scan.busy(self.id);
        let asked = self.shared.take_reprocess();
        if !asked.is_empty() {
            for (seqs, answer) in asked {
                self.anew.seqs.extend(seqs);
                self.anew.answers.push(answer);
            }
            if let Err(error) = self.write_anew() {
                return Err(self.failed(error, 0..1, None));
            }
        }
        let seqs: Vec<Seq> = self.anew.seqs.iter().copied().collect();
        let passed = seqs.partition_point(|seq| seq.get() < self.cursor.position);
        for portion in seqs.get(..passed).unwrap_or_default().chunks(PORTION) {
            for &seq in portion {
                let payload = self.payload(seq).await?;
                let item = payload.and_then(|payload| decode(&self.core.entries, seq, &payload).ok());
                match self.call(|view| view.reprocess(seq, item.as_ref())) {
                    Ok(Retraction::Done) => self.touched = true,
                    Ok(Retraction::Rebuild) => return Err(Turn::Rebuild),
                    Err(error) => {
                        let number = seq.get();
                        return Err(self.failed(error, number..number.saturating_add(1), Some(seq)));
                    }
                }
            }
            if self.touched {
                self.publish().await?;
            }
            yield_now().await;
        }
        if self.unsynced {
            self.sync()?;
        }
        self.struck_out()
    }

    /// The entry's bytes; `None` if it has none any more, or never had.
    async fn payload(&mut self, seq: Seq) -> Result<Option<Bytes>, Turn> {
        loop {
            let log = self.core.entries.log().clone();
            let payload = match log.get_now(seq) {
                Some(payload) => payload,
                None => self.unless_ordered(log.get(seq)).await?,
            };
            match payload {
                Ok(payload) => return Ok(Some(payload)),
                Err(error) if matches!(error.kind(), ErrorKind::Deleted | ErrorKind::NotFound) => return Ok(None),
                Err(error) => self.log_failed(error).await?,
            }
        }
    }

    /// All of it has been done: also in what is on the disk.
    fn struck_out(&mut self) -> Result<(), Turn> {
        if let Err(error) = self.remove_anew() {
            return Err(self.failed(error, 0..1, None));
        }
        self.anew.settle(&Ok(()));
        Ok(())
    }

    /// What an earlier run was asked for and may not have done. `None` if that cannot be read.
    pub(super) fn read_anew(&mut self) -> Result<Option<()>> {
        let Some(path) = self.anew_path() else { return Ok(Some(())) };
        let storage = &self.core.env.storage;
        let failed = |error| Error::io("read", &path, error);
        env::remove_unfinished(&**storage, &path).map_err(failed)?;
        if storage.kind(&path).map_err(failed)?.is_none() {
            return Ok(Some(()));
        }
        let file = storage.open(&path, OpenMode::Read).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        let bytes = file.read(0, usize::try_from(len).unwrap_or(usize::MAX)).map_err(failed)?;
        let numbers = bytes.split_last_chunk::<8>().filter(|(numbers, sum)| **sum == checksum(numbers));
        let Some((numbers, _)) = numbers else { return Ok(None) };
        let numbers = numbers.as_chunks::<8>().0.iter();
        self.anew.seqs.extend(numbers.map(|number| Seq::new(u64::from_le_bytes(*number))));
        Ok(Some(()))
    }

    fn write_anew(&self) -> Result<()> {
        let Some(path) = self.anew_path() else { return Ok(()) };
        let mut bytes: Vec<u8> = self.anew.seqs.iter().flat_map(|seq| seq.get().to_le_bytes()).collect();
        let sum = checksum(&bytes);
        bytes.extend(sum);
        env::replace(&*self.core.env.storage, &path, &bytes).map_err(|error| Error::io("write", &path, error))
    }

    pub(super) fn remove_anew(&self) -> Result<()> {
        let Some(path) = self.anew_path() else { return Ok(()) };
        env::remove_if_there(&*self.core.env.storage, &path).map_err(|error| Error::io("remove", &path, error))
    }

    /// Beside the store, which belongs to the view; `None` if it is in memory.
    fn anew_path(&self) -> Option<PathBuf> {
        self.dir.as_ref().filter(|_| self.stored).map(|dir| dir.with_extension("anew"))
    }
}

fn checksum(numbers: &[u8]) -> [u8; 8] {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, numbers).to_le_bytes()
}
