//! [`Level`] as the records of a log that is only read.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use flumedb::{
    Env, Error, ErrorKind, Result, Seq, Span,
    check::{Repair, Report},
    log::{Chunk, LogIdentity, LogStat, Proof, ReadRequest},
};

use super::{Level, Place, list};
use crate::file::{Access, Opening, Records};

const NAME: &str = "level";

fn read_only<T>() -> Result<T> {
    let message = "a directory of flumelog-level is read, imported and converted, never written to here";
    Err(Error::new(ErrorKind::Unsupported, message))
}

impl Level {
    /// How long its files are.
    fn bytes(&self) -> Result<u64> {
        list(&self.env, &self.path)?.iter().try_fold(0_u64, |sum, name| {
            let place = Place::file(&self.path, name);
            let len = place.open(&self.env)?.len().map_err(|error| Error::io("read", &place.path, error))?;
            Ok(sum.saturating_add(len))
        })
    }

    fn digest(&self, seq: Seq) -> Result<[u8; 16]> {
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &self.value(seq)?);
        let mut digest = [0; 16];
        let (key, checksum) = digest.split_at_mut(8);
        key.copy_from_slice(&seq.get().to_be_bytes());
        checksum.copy_from_slice(&sum.to_be_bytes());
        Ok(digest)
    }
}

impl Records for Level {
    type Options = ();

    fn open(env: &Env, path: PathBuf, (): &(), access: Access) -> Result<Opening<Self>> {
        if access != Access::Read {
            return read_only();
        }
        Ok(Opening { records: Self::at(env, path)?, recovery: None, lock: None })
    }

    fn check(env: &Env, path: &Path, (): &()) -> Result<Report> {
        Self::at(env, path.to_owned())?.report()
    }

    fn repair(_: &Env, _: &Path, (): &(), _: bool) -> Result<Repair> {
        read_only()
    }

    fn unknown(&self) -> bool {
        false
    }

    fn first(&self) -> Option<Seq> {
        self.first
    }

    fn head(&self) -> Option<Seq> {
        self.head
    }

    fn refresh(&self) -> Result<()> {
        Ok(())
    }

    fn read(&self, request: ReadRequest) -> Result<Chunk> {
        self.chunk(request)
    }

    fn get(&self, seq: Seq) -> Result<Bytes> {
        self.value(seq)
    }

    fn identity(&self) -> Result<LogIdentity> {
        let mut identity = format!("{NAME}/").into_bytes();
        // Another log after each change, because any of them may have deleted something that a view has taken in.
        identity.extend_from_slice(&self.changed.to_be_bytes());
        if let Some(first) = self.first {
            identity.extend_from_slice(&self.digest(first)?);
        }
        Ok(LogIdentity(identity))
    }

    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        let digest = match self.digest(seq) {
            Ok(digest) => digest,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut proof = self.identity()?.0;
        proof.extend_from_slice(&digest);
        Ok(Some(Proof(proof)))
    }

    fn stat(&self) -> Result<LogStat> {
        let report = self.report()?;
        Ok(LogStat::new(NAME, report.entries, report.deleted, report.bytes))
    }

    fn report(&self) -> Result<Report> {
        let mut report = Report {
            format: Some(NAME.to_owned()),
            bytes: self.bytes()?,
            head: self.head,
            torn_tail: self.torn_tail.clone(),
            damage: self.damage.clone(),
            ..Report::default()
        };
        let mut span = Span { from: 0, to: self.end() };
        while !span.is_empty() {
            match self.chunk(ReadRequest::forwards(span)) {
                Ok(chunk) => {
                    report.entries += chunk.slots.len() as u64;
                    span.from = chunk.covered.to;
                }
                Err(error) => {
                    let (Some(damage), Some(seq)) = (error.damage(), error.seq()) else { return Err(error) };
                    report.damage.push(damage.clone());
                    span.from = seq.get().saturating_add(1);
                }
            }
        }
        Ok(report)
    }
}
