//! What the tests of index files share: a log that is a list of records at any positions, the blocks of an
//! async-append-only-log read without the crate, and index files made by hand.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use flumedb::{
    Bytes, Env, Error, ErrorKind, Result, Seq,
    env::OpenMode,
    log::{Batch, BoxFuture, Chunk, Log, LogIdentity, LogStat, Proof, ReadRequest, Slot, SlotKind},
};
use flumedb_ssb::indexes::{Finding, IndexReport};
use tokio::sync::watch;

/// A log whose records lie where the test wants them. `None`: deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed(pub(crate) Vec<(u64, Option<Vec<u8>>)>);

impl Listed {
    /// Records at the positions 0, 10, 20 …
    pub(crate) fn of(records: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let record = |(at, text): (usize, _)| (at as u64 * 10, Some(AsRef::<str>::as_ref(&text).as_bytes().to_vec()));
        Self(records.into_iter().enumerate().map(record).collect())
    }

    /// The records of an async-append-only-log: in each block, a length and that many bytes until a length is 0.
    pub(crate) fn blocks(file: &[u8], size: usize) -> Self {
        let mut records = Vec::new();
        for (number, block) in file.chunks(size).enumerate() {
            let mut at = 0;
            while let Some(&[low, high]) = block.get(at..at + 2) {
                let len = usize::from(u16::from_le_bytes([low, high]));
                if len == 0 {
                    break;
                }
                let body = &block[at + 2..at + 2 + len];
                let deleted = body.iter().all(|byte| *byte == 0);
                records.push(((number * size + at) as u64, (!deleted).then(|| body.to_vec())));
                at += 2 + len;
            }
        }
        Self(records)
    }

    pub(crate) fn erase(&mut self, records: &[usize]) {
        records.iter().for_each(|record| self.0[*record].1 = None);
    }
}

impl Log for Listed {
    fn identity(&self) -> LogIdentity {
        LogIdentity(b"listed".to_vec())
    }

    fn head(&self) -> watch::Receiver<Option<Seq>> {
        watch::channel(self.0.last().map(|(at, _)| Seq::new(*at))).1
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Option<Seq>>> {
        Box::pin(async { Ok(self.0.last().map(|(at, _)| Seq::new(*at))) })
    }

    fn first(&self) -> Option<Seq> {
        self.0.first().map(|(at, _)| Seq::new(*at))
    }

    /// At most three records a chunk, so that scans go on.
    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>> {
        let inside: Vec<_> = self.0.iter().filter(|(at, _)| request.span.contains(*at)).take(4).collect();
        let mut chunk = Chunk::nothing(request.span, 0);
        if let Some((at, _)) = inside.get(3) {
            chunk.covered.to = *at;
        }
        let mut bytes = Vec::new();
        for (at, body) in inside.into_iter().take(3) {
            let kind = if body.is_some() { SlotKind::Entry } else { SlotKind::Deleted };
            let (start, body) = (bytes.len() as u32, body.as_deref().unwrap_or_default());
            bytes.extend_from_slice(body);
            chunk.slots.push(Slot { seq: Seq::new(*at), kind, start, len: body.len() as u32 });
        }
        chunk.bytes = bytes.into();
        Box::pin(async { Ok(chunk) })
    }

    fn get_now(&self, _: Seq) -> Option<Result<Bytes>> {
        None
    }

    fn append(&self, _: Batch) -> BoxFuture<'_, Result<Vec<Seq>>> {
        Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "a list")) })
    }

    fn delete(&self, _: &[Seq]) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "a list")) })
    }

    fn sync(&self, _: Option<Seq>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn proof(&self, _: Seq) -> Result<Option<Proof>> {
        Ok(None)
    }

    fn stat(&self) -> Result<LogStat> {
        Ok(LogStat::new("listed", self.0.len() as u64, 0, 0))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// A machine in memory with these files in the directory `dir`.
pub(crate) fn folder(files: &[(&str, Vec<u8>)]) -> Env {
    let env = Env::memory();
    env.storage.create_dir_all("dir".as_ref()).unwrap();
    for (name, bytes) in files {
        let file = env.storage.open(&Path::new("dir").join(name), OpenMode::CreateNew).unwrap();
        file.write_all(0, bytes).unwrap();
    }
    env
}

/// A file of jitdb's with its checksum.
pub(crate) fn jitdb(version: u32, offset: u32, count: u32, body: &[u8]) -> Vec<u8> {
    let head = [version, offset, count, 0].map(u32::to_le_bytes).concat();
    let mut file = [&head, body].concat();
    let checksum = crc(&file);
    file[12..16].copy_from_slice(&checksum.to_le_bytes());
    file
}

/// CRC-32, a bit at a time.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A bitvector with these records, that covers up to `offset`.
pub(crate) fn bitvector(version: u32, offset: u32, records: &[u32]) -> Vec<u8> {
    let words = records.iter().max().map_or(0, |last| last / 32 + 1);
    let mut body = vec![0; words as usize * 4];
    records.iter().for_each(|record| body[*record as usize / 8] |= 1 << (record % 8));
    jitdb(version, offset, words, &body)
}

/// The finding about the file of this name.
#[track_caller]
pub(crate) fn finding<'r>(report: &'r IndexReport, name: &str) -> &'r Finding {
    let named = |finding: &&Finding| finding.file.path.file_name().unwrap() == name;
    report.indexes.iter().find(named).unwrap_or_else(|| panic!("nothing about {name}: {report:#?}"))
}

pub(crate) fn rows(finding: &Finding) -> Vec<&'static str> {
    finding.faults.iter().map(|fault| fault.row()).collect()
}

/// Files that the originals wrote and that only this repository has.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/index-faults")
}
