//! [`Source`], what `import` reads: a log of any known format or JSON lines, from where an earlier import stopped.

use std::{
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use flumedb::{
    Bytes, Entry, Env, Error, ErrorKind, Seq,
    env::{File, OpenMode},
    log::Note,
};
use flumedb_ssb::{Format, any};
use serde::{Deserialize, Serialize};

use crate::{
    args::{Import, Place},
    exit::{Failure, Outcome, Verdict},
    lines::Lines,
    open::Opened,
    output::Damaged,
};

/// Entries that arrive together, and where the source stands behind them.
pub(crate) struct Group {
    pub(crate) payloads: Vec<Bytes>,
    pub(crate) position: u64,
    pub(crate) proof: Vec<u8>,
    /// How much of the source has been read, in the measure of [`Source::total`].
    pub(crate) done: u64,
}

/// What is imported.
pub(crate) enum Source {
    Log(Box<LogSource>),
    Lines(Box<Lines<Box<dyn Read>>>, Option<u64>),
}

/// A log, read from a position on.
pub(crate) struct LogSource {
    opened: Opened,
    entries: Box<dyn Iterator<Item = flumedb::Result<Entry<Bytes>>>>,
    damaged: Damaged,
    evidence: Option<Evidence>,
}

/// What tells a log from another: two of its entries, where they are and a checksum of each.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Evidence {
    first: (Seq, u64),
    last: (Seq, u64),
}

/// Groups end behind so many bytes: one commit each.
const GROUP_BYTES: usize = 512 << 10;

impl Source {
    /// Opens what is to be imported, behind what `note` says has been.
    pub(crate) fn open(args: &Import, note: Option<&Note>) -> Result<Self, Failure> {
        let path = &args.place.path;
        if path == Path::new("-") {
            return match args.place.format {
                None | Some(Format::JsonLines) => Self::lines(Box::new(io::stdin()), None, note),
                Some(format) => {
                    Err(Failure::usage(format!("standard input has JSON lines; {format} is read from a file")))
                }
            };
        }
        if are_lines(&args.place) {
            let storage = Env::os().storage;
            let link = storage.points_to(path).map_err(|error| Error::io("follow the link", path, error))?;
            let path = link.as_ref().unwrap_or(path);
            let file = storage.open(path, OpenMode::Read).map_err(|error| Error::io("open", path, error))?;
            let total = file.len().ok();
            return Self::lines(Box::new(FromStart { file, position: 0 }), total, note);
        }
        Ok(Self::Log(Box::new(LogSource::open(Opened::read(&args.place)?, note)?)))
    }

    fn lines(from: Box<dyn Read>, total: Option<u64>, note: Option<&Note>) -> Result<Self, Failure> {
        let mut lines = Lines::new(from);
        if let Some(note) = note
            && !lines.skip(note.position, &note.proof)?
        {
            return Err(another());
        }
        Ok(Self::Lines(Box::new(lines), total))
    }

    /// The next entries; `None` at the end.
    pub(crate) fn next_group(&mut self) -> Result<Option<Group>, Failure> {
        match self {
            Self::Log(log) => log.next_group(),
            Self::Lines(lines, _) => {
                let Some(group) = lines.next_group()? else { return Ok(None) };
                let payloads = group.into_iter().map(Bytes::from).collect();
                let position = lines.position();
                Ok(Some(Group { payloads, position, proof: lines.proof(), done: position }))
            }
        }
    }

    /// How much there is to read, if that is known.
    pub(crate) fn total(&self) -> Option<u64> {
        match self {
            Self::Log(log) => log.opened.db.head().map(Seq::get),
            Self::Lines(_, total) => *total,
        }
    }

    /// Says what is wrong with the source.
    pub(crate) fn verdict(&self) -> Outcome {
        match self {
            // What has been met has been told of.
            Self::Log(log) => match log.damaged.verdict() {
                Verdict::Fine => log.opened.verdict(),
                met => Ok(met),
            },
            Self::Lines(..) => Ok(Verdict::Fine),
        }
    }
}

impl LogSource {
    fn open(opened: Opened, note: Option<&Note>) -> Result<Self, Failure> {
        let mut evidence = None;
        if let Some(note) = note {
            let told: Evidence = serde_json::from_slice(&note.proof).map_err(|_| another())?;
            for (seq, sum) in [told.first, told.last] {
                match opened.db.get(seq).blocking() {
                    Ok(payload) if checksum(&payload) == sum => {}
                    // It was deleted since, and nothing can be compared.
                    Err(error) if error.kind() == ErrorKind::Deleted => {}
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                    _ => return Err(another()),
                }
            }
            evidence = Some(told);
        }
        let from = note.map_or(0, |note| note.position.saturating_add(1));
        let entries = Box::new(opened.db.scan(Seq::new(from)..).blocking());
        Ok(Self { opened, entries, damaged: Damaged::default(), evidence })
    }

    fn next_group(&mut self) -> Result<Option<Group>, Failure> {
        let (mut payloads, mut bytes, mut newest) = (Vec::new(), 0, None);
        while bytes < GROUP_BYTES {
            let entry = match self.entries.next() {
                None => break,
                Some(Ok(entry)) => entry,
                Some(Err(error)) => {
                    self.damaged.step_over(error)?;
                    continue;
                }
            };
            bytes += entry.value.len() + 64;
            newest = Some((entry.seq, entry.value.clone()));
            payloads.push(entry.value);
        }
        let Some((seq, payload)) = newest else { return Ok(None) };
        let last = (seq, checksum(&payload));
        let evidence = match self.evidence {
            Some(evidence) => Evidence { last, ..evidence },
            // The first that is imported ever.
            None => Evidence { first: last, last },
        };
        self.evidence = Some(evidence);
        let proof = serde_json::to_vec(&evidence).map_err(|error| Failure::system(error.to_string()))?;
        Ok(Some(Group { payloads, position: seq.get(), proof, done: seq.get() }))
    }
}

/// Whether a file is to be read as bare JSON lines: it is named so, unless its lines are those of flumelog-memory.
fn are_lines(place: &Place) -> bool {
    match place.format {
        Some(format) => format == Format::JsonLines,
        None => {
            let told = || any::tell(&Env::os(), &place.path).map(|told| told.format);
            place.path.extension().is_some_and(|ending| ending == "jsonl")
                && !told().is_ok_and(|it| it == Format::Memory || it.is_directory())
        }
    }
}

/// A file, read from its start to its end.
struct FromStart {
    file: Arc<dyn File>,
    position: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(self.position, buffer.len())?;
        if let Some(target) = buffer.get_mut(..bytes.len()) {
            target.copy_from_slice(&bytes);
        }
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }
}

fn checksum(payload: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, payload)
}

fn another() -> Failure {
    Failure::lacking(
        "this is not the source that was imported under this name before; give it another name with --source",
    )
}
