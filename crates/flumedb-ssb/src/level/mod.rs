//! The LevelDB directories of flumelog-level: entries under the times at which they were appended, read in that order and
//! never changed. LevelDB itself would write as soon as it opens one.
//!
//! ```text
//! CURRENT         names the manifest
//! MANIFEST-n      journal: which tables and logs belong to the directory
//! n.log           journal: the newest rows, in batches
//! n.ldb, n.sst    table: sorted rows in compressed blocks
//! ```

mod block;
mod cursor;
mod journal;
mod manifest;
mod read;
mod records;
mod row;
mod table;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use flumedb::{
    Damage, Error, ErrorKind, Result, Seq, Span,
    check::TornTail,
    env::{Env, File, OpenMode},
    log::ReadRequest,
};

use crate::file::FileLog;
use journal::Stretch;
use manifest::Manifest;
use row::Row;
use table::Piece;

/// A directory of flumelog-level as a log, as it was when it was opened: read-only.
///
/// The [`Seq`] of an entry is its key, the time of its appending in milliseconds since 1970, as the eight bytes of an `f64`:
/// they are in the same order as the times. Its payload is JSON text. If another program has the directory open, what that
/// has written so far is there.
///
/// ```no_run
/// use flumedb::{Flume, codec::JsonDocs};
/// use flumedb_ssb::LevelLog;
/// # fn main() -> flumedb::Result<()> {
/// let log = std::sync::Arc::new(LevelLog::open("flume.level")?);
/// let db = Flume::with_log(log, JsonDocs).blocking()?;
/// for entry in db.scan(..).blocking() {
///     let entry = entry?;
///     println!("{}: {}", f64::from_bits(entry.seq.get()), entry.value);
/// }
/// # Ok(())
/// # }
/// ```
pub type LevelLog = FileLog<Level>;

/// The rows of a LevelDB directory.
pub struct Level {
    env: Env,
    path: PathBuf,
    /// The blocks of all tables in the order of their first keys.
    pieces: Vec<Piece>,
    /// How far each block and those before it reach.
    reach: Vec<u64>,
    /// What the logs hold, in order.
    rows: Vec<Row>,
    /// What is wrong with the logs.
    damage: Vec<Damage>,
    torn_tail: Option<TornTail>,
    first: Option<Seq>,
    head: Option<Seq>,
    /// The number of the newest change: what was deleted leaves nothing else behind.
    changed: u64,
}

impl Level {
    fn at(env: &Env, path: PathBuf) -> Result<Self> {
        let manifest = Manifest::read(env, &path)?;
        let names = list(env, &path)?;
        let mut level = Self {
            env: env.clone(),
            pieces: Vec::new(),
            reach: Vec::new(),
            rows: Vec::new(),
            damage: Vec::new(),
            torn_tail: manifest.torn_tail.clone(),
            first: None,
            head: None,
            changed: manifest.changed,
            path,
        };
        for table in manifest.tables() {
            let name = names.iter().find(|name| number(name, &["ldb", "sst"]) == Some(table.number));
            let name = name.map_or_else(|| format!("{:06}.ldb", table.number), Clone::clone);
            table::pieces(env, level.path.join(name), table, &mut level.pieces)?;
        }
        level.pieces.sort_by_key(|piece| piece.from);
        let reach = |reach: &mut u64, piece: &Piece| {
            *reach = piece.upto.max(*reach);
            Some(*reach)
        };
        level.reach = level.pieces.iter().scan(0, reach).collect();
        level.read_logs(&manifest, &names)?;
        level.first = level.outermost(false)?;
        level.head = level.outermost(true)?;
        Ok(level)
    }

    fn read_logs(&mut self, manifest: &Manifest, names: &[String]) -> Result<()> {
        let logs = names.iter().filter_map(|name| Some((number(name, &["log"])?, name)));
        let mut logs: Vec<_> = logs.filter(|&(number, _)| manifest.has_log(number)).collect();
        logs.sort_unstable();
        for (_, name) in logs {
            let place = Place::file(&self.path, name);
            let journal = journal::read(&*place.open(&self.env)?, &place)?;
            for batch in &journal.records {
                if let Err(reason) = row::add_batch(batch, &mut self.rows) {
                    self.damage.push(place.damage(&Stretch { offset: 0, bytes: journal.len, reason }));
                }
            }
            self.damage.extend(journal.damage.iter().map(|stretch| place.damage(stretch)));
            self.torn_tail = self.torn_tail.take().or_else(|| journal.torn_tail(&place));
        }
        self.rows.sort_by_key(Row::order);
        self.changed = self.rows.iter().map(|row| row.change).fold(self.changed, u64::max);
        Ok(())
    }

    /// The oldest entry, or the newest. One that cannot be read counts as far as its block reaches.
    fn outermost(&self, newest: bool) -> Result<Option<Seq>> {
        let mut span = Span { from: 0, to: self.end() };
        while !span.is_empty() {
            let chunk = match self.chunk(ReadRequest { span, reverse: newest, max_bytes: 1 }) {
                Ok(chunk) => chunk,
                Err(error) if newest => {
                    let upto = self.reach.last().copied().map(Seq::new);
                    return if error.kind() == ErrorKind::Corrupt { Ok(upto) } else { Err(error) };
                }
                Err(error) => return if error.kind() == ErrorKind::Corrupt { Ok(error.seq()) } else { Err(error) },
            };
            if let Some(slot) = chunk.slots.first() {
                return Ok(Some(slot.seq));
            }
            if newest {
                span.to = chunk.covered.from;
            } else {
                span.from = chunk.covered.to;
            }
        }
        Ok(None)
    }

    /// Behind the newest entry; before that is known, behind all that can be.
    fn end(&self) -> u64 {
        let end = |seq: Seq| seq.get().saturating_add(1);
        // No time is as late as the largest number.
        self.head.map_or(u64::MAX, end)
    }
}

/// The names in a directory.
fn list(env: &Env, path: &Path) -> Result<Vec<String>> {
    env.storage.list(path).map_err(|error| Error::io("list", path, error))
}

/// The number of a file with one of these endings.
fn number(name: &str, endings: &[&str]) -> Option<u64> {
    let (digits, ending) = name.split_once('.')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain && endings.contains(&ending))
}

/// A file that is read, for what is said of it.
struct Place {
    path: PathBuf,
}

impl Place {
    fn file(dir: &Path, name: &str) -> Self {
        Self { path: dir.join(name) }
    }

    fn open(&self, env: &Env) -> Result<Arc<dyn File>> {
        env.storage.open(&self.path, OpenMode::Read).map_err(|error| Error::io("open", &self.path, error))
    }

    fn corrupt(&self, offset: u64, bytes: usize, reason: &str) -> Error {
        Error::corrupt(Damage::new(&self.path, offset, bytes as u64, reason))
    }

    fn damage(&self, Stretch { offset, bytes, reason }: &Stretch) -> Damage {
        Damage::new(&self.path, *offset as u64, *bytes as u64, *reason)
    }
}
