//! [`Manifest`], the file that says what a backup holds. It is the last thing that is written: without it, or with one that
//! names no files, there is no backup.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{crc64, is_there as is_at};
use crate::{
    Damage, Error, Result,
    env::{self, OpenMode, Storage},
    log::{
        Proof,
        segmented::{
            format::{Fault, FirstPage, HeadPage, LogId, SegmentName, head_of},
            segment::fault_error,
        },
    },
};

pub(super) const FILE: &str = "backup-manifest";
/// The version that this code writes, and the newest that it reads.
const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) id: LogId,
    /// Which opening of the log wrote the last of it.
    pub(super) epoch: u64,
    /// Where the log begins, if that is not its very first segment.
    pub(super) first: Option<FirstPage>,
    /// Entries below this seq are in it.
    pub(super) next: u64,
    /// The checksum of the newest of them.
    pub(super) proof: Option<u32>,
    /// Where the commits of the last segment end.
    pub(super) end: u64,
    /// Whether that one is sealed.
    pub(super) sealed: bool,
    /// When it was made, in microseconds since 1970.
    pub(super) made_us: i64,
    /// The segments, in order. None: nothing is in it yet.
    pub(super) files: Vec<Listed>,
}

/// A segment in a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: SegmentName,
    pub(super) bytes: u64,
    /// CRC-64/NVME of all of them.
    pub(super) crc: u64,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct First {
    flume_backup: u32,
    log: String,
    epoch: String,
    /// The bytes of that page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begins: Option<String>,
    next: u64,
    proof: Option<String>,
    end: u64,
    sealed: bool,
    made_us: i64,
    files: u64,
}

/// One for each segment.
#[derive(Serialize, Deserialize)]
struct Row {
    file: String,
    bytes: u64,
    crc64: String,
}

/// The last line: of all bytes before it.
#[derive(Serialize, Deserialize)]
struct Sum {
    crc64: String,
}

#[derive(Deserialize)]
struct Version {
    flume_backup: u32,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

pub(super) fn is_there(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    is_at(storage, &path(dir))
}

/// Whether a file of this name belongs to a backup, or to a backup that is being made.
pub(super) fn is_ours(name: &str) -> bool {
    name.strip_prefix(FILE).is_some_and(|rest| rest.is_empty() || rest == ".new")
}

impl Manifest {
    /// One of a log of which nothing has been copied.
    pub(super) fn empty(id: LogId) -> Self {
        Self { id, epoch: 0, first: None, next: 0, proof: None, end: 0, sealed: false, made_us: 0, files: Vec::new() }
    }

