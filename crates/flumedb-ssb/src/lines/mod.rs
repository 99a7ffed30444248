//! Files of JSON lines, to read and to follow: [`LinesLog`] takes each line for an entry. What flumelog-memory keeps is
//! such a file, whose lines are `{"seq":…,"value":…}`; there the value is the entry. Never writes.

mod index;
mod read;
mod shape;

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use bytes::Bytes;
use flumedb::{
    Damage, Env, Error, ErrorKind, Result, Seq,
    check::{Repair, Report, TornTail},
    env::OpenMode,
    log::{Chunk, LogIdentity, LogStat, Proof, ReadRequest},
};

pub use shape::Shape;
pub(crate) use shape::{Told, tell};

use crate::file::{Access, FileLog, FileLogBuilder, Opening, Records, Source};
use index::{Index, Walk};

/// A file of JSON lines as a log. The [`Seq`] of an entry is the number of its line, from 0; empty lines are none.
///
/// ```
/// use flumedb::{Env, Seq, env::OpenMode, log::Log};
/// use flumedb_ssb::{LinesLog, Shape};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let env = Env::memory();
/// let file = env.storage.open("old.json".as_ref(), OpenMode::CreateNew).unwrap();
/// file.write_all(0, b"{\"seq\":0,\"value\":\"a\"}\n{\"seq\":1,\"value\":[2]}\n").unwrap();
/// let log = LinesLog::builder().env(env).open("old.json")?;
/// assert_eq!(log.shape(), Some(Shape::Numbered));
/// assert_eq!(log.get(Seq::new(1)).await?, "[2]");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub type LinesLog = FileLog<Lines>;

impl FileLog<Lines> {
    /// What its lines are; `None` if they are no JSON.
    pub fn shape(&self) -> Option<Shape> {
        self.records().shape
    }
}

impl FileLogBuilder<Lines> {
    /// Takes the lines for these.
    pub fn shape(self, shape: Shape) -> Self {
        self.options(Some(shape))
    }
}

/// The lines of a file.
pub struct Lines {
    source: Source,
    /// `None`: no JSON lines.
    shape: Option<Shape>,
    index: RwLock<Index>,
}

impl Lines {
    pub(crate) fn shape(&self) -> Option<Shape> {
        self.shape
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(env: &Env, path: PathBuf, named: Option<Shape>) -> Result<Self> {
        let source = Source::open(env, path, OpenMode::Read)?;
        let told = shape::tell(&source)?.shape;
        let shape = named.or(told);
        let mut index = Index::default();
        if let Some(shape) = shape {
            index.extend(&source, shape)?;
        }
        Ok(Self { source, shape, index: RwLock::new(index) })
    }
}

/// So many damaged lines are told of one by one.
const MOST_DAMAGE: usize = 1024;

fn read_only<T>() -> Result<T> {
    let message = "JSON lines are read, imported and converted, never written to here; add lines with an editor";
    Err(Error::new(ErrorKind::Unsupported, message))
}

impl Records for Lines {
    type Options = Option<Shape>;

    fn open(env: &Env, path: PathBuf, named: &Option<Shape>, access: Access) -> Result<Opening<Self>> {
        if access != Access::Read {
            return read_only();
        }
        Ok(Opening { records: Self::at(env, path, *named)?, recovery: None, lock: None })
    }

    fn check(env: &Env, path: &Path, named: &Option<Shape>) -> Result<Report> {
        Self::at(env, path.to_owned(), *named)?.report()
    }

    fn repair(_: &Env, _: &Path, _: &Option<Shape>, _: bool) -> Result<Repair> {
        read_only()
    }

    fn unknown(&self) -> bool {
        self.shape.is_none()
    }

    fn first(&self) -> Option<Seq> {
        self.head().map(|_| Seq::new(0))
    }

    fn head(&self) -> Option<Seq> {
        self.index().count.checked_sub(1).map(Seq::new)
    }

    fn refresh(&self) -> Result<()> {
        match self.shape {
            Some(shape) if self.source.len()? > self.index().end => {
                self.index.write().unwrap_or_else(PoisonError::into_inner).extend(&self.source, shape)
            }
            _ => Ok(()),
        }
    }

    fn read(&self, request: ReadRequest) -> Result<Chunk> {
        self.chunk(request)
    }

    fn get(&self, seq: Seq) -> Result<Bytes> {
        self.payload(seq)
    }

    fn identity(&self) -> Result<LogIdentity> {
        let mut identity = format!("{}/", self.name()).into_bytes();
        identity.extend_from_slice(&self.digest(Seq::new(0))?.unwrap_or_default());
        Ok(LogIdentity(identity))
    }

    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        let Some(digest) = self.digest(seq)? else { return Ok(None) };
        let mut proof = self.identity()?.0;
        proof.extend_from_slice(&digest);
        Ok(Some(Proof(proof)))
    }

    fn stat(&self) -> Result<LogStat> {
        Ok(LogStat::new(self.name(), self.index().count, 0, self.source.len()?))
    }

    fn report(&self) -> Result<Report> {
        let bytes = self.source.len()?;
        let mut report = Report { bytes, ..Report::default() };
        let Some(shape) = self.shape else {
            report.damage.push(Damage::new(&self.source.path, 0, bytes, "it has no lines of JSON"));
            return Ok(report);
        };
        report.format = Some(shape.format().to_owned());
        let mut walk = Walk::new(&self.source, 0, 0);
        while let Some(line) = walk.next()? {
            let whole = shape.value(&line.text).is_some();
            if !whole && walk.open {
                let bytes = line.text.len() as u64;
                report.torn_tail = Some(TornTail { file: self.source.path.clone(), offset: line.start, bytes });
                break;
            }
            report.head = Some(Seq::new(line.number));
            match whole {
                true => report.entries += 1,
                false if report.damage.len() >= MOST_DAMAGE => {
                    if let Some(last) = report.damage.last_mut() {
                        last.bytes = line.start.saturating_sub(last.offset).saturating_add(line.text.len() as u64);
                        last.reason = format!("up to entry {}, some are no {}", line.number, shape.article());
                    }
                }
                false => {
                    let reason = format!("entry {} is no {}", line.number, shape.article());
                    report.damage.push(Damage::new(&self.source.path, line.start, line.text.len() as u64, reason));
                }
            }
        }
        Ok(report)
    }
}