    /// What the manifest of a directory says; `None` if there is none.
    ///
    /// # Errors
    /// `Corrupt` if it is not as it was written, `Unsupported` if something newer wrote it, `Io`.
    pub(super) fn read(storage: &dyn Storage, dir: &Path) -> Result<Option<(Self, Bytes)>> {
        let path = path(dir);
        let read = storage.open(&path, OpenMode::Read).and_then(|file| {
            let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
            file.read(0, len)
        });
        let bytes = match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Error::io("read", &path, error))?,
        };
        match Self::decode(&bytes) {
            Ok(manifest) => Ok(Some((manifest, bytes))),
            Err(Fault::Bad(reason)) => Err(Error::corrupt(Damage::new(&path, 0, bytes.len() as u64, reason))),
            Err(newer) => Err(fault_error(&path, 0, newer)),
        }
    }

    /// Puts it in the place of the one before, on the disk when this returns.
    pub(super) fn write(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        let path = path(dir);
        env::replace(storage, &path, &self.encode()).map_err(|error| Error::io("write", &path, error))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let first = First {
            flume_backup: VERSION,
            log: self.id.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            epoch: format!("{:016x}", self.epoch),
            begins: self.first.map(|page| page.encode().iter().map(|byte| format!("{byte:02x}")).collect()),
            next: self.next,
            proof: self.proof.map(|crc| format!("{crc:08x}")),
            end: self.end,
            sealed: self.sealed,
            made_us: self.made_us,
            files: self.files.len() as u64,
        };
        let mut out = line(&first);
        for Listed { name, bytes, crc } in &self.files {
            out.extend(line(&Row { file: name.file_name(), bytes: *bytes, crc64: format!("{crc:016x}") }));
        }
        let sum = Sum { crc64: format!("{:016x}", crc64(&out)) };
        out.extend(line(&sum));
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        const TORN: Fault = Fault::Bad("it is no whole manifest");
        let lines = bytes.strip_suffix(b"\n").ok_or(TORN)?;
        let last = lines.iter().rposition(|&byte| byte == b'\n').ok_or(TORN)? + 1;
        let (body, sum) = (bytes.get(..last).unwrap_or_default(), lines.get(last..).unwrap_or_default());
        let sum: Sum = serde_json::from_slice(sum).map_err(|_| TORN)?;
        if hex(&sum.crc64) != Some(crc64(body)) {
            return Err(Fault::Bad("its checksum does not agree"));
        }
        let mut lines = body.split(|&byte| byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let version: Version = serde_json::from_slice(first).map_err(|_| TORN)?;
        if version.flume_backup > VERSION {
            return Err(Fault::Newer("backup version", version.flume_backup.into()));
        }
        let first: First = serde_json::from_slice(first).map_err(|_| TORN)?;
        let mut files = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let row: Row = serde_json::from_slice(line).map_err(|_| TORN)?;
            // Nothing but a segment's name is taken, so that none leads out of the directory.
            let name = SegmentName::parse(&row.file).ok_or(Fault::Bad("it names what is no segment"))?;
            files.push(Listed { name, bytes: row.bytes, crc: hex(&row.crc64).ok_or(TORN)? });
        }
        let begins = first.begins.as_deref().map(|text| begins(text).ok_or(TORN)).transpose()?;
        let ordered = files.iter().zip(files.iter().skip(1));
        let ordered = ordered.into_iter().all(|(one, next)| {
            one.name.ordinal.checked_add(1) == Some(next.name.ordinal) && one.name.first <= next.name.first
        });
        let last = files.last();
        let begun = begins.map_or((0, 0), |page| (page.ordinal, page.first));
        let fits = last.is_none_or(|last| last.bytes >= first.end && last.name.first <= first.next)
            && files.first().is_none_or(|first| (first.name.ordinal, first.name.first) == begun);
        if !ordered || !fits || files.len() as u64 != first.files {
            return Err(Fault::Bad("its segments do not follow each other"));
        }
        let proof = first.proof.map(|crc| u32::from_str_radix(&crc, 16)).transpose().map_err(|_| TORN)?;
        let manifest = Self {
            id: id(&first.log).ok_or(TORN)?,
            epoch: hex(&first.epoch).ok_or(TORN)?,
            first: begins,
            next: first.next,
            proof,
            end: first.end,
            sealed: first.sealed,
            made_us: first.made_us,
            files,
        };
        // One spelling only: the last line is not under its own checksum.
        if manifest.encode() != bytes {
            return Err(Fault::Bad("it is spelled otherwise than it was written"));
        }
        Ok(manifest)
    }

    /// Whether there is a backup.
    pub(super) fn is_whole(&self) -> bool {
        !self.files.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) fn proof(&self) -> Option<Proof> {
        self.proof.map(|crc| Proof(crc.to_le_bytes().to_vec()))
    }

    pub(super) fn head(&self) -> Option<crate::Seq> {
        head_of(self.next)
    }

    /// The head page of a log that has what is in this backup, and was closed then.
    pub(super) fn page(&self) -> HeadPage {
        HeadPage {
            id: self.id,
            epoch: self.epoch,
            visible: self.next,
            watermark: self.next,
            ordinal: self.files.last().map_or(0, |last| last.name.ordinal),
            synced: self.end,
            end: self.end,
            // As a log says that ends with a sealed segment.
            clean: !self.sealed,
        }
    }
}

fn line(row: &impl Serialize) -> Vec<u8> {
    // Writing to memory cannot fail, and every field has a representation.
    let mut line = serde_json::to_vec(row).unwrap_or_default();
    line.push(b'\n');
    line
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)
}

/// The page whose bytes `text` has.
fn begins(text: &str) -> Option<FirstPage> {
    let digits = text.as_bytes().chunks(2);
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    FirstPage::decode(&digits.map(byte).collect::<Option<Vec<u8>>>()?).ok()
}

fn id(text: &str) -> Option<LogId> {
    let (high, low) = text.split_at_checked(16)?;
    let mut id = [0; 16];
    let (first, second) = id.split_at_mut(8);
    first.copy_from_slice(&hex(high)?.to_be_bytes());
    second.copy_from_slice(&hex(low)?.to_be_bytes());
    Some(LogId(id))
}
